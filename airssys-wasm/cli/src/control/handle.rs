//! What the host does for each request: [`work`] is the table of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use airssys_wasm::command::{ForgetError, GrantError, LogError, LogLevel, Reference, Rollout, Unrecorded};
use airssys_wasm::deploy::{DeployError, DeployOptions, MemoryHandover, RecordingError, Strategy};
use airssys_wasm::error::{CallError, ReplayError, SendError};
use airssys_wasm::hint::Coded;
use airssys_wasm::message::DeadLetter;
use airssys_wasm::registry::{Release, Store};
use airssys_wasm::topology::Topology;
use airssys_wasm::{ApplyError, InvokeError, Runtime, StopError, TreeNode, Written};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::{Value, json};

use super::feed::Feed;
use super::host::Host;
use super::protocol::{
    Apply, Body, Child, Deploy, DeploySet, Dump, Letter, LetterHead, Letters, MAX_BODY, MAX_DUMP, MAX_LETTERS,
    MAX_PATIENCE, Plan, PlanApply, Recorded, Refusal, Request, Revoked, ServiceStop, Status, VERSION,
};

/// What a client is told that speaks the same version.
pub(super) fn hello(host: &Host) -> Value {
    json!({ "airssys": VERSION, "version": env!("CARGO_PKG_VERSION"), "mesh": host.mesh })
}

/// What the host says to a request, in one line.
type Answered = Result<Value, Refusal>;

/// What is done for a request.
pub(super) enum Work<'a> {
    /// It has one line as its answer. Dropped, what is waited for is waited for no more.
    Answer(BoxFuture<'a, Answered>),
    /// It has as many as there is to say.
    Lines(Result<Box<Feed<'a>>, Refusal>),
}

/// Each request, and what is done for it. A new one is a row here.
pub(super) fn work(host: &Host, request: Request) -> Work<'_> {
    let runtime = &*host.runtime;
    match request {
        Request::Status {} => at_once(tell(status(host))),
        Request::Services {} => at_once(tell(runtime.services())),
        Request::Listeners {} => at_once(tell(runtime.listeners())),
        Request::Tree {} => later(tree(host)),
        Request::Send { to, key, function, body } => later(send(host, to, key, function, body)),
        Request::Call { to, key, function, body, timeout_ms, json } => {
            later(call(host, Called { to, key, function, body, json }, timeout_ms))
        }
        Request::Component { service } => at_once(component(host, &service)),
        Request::Functions { service } => at_once(runtime.functions(&service).map_err(Into::into).and_then(tell)),
        Request::Emit { topic, body } => later(emit(host, topic, body)),
        Request::DeadLetters { limit } => at_once(tell(letters(host, limit))),
        Request::DeadLetter { id } => at_once(dead_letter(host, id)),
        Request::ReplayDeadLetter { id } => later(replay(host, id)),
        Request::DropDeadLetter { id } => later(drop_letter(host, id)),
        Request::Deploy(asked) => later(deploy(host, asked)),
        Request::DeploySet(asked) => later(deploy_set(host, asked)),
        Request::Apply(asked) => later(apply(host, asked)),
        Request::PlanApply(asked) => later(plan_apply(host, asked)),
        Request::Plan(asked) => later(plan(host, asked)),
        Request::Ungranted { releases } => later(ungranted(host, releases)),
        Request::Rollback { service, probation_ms, handover_ms, restore_state, memory } => {
            later(rollback(host, service, options(probation_ms, handover_ms, memory), restore_state))
        }
        Request::Deployment { service } => {
            at_once(tell(runtime.deployment(&service).map(|last| runtime.deployment_status(&last))))
        }
        Request::FollowDeployment { service, number } => {
            Work::Lines(Feed::of_deployment(host, &service, number).map(Box::new))
        }
        Request::Record { service, out } => later(record(host, service, out)),
        Request::Rewind { service, message, before } => later(rewind(host, service, message, before)),
        Request::State { service } => later(state(host, service)),
        Request::StateValue { service, actor, key } => later(state_value(host, service, actor, key)),
        Request::Forget { service, actor, timeout_ms } => later(forget(host, service, actor, timeout_ms)),
        Request::PlanForget { service, actor } => {
            at_once(runtime.plan_forget(&service, actor.as_deref()).map_err(Into::into).and_then(tell))
        }
        Request::Events { service, kinds, follow } => {
            Work::Lines(Feed::of_events(host, service, &kinds, follow).map(Box::new))
        }
        Request::History { service } => at_once(history(host, service)),
        Request::StopService { service } => later(stop_service(host, service)),
        Request::StartService { service } => later(start_service(host, service)),
        Request::Capabilities { service } => at_once(runtime.capabilities(&service).map_err(Into::into).and_then(tell)),
        Request::Why { service, key, target } => {
            at_once(runtime.why(&service, &key, &target).map_err(Into::into).and_then(tell))
        }
        Request::Learned {} => at_once(learned(host)),
        Request::Unused {} => at_once(tell(runtime.unused())),
        Request::Grant { service, key, grant, probation_ms, handover_ms } => {
            later(give(host, service, (key, grant), options(probation_ms, handover_ms, MemoryHandover::default())))
        }
        Request::Revoke { service, key, grant } => later(revoke(host, service, key, grant)),
        Request::Logs {} => at_once(tell(runtime.logs())),
        Request::Log { log, service, level } => later(set_log(host, log, service, level)),
        Request::Stop {} => later(stop(host)),
    }
}

fn at_once<'a>(answered: Answered) -> Work<'a> {
    later(std::future::ready(answered))
}

fn later<'a>(answer: impl Future<Output = Answered> + Send + 'a) -> Work<'a> {
    Work::Answer(answer.boxed())
}

async fn tree(host: &Host) -> Answered {
    tell(host.runtime.tree().await.iter().map(child).collect::<Vec<_>>())
}

async fn send(host: &Host, to: String, key: Option<String>, function: Option<String>, body: Body) -> Answered {
    let (_waits, body) = (host.wait()?, bytes(&body)?);
    host.runtime.act("send", Some(&to), key.as_deref().unwrap_or_default()).await?;
    if function.is_some() || !host.runtime.takes_bytes(&to) {
        let text = String::from_utf8_lossy(&body);
        host.runtime.cast((&to, key.as_deref()), written(function.as_deref(), &text)).await?;
        return Ok(Value::Null);
    }
    host.runtime.send((&to, key.as_deref()), body).await?;
    Ok(Value::Null)
}

/// What is called.
struct Called {
    to: String,
    key: Option<String>,
    function: Option<String>,
    body: Body,
    json: bool,
}

async fn call(host: &Host, Called { to, key, function, body, json }: Called, timeout_ms: u64) -> Answered {
    let (_waits, body) = (host.wait()?, bytes(&body)?);
    let patience = Duration::from_millis(timeout_ms).min(MAX_PATIENCE);
    host.runtime.act("call", Some(&to), key.as_deref().unwrap_or_default()).await?;
    if function.is_some() || !host.runtime.takes_bytes(&to) {
        // Its functions are called by their own types, which text says.
        let text = String::from_utf8_lossy(&body);
        let call = written(function.as_deref(), &text);
        let result = host.runtime.invoke_in((&to, key.as_deref()), call, json, patience).await?;
        return tell(result.as_deref().map(|result| Body::of(result.as_bytes())));
    }
    let answer = host.runtime.call((&to, key.as_deref()), body, patience).await?;
    tell(answer.as_deref().map(Body::of))
}

fn written<'a>(function: Option<&'a str>, text: &'a str) -> Written<'a> {
    function.map_or(Written::Wave(text), |function| Written::Json { function, arguments: text })
}

fn learned(host: &Host) -> Answered {
    let not_counted = || {
        let refusal = Refusal::new("not-counted", "the host was not started to learn, and counts nothing");
        refusal.hint("start it with `airssys run --learn`, and let the mesh do what it is for")
    };
    tell(host.runtime.learned().ok_or_else(not_counted)?)
}

async fn give(host: &Host, service: String, (key, grant): (String, String), options: DeployOptions) -> Answered {
    let _waits = host.wait()?;
    tell(host.runtime.grant(&service, (&key, &grant), options).await?)
}

async fn revoke(host: &Host, service: String, key: String, grant: String) -> Answered {
    let kept = host.runtime.revoke(&service, &key, &grant).await?;
    tell(Revoked { service, key, grant, kept })
}

async fn set_log(host: &Host, log: String, service: Option<String>, level: LogLevel) -> Answered {
    let _waits = host.wait()?;
    tell(host.runtime.set_log(&log, service.as_deref(), level, DeployOptions::default()).await?)
}

fn component(host: &Host, service: &str) -> Answered {
    let path = host.runtime.component(service).ok_or_else(|| Refusal::no_service(service))?;
    tell(path)
}

async fn emit(host: &Host, topic: String, body: Body) -> Answered {
    let body = bytes(&body)?;
    host.runtime.act("emit", None, &topic).await?;
    host.runtime.publish(&topic, body)?;
    Ok(Value::Null)
}

fn dead_letter(host: &Host, id: u64) -> Answered {
    let (_, kept) = host.runtime.dead_letters();
    let found = kept.iter().rev().find(|letter| letter.id == id);
    tell(letter(found.ok_or(ReplayError::NoSuchLetter { id })?))
}

async fn replay(host: &Host, id: u64) -> Answered {
    let _waits = host.wait()?;
    host.runtime.replay(id).await?;
    Ok(Value::Null)
}

async fn drop_letter(host: &Host, id: u64) -> Answered {
    host.runtime.act("drop-dead-letter", None, &id.to_string()).await?;
    tell(letter(&host.runtime.take_dead_letter(id).ok_or(ReplayError::NoSuchLetter { id })?))
}

async fn deploy(host: &Host, asked: Deploy) -> Answered {
    let _waits = host.wait()?;
    let release = found(host, asked.release).await?;
    let mut options = options(asked.probation_ms, asked.handover_ms, asked.memory);
    bear(&mut options, asked.allow_downgrade, asked.same_version, asked.strict);
    go(asked.way, &mut options);
    options.recorded = asked.recorded;
    tell(host.runtime.deployment_status(&host.runtime.deploy(&asked.service, release, options).await?))
}

async fn deploy_set(host: &Host, asked: DeploySet) -> Answered {
    let _waits = host.wait()?;
    let mut set = Vec::with_capacity(asked.releases.len());
    for (service, release) in asked.releases {
        set.push((service, found(host, release).await?));
    }
    let mut options = options(asked.probation_ms, asked.handover_ms, asked.memory);
    bear(&mut options, asked.allow_downgrade, asked.same_version, asked.strict);
    let begun = host.runtime.deploy_set(set, options).await?;
    tell(begun.iter().map(|(_, deployment)| host.runtime.deployment_status(deployment)).collect::<Vec<_>>())
}

async fn apply(host: &Host, asked: Apply) -> Answered {
    let _waits = host.wait()?;
    let topology = topology_at(host, asked.topology).await?;
    let mut options = options(asked.probation_ms, asked.handover_ms, asked.memory);
    bear(&mut options, asked.allow_downgrade, asked.same_version, asked.strict);
    tell(host.runtime.apply(topology, options).await?)
}

async fn plan_apply(host: &Host, asked: PlanApply) -> Answered {
    let _waits = host.wait()?;
    let topology = topology_at(host, asked.topology).await?;
    let mut options = DeployOptions::default();
    bear(&mut options, asked.allow_downgrade, asked.same_version, asked.strict);
    tell(host.runtime.plan_apply(&topology, options).await?)
}

async fn plan(host: &Host, asked: Plan) -> Answered {
    let _waits = host.wait()?;
    let release = found(host, asked.release).await?;
    let mut options = DeployOptions::default();
    bear(&mut options, asked.allow_downgrade, asked.same_version, asked.strict);
    go(asked.way, &mut options);
    options.recorded = asked.recorded;
    tell(host.runtime.plan(&asked.service, release, options).await?)
}

async fn ungranted(host: &Host, releases: BTreeMap<String, Option<String>>) -> Answered {
    let mut all = Vec::new();
    for (service, release) in releases {
        let release = match release {
            Some(release) => Some(found(host, release).await?),
            None => None,
        };
        all.extend(host.runtime.ungranted(&service, release));
    }
    tell(all)
}

/// Whatever waits in it for the record is done in the name of whoever asks.
async fn rollback(host: &Host, service: String, mut options: DeployOptions, restore_state: bool) -> Answered {
    options.restore_state = restore_state;
    tell(host.runtime.deployment_status(&host.runtime.rollback(&service, options)?))
}

async fn record(host: &Host, service: String, out: PathBuf) -> Answered {
    let _waits = host.wait()?;
    host.runtime.act("record", Some(&service), &out.display().to_string()).await?;
    let recording = host.runtime.recording(&service).await?;
    let (release, turns, actors) = (recording.release.clone(), recording.turns(), recording.actors().len());
    let path = out.clone();
    // Off the threads of the mesh: it waits for the disk.
    let written = airssys_wasm::command::spawn_blocking(move || recording.write(&out)).await;
    written.map_err(|error| Refusal::new("bug", error))?.map_err(|error| {
        let told = format!("{} cannot be written: {error}", path.display());
        Refusal::new("not-written", told).hint("name a file in a folder that the host may write to")
    })?;
    tell(Recorded { service, release, turns, actors, path })
}

async fn rewind(host: &Host, service: String, message: u64, before: bool) -> Answered {
    let _waits = host.wait()?;
    host.runtime.act("rewind", Some(&service), &message.to_string()).await?;
    let recording = host.runtime.recording(&service).await?;
    let Some((actor, state)) = recording.state_at(message, before) else {
        let told = format!("the recorder of {service} has no turn over a message {message}");
        let hint = "`airssys capsules record` writes what it has to a file, and `airssys capsules show` lists that";
        return Err(Refusal::new("no-such-message", told).hint(hint));
    };
    check_size(state.values.iter().map(|(key, value)| key.len() + value.len()).sum())?;
    tell(Dump::new(&service, &BTreeMap::from([(actor, state)])))
}

async fn state(host: &Host, service: String) -> Answered {
    let runtime = Arc::clone(&host.runtime);
    // Off the threads of the mesh: there may be much to copy.
    let dumped = airssys_wasm::command::spawn_blocking(move || dump(&runtime, &service)).await;
    tell(dumped.map_err(|error| Refusal::new("bug", error))??)
}

async fn state_value(host: &Host, service: String, actor: String, key: String) -> Answered {
    let (runtime, of) = (Arc::clone(&host.runtime), service.clone());
    // Off the threads of the mesh: there may be much to copy.
    let found = airssys_wasm::command::spawn_blocking(move || {
        let states = runtime.state(&of);
        states.get(&actor).and_then(|state| state.get(key.as_str()).cloned())
    });
    let value = found.await.map_err(|error| Refusal::new("bug", error))?;
    check_size(value.as_ref().map_or(0, bytes::Bytes::len))?;
    if value.is_none() && !host.is_known(&service) {
        return Err(Refusal::no_service(&service));
    }
    tell(value.as_deref().map(Body::of))
}

async fn forget(host: &Host, service: String, actor: Option<String>, timeout_ms: u64) -> Answered {
    let _waits = host.wait()?;
    let patience = Duration::from_millis(timeout_ms).min(MAX_PATIENCE);
    tell(host.runtime.forget(&service, actor.as_deref(), patience).await?)
}

fn history(host: &Host, service: String) -> Answered {
    if !host.is_known(&service) {
        return Err(DeployError::NoSuchService { service }.into());
    }
    tell(host.runtime.history(&service))
}

async fn stop_service(host: &Host, service: String) -> Answered {
    let _waits = host.wait()?;
    let kept = host.runtime.stop_service(&service).await?;
    tell(ServiceStop { service, stopped: true, kept })
}

async fn start_service(host: &Host, service: String) -> Answered {
    let _waits = host.wait()?;
    let kept = host.runtime.start_service(&service).await?;
    tell(ServiceStop { service, stopped: false, kept })
}

async fn stop(host: &Host) -> Answered {
    let mut stopped = host.stopped.subscribe();
    // A host that cannot record it is to be stopped all the same: that is the way out.
    let _recorded = host.runtime.act("stop", None, "").await;
    host.stop.notify_one();
    let report = stopped.wait_for(Option::is_some).await.ok().and_then(|report| report.clone());
    tell(report)
}

fn dump(runtime: &Runtime, service: &str) -> Result<Dump, Refusal> {
    let states = runtime.state_dump(service).ok_or_else(|| Refusal::no_service(service))?;
    let values = states.values().flat_map(|kept| &kept.values);
    check_size(values.map(|(key, value)| key.len() + value.len()).sum())?;
    Ok(Dump::new(service, &states))
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
    let found = airssys_wasm::command::spawn_blocking(move || find(&release, &data)).await;
    found.map_err(|error| Refusal::new("bug", error))?
}

/// Reads a topology, off the threads of the mesh.
async fn topology_at(host: &Host, path: String) -> Result<Topology, Refusal> {
    let data = host.data.clone();
    let read = airssys_wasm::command::spawn_blocking(move || Topology::read_to_start(Path::new(&path), &data)).await;
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

/// What a person says to bear of a release.
fn bear(options: &mut DeployOptions, allow_downgrade: bool, same_version: bool, strict: bool) {
    (options.allow_downgrade, options.same_version, options.strict) = (allow_downgrade, same_version, strict);
}

/// What a client says of the strategy. Invariant: whatever it says, no time is longer than [`MAX_PATIENCE`].
fn go(way: Rollout, options: &mut DeployOptions) {
    (options.strategy, options.gate) = (way.strategy, way.gate);
    for time in [&mut options.gate.bake, &mut options.gate.patience] {
        *time = MAX_PATIENCE.min(*time);
    }
    if let Strategy::Rolling(rolling) = &mut options.strategy {
        rolling.bake = MAX_PATIENCE.min(rolling.bake);
    }
}

fn tell(data: impl Serialize) -> Answered {
    serde_json::to_value(data).map_err(|error| Refusal::new("bug", error))
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
        audit: host.runtime.audit(),
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
    Letter { head: head(letter), trace: letter.trace, body: Body::of(&letter.body), call: letter.call.clone() }
}

impl From<ApplyError> for Refusal {
    fn from(error: ApplyError) -> Self {
        match &error {
            // The others are in the plan, but for what a policy says: all of that.
            ApplyError::Refused { refusals } => match refusals.first() {
                Some(first) if first.code == "policy" => Self { message: error.to_string(), ..Self::from(first) },
                Some(first) => first.into(),
                None => Self::new("refused", ""),
            },
            other => Self::new(other.code(), other).hinted(other.hint().as_ref()),
        }
    }
}

impl From<DeployError> for Refusal {
    fn from(error: DeployError) -> Self {
        Self::new(error.code(), &error).hinted(error.hint().as_ref())
    }
}

impl From<RecordingError> for Refusal {
    fn from(error: RecordingError) -> Self {
        Self::new(error.code(), &error).hinted(error.hint().as_ref())
    }
}

impl From<StopError> for Refusal {
    fn from(error: StopError) -> Self {
        Self::new(error.code(), &error).hinted(error.hint().as_ref())
    }
}

impl From<GrantError> for Refusal {
    fn from(error: GrantError) -> Self {
        match error {
            GrantError::Apply(error) => error.into(),
            other => Self::new(other.code(), &other).hinted(other.hint().as_ref()),
        }
    }
}

impl From<LogError> for Refusal {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Apply(error) => error.into(),
            other => Self::new(other.code(), &other).hinted(other.hint().as_ref()),
        }
    }
}

impl From<ForgetError> for Refusal {
    fn from(error: ForgetError) -> Self {
        Self::new(error.code(), &error).hinted(error.hint().as_ref())
    }
}

impl From<Unrecorded> for Refusal {
    fn from(error: Unrecorded) -> Self {
        Self::new(error.code(), &error).hinted(error.hint().as_ref())
    }
}

impl From<SendError> for Refusal {
    fn from(error: SendError) -> Self {
        Self::new(error.code(), &error).hinted(error.hint().as_ref())
    }
}

impl From<ReplayError> for Refusal {
    fn from(error: ReplayError) -> Self {
        Self::new(error.code(), &error).hinted(error.hint().as_ref())
    }
}

impl From<InvokeError> for Refusal {
    fn from(error: InvokeError) -> Self {
        match error {
            InvokeError::Call(error) => error.into(),
            other => Self::new(other.code(), &other).hinted(other.hint().as_ref()),
        }
    }
}

impl From<CallError> for Refusal {
    fn from(error: CallError) -> Self {
        let kind = match &error {
            CallError::Fault(fault) => Some(fault.code().to_owned()),
            CallError::Crashed(crash) => Some(crash.code().to_owned()),
            _ => None,
        };
        Self { kind, ..Self::new(error.code(), &error).hinted(error.hint().as_ref()) }
    }
}
