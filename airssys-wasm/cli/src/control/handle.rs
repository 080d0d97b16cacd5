//! What the host does for each request. A new request is answered here.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use airssys_wasm::ApplyError;
use airssys_wasm::deploy::{
    self, Canary, DeployError, DeployOptions, MemoryHandover, Progress, Rolling, Setback, Shadow, Strategy,
};
use airssys_wasm::error::{CallError, ReplayError, SendError};
use airssys_wasm::message::DeadLetter;
use airssys_wasm::registry::{Reference, Release, Store};
use airssys_wasm::topology::Topology;
use airssys_wasm::{ForgetError, Runtime, StopError, TreeNode};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::SemaphorePermit;

use super::host::Host;
use super::protocol::{
    Body, Child, Compared, Deployment, Dump, Letter, LetterHead, Letters, MAX_BODY, MAX_DUMP, MAX_LETTERS,
    MAX_PATIENCE, Memory, Refusal, Rehearsed, Request, Seen, Status, Tolerate, VERSION, Waits, Way, WithoutMemory,
};

/// How long the host works on what waits for nobody.
const QUICK: Duration = Duration::from_secs(10);

/// How long the host may take to compile a release: a large one takes tens of seconds on a busy machine.
pub(super) const COMPILING: Duration = Duration::from_secs(10 * 60);

/// How long the host may work on it; a stop takes what the mesh's own `shutdown_timeout` says.
pub(super) fn limit(request: &Request) -> Option<Duration> {
    match request {
        Request::Stop {} => None,
        Request::Call { timeout_ms, .. } | Request::Forget { timeout_ms, .. } => {
            Some(Duration::from_millis(*timeout_ms).min(MAX_PATIENCE) + QUICK)
        }
        Request::Deploy { .. }
        | Request::Plan { .. }
        | Request::DeploySet { .. }
        | Request::PlanApply { .. }
        | Request::StopService { .. }
        | Request::StartService { .. } => Some(COMPILING),
        Request::Apply { probation_ms, handover_ms, .. } => Some(applying(*probation_ms, *handover_ms)),
        _ => Some(QUICK),
    }
}

/// How long an apply may take. One that takes longer goes on, and is waited for no more.
pub(super) fn applying(probation_ms: u64, handover_ms: u64) -> Duration {
    let options = options(probation_ms, handover_ms, Memory::default());
    COMPILING + options.probation + 2 * options.handover_deadline
}

/// What a client is told that speaks the same version.
pub(super) fn hello(host: &Host) -> Value {
    json!({ "airssys": VERSION, "version": env!("CARGO_PKG_VERSION"), "mesh": host.mesh })
}

/// Does it. Cut off where the client goes away or it takes too long: what is waited for is waited for no more.
pub(super) async fn handle(host: &Host, request: Request) -> Result<Value, Refusal> {
    let runtime = &host.runtime;
    match request {
        Request::Status {} => tell(status(host)),
        Request::Services {} => tell(runtime.services()),
        Request::Tree {} => tell(runtime.tree().await.iter().map(child).collect::<Vec<_>>()),
        Request::Send { to, key, body } => {
            let (_waits, body) = (wait(host)?, bytes(&body)?);
            match key {
                None => runtime.send(&to, body).await,
                Some(key) => runtime.send_with_key(&to, &key, body).await,
            }?;
            Ok(Value::Null)
        }
        Request::Call { to, key, body, timeout_ms } => {
            let (_waits, body) = (wait(host)?, bytes(&body)?);
            let patience = Duration::from_millis(timeout_ms).min(MAX_PATIENCE);
            let answer = match key {
                None => runtime.call(&to, body, patience).await,
                Some(key) => runtime.call_with_key(&to, &key, body, patience).await,
            }?;
            tell(answer.as_deref().map(Body::of))
        }
        Request::Emit { topic, body } => {
            runtime.publish(&topic, bytes(&body)?)?;
            Ok(Value::Null)
        }
        Request::DeadLetters { limit } => tell(letters(host, limit)),
        Request::DeadLetter { id } => {
            let (_, kept) = runtime.dead_letters();
            let found = kept.iter().rev().find(|letter| letter.id == id);
            tell(letter(found.ok_or(ReplayError::NoSuchLetter { id })?))
        }
        Request::ReplayDeadLetter { id } => {
            let _waits = wait(host)?;
            runtime.replay(id).await?;
            Ok(Value::Null)
        }
        Request::DropDeadLetter { id } => {
            tell(letter(&runtime.take_dead_letter(id).ok_or(ReplayError::NoSuchLetter { id })?))
        }
        Request::Deploy {
            service,
            release,
            probation_ms,
            handover_ms,
            allow_downgrade,
            same_version,
            strict,
            memory,
            way,
        } => {
            let _waits = wait(host)?;
            let release = found(host, release).await?;
            let mut options = options(probation_ms, handover_ms, memory);
            (options.allow_downgrade, options.same_version, options.strict) = (allow_downgrade, same_version, strict);
            go(&way, &mut options)?;
            let deployment = runtime.deploy(&service, release, options).await?;
            tell(progress(host, &service, &deployment))
        }
        Request::DeploySet { releases, probation_ms, handover_ms, allow_downgrade, same_version, strict, memory } => {
            let _waits = wait(host)?;
            let mut set = Vec::with_capacity(releases.len());
            for (service, release) in releases {
                set.push((service, found(host, release).await?));
            }
            let mut options = options(probation_ms, handover_ms, memory);
            (options.allow_downgrade, options.same_version, options.strict) = (allow_downgrade, same_version, strict);
            let begun = runtime.deploy_set(set, options).await?;
            let told = begun.iter().map(|(service, deployment)| progress(host, service, deployment));
            tell(told.collect::<Vec<_>>())
        }
        Request::Apply { topology, probation_ms, handover_ms, allow_downgrade, same_version, strict, memory } => {
            let _waits = wait(host)?;
            let topology = topology_at(host, topology).await?;
            let mut options = options(probation_ms, handover_ms, memory);
            (options.allow_downgrade, options.same_version, options.strict) = (allow_downgrade, same_version, strict);
            tell(runtime.apply(topology, options).await?)
        }
        Request::PlanApply { topology, allow_downgrade, same_version, strict } => {
            let _waits = wait(host)?;
            let topology = topology_at(host, topology).await?;
            let mut options = DeployOptions::default();
            (options.allow_downgrade, options.same_version, options.strict) = (allow_downgrade, same_version, strict);
            tell(runtime.plan_apply(&topology, options).await?)
        }
        Request::Plan { service, release, allow_downgrade, same_version, strict, way } => {
            let _waits = wait(host)?;
            let release = found(host, release).await?;
            let mut options = DeployOptions::default();
            (options.allow_downgrade, options.same_version, options.strict) = (allow_downgrade, same_version, strict);
            go(&way, &mut options)?;
            tell(runtime.plan(&service, release, options).await?)
        }
        Request::Ungranted { releases } => {
            let mut all = Vec::new();
            for (service, release) in releases {
                let release = match release {
                    Some(release) => Some(found(host, release).await?),
                    None => None,
                };
                all.extend(runtime.ungranted(&service, release));
            }
            tell(all)
        }
        Request::Rollback { service, probation_ms, handover_ms, restore_state, memory } => {
            let options = options(probation_ms, handover_ms, memory);
            let deployment = match restore_state {
                true => runtime.restore_state(&service, options)?,
                false => runtime.rollback(&service, options)?,
            };
            tell(progress(host, &service, &deployment))
        }
        Request::Deployment { service } => {
            let last = runtime.deployment(&service);
            tell(last.map(|deployment| progress(host, &service, &deployment)))
        }
        Request::State { service } => {
            let runtime = Arc::clone(runtime);
            // Off the threads of the mesh: there may be much to copy.
            let dumped = airssys_wasm::blocking::spawn(move || dump(&runtime, &service)).await;
            tell(dumped.map_err(|error| Refusal::new("bug", error))??)
        }
        Request::StateValue { service, actor, key } => {
            let value = runtime.state_value(&service, &actor, &key);
            check_size(value.as_ref().map_or(0, bytes::Bytes::len))?;
            if value.is_none() && !runtime.services().iter().any(|status| status.service == service) {
                return Err(no_service(&service));
            }
            tell(value.as_deref().map(Body::of))
        }
        Request::Forget { service, actor, timeout_ms } => {
            let _waits = wait(host)?;
            let patience = Duration::from_millis(timeout_ms).min(MAX_PATIENCE);
            tell(runtime.forget(&service, actor.as_deref(), patience).await?)
        }
        Request::PlanForget { service, actor } => tell(runtime.plan_forget(&service, actor.as_deref())?),
        Request::History { service } => {
            if !runtime.services().iter().any(|status| status.service == service) {
                return Err(DeployError::NoSuchService { service }.into());
            }
            tell(runtime.history(&service))
        }
        Request::StopService { service } => {
            let _waits = wait(host)?;
            tell(runtime.stop_service(&service).await?)
        }
        Request::StartService { service } => {
            let _waits = wait(host)?;
            tell(runtime.start_service(&service).await?)
        }
        Request::Events { .. } => Err(Refusal::new("bug", "it has many lines as its answer")),
        Request::Stop {} => {
            let mut stopped = host.stopped.subscribe();
            host.stop.notify_one();
            let report = stopped.wait_for(Option::is_some).await.ok().and_then(|report| report.clone());
            tell(report)
        }
    }
}

fn dump(runtime: &Runtime, service: &str) -> Result<Dump, Refusal> {
    let states = runtime.state_dump(service).ok_or_else(|| no_service(service))?;
    let values = states.values().flat_map(|kept| &kept.values);
    check_size(values.map(|(key, value)| key.len() + value.len()).sum())?;
    Ok(Dump::new(service, &states))
}

pub(super) fn no_service(service: &str) -> Refusal {
    Refusal::new("no-such-service", format!("there is no service {service:?}"))
}

fn check_size(size: usize) -> Result<(), Refusal> {
    if size <= MAX_DUMP {
        return Ok(());
    }
    let told = format!(
        "it has {size} bytes, and {MAX_DUMP} is the most that goes over the control socket; hint: stop the host, and ask again for durable state"
    );
    Err(Refusal::new("too-large", told))
}

/// [`find`], off the threads of the mesh.
async fn found(host: &Host, release: String) -> Result<Release, Refusal> {
    let data = host.data.clone();
    let found = airssys_wasm::blocking::spawn(move || find(&release, &data)).await;
    found.map_err(|error| Refusal::new("bug", error))?
}

/// Reads a topology, off the threads of the mesh.
async fn topology_at(host: &Host, path: String) -> Result<Topology, Refusal> {
    let data = host.data.clone();
    let read = airssys_wasm::blocking::spawn(move || Topology::read_to_start(Path::new(&path), &data)).await;
    let read = read.map_err(|error| Refusal::new("bug", error))?;
    read.map_err(|error| Refusal::new("bad-topology", error.to_string().replacen("\nhint: ", "; hint: ", 1)))
}

fn find(release: &str, data: &Path) -> Result<Release, Refusal> {
    if Reference::is_meant(release) {
        let found = Store::open(data).and_then(|store| store.resolve(release));
        return found.map_err(|error| Refusal::new("no-such-release", error));
    }
    Release::find(Path::new(release)).map_err(|error| {
        let told = format!("the release {} {}; hint: {}", error.path.display(), error.what, error.hint);
        Refusal::new("no-such-release", told)
    })
}

fn options(probation_ms: u64, handover_ms: u64, memory: Memory) -> DeployOptions {
    let mut options = DeployOptions::default();
    options.memory = match memory {
        Memory::WherePossible => MemoryHandover::WherePossible,
        Memory::Required => MemoryHandover::Required,
        Memory::Never => MemoryHandover::Never,
    };
    options.probation = Duration::from_millis(probation_ms).min(MAX_PATIENCE);
    options.handover_deadline = Duration::from_millis(handover_ms).min(MAX_PATIENCE);
    options
}

/// What a client says of the strategy. Invariant: whatever it says, no time is longer than [`MAX_PATIENCE`].
fn go(way: &Way, options: &mut DeployOptions) -> Result<(), Refusal> {
    let wrong = |what: &str| Err(Refusal::new("bad-strategy", what));
    let time = |milliseconds: u64| Duration::from_millis(milliseconds).min(MAX_PATIENCE);
    let mut rolling = Rolling::default();
    if let Some(batch) = &way.batch {
        rolling.batch = batch.parse().map_err(|error| Refusal::new("bad-strategy", error))?;
    }
    rolling.max_unavailable = way.max_unavailable.unwrap_or(rolling.max_unavailable);
    rolling.last_first = way.last_first;
    rolling.bake = way.bake_ms.map_or(rolling.bake, time);
    rolling.compare = way.samples.is_some()
        || way.patience_ms.is_some()
        || way.no_traffic.is_some()
        || way.errors.is_some()
        || way.latency.is_some();
    let mut canary = Canary::default();
    if way.steps.iter().any(|share| !(*share > 0.0 && *share <= 100.0)) || !way.steps.is_sorted() {
        return wrong(
            "the steps of a canary are shares that grow, each more than 0 and at most 100 percent; hint: such as 1,10,50",
        );
    }
    if !way.steps.is_empty() {
        canary.steps.clone_from(&way.steps);
    }
    let shadow = match &way.tolerate {
        Some(Tolerate::Share(share)) => Shadow::tolerating(share),
        Some(Tolerate::Count(messages)) => Shadow::tolerating(&messages.to_string()),
        None => Ok(Shadow::default()),
    };
    let shadow = shadow.map_err(|error| Refusal::new("bad-strategy", error))?;
    options.strategy = match way.strategy.as_str() {
        "in-place" => Strategy::InPlace,
        "rolling" => Strategy::Rolling(rolling),
        "blue-green" => Strategy::BlueGreen,
        "canary" => Strategy::Canary(canary),
        "shadow" => Strategy::Shadow(shadow),
        _ => return wrong("there is no such strategy; hint: in-place, rolling, blue-green, canary or shadow"),
    };
    let gate = &mut options.gate;
    gate.bake = way.bake_ms.map_or(gate.bake, time);
    gate.samples = way.samples.unwrap_or(gate.samples);
    gate.patience = way.patience_ms.map_or(gate.patience, time);
    if let Some(policy) = &way.no_traffic {
        gate.no_traffic = policy.parse().map_err(|error| Refusal::new("bad-strategy", error))?;
    }
    match way.errors {
        Some(percent) if !(0.0..=100.0).contains(&percent) => {
            return wrong("how many more turns may fail is a share of 0 to 100 percent; hint: such as 1");
        }
        Some(percent) => gate.errors = percent / 100.0,
        None => {}
    }
    match way.latency {
        Some(factor) if !(factor > 0.0 && factor.is_finite()) => {
            return wrong("how many times as long a turn may take is a factor; hint: such as 1.5");
        }
        Some(factor) => gate.latency = factor,
        None => {}
    }
    Ok(())
}

fn seen(seen: deploy::Seen) -> Seen {
    Seen { turns: seen.turns, failed: seen.failed, p95_us: seen.p95.as_secs_f64() * 1e6 }
}

fn compared(of: deploy::Compared) -> Compared {
    Compared { old: seen(of.old), new: seen(of.new) }
}

fn progress(host: &Host, service: &str, deployment: &deploy::Deployment) -> Deployment {
    let (mut at, mut share, mut sides, mut waiting) = (None, None, None, None);
    let now = deployment.progress();
    let because_of = match &now {
        Progress::RolledBack { reason: Setback::OfTheSet { service, .. } }
        | Progress::Suspended { reason: Setback::OfTheSet { service, .. }, .. } => Some(service.clone()),
        _ => None,
    };
    let (state, reason) = match now {
        Progress::Rehearsing { compared, waits } => {
            (sides, waiting) = (compared, waits);
            ("rehearsing", None)
        }
        Progress::Baking { step, steps, have, of, compared, waits } => {
            (at, share) = (Some((step, steps)), Some((have, of)));
            (sides, waiting) = (compared, waits);
            ("baking", None)
        }
        Progress::Switching { .. } => ("switching", None),
        Progress::Probation => ("probation", None),
        Progress::Live => ("live", None),
        Progress::RolledBack { reason } => ("rolled-back", Some(reason.to_string())),
        Progress::Suspended { reason, crash, .. } => {
            ("suspended", Some(format!("{reason}; and the one before: {crash}")))
        }
        _ => ("unknown", None),
    };
    let live = host.runtime.live_digest(service);
    let pause_us = deployment.pause().as_secs_f64() * 1e6;
    let turns_to_discard = host.runtime.turns_to_discard(service);
    let found = deployment.rehearsed();
    let left_out = deployment.left_out();
    let rehearsed = (found.compared > 0).then(|| Rehearsed {
        compared: found.compared,
        skipped: found.skipped,
        differing: found.differing,
        differences: found.differences.iter().map(ToString::to_string).collect(),
    });
    Deployment {
        service: service.to_owned(),
        state: state.to_owned(),
        step: at.map(|(step, _)| step),
        steps: at.map(|(_, steps)| steps),
        have: share.map(|(have, _)| have),
        of: share.map(|(_, of)| of),
        compared: sides.map(compared),
        waits: waiting.map(|waits| Waits {
            samples: waits.samples,
            no_traffic: waits.no_traffic.name().to_owned(),
            held: waits.held,
        }),
        rehearsed,
        reason,
        because_of,
        notes: left_out.notes(),
        passed_over: left_out.passed_over,
        without_memory: left_out.without_memory.map(|without| WithoutMemory {
            actors: without.actors,
            first: without.first,
            why: without.crash.to_string(),
        }),
        pause_us,
        waited: deployment.waited(),
        turns_to_discard,
        live,
    }
}

fn tell(data: impl Serialize) -> Result<Value, Refusal> {
    serde_json::to_value(data).map_err(|error| Refusal::new("bug", error))
}

/// A place among those that wait for a service.
fn wait(host: &Host) -> Result<SemaphorePermit<'_>, Refusal> {
    let busy = |_| Refusal::new("busy", "as many requests as may be wait for services already");
    host.waiting.try_acquire().map_err(busy)
}

fn bytes(body: &Body) -> Result<Vec<u8>, Refusal> {
    let bytes = body.bytes().ok_or_else(|| Refusal::new("bad-request", "the body's hex is no hex"))?;
    if bytes.len() > MAX_BODY {
        let told = format!("the message has {} bytes; {MAX_BODY} is the most", bytes.len());
        return Err(Refusal::new("too-large", told));
    }
    Ok(bytes)
}

fn status(host: &Host) -> Status {
    let (instances, most_instances) = host.runtime.instances();
    let (dead_letters, kept) = host.runtime.dead_letters();
    let durable = host.runtime.durable_bytes();
    Status {
        mesh: host.mesh.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        process: std::process::id(),
        uptime_seconds: host.up_since.elapsed().as_secs_f64(),
        services: host.runtime.services().len(),
        instances,
        most_instances,
        dead_letters,
        dead_letters_kept: kept.len(),
        durable_bytes: durable.map(|(bytes, _)| bytes),
        most_durable_bytes: durable.and_then(|(_, most)| most),
    }
}

fn child(node: &TreeNode) -> Child {
    Child {
        name: node.child.id.to_string(),
        supervisor: node.child.supervisor.is_some(),
        status: node.child.status.name().to_owned(),
        restarts: node.child.restarts,
        last_exit: node.child.last_exit.as_ref().map(ToString::to_string),
        uptime_seconds: node.child.uptime.map(|uptime| uptime.as_secs_f64()),
        children: node.children.iter().map(child).collect(),
    }
}

fn letters(host: &Host, limit: usize) -> Letters {
    let (total, kept) = host.runtime.dead_letters();
    let skipped = kept.len().saturating_sub(limit.min(MAX_LETTERS));
    Letters { total, kept: kept.len(), letters: kept.iter().skip(skipped).map(head).collect() }
}

fn head(letter: &DeadLetter) -> LetterHead {
    LetterHead {
        id: letter.id,
        at: at(letter.at),
        sender: letter.sender.as_ref().map(ToString::to_string),
        target: letter.target.to_string(),
        key: letter.key.as_deref().map(str::to_owned),
        delivery: letter.delivery.to_owned(),
        attempt: letter.attempt,
        code: letter.reason.code().to_owned(),
        reason: letter.reason.to_string(),
        body_bytes: letter.body.len(),
    }
}

fn at(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

fn letter(letter: &DeadLetter) -> Letter {
    Letter { head: head(letter), trace: letter.trace, body: Body::of(&letter.body) }
}

impl From<ApplyError> for Refusal {
    fn from(error: ApplyError) -> Self {
        match &error {
            // The others are in the plan.
            ApplyError::Refused { refusals } => {
                let first = refusals.first().map_or(("refused", ""), |first| (&*first.code, &*first.message));
                Self::new(first.0, first.1)
            }
            other => Self::new(other.code(), other),
        }
    }
}

impl From<DeployError> for Refusal {
    fn from(error: DeployError) -> Self {
        Self::new(error.code(), error)
    }
}

impl From<StopError> for Refusal {
    fn from(error: StopError) -> Self {
        Self::new(error.code(), error)
    }
}

impl From<ForgetError> for Refusal {
    fn from(error: ForgetError) -> Self {
        Self::new(error.code(), error)
    }
}

impl From<SendError> for Refusal {
    fn from(error: SendError) -> Self {
        Self::new(error.code(), error)
    }
}

impl From<ReplayError> for Refusal {
    fn from(error: ReplayError) -> Self {
        Self::new(error.code(), error)
    }
}

impl From<CallError> for Refusal {
    fn from(error: CallError) -> Self {
        let kind = match &error {
            CallError::Fault(fault) => Some(fault.code().to_owned()),
            CallError::Crashed(crash) => Some(crash.code().to_owned()),
            _ => None,
        };
        Self { code: error.code().to_owned(), kind, message: error.to_string() }
    }
}
