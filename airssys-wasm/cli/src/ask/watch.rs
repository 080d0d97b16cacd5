//! `airssys watch`: what changes in a running host, as it changes.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, SystemTime};

use airssys_wasm::ServiceStatus;
use serde_json::json;

use super::{HostArgs, ps};
use crate::control::ControlError;
use crate::control::protocol::Request;
use crate::explain::note;
use crate::output::{Problem, print_lines};
use crate::run;

/// Prints what changes in the services of a running host, until it is interrupted or the host is gone.
///
/// First a line for each service as it is, then one for each that has changed since the last look. With --json a line
/// is {"at":TIME,"service":{...}}, with the service as in `airssys ps --json`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  airssys watch --every 200ms")]
pub(crate) struct Args {
    /// How long to wait between two looks.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = run::some_time)]
    every: Duration,
    #[command(flatten)]
    host: HostArgs,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), ControlError> {
    let mut known: HashMap<String, ServiceStatus> = HashMap::new();
    let mut first = true;
    loop {
        let services: Vec<ServiceStatus> = match args.host.ask(&Request::Services {}) {
            // It was there before.
            Err(ControlError::NoHost { .. } | ControlError::NoAnswer { .. }) if !first => {
                note("the host is gone");
                return Ok(());
            }
            asked => asked?,
        };
        first = false;
        let at = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        for service in services {
            let before = known.insert(service.service.clone(), service.clone());
            if before.as_ref() == Some(&service) {
                continue;
            }
            let line = if args.host.json {
                json!({ "at": at, "service": service }).to_string()
            } else {
                format!("{at}  {}", text(before.as_ref(), &service))
            };
            if !print_lines(&[line]).map_err(Problem::Output)? {
                return Ok(());
            }
        }
        thread::sleep(args.every);
    }
}

/// Each number that is not what it was; at the first look, those that are not zero.
fn text(before: Option<&ServiceStatus>, now: &ServiceStatus) -> String {
    let was = before.map_or_else(Vec::new, ps::row);
    let mut text = ps::name(now);
    for (column, (name, cell)) in ps::COLUMNS.iter().zip(ps::row(now)).enumerate().skip(1) {
        let old = was.get(column).map_or("0", String::as_str);
        if cell != old {
            text.push_str(&format!("  {name} {cell}"));
        }
    }
    text
}
