//! `cargo xtask bench`: builds the guests and the bench, and runs it.
//!
//! The rows themselves are in `airssys-wasm/benches/rows`; what is said here is handed to them. They are measured as
//! the library is by default, without WASI 0.3, or with it, as the command has it.

use std::process::Command;

use crate::error::Error;
use crate::{guests, root};

/// Has WASI 0.3 compiled in.
const WITH_WASI_03: &str = "--wasi-0-3";

/// Builds and runs the rows that `arguments` ask for: `[--wasi-0-3] [--json FILE] [--rounds N] [--check] [NAME]...`.
pub(crate) fn run(arguments: &[&str]) -> Result<(), Error> {
    guests::build("dev")?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["bench", "--package", "airssys-wasm", "--bench", "rows"])
        .arg("--target-dir")
        .arg(guests::target_dir()?);
    let (with, rows): (Vec<&str>, Vec<&str>) = arguments.iter().partition(|argument| **argument == WITH_WASI_03);
    if !with.is_empty() {
        cargo.args(["--features", "wasi-0-3"]);
    }
    cargo.arg("--").args(absolute(&rows)).current_dir(root());
    // With it on, a trap costs a symbolised backtrace of the host's own stack.
    cargo.env("RUST_LIB_BACKTRACE", "0");
    let program = "cargo bench".to_owned();
    let status = cargo.status().map_err(|source| Error::NotRun { program: program.clone(), source })?;
    if status.success() { Ok(()) } else { Err(Error::Failed { program, status, output: String::new() }) }
}

/// cargo runs a bench in its package's folder; a file that is named is meant from here.
fn absolute(arguments: &[&str]) -> Vec<String> {
    let mut all: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    if let Some(at) = arguments.iter().position(|argument| *argument == "--json")
        && let Some(file) = all.get_mut(at + 1)
        && let Ok(whole) = std::path::absolute(&*file)
    {
        *file = whole.to_string_lossy().into_owned();
    }
    all
}
