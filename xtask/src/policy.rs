//! `examples/policy/judge`: a program that judges changes by rules in Rego. It is a workspace of its own, since what it
//! depends on would have the engine compiled anew.

use std::path::Path;
use std::process::Command;

use crate::error::Error;
use crate::progress;

/// The folder of its workspace.
pub(crate) const FOLDER: &str = "examples/policy/judge";

/// Builds it into `policy` in the target folder.
pub(crate) fn build(root: &Path, target: &Path) -> Result<(), Error> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--locked", "--target-dir"]).arg(target.join("policy"));
    progress::run("building the judge of examples/policy", cargo.current_dir(root.join(FOLDER)), None)
}
