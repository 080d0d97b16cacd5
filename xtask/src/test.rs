//! `cargo xtask test`: every check and every test, in the order in which they fail fastest.
//!
//! It skips nothing in silence: where a tool is missing that only makes things faster, it says so and goes on without.

use std::process::{Command, Stdio};

use crate::debian::OF_TESTS;
use crate::error::Error;
use crate::language::Language;
use crate::progress::{self, Steps};
use crate::{guests, policy, root, wit};

/// Runs all of it; the first failure ends it.
pub(crate) fn run() -> Result<(), Error> {
    let mut steps = Steps::of(12);
    progress::line(&steps.next("the standard interfaces"));
    wit::check(&root())?;
    cargo(&steps.next("formatting"), &["fmt", "--all", "--check"])?;
    progress::line(&steps.next("guests"));
    let mut left_out: Vec<LeftOut> = guests::build("dev")?.into_iter().map(LeftOut::for_want_of).collect();
    for (programs, what, tests) in &OF_TESTS {
        if !programs.ensure_or_leave_out(what)? {
            left_out.push(LeftOut { tests: (*tests).to_owned(), why: format!("{what} cannot be had here") });
        }
    }
    let folder = root();
    let guests = ["tests/guests", "examples/faults", "examples/shop", "examples/mesh", "examples/web", policy::FOLDER];
    for guests in guests {
        let manifest = folder.join(guests).join("Cargo.toml");
        let mut fmt = command(&["fmt", "--all", "--check", "--manifest-path"])?;
        show(&format!("formatting of {guests}"), fmt.arg(manifest))?;
    }
    cargo(&steps.next("lints"), &["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"])?;
    // All others have the library with all its features. What differs is the engine, which is checked and not compiled.
    let library = ["check", "--package", "airssys-wasm", "--all-targets"];
    cargo(&steps.next("the library without WASI 0.3"), &library)?;
    // The shim's tests want another tokio than all the others; apart, nobody compiles the engine twice for it.
    let most = ["--workspace", "--exclude", "airssys-rt-shim"];
    // The tests run the command as people do, so it has to be there.
    cargo(&steps.next("building the tests"), &[&["build"], &most[..], &["--bins", "--tests", "--benches"]].concat())?;
    let run: &[&str] = if has_nextest() {
        &["nextest", "run", "--no-fail-fast"]
    } else {
        progress::line("cargo-nextest is not installed; `cargo test` does the same, more slowly");
        &["test", "--no-fail-fast", "--lib", "--bins", "--tests"]
    };
    cargo(&steps.next("tests of the shim"), &[run, &["--package", "airssys-rt-shim"]].concat())?;
    let skipped = left_out.iter().flat_map(|left_out| ["--skip", &left_out.tests]).collect::<Vec<_>>();
    cargo(&steps.next("tests"), &[run, &most[..], &["--"], &skipped].concat())?;
    // Without optimisation the bench does all of its rows once, and measures nothing.
    cargo(&steps.next("the rows of the bench"), &[&["test"], &most[..], &["--bench", "rows"]].concat())?;
    cargo(
        &steps.next("tests in the documentation"),
        &["test", "--workspace", "--exclude", "airssys-rt-shim", "--doc"],
    )?;
    cargo(&steps.next("tests in the shim's documentation"), &["test", "--package", "airssys-rt-shim", "--doc"])?;
    let mut doc = command(&["doc", "--workspace", "--no-deps"])?;
    show(&steps.next("documentation"), doc.env("RUSTDOCFLAGS", "--deny warnings"))?;
    say_what_did_not_run(&most, &left_out)
}

/// Tests that cannot run here.
struct LeftOut {
    /// What their names have in them.
    tests: String,
    why: String,
}

impl LeftOut {
    fn for_want_of(language: &Language) -> Self {
        Self { tests: language.tests(), why: format!("their guests in {} cannot be built here", language.name) }
    }
}

/// Last of all, so that nobody overlooks it: how many tests did not run, why, and which.
fn say_what_did_not_run(chosen: &[&str], left_out: &[LeftOut]) -> Result<(), Error> {
    for LeftOut { tests, why } in left_out {
        let list = ["--quiet", "--test", "promises", "--", "--list", tests];
        let mut listing = command(&[&["test"], chosen, &list[..]].concat())?;
        let program = "cargo test --list".to_owned();
        let output = listing.output().map_err(|source| Error::NotRun { program: program.clone(), source })?;
        let said = String::from_utf8_lossy(&output.stdout);
        let names: Vec<&str> = said.lines().filter_map(|line| line.strip_suffix(": test")).collect();
        if !output.status.success() || names.is_empty() {
            let output_text = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Error::Failed { program, status: output.status, output: output_text });
        }
        progress::line(&format!("{} tests did not run, since {why}:", names.len()));
        names.iter().for_each(|name| progress::line(&format!("  {name}")));
    }
    Ok(())
}

fn has_nextest() -> bool {
    Command::new("cargo-nextest")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// cargo, the one that runs us, over the target folder that we are in ourselves.
pub(crate) fn command(arguments: &[&str]) -> Result<Command, Error> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(arguments).current_dir(root()).env("CARGO_TARGET_DIR", guests::target_dir()?);
    Ok(cargo)
}

fn cargo(label: &str, arguments: &[&str]) -> Result<(), Error> {
    show(label, &mut command(arguments)?)
}

/// Runs a program with its output shown as it is: cargo and nextest show progress themselves.
pub(crate) fn show(label: &str, command: &mut Command) -> Result<(), Error> {
    progress::line(&format!("== {label}"));
    let program = label.to_owned();
    let status = command.status().map_err(|source| Error::NotRun { program: program.clone(), source })?;
    if status.success() { Ok(()) } else { Err(Error::Failed { program, status, output: String::new() }) }
}
