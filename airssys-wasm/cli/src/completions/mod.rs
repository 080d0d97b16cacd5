//! `airssys completions`: what a shell needs to complete the command line.

use clap_complete::{Shell, generate};

use crate::output::{self, Problem};

/// Prints the completions for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  airssys completions bash > ~/.local/share/bash-completion/completions/airssys")]
pub(crate) struct Args {
    /// The shell.
    shell: Shell,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args, mut command: clap::Command) -> Result<(), Problem> {
    // Into memory first: the generator panics where it cannot write.
    let mut script = Vec::new();
    generate(args.shell, &mut command, "airssys", &mut script);
    output::print(String::from_utf8_lossy(&script).trim_end())
}
