//! `airssys ps`: the services of a running host, what became of their messages, and where it listens.

use airssys_wasm::{ListenerStatus, ServiceStatus};

use super::HostArgs;
use crate::control::ControlError;
use crate::control::protocol::Request;
use crate::output;

/// The columns, as [`row`] fills them.
pub(super) const COLUMNS: [&str; 8] =
    ["service", "queued", "handled", "faulted", "crashed", "started", "denied", "rejected"];

/// Lists the services of a running host.
///
/// queued: messages that wait. handled, faulted, crashed: turns that committed, returned a fault, crashed. started:
/// instances that were started, the first ones included. A stopped one was stopped by an operator
/// (`airssys stop SERVICE`). Messages to a suspended one wait, or those to some of its keys: a release came back from a
/// deployment and cannot read the state, or durable state is damaged, and then what is damaged is told below. Of a
/// keyed or spawned one, keys or children may be set aside, because they crashed too often: `airssys tree` names them.
/// denied, rejected: messages to it that were not let through, or found no room. Below stands where each wire leads,
/// and where the host listens for HTTP.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  airssys ps\n  airssys ps --data /var/lib/shop --json")]
pub(crate) struct Args {
    #[command(flatten)]
    host: HostArgs,
    /// Tell where the host listens for HTTP, and nothing else.
    #[arg(long)]
    listeners: bool,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), ControlError> {
    if args.listeners {
        return args.host.tell(&Request::Listeners {}, |all: &Vec<ListenerStatus>| listeners(all));
    }
    args.host.tell(&Request::Services {}, |services: &Vec<ServiceStatus>| {
        // A host of an earlier version does not know of them, and has none.
        let all: Vec<ListenerStatus> = args.host.quietly(&Request::Listeners {}).unwrap_or_default();
        text(services) + &listeners(&all)
    })
}

/// A line for each listener, and one for each of its routes.
fn listeners(all: &[ListenerStatus]) -> String {
    let mut text = String::new();
    for of in all {
        let scheme = if of.tls { "https" } else { "http" };
        let (connections, requests) =
            (output::count(of.connections, "connection"), output::count(of.requests, "request"));
        let does = format!("{connections}, {requests} under way, {} answered", of.answered);
        text.push_str(&format!("{scheme}://{}: {does}\n", of.address));
        of.routes.iter().for_each(|route| text.push_str(&format!("  {}\n", output::printable(route))));
    }
    text
}

fn text(services: &[ServiceStatus]) -> String {
    let rows: Vec<Vec<String>> =
        std::iter::once(COLUMNS.map(str::to_owned).to_vec()).chain(services.iter().map(row)).collect();
    let mut text = output::table(&rows);
    for of in services {
        for (interface, to) in &of.wires {
            let wire = format!("{} calls {interface} of {to}", of.service);
            text.push_str(&format!("{}\n", output::printable(&wire)));
        }
    }
    for damage in output::damage(services) {
        text.push_str(&format!("\n{damage}\n"));
    }
    text
}

/// A service, and what keeps its messages waiting.
pub(super) fn name(of: &ServiceStatus) -> String {
    let mut name = of.service.clone();
    if of.stopped {
        name.push_str(" (stopped)");
    }
    if of.suspended {
        name.push_str(" (suspended)");
    }
    if of.set_aside > 0 {
        name.push_str(&format!(" ({} set aside)", of.set_aside));
    }
    name
}

/// The cells of a service, as the table has them.
pub(super) fn row(of: &ServiceStatus) -> Vec<String> {
    let mut row = vec![name(of), of.queued.to_string()];
    row.extend([of.handled, of.faulted, of.crashed, of.started, of.denied, of.rejected].map(|count| count.to_string()));
    row
}
