//! `airssys deploy`, `airssys rollback`: another release takes a service of a running host over.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use airssys_wasm::address::Address;
use airssys_wasm::command::{BadChoice, Plan, Reference, Rollout, Ungranted};
use airssys_wasm::deploy::Status as Deployment;
use airssys_wasm::deploy::{Compared, Deviation, MemoryHandover, NoTraffic, Progress, RecordedGate, TooFewTurns};
use airssys_wasm::hint::Coded;
use serde::Serialize;
use toml::Spanned;

use super::HostArgs;
use super::strategy::Strategy;
use crate::control::ControlError;
use crate::control::protocol::{self, Deploy, DeploySet, Refusal, Request};
use crate::explain::note;
use crate::output;
use crate::run;

/// Lets another release take a service of a running host over.
///
/// The service keeps its address, its mailbox and its state, and messages keep flowing: none is lost, repeated or
/// reordered. The release is compiled and started beside the one that serves, and takes over between two messages. It
/// is on probation then: where it crashes meanwhile, the release before comes back by itself, with the message that it
/// crashed on. The command ends when the probation does: with 0 where the new release is live, with 1 where the one
/// before is.
///
/// A release is refused that has no newer version than the live one, or lacks an export of it, or has it with another
/// type. `--plan` says so without deploying anything.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  airssys deploy pricing pricing@1.1.0\n  airssys deploy pricing pricing@1.1.0 --plan\n  airssys deploy pricing target/airssys/pricing.wasm --probation 1m\n  airssys deploy carts carts@2.0.0 --strategy canary --steps 1,10,50 --bake 1m\n  airssys deploy pricing pricing@1.1.0 --strategy shadow --samples 10000\n  airssys deploy pricing pricing@1.1.0 --gate recorded=100 --allow answers,latency\n  airssys deploy --set release-set.toml"
)]
pub(crate) struct Args {
    /// The service.
    #[arg(value_name = "SERVICE", required_unless_present = "set")]
    service: Option<String>,
    /// A published release, or the file or folder of one.
    #[arg(value_name = "NAME@VERSION|FILE|FOLDER", required_unless_present = "set")]
    release: Option<String>,
    /// Several services at once, all or none: a TOML file with a line `SERVICE = "NAME@VERSION"` for each, or the file
    /// or folder of a release, from this one.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["service", "release", "plan"])]
    set: Option<PathBuf>,
    /// Says what would change, and changes nothing; ends with 1 where the release would be refused.
    #[arg(long)]
    plan: bool,
    /// Takes a release whose version is not newer than that of the live one, or whose state schema is older.
    #[arg(long)]
    allow_downgrade: bool,
    /// Takes a release of the very version that is live, and not the same: while developing.
    #[arg(long)]
    same_version: bool,
    /// Refuses a release that asks for more than is granted. Without it, that is told.
    #[arg(long)]
    strict: bool,
    /// Shows the release the last turns that the recorder of the service has, or the last N, before anything is
    /// switched: on the state that there was, with what was answered then, and nothing of it gets out. The first turn
    /// over which it differs is told, and nothing is deployed.
    #[arg(long, value_name = "recorded[=N]", value_parser = gate, conflicts_with = "set")]
    gate: Option<RecordedGate>,
    /// In which ways it may differ from what was recorded: `answers`, `effects` (what it asks of others), `state` (what
    /// it writes), `errors` (that it fails, or does not), `latency` (more than 1.5 times as long). A crash is never let
    /// through.
    #[arg(long, value_name = "WAY,...", value_parser = way, value_delimiter = ',', requires = "gate")]
    allow: Vec<Deviation>,
    #[command(flatten)]
    strategy: Strategy,
    #[command(flatten)]
    times: Times,
    #[command(flatten)]
    host: HostArgs,
}

/// Brings back the release that served before the one that is live.
///
/// It was kept ready, so this takes no longer than the switch itself. Where a deployment is under way, it is cancelled
/// instead. What was committed meanwhile stays: where the live release brought the state over to another schema, the
/// one before has to bring it back, and the rollback fails where it does not. Only what was live since the host was
/// started can come back.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  airssys rollback pricing\n  airssys rollback ledger --restore-state")]
pub(crate) struct RollbackArgs {
    /// The service.
    #[arg(value_name = "SERVICE")]
    service: String,
    /// Puts the state back to what it was before the live release brought it over, and discards the turns that were
    /// committed since; says how many.
    #[arg(long)]
    restore_state: bool,
    #[command(flatten)]
    times: Times,
    #[command(flatten)]
    host: HostArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct Times {
    /// How long a crash of the new release, or a failed health check, brings the old one back.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = run::timeout)]
    probation: Duration,
    /// How long an actor has to come to the end of its message and let the new release take over. Then its turn is cut
    /// off, as a crash, and the new release has as long again. With `--keep-memory` nothing is cut off: the live
    /// release stays.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = run::some_time)]
    handover_deadline: Duration,
    /// Lets the live release stay where it cannot hand its memory over. Without it the new one begins without that
    /// memory then, and that is told.
    #[arg(long, conflicts_with = "without_memory")]
    keep_memory: bool,
    /// Does not ask the live release for its memory: the new one begins with its own.
    #[arg(long)]
    without_memory: bool,
}

impl Times {
    pub(super) fn memory(&self) -> MemoryHandover {
        match (self.keep_memory, self.without_memory) {
            (true, _) => MemoryHandover::Required,
            (_, true) => MemoryHandover::Never,
            _ => MemoryHandover::WherePossible,
        }
    }

    pub(super) fn milliseconds(&self) -> (u64, u64) {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        (milliseconds(self.probation), milliseconds(self.handover_deadline))
    }
}

/// Runs `deploy`.
pub(crate) fn run(args: &Args) -> Result<(), ControlError> {
    let ((probation_ms, handover_ms), memory) = (args.times.milliseconds(), args.times.memory());
    let (allow_downgrade, same_version, strict) = (args.allow_downgrade, args.same_version, args.strict);
    let way = args.strategy.way();
    if args.set.is_some() && way.as_ref() != Ok(&Rollout::default()) {
        let told = "a set has no strategy and no gate: its services are switched in place, and then no release before serves beside a new one to compare it with";
        let hint = "without these options, after the releases were tried one by one, as with --strategy shadow";
        return Err(Refusal::new("bad-strategy", told).hint(hint).into());
    }
    let way = way?;
    let (service, release) = match (&args.set, &args.service, &args.release) {
        (Some(file), ..) => {
            let releases = read_set(file)?;
            let named = releases.iter().map(|(service, release)| (service.clone(), Some(release.clone()))).collect();
            let ungranted = tell_ungranted(&args.host, named);
            return follow_set(
                &args.host,
                &ungranted,
                &Request::DeploySet(DeploySet {
                    releases,
                    probation_ms,
                    handover_ms,
                    allow_downgrade,
                    same_version,
                    strict,
                    memory,
                }),
            );
        }
        (None, Some(service), Some(release)) => (service.clone(), absolute(release, Path::new(""))),
        _ => return Err(Refusal::new("bug", "neither a service nor a set").into()),
    };
    let recorded = args.gate.clone().map(|gate| RecordedGate { allow: args.allow.clone(), ..gate });
    if args.plan {
        let asked = protocol::Plan { service, release, allow_downgrade, same_version, strict, way, recorded };
        return plan(&args.host, &Request::Plan(asked));
    }
    let ungranted = tell_ungranted(&args.host, BTreeMap::from([(service.clone(), Some(release.clone()))]));
    let request = Request::Deploy(Deploy {
        service: service.clone(),
        release,
        probation_ms,
        handover_ms,
        allow_downgrade,
        same_version,
        strict,
        memory,
        way,
        recorded,
    });
    follow(&args.host, &request, is_live, &ungranted)
}

/// What is said of a gate: `recorded`, or with a number of turns.
fn gate(text: &str) -> Result<RecordedGate, String> {
    let turns = match text.strip_prefix("recorded") {
        Some("") => Some(None),
        Some(turns) => {
            turns.strip_prefix('=').and_then(|turns| turns.parse().ok()).filter(|turns| *turns > 0).map(Some)
        }
        None => None,
    };
    let turns = turns.ok_or_else(|| "`recorded`, or `recorded=N` with a number of turns, was expected".to_owned())?;
    Ok(RecordedGate { turns, ..RecordedGate::default() })
}

pub(crate) fn way(text: &str) -> Result<Deviation, String> {
    text.parse().map_err(|error: BadChoice| error.to_string())
}

/// Says, before anything is live, what these releases ask for and are not granted. What is wrong with the request
/// itself, the deployment says.
fn tell_ungranted(host: &HostArgs, releases: BTreeMap<String, Option<String>>) -> Vec<Ungranted> {
    let request = Request::Ungranted { releases };
    let found: Vec<Ungranted> = host.quietly(&request).unwrap_or_default();
    found.iter().for_each(output::plan::tell_ungranted);
    found
}

/// What is told as JSON of a deployment that is over.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    deployment: &'a Deployment,
    /// What its release asks for and is not granted.
    ungranted: Option<&'a Ungranted>,
}

fn told<'a>(deployment: &'a Deployment, ungranted: &'a [Ungranted]) -> Told<'a> {
    let ungranted = ungranted.iter().find(|found| found.service == deployment.service);
    Told { deployment, ungranted }
}

/// A release as the host is to find it, which has a current folder of its own.
fn absolute(release: &str, folder: &Path) -> String {
    if Reference::is_meant(release) {
        return release.to_owned();
    }
    let absolute = std::path::absolute(folder.join(release));
    absolute.map_or_else(|_| release.to_owned(), |path| path.display().to_string())
}

/// The release of each service, by a file that names them.
fn read_set(file: &Path) -> Result<BTreeMap<String, String>, ControlError> {
    let wrong = |at: Option<(usize, usize)>, what: &str| {
        let hint = "it has a line such as pricing = \"pricing@1.1.0\" for each service, a name with a dot in quotes";
        let at = at.map_or_else(String::new, |(line, column)| format!(":{line}:{column}"));
        Refusal::new("no-such-set", format!("the set {}{at}: {what}", file.display())).hint(hint)
    };
    let text = std::fs::read_to_string(file).map_err(|error| wrong(None, &format!("cannot be read: {error}")))?;
    let at = |span: Range<usize>| {
        let before = text.get(..span.start).unwrap_or(&text);
        (before.matches('\n').count() + 1, before.rsplit('\n').next().unwrap_or_default().chars().count() + 1)
    };
    let set: BTreeMap<String, Spanned<String>> = toml::from_str(&text)
        .map_err(|error| wrong(error.span().map(at), &error.message().lines().collect::<Vec<_>>().join("; ")))?;
    if set.is_empty() {
        return Err(wrong(None, "names no service").into());
    }
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut releases = BTreeMap::new();
    for (service, release) in set {
        let at = Some(at(release.span()));
        if Address::of_service(&service).is_err() {
            return Err(wrong(at, &format!("{service:?} is no name of a service")).into());
        }
        if release.get_ref().is_empty() {
            return Err(wrong(at, &format!("names no release for {service}")).into());
        }
        releases.insert(service, absolute(release.get_ref(), folder));
    }
    Ok(releases)
}

/// Follows all of a set to their ends; the first that is not live is what is wrong.
fn follow_set(host: &HostArgs, ungranted: &[Ungranted], request: &Request) -> Result<(), ControlError> {
    let begun: Vec<Deployment> = host.ask(request)?;
    let mut ended = Vec::with_capacity(begun.len());
    for deployment in begun {
        ended.push(wait(host, deployment)?);
    }
    if host.json {
        output::print_json(&ended.iter().map(|deployment| told(deployment, ungranted)).collect::<Vec<_>>())?;
    }
    if let Some(deployment) = culprit(&ended) {
        return Err(not_as_wanted(deployment).into());
    }
    if !host.json {
        ended.iter().try_for_each(|deployment| output::print(&as_wanted(deployment)))?;
    }
    Ok(())
}

/// Which of a set is told as the reason. One that went back because another one did only says so, and the other one
/// says why.
fn culprit(set: &[Deployment]) -> Option<&Deployment> {
    let wrong = set.iter().filter(|deployment| !is_live(deployment));
    wrong.min_by_key(|deployment| deployment.because_of.is_some())
}

fn is_live(deployment: &Deployment) -> bool {
    deployment.progress == Progress::Live
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
        Some(refusal) => Err(Refusal::from(refusal).into()),
    }
}

/// Runs `rollback`. Where it cancelled a deployment, that one's end is what was wanted.
pub(crate) fn rollback(args: &RollbackArgs) -> Result<(), ControlError> {
    let ((probation_ms, handover_ms), memory) = (args.times.milliseconds(), args.times.memory());
    let under_way: Option<Deployment> = args.host.ask(&Request::Deployment { service: args.service.clone() })?;
    if let (true, Some(last)) = (args.restore_state, &under_way) {
        note(&format!("{}: discards {} committed turns", args.service, last.turns_to_discard));
    }
    let under_way = under_way.filter(|last| !args.restore_state && !last.progress.is_over());
    let restore_state = args.restore_state;
    let request = Request::Rollback { service: args.service.clone(), probation_ms, handover_ms, restore_state, memory };
    let ungranted = match under_way {
        Some(_) => Vec::new(),
        None => tell_ungranted(&args.host, BTreeMap::from([(args.service.clone(), None)])),
    };
    let cancelled = under_way.map(|last| last.number);
    let wanted = |ended: &Deployment| match cancelled == Some(ended.number) {
        true => matches!(ended.progress, Progress::RolledBack { .. }),
        false => is_live(ended),
    };
    follow(&args.host, &request, wanted, &ungranted)
}

/// Asks for it, and follows it to its end.
fn follow(
    host: &HostArgs,
    request: &Request,
    wanted: impl FnOnce(&Deployment) -> bool,
    ungranted: &[Ungranted],
) -> Result<(), ControlError> {
    let deployment = wait(host, host.ask(request)?)?;
    if host.json {
        output::print_json(&told(&deployment, ungranted))?;
    }
    if !wanted(&deployment) {
        return Err(not_as_wanted(&deployment).into());
    }
    if !host.json {
        output::print(&as_wanted(&deployment))?;
    }
    Ok(())
}

/// Waits for the end of a deployment, and says where it is as it comes further.
fn wait(host: &HostArgs, mut deployment: Deployment) -> Result<Deployment, ControlError> {
    if deployment.progress.is_over() {
        return Ok(deployment);
    }
    let (mut told, mut compared) = (None, None);
    let (service, number) = (deployment.service.clone(), deployment.number);
    host.listen(&Request::FollowDeployment { service: service.clone(), number }, |now: Deployment| {
        if now.progress.is_over() {
            deployment = now;
            return Ok(false);
        }
        let at = Some(place(&now));
        if at != told {
            if let Some(sides) = compared.take() {
                note(&format!("{service}: {}", side_by_side(sides)));
            }
            note(&format!("{service}: {}", how_far(&now)));
            told = at;
        }
        compared = looked_at(&now.progress).0.or(compared);
        Ok(true)
    })?;
    match deployment.progress.is_over() {
        true => Ok(deployment),
        false => {
            let told = "is told no more, and is not over: the mesh has ended";
            Err(Refusal::new("no-such-service", format!("the deployment of {service} {told}")).into())
        }
    }
}

/// What is told when it changes: not how many keys have it, nor how they do, which changes with each key and each
/// message.
fn place(deployment: &Deployment) -> (&'static str, Option<usize>, bool, Option<TooFewTurns>) {
    let (step, none_yet) = match &deployment.progress {
        Progress::Baking { step, have, .. } => (Some(*step), *have == 0),
        _ => (None, false),
    };
    (deployment.progress.code(), step, none_yet, looked_at(&deployment.progress).1)
}

/// How the two releases do, and what is waited for, where they are compared.
fn looked_at(progress: &Progress) -> (Option<Compared>, Option<TooFewTurns>) {
    match progress {
        Progress::Rehearsing { compared, waits } | Progress::Baking { compared, waits, .. } => (*compared, *waits),
        _ => (None, None),
    }
}

/// Where it is.
fn how_far(deployment: &Deployment) -> String {
    let mut now = deployment.progress.code().to_owned();
    if let Progress::Baking { step, steps, have, of, .. } = &deployment.progress {
        let next = if *have == 0 { ": the first that comes gets it" } else { "" };
        now.push_str(&format!(", step {step} of {steps}, {have} of {of} have it{next}"));
    }
    if let Some(TooFewTurns { samples, no_traffic, held }) = looked_at(&deployment.progress).1 {
        now.push_str(&format!(", waits for {samples} turns of each release"));
        now.push_str(&match (no_traffic, held) {
            (_, true) => format!("; `airssys rollback {}` cancels it", deployment.service),
            (NoTraffic::Promote, _) => "; goes on where there is no traffic".to_owned(),
            (NoTraffic::Back, _) => "; goes back where there is no traffic".to_owned(),
            (NoTraffic::Hold, _) => "; holds where there is no traffic".to_owned(),
        });
    }
    now
}

/// How the two releases did, in the step before this one.
fn side_by_side(compared: Compared) -> String {
    let Compared { old, new } = compared;
    format!(
        "{} of {} turns failed with the new release, {} of {} with the old one; 95 of 100 took at most {:.0} µs and {:.0} µs",
        new.failed,
        new.turns,
        old.failed,
        old.turns,
        new.p95.as_secs_f64() * 1e6,
        old.p95.as_secs_f64() * 1e6
    )
}

/// What it went on without, behind something else.
pub(crate) fn in_words(notes: &[String]) -> String {
    notes.iter().map(|note| format!("; {note}")).collect()
}

fn as_wanted(deployment: &Deployment) -> String {
    let Deployment { service, live, waited, pause_us, .. } = deployment;
    match deployment.progress {
        Progress::Live => {
            let live = live.as_deref().unwrap_or_default();
            let shown = deployment.rehearsed.as_ref().map_or_else(String::new, |found| {
                format!("; it was shown {} messages, {} more came too fast", found.compared, found.skipped)
            });
            format!(
                "{service}: live, {}; {waited} messages waited {pause_us:.0} µs for it{shown}{}",
                output::printable(live),
                output::printable(&in_words(&deployment.notes))
            )
        }
        _ => format!("{service}: served by the release before, as was asked for"),
    }
}

pub(crate) fn not_as_wanted(deployment: &Deployment) -> Refusal {
    let service = &deployment.service;
    let why = deployment.reason.as_deref().unwrap_or_default();
    match deployment.progress {
        Progress::Live => {
            Refusal::new("too-late", format!("{service}: the new release was live before it could be cancelled"))
        }
        Progress::Suspended { .. } => {
            let told = format!("{service} is suspended, its messages wait: {why}");
            let hint = format!(
                "deploy a release that reads the state, or discard {} committed turns with `airssys rollback {service} --restore-state`",
                deployment.turns_to_discard
            );
            Refusal::new("suspended", told).hint(hint)
        }
        _ => Refusal::new("rolled-back", format!("{service} is served by the release before: {why}"))
            .hinted(deployment.hint.as_ref()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use serde_json::{Value, json};

    use super::{Deployment, culprit};

    fn deployment(service: &str, state: &str, setback: Value, because_of: Option<&str>) -> Deployment {
        let told = json!({
            "service": service, "state": state, "setback": setback, "because_of": because_of, "pause_us": 0.0, "live": null
        });
        serde_json::from_value(told).unwrap()
    }

    #[test]
    fn who_went_back_first_is_told_whatever_the_reasons_say() {
        let quoting = "the new release did not start: internal: counter, of the same set, is gone";
        let set = [
            deployment("counter", "rolled-back", json!("cancelled"), Some("other")),
            deployment("other", "rolled-back", json!({ "not-recorded": quoting }), None),
        ];
        assert_eq!(culprit(&set).unwrap().service, "other");
        let set = [deployment("counter", "live", Value::Null, None)];
        assert!(culprit(&set).is_none());
    }
}
