//! `airssys stop`: the ordered stop of a running host, or of one service of it.

use super::HostArgs;
use crate::control::ControlError;
use crate::control::protocol::{Request, ServiceStop, Stopped};

/// Stops a running host in order, and waits until it is gone; or stops one service of it.
///
/// The host takes as long as the topology's `shutdown_timeout` at most; what has not stopped by then is killed, and
/// named. Ending this command does not take the stop back.
///
/// A service that is stopped stays stopped until `airssys start SERVICE`, also when the host is killed and starts again
/// on the same data folder. Messages to it are refused, and what waits for it becomes dead letters.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  airssys stop\n  airssys stop pricing")]
pub(crate) struct Args {
    /// The service to stop; without one the host stops.
    #[arg(value_name = "SERVICE")]
    service: Option<String>,
    #[command(flatten)]
    host: HostArgs,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), ControlError> {
    match &args.service {
        Some(service) => args.host.tell(&Request::StopService { service: service.clone() }, service_text),
        None => args.host.tell(&Request::Stop {}, text),
    }
}

fn service_text(stop: &ServiceStop) -> String {
    let ServiceStop { service, kept, .. } = stop;
    let lasts =
        if *kept { "also when the host starts again, " } else { "or until the host ends, which has no data folder, " };
    format!("stopped {service}; it stays stopped, {lasts}until `airssys start {service}`")
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
