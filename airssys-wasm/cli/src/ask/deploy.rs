//! `airssys deploy`, `airssys rollback`: another release takes a service of a running host over, in place.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use airssys_wasm::deploy::Plan;
use airssys_wasm::registry::Reference;

use super::HostArgs;
use crate::control::ControlError;
use crate::control::protocol::{Deployment, Refusal, Request};
use crate::explain::note;
use crate::output;
use crate::run;

/// How often the host is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// Lets another release take a service of a running host over, in place.
///
/// The service keeps its address, its mailbox and its state, and messages keep flowing: none is lost, repeated or reordered. The release is compiled and
/// started beside the one that serves, and takes over between two messages. It is on probation then: where it crashes meanwhile, the release before comes
/// back by itself, with the message that it crashed on. The command ends when the probation does: with 0 where the new release is live, with 1 where the
/// one before is.
///
/// A release is refused that has no newer version than the live one, or lacks an export of it, or has it with another type. `--plan` says so without
/// deploying anything.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  airssys deploy pricing pricing@1.1.0\n  airssys deploy pricing pricing@1.1.0 --plan\n  airssys deploy pricing target/airssys/pricing.wasm --probation 1m"
)]
pub(crate) struct Args {
    /// The service.
    #[arg(value_name = "SERVICE")]
    service: String,
    /// A published release, or the file or folder of one.
    #[arg(value_name = "NAME@VERSION|FILE|FOLDER")]
    release: String,
    /// Says what would change, and changes nothing; ends with 1 where the release would be refused.
    #[arg(long)]
    plan: bool,
    /// Takes a release whose version is not newer than that of the live one, or whose state schema is older.
    #[arg(long)]
    allow_downgrade: bool,
    #[command(flatten)]
    times: Times,
    #[command(flatten)]
    host: HostArgs,
}

/// Brings back the release that served before the one that is live.
///
/// It was kept ready, so this takes no longer than the switch itself. Where a deployment is under way, it is cancelled instead. What was committed meanwhile
/// stays: where the live release brought the state over to another schema, the one before has to bring it back, and the rollback fails where it does not.
/// Only what was live since the host was started can come back.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  airssys rollback pricing\n  airssys rollback ledger --restore-state")]
pub(crate) struct RollbackArgs {
    /// The service.
    #[arg(value_name = "SERVICE")]
    service: String,
    /// Puts the state back to what it was before the live release brought it over, and discards the turns that were committed since; says how many.
    #[arg(long)]
    restore_state: bool,
    #[command(flatten)]
    times: Times,
    #[command(flatten)]
    host: HostArgs,
}

#[derive(Debug, clap::Args)]
struct Times {
    /// How long a crash of the new release, or a failed health check, brings the old one back.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = run::timeout)]
    probation: Duration,
    /// How long an actor has to come to the end of its message and let the new release take over.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = run::timeout)]
    handover_deadline: Duration,
}

impl Times {
    fn milliseconds(&self) -> (u64, u64) {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        (milliseconds(self.probation), milliseconds(self.handover_deadline))
    }
}

/// Runs `deploy`.
pub(crate) fn run(args: &Args) -> Result<(), ControlError> {
    let release = if Reference::is_meant(&args.release) {
        args.release.clone()
    } else {
        // The host has a current folder of its own.
        let absolute = std::path::absolute(Path::new(&args.release));
        absolute.map_or_else(|_| args.release.clone(), |path| path.display().to_string())
    };
    let (service, allow_downgrade) = (args.service.clone(), args.allow_downgrade);
    if args.plan {
        return plan(&args.host, &Request::Plan { service, release, allow_downgrade });
    }
    let (probation_ms, handover_ms) = args.times.milliseconds();
    let request = Request::Deploy { service, release, probation_ms, handover_ms, allow_downgrade };
    follow(&args.host, &args.service, &request, "live")
}

fn plan(host: &HostArgs, request: &Request) -> Result<(), ControlError> {
    let plan: Plan = host.ask(request)?;
    if host.json {
        output::print_json(&plan)?;
    } else {
        output::print(output::plan::text(&plan).trim_end())?;
    }
    // The others are in the plan.
    match plan.refusals.first() {
        None => Ok(()),
        Some(refusal) => Err(Refusal::new(&refusal.code, &refusal.message).into()),
    }
}

/// Runs `rollback`. Where it cancelled a deployment, that one's end is what was wanted.
pub(crate) fn rollback(args: &RollbackArgs) -> Result<(), ControlError> {
    let (probation_ms, handover_ms) = args.times.milliseconds();
    let under_way: Option<Deployment> = args.host.ask(&Request::Deployment { service: args.service.clone() })?;
    if let (true, Some(last)) = (args.restore_state, &under_way) {
        note(&format!("{}: discards {} committed turns", args.service, last.turns_to_discard));
    }
    let cancels = !args.restore_state && under_way.is_some_and(|last| !is_over(&last));
    let restore_state = args.restore_state;
    let request = Request::Rollback { service: args.service.clone(), probation_ms, handover_ms, restore_state };
    follow(&args.host, &args.service, &request, if cancels { "rolled-back" } else { "live" })
}

fn is_over(deployment: &Deployment) -> bool {
    matches!(deployment.state.as_str(), "live" | "rolled-back" | "suspended")
}

/// Asks for it, and follows it to its end.
fn follow(host: &HostArgs, service: &str, request: &Request, wanted: &str) -> Result<(), ControlError> {
    let mut deployment: Deployment = host.ask(request)?;
    let mut told = String::new();
    while !is_over(&deployment) {
        if deployment.state != told {
            told.clone_from(&deployment.state);
            note(&format!("{service}: {told}"));
        }
        sleep(ASK_EVERY);
        let last: Option<Deployment> = host.ask(&Request::Deployment { service: service.to_owned() })?;
        let gone = || Refusal::new("no-such-service", format!("there is no deployment of {service} any more"));
        deployment = last.ok_or_else(gone)?;
    }
    if host.json {
        output::print_json(&deployment)?;
    }
    let why = deployment.reason.as_deref().unwrap_or_default();
    if deployment.state != wanted {
        let refusal = match deployment.state.as_str() {
            "live" => {
                Refusal::new("too-late", format!("{service}: the new release was live before it could be cancelled"))
            }
            "suspended" => Refusal::new(
                "suspended",
                format!(
                    "{service} is suspended, its messages wait: {why}; hint: deploy a release that reads the state, or discard {} committed turns with `airssys rollback {service} --restore-state`",
                    deployment.turns_to_discard
                ),
            ),
            _ => Refusal::new("rolled-back", format!("{service} is served by the release before: {why}")),
        };
        return Err(refusal.into());
    }
    if !host.json {
        let text = match deployment.state.as_str() {
            "live" => format!(
                "{service}: live, {}; {} messages waited {:.0} µs for it",
                deployment.live.as_deref().unwrap_or_default(),
                deployment.waited,
                deployment.pause_us
            ),
            _ => format!("{service}: served by the release before, as was asked for"),
        };
        output::print(&text)?;
    }
    Ok(())
}
