//! `airssys events`: what happened in a running host, and what happens.

use airssys_wasm::events::{Event, Kind};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde_json::Value;

use super::HostArgs;
use crate::control::ControlError;
use crate::control::protocol::Request;
use crate::explain::note;
use crate::output::{Problem, count, print_lines};

/// Shows what happened in a running host: what started, ended and why, was restarted or given up, and what was
/// deployed.
///
/// A host keeps events in memory, 4,096 of them or 2 MiB, of which a frequent kind pushes out itself and no rare one;
/// this prints those that are there, the oldest first, and with --follow what comes after them, as it comes. Where some
/// gave way before they were read, a line says how many. What guests say, and what happened before the host was
/// started, is in its log: see `airssys logs`.
///
/// With --json a line is {"number":N,"at":TIME,"service":NAME,"kind":KIND,...}, and {"kind":"lost","events":N} where
/// events are missing.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  airssys events\n  airssys events payments --follow\n  airssys events --kind ended --kind restarted --json"
)]
pub(crate) struct Args {
    /// Only what is about this service, its actors and its children.
    #[arg(value_name = "SERVICE")]
    service: Option<String>,
    /// Only events of this kind; may be given several times.
    #[arg(long, value_name = "KIND", value_parser = kinds())]
    kind: Vec<Kind>,
    /// Go on with what comes, until it is interrupted or the host is gone.
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    host: HostArgs,
}

fn kinds() -> impl TypedValueParser<Value = Kind> {
    let possible = Kind::all().map(|(_, name, about)| PossibleValue::new(name).help(about));
    PossibleValuesParser::new(possible).try_map(|name| name.parse())
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), ControlError> {
    let kinds = args.kind.iter().map(ToString::to_string).collect();
    let request = Request::Events { service: args.service.clone(), kinds, follow: args.follow };
    let mut any = false;
    let listened = args.host.listen(&request, |line: Value| {
        any = true;
        let line = if args.host.json { line.to_string() } else { text(line)? };
        Ok(print_lines(&[line]).map_err(Problem::Output)?)
    });
    match listened {
        // It was there before.
        Err(ControlError::NoAnswer { .. }) if any && args.follow => note("the host is gone"),
        Ok(true) if args.follow => note("the host has ended"),
        other => drop(other?),
    }
    Ok(())
}

/// For people: the time, the kind, the service or `(mesh)`, and what happened.
fn text(line: Value) -> Result<String, ControlError> {
    if line["kind"] == "lost" {
        let lost = usize::try_from(line["events"].as_u64().unwrap_or_default()).unwrap_or(usize::MAX);
        return Ok(format!("{} before the next line: they gave way, and are lost", count(lost, "event")));
    }
    let event: Event = serde_json::from_value(line).map_err(|source| ControlError::Garbled { source })?;
    let at = humantime::format_rfc3339_millis(event.at);
    let service = event.service.as_deref().unwrap_or("(mesh)");
    Ok(format!("{at}  {:<13}  {service}  {}", event.what.kind().to_string(), event.what))
}
