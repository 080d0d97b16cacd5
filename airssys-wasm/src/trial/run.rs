//! One run of a trial: the workloads, all at a time; a while in which nothing is asked; and the judgement.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::file::{Check, Message, Plan, Said, Wanted, Workload};
use super::{TrialError, Tried};
use crate::apply::RuntimeError;
use crate::error::{CallError, SendError};
use crate::middleware::{Context, Layer, Operation, Verdict};
use crate::runtime::{Runtime, ServiceStatus};
use crate::seeded::{FaultKind, Seeded};
use crate::settings::Keeping;
use crate::topology::Topology;

/// How long the answer to a check is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The layer by which mailboxes are full that are not.
struct Full(Seeded);

impl Layer for Full {
    fn name(&self) -> &'static str {
        "full"
    }

    /// Behind all others: what they would turn away anyway never came to a mailbox.
    fn priority(&self) -> i32 {
        i32::MIN
    }

    fn before(&self, context: &mut Context<'_>, _: &mut Bytes) -> Verdict {
        let is_sent = matches!(context.operation, Operation::Send | Operation::Call);
        if !is_sent || !self.0.message(context.target, FaultKind::Full) {
            return Verdict::Continue;
        }
        let what = format!("the mailbox of {}", context.target);
        Verdict::Reject(CallError::NotSent(SendError::Overloaded { what }))
    }
}

/// The first part of a mesh that would not follow from a seed: where it is, and what.
pub(super) fn unseeded(topology: &Topology) -> Option<(String, &'static str)> {
    if let Some(listener) = topology.declared_listeners().into_iter().next() {
        return Some((listener.listen, "a listener"));
    }
    topology.services().find_map(|node| {
        let grants = &node.grants;
        let has = [
            (!grants.files.is_empty(), "files"),
            (!grants.sockets.is_empty(), "sockets"),
            (!grants.http.is_empty(), "HTTP requests"),
            (!grants.processes.is_empty(), "programs"),
        ];
        has.into_iter().find(|(has, _)| *has).map(|(_, what)| (node.address.to_string(), what))
    })
}

/// What a run follows from, as a plan says.
pub(super) fn seeded(plan: &Plan, seed: u64) -> Seeded {
    let seeded = Seeded::with_faults(seed, plan.faults.clone());
    if plan.jitter { seeded } else { seeded.with_pauses(plan.pauses.clone()) }
}

pub(super) fn run(
    plan: &Plan,
    topology: &Topology,
    seeded: &Seeded,
    code_cache: Option<&Path>,
) -> Result<Tried, TrialError> {
    let data = folder().map_err(TrialError::Folder)?;
    let begin = async || start(topology, seeded, data.path(), code_cache).await.map(Arc::new);
    let messages = drawn(plan, seeded);
    let (mut answered, mut failed, mut from) = (0, 0, Duration::ZERO);
    for at in &plan.kills {
        let until = *at;
        let part = seeded.run(async || {
            let runtime = begin().await?;
            let part = ask(&messages, &runtime, seeded, from..until).await;
            seeded.note(format_args!("the host is killed"));
            Ok::<_, TrialError>(part)
        });
        let part = part.map_err(TrialError::Thread)??;
        (answered, failed, from) = (answered + part.0, failed + part.1, until);
    }
    let last = seeded.run(async || {
        let runtime = begin().await?;
        let part = ask(&messages, &runtime, seeded, from..Duration::MAX).await;
        sleep(plan.settle).await;
        // What is judged is what is left of them.
        seeded.end_faults();
        for check in &plan.checks {
            if let Err(what) = hold(check, &runtime, seeded).await {
                seeded.breaks(what);
            }
        }
        account(&runtime, seeded);
        runtime.shutdown().await;
        Ok::<_, TrialError>(part)
    });
    let part = last.map_err(TrialError::Thread)??;
    let report = seeded.report();
    Ok(Tried {
        seed: report.seed,
        digest: report.digest,
        forced: Vec::new(),
        turns: report.turns,
        turns_of: report.turns_of,
        reached: report.reached,
        faults: report.faults,
        answered: answered + part.0,
        failed: failed + part.1,
        passed_ms: u64::try_from(report.passed.as_millis()).unwrap_or(u64::MAX),
        broken: report.broken,
        steps: report.lines,
    })
}

/// Starts a mesh in a seeded host, as what is written.
pub(super) async fn start(
    topology: &Topology,
    seeded: &Seeded,
    data: &Path,
    code_cache: Option<&Path>,
) -> Result<Runtime, RuntimeError> {
    let mut builder = Runtime::builder().seeded(seeded).layer(Full(seeded.clone()));
    if let Some(folder) = code_cache {
        builder = builder.code_cache(folder);
    }
    if is_durable(topology) {
        // What is to run is what is written; what services keep is there.
        builder = builder.data_folder(data).as_written();
    }
    builder.start(topology).await
}

fn is_durable(topology: &Topology) -> bool {
    topology.services().any(|node| node.keeping == Keeping::Durable)
}

/// A folder for what services keep, where it costs no disk if the machine has that.
pub(super) fn folder() -> io::Result<TempDir> {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()) } else { tempfile::tempdir() }
}

/// A message that is said, when, and for how long its answer is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Planned {
    pub(super) at: Duration,
    pub(super) patience: Duration,
    pub(super) message: Message,
}

/// All that the workloads say, the first one first: each when it is written, or somewhere in its own part of the time.
pub(super) fn drawn(plan: &Plan, seeded: &Seeded) -> Vec<Planned> {
    let each = plan.workloads.iter().flat_map(|workload| (1..=workload.times).map(move |number| (workload, number)));
    let draw = |(workload, number): (&Workload, u64)| {
        let every = u64::try_from(workload.every.as_micros()).unwrap_or(u64::MAX);
        let part = Duration::from_micros(every.saturating_mul(number - 1));
        let at = match workload.at {
            Some(first) => first.saturating_add(part),
            None => part.saturating_add(Duration::from_micros(seeded.below(every))),
        };
        Planned { at, patience: workload.patience, message: workload.message.numbered(number) }
    };
    let mut all: Vec<Planned> = each.map(draw).collect();
    all.sort_by_key(|planned| planned.at);
    all
}

/// Says what is to be said in a part of the time, and waits for the end of that part; or until all has an answer, where
/// it is the last one. How many had one, and how many had none.
async fn ask(messages: &[Planned], runtime: &Arc<Runtime>, seeded: &Seeded, part: Range<Duration>) -> (u64, u64) {
    let (mut under_way, begun) = (JoinSet::new(), Instant::now());
    let (mut said, mut answered) = (0, 0);
    for Planned { at, patience, message } in messages.iter().filter(|planned| part.contains(&planned.at)) {
        let (at, patience) = (begun + at.saturating_sub(part.start), *patience);
        let (runtime, seeded, message) = (Arc::clone(runtime), seeded.clone(), message.clone());
        said += 1;
        under_way.spawn(async move {
            sleep_until(at).await;
            let answer = match seeded.message(&message.service, FaultKind::Drop) {
                false => say(&message, &runtime, patience).await,
                true => {
                    sleep(patience).await;
                    Err("nothing: it got lost on its way".to_owned())
                }
            };
            let Message { service, said, .. } = &message;
            let told = answer.as_deref().unwrap_or_else(|error| error);
            seeded.note(format_args!("client {service} {:?}: {told:?}", said.text()));
            answer.is_ok()
        });
    }
    let all = async {
        while let Some(ended) = under_way.join_next().await {
            answered += u64::from(ended.unwrap_or(false));
        }
    };
    if part.end == Duration::MAX {
        all.await;
    } else {
        let end = begun + part.end.saturating_sub(part.start);
        let _not_all_perhaps = timeout_at(end, all).await;
        sleep_until(end).await;
    }
    (answered, said - answered)
}

/// Says one thing; the answer as text, or what came instead of it.
async fn say(message: &Message, runtime: &Runtime, patience: Duration) -> Result<String, String> {
    let Message { service, key, said } = message;
    let to = (service.as_str(), key.as_deref());
    match said {
        Said::Call(call) => {
            let answer = runtime.invoke(to, call.as_str(), patience).await;
            answer.map(Option::unwrap_or_default).map_err(|error| error.to_string())
        }
        Said::Ask(body) => {
            let answer = runtime.call(to, body.clone(), patience).await;
            let text = |body: Bytes| String::from_utf8_lossy(&body).into_owned();
            answer.map(|body| body.map(text).unwrap_or_default()).map_err(|error| error.to_string())
        }
        Said::Send(body) => {
            let sent = runtime.send(to, body.clone()).await;
            sent.map(|()| String::new()).map_err(|error| error.to_string())
        }
    }
}

/// Whether a check of the user's holds; what is wrong otherwise.
async fn hold(check: &Check, runtime: &Runtime, seeded: &Seeded) -> Result<(), String> {
    let asked = |message: &Message| format!("{} {}", message.service, message.said.text());
    let answer = async |message: &Message| {
        let said = say(message, runtime, PATIENCE).await;
        seeded.note(format_args!("check {}: {said:?}", asked(message)));
        said.map_err(|error| format!("check: {} has no answer: {error}", asked(message)))
    };
    let found = answer(&check.asked).await?;
    match &check.wanted {
        Wanted::Answer(wanted) if *wanted == found => Ok(()),
        Wanted::Answer(wanted) => Err(format!("check: {} is {found}, and {wanted} was wanted", asked(&check.asked))),
        Wanted::SameAs(other) => {
            let theirs = answer(other).await?;
            if theirs == found {
                return Ok(());
            }
            Err(format!("check: {} is {found}, and {} is {theirs}", asked(&check.asked), asked(other)))
        }
    }
}

/// Each message that was accepted has a fate: handled, a fault, or a dead letter.
pub(super) fn account(runtime: &Runtime, seeded: &Seeded) {
    for ServiceStatus { service, accepted, handled, faulted, queued, .. } in runtime.services() {
        let buried = seeded.buried(&service);
        // What was never accepted may be handled or buried all the same: calls of a turn that was discarded.
        let known = handled + faulted + buried + queued as u64;
        if accepted > known {
            seeded.breaks(format!(
                "{service} accepted {accepted} messages: {handled} were handled, {faulted} had a fault, {buried} are dead letters, {queued} wait, and the others are lost"
            ));
        }
    }
}
