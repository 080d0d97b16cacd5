//! One run of a trial: the workloads, all at a time; a while in which nothing is asked; and the judgement.

use std::ops::Range;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::act::{self, Act};
use super::authority::{Authority, Looks};
use super::file::{Check, Message, Plan, Said, Wanted, Workload};
use super::folders::{Copies, folder};
use super::http;
use super::judges::{Heard, Told};
use super::operator::Operator;
use super::watch::Watch;
use super::{TrialError, Tried};
use crate::apply::RuntimeError;
use crate::client::Peer;
use crate::deploy::Progress;
use crate::engine::Tier;
use crate::error::{CallError, SendError};
use crate::hint::Coded;
use crate::middleware::{Context, Layer, Operation, Verdict};
use crate::runtime::{Runtime, ServiceStatus};
use crate::seeded::{FaultKind, Seeded};
use crate::settings::Keeping;
use crate::topology::{ServiceNode, Topology};

/// Longer than a turn, and than a back-off.
const LONGEST: Duration = Duration::from_secs(120);
/// How long after a look at all messages there is another one where it did not come out; then twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// How long the answer to a check is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a host is started that does not start for a fault.
const MOST_STARTS: u64 = 20;
/// How long it is left alone before that.
const START_AGAIN: Duration = Duration::from_millis(100);
/// The most time between a message and the same one again.
const DOUBLE_WITHIN: Duration = Duration::from_millis(100);

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

/// Why a mesh would not follow from a seed: the first grant that is of the machine's.
pub(super) fn unseeded(topology: &Topology) -> Option<TrialError> {
    topology.services().find_map(|node| {
        let grants = &node.grants;
        let has = [
            (!grants.sockets.is_empty(), "sockets", "sockets"),
            (!grants.bind.is_empty(), "bind", "sockets"),
            (!grants.processes.is_empty(), "processes", "programs of the machine"),
        ];
        let (_, grant, what) = has.into_iter().find(|(has, ..)| *has)?;
        Some(TrialError::NotSeeded { service: node.address.to_string(), grant, what })
    })
}

/// What a run follows from, as a plan says.
pub(super) fn seeded(plan: &Plan, seed: u64) -> Seeded {
    let seeded = Seeded::with_faults(seed, plan.faults.clone()).with_disk();
    if plan.jitter { seeded } else { seeded.with_pauses(plan.pauses.clone()) }
}

pub(super) fn run(
    plan: &Plan,
    topology: &Topology,
    seeded: &Seeded,
    code_cache: Option<&Path>,
) -> Result<Tried, TrialError> {
    let data = folder().map_err(TrialError::Folder)?;
    [Some(data.path()), plan.topology.parent(), Some(&*plan.folder)]
        .into_iter()
        .flatten()
        .for_each(|it| seeded.hide(it));
    // What was deployed or applied is what runs after a kill.
    let goes_on = !plan.acts.is_empty();
    // Each run has its own.
    let copies = Copies::of([topology].into_iter().chain(plan.acts.iter().filter_map(Act::topology)))?;
    copies.folder().into_iter().for_each(|it| seeded.hide(it));
    let topology = &copies.brought_in(topology);
    let acts: Vec<Act> = plan.acts.iter().map(|act| act.with_topology(|it| copies.brought_in(it))).collect();
    let authority = Arc::new(Authority::new(topology, seeded));
    let start = async || {
        let given = (seeded, plan.peers.clone(), Some(&authority));
        start(topology, given, data.path(), (code_cache, plan.compiler), goes_on).await.map(Arc::new)
    };
    // First, so that they come when they came where all that is said has its moment written.
    let operator = Operator::drawn(&acts, seeded, &authority);
    let messages = drawn(plan, seeded);
    let watch = Watch::new(&plan.invariants);
    let heard = (!plan.judges.is_empty()).then(Arc::<Heard>::default);
    let (counts, mut from, mut is_first) = (Arc::new(Counts::default()), Duration::ZERO, true);
    loop {
        let kill = plan.kills.iter().find(|kill| **kill > from).copied();
        let end = seeded.run(async || {
            let begun = Instant::now();
            let whole = async {
                let runtime = match up(&start, seeded).await {
                    Ok(runtime) => runtime,
                    Err(error) if is_first => return Err(error),
                    Err(error) => {
                        seeded.breaks(format!("the host does not start again: {error}"));
                        return Ok(true);
                    }
                };
                if !plan.acts.iter().any(|act| act.topology().is_some()) {
                    in_order(topology, seeded);
                }
                watch.begin(&runtime, seeded);
                let part = from..kill.unwrap_or(Duration::MAX);
                let acts = operator.begin(&runtime, seeded, part.clone());
                ask(&messages, &runtime, seeded, part, (&counts, heard.as_ref())).await;
                if kill.is_some() {
                    seeded.note(format_args!("the host is killed"));
                    seeded.power_cut();
                    return Ok(false);
                }
                sleep_until(begun + act::latest(&plan.acts).saturating_sub(from)).await;
                sleep(plan.settle).await;
                // What is judged is what is left of them.
                seeded.end_faults();
                operator.end(acts, seeded);
                watch.end(&runtime, seeded);
                for check in &plan.checks {
                    if let Err(what) = hold(check, &runtime, seeded).await {
                        seeded.breaks(what);
                    }
                }
                account(&runtime, seeded).await;
                rest(&runtime, seeded).await;
                runtime.shutdown().await;
                copies.note(seeded);
                Ok::<_, TrialError>(true)
            };
            // Dropped after it is known that it is dead.
            let mut whole = pin!(whole);
            tokio::select! {
                biased;
                () = seeded.is_to_die() => {
                    seeded.note(format_args!("the host is killed at a write"));
                    Ok((false, from + begun.elapsed()))
                }
                is_over = &mut whole => is_over.map(|is_over| (is_over, kill.unwrap_or(from))),
            }
        });
        let is_over;
        (is_over, from) = end.map_err(TrialError::Thread)??;
        if is_over {
            break;
        }
        is_first = false;
    }
    if let Some(heard) = heard {
        let mut heard = heard.all();
        heard.push(Told::end(seeded.elapsed()));
        for judge in &plan.judges {
            judge.judges(&heard, seeded.report().seed, code_cache)?.into_iter().for_each(|what| seeded.breaks(what));
        }
    }
    let report = seeded.report();
    let (said, answered) = (counts.said.load(Ordering::Relaxed), counts.answered.load(Ordering::Relaxed));
    Ok(Tried {
        seed: report.seed,
        digest: report.digest,
        forced: Vec::new(),
        turns: report.turns,
        turns_of: report.turns_of,
        reached: report.reached,
        faults: report.faults,
        acts: operator.outcomes(),
        answered,
        failed: said - answered,
        passed_ms: u64::try_from(report.passed.as_millis()).unwrap_or(u64::MAX),
        broken: report.broken,
        steps: report.lines,
    })
}

/// Starts a host, as often as it does not start for a fault, as whoever looks after one does.
async fn up(
    start: &impl AsyncFn() -> Result<Arc<Runtime>, RuntimeError>,
    seeded: &Seeded,
) -> Result<Arc<Runtime>, TrialError> {
    for _ in 1..MOST_STARTS {
        let before = seeded.faults();
        match start().await {
            Ok(runtime) => return Ok(runtime),
            Err(error) if seeded.faults() == before && !seeded.disk_is_full() => return Err(error.into()),
            Err(error) => {
                seeded.note(format_args!("the host does not start: {}", error.code()));
                seeded.beside(format_args!("the host does not start: {error}"));
            }
        }
        // It was killed over that, or is started again.
        sleep(START_AGAIN).await;
    }
    Ok(start().await?)
}

/// What came of all that the workloads have said.
#[derive(Default)]
struct Counts {
    said: AtomicU64,
    answered: AtomicU64,
}

/// Starts a mesh in a seeded host: as what is written, or as what was last.
pub(super) async fn start(
    topology: &Topology,
    (seeded, peers, authority): (&Seeded, Vec<Peer>, Option<&Arc<Authority>>),
    data: &Path,
    (code_cache, compiler): (Option<&Path>, Tier),
    goes_on: bool,
) -> Result<Runtime, RuntimeError> {
    let mut builder = Runtime::builder().seeded(seeded).peers(seeded, peers).layer(Full(seeded.clone()));
    builder = builder.compiled_by(compiler);
    if let Some(authority) = authority {
        builder = builder.layer(Looks(Arc::clone(authority)));
    }
    if let Some(folder) = code_cache {
        builder = builder.code_cache(folder);
    }
    if goes_on {
        builder = builder.data_folder(data);
    } else if is_durable(topology) {
        // What is to run is what is written; what services keep is there.
        builder = builder.data_folder(data).as_written();
    }
    builder.start(topology).await
}

/// The actors of a host that has started came up in the order in which the topology has their services.
fn in_order(topology: &Topology, seeded: &Seeded) {
    let started = seeded.started();
    let first = |node: &Arc<ServiceNode>| {
        let at = started.iter().position(|service| **service == *node.address.as_str())?;
        Some((at, node.address.to_string()))
    };
    let came: Vec<(usize, String)> = topology.services().filter_map(first).collect();
    if let Some([(_, first), (_, second)]) = came.array_windows().find(|[one, other]| one.0 > other.0) {
        seeded.breaks(format!("{second} was started before {first}, and stands behind it in the topology"));
    }
}

pub(super) fn is_durable(topology: &Topology) -> bool {
    topology.services().any(|node| node.keeping == Keeping::Durable)
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
/// it is the last one.
async fn ask(
    messages: &[Planned],
    runtime: &Arc<Runtime>,
    seeded: &Seeded,
    part: Range<Duration>,
    (counts, heard): (&Arc<Counts>, Option<&Arc<Heard>>),
) {
    let (mut under_way, begun) = (JoinSet::new(), Instant::now());
    for Planned { at, patience, message } in messages.iter().filter(|planned| part.contains(&planned.at)) {
        let (at, patience) = (begun + at.saturating_sub(part.start), *patience);
        let (runtime, seeded, message) = (Arc::clone(runtime), seeded.clone(), message.clone());
        let (counts, heard) = (Arc::clone(counts), heard.cloned());
        under_way.spawn(async move {
            sleep_until(at).await;
            let said_at = seeded.elapsed();
            counts.said.fetch_add(1, Ordering::Relaxed);
            let answer = match timeout(patience + PATIENCE, sent(&message, &runtime, &seeded, patience)).await {
                Ok(answer) => answer,
                Err(_elapsed) => {
                    let what = format!("client {} {}: neither answer nor error", message.service, message.said.text());
                    seeded.breaks(format!("{what} within {:?}", patience + PATIENCE));
                    Err("nothing: no answer, and no error".to_owned())
                }
            };
            let Message { service, said, .. } = &message;
            let told = answer.as_deref().unwrap_or_else(|error| error);
            seeded.note(format_args!("client {service} {:?}: {told:?}", said.text()));
            let is_well = answer.as_ref().is_ok_and(|answer| !is_failure(&message.said, answer));
            counts.answered.fetch_add(is_well.into(), Ordering::Relaxed);
            heard.iter().for_each(|heard| heard.hear(Told::of(&message, &answer, said_at..seeded.elapsed())));
        });
    }
    let all = async { while under_way.join_next().await.is_some() {} };
    if part.end == Duration::MAX {
        all.await;
    } else {
        let end = begun + part.end.saturating_sub(part.start);
        let _not_all_perhaps = timeout_at(end, all).await;
        sleep_until(end).await;
    }
}

/// Says one thing over a way to the mesh on which it gets lost, is late or comes twice, where the faults say so.
async fn sent(message: &Message, runtime: &Runtime, seeded: &Seeded, patience: Duration) -> Result<String, String> {
    let service = &message.service;
    if seeded.message(service, FaultKind::Drop) {
        sleep(patience).await;
        return Err("nothing: it got lost on its way".to_owned());
    }
    let mut left = patience;
    if seeded.message(service, FaultKind::Late) {
        let late = seeded.some_of(patience);
        sleep(late).await;
        left -= late;
    }
    if !seeded.message(service, FaultKind::Double) {
        return say(message, runtime, left).await;
    }
    let behind = seeded.some_of(left.min(DOUBLE_WITHIN));
    let again = async {
        sleep(behind).await;
        let answer = say(message, runtime, left - behind).await;
        let told = answer.as_deref().unwrap_or_else(|error| error);
        seeded.note(format_args!("client {service} {:?} for the second time: {told:?}", message.said.text()));
    };
    tokio::join!(say(message, runtime, left), again).0
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
        Said::Http(request) => http::ask(runtime, service, request, patience).await,
        Said::Send(body) => {
            let sent = runtime.send(to, body.clone()).await;
            sent.map(|()| String::new()).map_err(|error| error.to_string())
        }
    }
}

/// Whether an answer says that there is none: what a listener has for its services.
fn is_failure(said: &Said, answer: &str) -> bool {
    matches!(said, Said::Http(_)) && http::status(answer).is_some_and(|status| status >= 500)
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
        Wanted::Status(wanted) if http::status(&found) == Some(*wanted) => Ok(()),
        Wanted::Status(wanted) => Err(format!("check: {} is {found}, and {wanted} was wanted", asked(&check.asked))),
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

/// What waits at a service that runs is handled some time.
pub(super) async fn rest(runtime: &Runtime, seeded: &Seeded) {
    let waits = |status: &ServiceStatus| {
        (status.queued > 0 && !may_rest(status, runtime)).then(|| {
            let ServiceStatus { service, handled, faulted, crashed, .. } = status;
            (service.clone(), [*handled, *faulted, *crashed])
        })
    };
    let before: Vec<_> = runtime.services().iter().filter_map(waits).collect();
    if before.is_empty() {
        return;
    }
    sleep(LONGEST).await;
    for (service, _) in runtime.services().iter().filter_map(waits).filter(|waits| before.contains(waits)) {
        seeded.breaks(format!("messages wait at {service}, which runs, and handled nothing for {LONGEST:?}"));
    }
}

/// Each message that was accepted has a fate: handled, a fault, or a dead letter. What was told of a deployment is so.
///
/// A message may be in hand when this is asked. So a service whose sum does not come out is asked again, and one of its
/// sums has to come out: where others are in hand by then, less those, which had a turn since.
pub(super) async fn account(runtime: &Runtime, seeded: &Seeded) {
    let (since, mut pause) = (seeded.elapsed(), FIRST_PAUSE);
    let mut lost: Vec<ServiceStatus> = runtime.services();
    loop {
        let still = |status: &ServiceStatus| lost.iter().any(|lost| lost.service == status.service);
        lost = runtime.services().into_iter().filter(still).collect();
        lost.retain(|status| has_lost(status, runtime, seeded, since));
        if lost.is_empty() || pause > LONGEST {
            break;
        }
        sleep(pause).await;
        pause *= 2;
    }
    for ServiceStatus { service, accepted, handled, faulted, queued, .. } in lost {
        let buried = seeded.buried(&service);
        seeded.breaks(format!(
            "{service} accepted {accepted} messages: {handled} were handled, {faulted} had a fault, {buried} are dead letters, {queued} wait, and the others are lost"
        ));
    }
    for ServiceStatus { service, suspended, damage, .. } in runtime.services() {
        let end = runtime.deployment(&service).map(|last| last.progress());
        if let Some(Progress::RolledBack { reason }) = end
            && suspended
            && damage.is_empty()
        {
            let what = "its last deployment is told to be rolled back, and it is suspended";
            seeded.breaks(format!("{service}: {what}: {reason}"));
        }
    }
}

/// Whether a service has accepted messages of which nothing is known now.
fn has_lost(status: &ServiceStatus, runtime: &Runtime, seeded: &Seeded, since: Duration) -> bool {
    let ServiceStatus { service, accepted, handled, faulted, queued, .. } = status;
    // What was never accepted may be handled or buried all the same: calls of a turn that was discarded.
    let known = handled + faulted + seeded.buried(service) + *queued as u64;
    // What an actor left that is suspended or set aside waits with the others, as does what all of them left.
    let left = if may_rest(status, runtime) { runtime.left_in_hand(service) } else { 0 };
    *accepted > known + left + seeded.tried_since(service, since)
}

/// Whether messages may wait at a service for as long as nobody does something about it, or a back-off lasts.
fn may_rest(status: &ServiceStatus, runtime: &Runtime) -> bool {
    status.suspended || status.stopped || status.set_aside > 0 || !runtime.is_up(&status.service)
}
