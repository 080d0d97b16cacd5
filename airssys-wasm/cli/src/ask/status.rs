//! `airssys status`: how a running host is, in a few lines.

use bytesize::ByteSize;

use super::{HostArgs, lasting};
use crate::control::ControlError;
use crate::control::protocol::{Request, Status};
use crate::output;

/// Tells how a running host is: its mesh, since when it is up, instances, dead letters and durable state.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  airssys status --json")]
pub(crate) struct Args {
    #[command(flatten)]
    host: HostArgs,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), ControlError> {
    args.host.tell(&Request::Status {}, text)
}

fn text(of: &Status) -> String {
    let durable = of.durable_bytes.map(|bytes| {
        let most = of.most_durable_bytes.map(|most| format!(" of {}", ByteSize(most)));
        format!("\n  {}{} of durable state", ByteSize(bytes), most.unwrap_or_default())
    });
    let audit = of.audit.as_ref().map(|audit| match &audit.broken {
        Some(why) => format!("\n  the audit cannot be written: {}", output::printable(why)),
        None => {
            let lost = match audit.lost {
                0 => String::new(),
                lost => format!(", {} lost", output::count(usize::try_from(lost).unwrap_or(usize::MAX), "line")),
            };
            let required = if audit.required { ", required" } else { "" };
            format!("\n  the audit is at {}:{}{required}{lost}", audit.number, audit.head)
        }
    });
    format!(
        "{} is up for {}: process {}, airssys {}\n  {}, {} of the {} that this machine holds\n  {}, {} kept{}{}",
        of.mesh,
        lasting(of.uptime_seconds),
        of.process,
        of.version,
        output::count(of.services, "service"),
        output::count(of.instances, "instance"),
        of.most_instances,
        output::count(usize::try_from(of.dead_letters).unwrap_or(usize::MAX), "dead letter"),
        of.dead_letters_kept,
        durable.unwrap_or_default(),
        audit.unwrap_or_default(),
    )
}
