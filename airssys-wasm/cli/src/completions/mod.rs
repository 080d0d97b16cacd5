//! `airssys completions`: what a shell needs to complete the command line. The shell asks the command itself, each
//! time, so that a running host can be asked for what it has.

mod live;

use clap_complete::env::Shells;
use clap_complete::{CompleteEnv, Shell};

pub(crate) use self::live::{functions, services};
use crate::output::{self, Problem};

/// What the shell asks with.
const VARIABLE: &str = "AIRSSYS_COMPLETE";

/// Prints the completions for a shell.
///
/// With a running host they complete its services and their functions as well.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  airssys completions bash > ~/.local/share/bash-completion/completions/airssys")]
pub(crate) struct Args {
    /// The shell.
    shell: Shell,
}

/// Answers a shell that asks how a command line could go on, and ends the process then. To be called before anything
/// else.
pub(crate) fn answer(command: impl Fn() -> clap::Command) {
    CompleteEnv::with_factory(command).var(VARIABLE).complete();
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), Problem> {
    // Into memory first: what cannot be written is told as everywhere else.
    let mut script = Vec::new();
    if let Some(shell) = Shells::builtins().completer(&args.shell.to_string()) {
        shell.write_registration(VARIABLE, "airssys", "airssys", "airssys", &mut script).map_err(Problem::Output)?;
    }
    output::print_data(String::from_utf8_lossy(&script).trim_end())
}
