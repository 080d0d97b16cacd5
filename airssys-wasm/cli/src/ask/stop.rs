//! `airssys stop`: the ordered stop of a running host.

use super::HostArgs;
use crate::control::ControlError;
use crate::control::protocol::{Request, Stopped};

/// Stops a running host in order, and waits until it is gone.
///
/// It takes as long as the topology's `shutdown_timeout` at most; what has not stopped by then is killed, and named. Ending this command does not take
/// the stop back.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  airssys stop")]
pub(crate) struct Args {
    #[command(flatten)]
    host: HostArgs,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), ControlError> {
    args.host.tell(&Request::Stop {}, text)
}

fn text(stopped: &Stopped) -> String {
    let mut text = format!("stopped in {:.3} s", stopped.seconds);
    for (what, who) in [("had to be killed", &stopped.killed), ("did not go even then", &stopped.unresponsive)] {
        if !who.is_empty() {
            text.push_str(&format!("\n  {what}: {}", who.join(", ")));
        }
    }
    text
}
