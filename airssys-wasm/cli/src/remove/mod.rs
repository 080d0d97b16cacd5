//! `airssys remove`: takes a published release away.

use airssys_wasm::command;
use airssys_wasm::command::Reference;
use semver::Version;

use crate::explain::say;
use crate::output::{DataArgs, Problem};

/// Removes a published release, also one that is damaged. One that a running mesh uses, or that the next one in this
/// data folder starts with or can go back to, is not removed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  airssys remove pricing@1.2.0")]
pub(crate) struct Args {
    /// The release.
    #[arg(value_name = "NAME@VERSION")]
    release: Reference,
    #[command(flatten)]
    data: DataArgs,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), Problem> {
    let release = &args.release;
    let Some(version) = &release.version else { return Err(Problem::NoVersion { name: release.name.clone() }) };
    let needed = command::needed(args.data.folder())?;
    let in_use = |name: &str, version: &Version| needed.contains(&format!("{name}@{version}"));
    args.data.store()?.remove(&release.name, version, in_use)?;
    say(&format!("removed {release}"));
    Ok(())
}
