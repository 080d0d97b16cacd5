//! `airssys history`: the deployments of a service that are over.

use airssys_wasm::command::Ended;

use super::HostArgs;
use super::deploy::in_words;
use crate::control::ControlError;
use crate::control::protocol::Request;
use crate::output;

/// Lists the deployments of a service that are over, the youngest last: when they ended, what was to take over from
/// what, and how it went.
///
/// Those before the host was started are there as well. At most 100 are kept.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  airssys history pricing --json")]
pub(crate) struct Args {
    /// The service.
    #[arg(value_name = "SERVICE")]
    service: String,
    #[command(flatten)]
    host: HostArgs,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), ControlError> {
    args.host.tell(&Request::History { service: args.service.clone() }, |ended: &Vec<Ended>| text(ended))
}

fn text(ended: &[Ended]) -> String {
    let head = ["ended", "from", "to", "how"].map(str::to_owned).to_vec();
    let row = |of: &Ended| {
        let how = match &of.reason {
            _ if of.live => format!("live{}", in_words(&of.notes)),
            Some(reason) => format!("rolled back: {}", reason.lines().next().unwrap_or_default()),
            None => "rolled back".to_owned(),
        };
        vec![of.at.clone(), of.from.to_string(), of.to.to_string(), how]
    };
    output::table(&std::iter::once(head).chain(ended.iter().map(row)).collect::<Vec<_>>())
}
