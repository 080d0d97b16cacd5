//! `cargo xtask test`: every check and every test, in the order in which they fail fastest.
//!
//! It skips nothing in silence: where a tool is missing that only makes things faster, it says so and goes on without.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::Error;
use crate::{guests, progress, root, wit};

/// Runs all of it; the first failure ends it.
pub(crate) fn run() -> Result<(), Error> {
    wit::check(&root())?;
    cargo("formatting", &["fmt", "--all", "--check"], None)?;
    guests::build("dev")?;
    let folder = root();
    for guests in ["tests/guests", "examples/shop"] {
        let manifest = folder.join(guests).join("Cargo.toml");
        cargo(&format!("formatting of {guests}"), &["fmt", "--all", "--check", "--manifest-path"], Some(&manifest))?;
    }
    cargo("lints", &["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"], None)?;
    // The shim's tests want another tokio than all the others; apart, nobody compiles the engine twice for it.
    let most = ["--workspace", "--exclude", "airssys-rt-shim"];
    // The tests run the command as people do, so it has to be there.
    cargo("building the tests", &[&["build"], &most[..], &["--bins", "--tests"]].concat(), None)?;
    if has_nextest() {
        let run = ["nextest", "run", "--no-fail-fast"];
        cargo("tests of the shim", &[&run[..], &["--package", "airssys-rt-shim"]].concat(), None)?;
        cargo("tests", &[&run[..], &most[..]].concat(), None)?;
    } else {
        progress::line("cargo-nextest is not installed; `cargo test` does the same, more slowly");
        let run = ["test", "--no-fail-fast", "--lib", "--bins", "--tests"];
        cargo("tests of the shim", &[&run[..], &["--package", "airssys-rt-shim"]].concat(), None)?;
        cargo("tests", &[&run[..], &most[..]].concat(), None)?;
    }
    cargo("tests in the documentation", &["test", "--workspace", "--exclude", "airssys-rt-shim", "--doc"], None)?;
    cargo("tests in the shim's documentation", &["test", "--package", "airssys-rt-shim", "--doc"], None)?;
    documentation()
}

fn has_nextest() -> bool {
    Command::new("cargo-nextest")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn documentation() -> Result<(), Error> {
    let mut doc = command(&["doc", "--workspace", "--no-deps"])?;
    doc.env("RUSTDOCFLAGS", "--deny warnings");
    show("documentation", &mut doc)
}

/// cargo, the one that runs us, over the target folder that we are in ourselves.
pub(crate) fn command(arguments: &[&str]) -> Result<Command, Error> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(arguments).current_dir(root()).env("CARGO_TARGET_DIR", guests::target_dir()?);
    Ok(cargo)
}

fn cargo(label: &str, arguments: &[&str], last: Option<&Path>) -> Result<(), Error> {
    let mut cargo = command(arguments)?;
    cargo.args(last);
    show(label, &mut cargo)
}

/// Runs a program with its output shown as it is: cargo and nextest show progress themselves.
pub(crate) fn show(label: &str, command: &mut Command) -> Result<(), Error> {
    progress::line(&format!("== {label}"));
    let program = label.to_owned();
    let status = command.status().map_err(|source| Error::NotRun { program: program.clone(), source })?;
    if status.success() { Ok(()) } else { Err(Error::Failed { program, status, output: String::new() }) }
}
