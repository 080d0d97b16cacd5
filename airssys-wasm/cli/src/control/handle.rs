//! What the host does for each request. A new request is answered here.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use airssys_wasm::ApplyError;
use airssys_wasm::deploy::{Choice, DeployError, DeployOptions, MemoryHandover, Strategy};
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
    Body, Child, Dump, Letter, LetterHead, Letters, MAX_BODY, MAX_DUMP, MAX_LETTERS, MAX_PATIENCE, Refusal, Request,
    Status, VERSION,
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
    let options = options(probation_ms, handover_ms, MemoryHandover::default());
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
            tell(runtime.deployment_status(&runtime.deploy(&service, release, options).await?))
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
            tell(begun.iter().map(|(_, deployment)| runtime.deployment_status(deployment)).collect::<Vec<_>>())
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
            let begun = match restore_state {
                true => runtime.restore_state(&service, options)?,
                false => runtime.rollback(&service, options)?,
            };
            tell(runtime.deployment_status(&begun))
        }
        Request::Deployment { service } => {
            tell(runtime.deployment(&service).map(|last| runtime.deployment_status(&last)))
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
        Request::Events { .. } | Request::FollowDeployment { .. } => {
            Err(Refusal::new("bug", "it has many lines as its answer"))
        }
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
    let told = format!("it has {size} bytes, and {MAX_DUMP} is the most that goes over the control socket");
    Err(Refusal::new("too-large", told).hint("stop the host, and ask again for durable state"))
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
    read.map_err(|error| Refusal::new("bad-topology", &error).hinted(error.hint().as_ref()))
}

fn find(release: &str, data: &Path) -> Result<Release, Refusal> {
    if Reference::is_meant(release) {
        let found = Store::open(data).and_then(|store| store.resolve(release));
        return found.map_err(|error| Refusal::new("no-such-release", &error).hinted(error.hint().as_ref()));
    }
    Release::find(Path::new(release)).map_err(|error| {
        let told = format!("the release {} {}", error.path.display(), error.what);
        Refusal::new("no-such-release", told).hinted(error.hint().as_ref())
    })
}

fn options(probation_ms: u64, handover_ms: u64, memory: MemoryHandover) -> DeployOptions {
    let mut options = DeployOptions::default();
    options.memory = memory;
    options.probation = Duration::from_millis(probation_ms).min(MAX_PATIENCE);
    options.handover_deadline = Duration::from_millis(handover_ms).min(MAX_PATIENCE);
    options
}

/// What a client says of the strategy. Invariant: whatever it says, no time is longer than [`MAX_PATIENCE`].
fn go(choice: &Choice, options: &mut DeployOptions) -> Result<(), Refusal> {
    let chosen =
        choice.checked().map_err(|error| Refusal::new("bad-strategy", &error).hinted(error.hint().as_ref()))?;
    (options.strategy, options.gate) = chosen;
    for time in [&mut options.gate.bake, &mut options.gate.patience] {
        *time = MAX_PATIENCE.min(*time);
    }
    if let Strategy::Rolling(rolling) = &mut options.strategy {
        rolling.bake = MAX_PATIENCE.min(rolling.bake);
    }
    Ok(())
}

fn tell(data: impl Serialize) -> Result<Value, Refusal> {
    serde_json::to_value(data).map_err(|error| Refusal::new("bug", error))
}

/// A place among those that wait for a service.
pub(super) fn wait(host: &Host) -> Result<SemaphorePermit<'_>, Refusal> {
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
            ApplyError::Refused { refusals } => refusals.first().map_or_else(|| Self::new("refused", ""), Self::from),
            other => Self::new(other.code(), other).hinted(other.hint().as_ref()),
        }
    }
}

impl From<DeployError> for Refusal {
    fn from(error: DeployError) -> Self {
        Self::new(error.code(), &error).hinted(error.hint().as_ref())
    }
}

impl From<StopError> for Refusal {
    fn from(error: StopError) -> Self {
        Self::new(error.code(), &error).hinted(error.hint().as_ref())
    }
}

impl From<ForgetError> for Refusal {
    fn from(error: ForgetError) -> Self {
        Self::new(error.code(), &error).hinted(error.hint().as_ref())
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
        let (kind, hint) = match &error {
            CallError::Fault(fault) => (Some(fault.code().to_owned()), None),
            CallError::Crashed(crash) => (Some(crash.code().to_owned()), crash.hint()),
            _ => (None, None),
        };
        Self { kind, ..Self::new(error.code(), &error).hinted(hint.as_ref()) }
    }
}
