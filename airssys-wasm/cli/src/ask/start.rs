//! `airssys start`: starts a service of a running host that was stopped.

use super::HostArgs;
use crate::control::ControlError;
use crate::control::protocol::{Request, ServiceStop};

/// Starts a service that `airssys stop SERVICE` stopped, or that ended for good, and waits until it is up.
///
/// From now on it starts with the host again. Where it runs, nothing is done. A host is started with `airssys run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  airssys start pricing")]
pub(crate) struct Args {
    /// The service.
    #[arg(value_name = "SERVICE")]
    service: String,
    #[command(flatten)]
    host: HostArgs,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), ControlError> {
    let request = Request::StartService { service: args.service.clone() };
    args.host.tell(&request, |started: &ServiceStop| format!("{} is up", started.service))
}
