//! Each entry into the dispatch stack is settled once, with the context that was there, whatever becomes of the turn or
//! of the message.
//!
//! What is asked for is made of a seed, which is told:
//! `AIRSSYS_SEED=... cargo test -p airssys-tests --test promises settled` asks for the same again.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use airssys_tests::random::Random;
use airssys_tests::{Mesh, PATIENCE, guest, overseer_and_workers};
use airssys_wasm::Runtime;
use airssys_wasm::deploy::DeployOptions;
use airssys_wasm::error::{CallError, SendError};
use airssys_wasm::hint::Coded;
use airssys_wasm::message::Answer;
use airssys_wasm::middleware::Operation;
use airssys_wasm::middleware::{Context, ErrorVerdict, Layer, Verdict};
use airssys_wasm::registry::Release;
use bytes::Bytes;
use prober_protocol::{Command, FaultKind, Trap};
use tokio::task::yield_now;

/// What a layer has seen.
#[derive(Default)]
struct Seen {
    entries: u64,
    /// Those that are not settled.
    open: BTreeMap<u64, String>,
    /// How the others were.
    settled: BTreeMap<String, u64>,
    wrong: Vec<String>,
}

/// Counts entries and settlements.
#[derive(Clone)]
struct Counting {
    name: &'static str,
    priority: i32,
    /// Whether it asks somebody of some entries, who may never answer.
    asks: bool,
    seen: Arc<Mutex<Seen>>,
}

fn told(context: &Context<'_>) -> String {
    let who = context.sender.map_or("the host", AsRef::as_ref);
    format!("{who}: {} {}, trace {}", context.operation, context.target, context.trace)
}

impl Layer for Counting {
    fn name(&self) -> &'static str {
        self.name
    }

    fn priority(&self) -> i32 {
        self.priority
    }

    fn before(&self, context: &mut Context<'_>, _: &mut Bytes) -> Verdict {
        let mut seen = self.seen.lock().unwrap();
        seen.entries += 1;
        let entry = seen.entries;
        seen.open.insert(entry, told(context));
        context.attributes.insert(self.name, entry.to_string().into());
        match entry % 16 {
            _ if !self.asks => Verdict::Continue,
            3 => Verdict::Later(Box::pin(pending())),
            6 => Verdict::Later(Box::pin(async { Verdict::Reject(CallError::Deadlock) })),
            1 | 8 | 11 if context.may_wait => Verdict::Later(Box::pin(async {
                yield_now().await;
                // And it has to ask once more.
                Verdict::Later(Box::pin(async {
                    yield_now().await;
                    Verdict::Continue
                }))
            })),
            _ => Verdict::Continue,
        }
    }

    fn after(&self, context: &Context<'_>, outcome: &Answer) {
        let mut seen = self.seen.lock().unwrap();
        let now = told(context);
        let entry = context.attributes.get(self.name).map(|entry| entry.parse().unwrap());
        match entry.map(|entry: u64| seen.open.remove(&entry)) {
            None => seen.wrong.push(format!("{now}: what was left in the context is gone")),
            Some(None) => seen.wrong.push(format!("{now}: settled twice")),
            Some(Some(then)) if then != now => seen.wrong.push(format!("{then}: settled as {now}")),
            Some(Some(_)) => {}
        }
        let how = outcome.as_ref().map_or_else(CallError::code, |_| "ok");
        *seen.settled.entry(format!("{} {how}", context.operation)).or_default() += 1;
    }
}

/// Turns some messages away, answers others, and has something to say of some errors.
struct Fickle(AtomicU64);

impl Layer for Fickle {
    fn name(&self) -> &'static str {
        "fickle"
    }

    fn priority(&self) -> i32 {
        500
    }

    fn before(&self, _: &mut Context<'_>, _: &mut Bytes) -> Verdict {
        match self.0.fetch_add(1, Ordering::Relaxed) % 23 {
            7 => Verdict::Handled(None),
            13 => Verdict::Reject(CallError::Deadlock),
            _ => Verdict::Continue,
        }
    }

    fn on_error(&self, _: &Context<'_>, _: &CallError) -> ErrorVerdict {
        match self.0.fetch_add(1, Ordering::Relaxed) % 9 {
            2 => ErrorVerdict::Retry,
            4 => ErrorVerdict::Suppress,
            6 => ErrorVerdict::Stop,
            8 => ErrorVerdict::Replace(CallError::NotSent(SendError::Stopped { service: "fickle".into() })),
            _ => ErrorVerdict::Continue,
        }
    }
}

const TOPOLOGY: &str = r#"
    name = "settled"
    [settings]
    reserve_timeout = "10ms"
    [root]
    intensity = 1000000
    [[service]]
    name = "turner"
    release = "@prober"
    retries = 1
    shutdown = "50ms"
    mailbox = { capacity = 64 }
    limits = { turn_deadline = "150ms", subscriptions = 3 }
    [service.grants]
    send = ["*", "keyed/*"]
    call = ["*", "keyed/*"]
    publish = ["**"]
    subscribe = ["**"]
    [[service]]
    name = "refuses"
    release = "@prober"
    shutdown = "50ms"
    mailbox = { capacity = 2, overflow = "refuse" }
    grants = { subscribe = ["news"] }
    [[service]]
    name = "waits"
    release = "@prober"
    shutdown = "50ms"
    mailbox = { capacity = 2, overflow = "wait" }
    grants = { subscribe = ["news"] }
    [[service]]
    name = "sheds"
    release = "@prober"
    shutdown = "50ms"
    mailbox = { capacity = 2, overflow = "drop-oldest" }
    grants = { subscribe = ["news"] }
    [[service]]
    name = "keyed"
    release = "@prober"
    shutdown = "50ms"
    keyed = {}
"#;

fn topology() -> String {
    let overseer = "shutdown = \"50ms\"\nlimits = { turn_deadline = \"150ms\" }";
    TOPOLOGY.to_owned() + &overseer_and_workers(overseer, "shutdown = \"50ms\"\nspawned = { max_children = 3 }")
}

/// What is asked of whoever gets a message.
fn body(random: &mut Random) -> Command {
    match random.below(12) {
        0 => Command::Fail { fault: FaultKind::Refused, reason: "no".into() },
        1 => Command::Trap(Trap::Panic),
        2 | 3 => Command::Sleep(random.below(30)),
        4 => Command::Exit(0),
        _ => Command::Quiet,
    }
}

fn goal(random: &mut Random) -> (String, Option<String>) {
    let keyed = || Some("k".to_owned());
    match random.below(10) {
        0 => ("keyed/a".into(), None),
        1 => ("keyed".into(), keyed()),
        2 => ("nobody".into(), None),
        3 => ("other/secret".into(), None),
        4 => ("turner".into(), None),
        5 => ("not an address".into(), None),
        6 => ("refuses".into(), None),
        7 => ("sheds".into(), None),
        _ => ("waits".into(), None),
    }
}

/// One thing that a turn asks of the mesh.
fn step(random: &mut Random) -> Command {
    let ((to, key), body) = (goal(random), body(random).value());
    match random.below(12) {
        0 | 1 => Command::Call { to, key, body, timeout_ms: random.below(60) },
        2 => Command::Publish { topic: "news".into(), body },
        3 => Command::Publish { topic: "unheard".into(), body },
        4 => Command::Subscribe(["news", "a/*", "b", "c", "a//b"][random.index(5)].into()),
        5 => Command::Unsubscribe("b".into()),
        6 => Command::SendAfter { delay_ms: random.below(10), body },
        7 => Command::SendBytes { to, bytes: 2 << 20 },
        8 => Command::Times(random.below(5), Box::new(Command::Send { to, key, body })),
        _ => Command::Send { to, key, body },
    }
}

/// What ends a turn.
fn end(random: &mut Random) -> Command {
    match random.below(8) {
        0 => Command::Fail { fault: FaultKind::Internal, reason: "no".into() },
        1 => Command::Trap(Trap::Panic),
        2 => Command::Sleep(10_000),
        _ => Command::Quiet,
    }
}

fn turn(random: &mut Random) -> Command {
    let mut steps: Vec<Command> = (0..random.below(6)).map(|_| step(random)).collect();
    steps.push(end(random));
    Command::Do(steps)
}

/// What the overseer is told.
fn oversee(random: &mut Random) -> Command {
    let steps = (0..=random.below(5)).map(|_| {
        let (name, body) = (["a", "b", "c", "d", "not a name"][random.index(5)], body(random).value());
        let child = ["worker/a", "worker/b", "worker/c", "worker/none", "waits", "other/a"][random.index(6)].to_owned();
        match random.below(7) {
            0 | 1 => Command::Spawn { service: "worker".into(), name: name.into() },
            2 => Command::Stop(child),
            3 => Command::Monitor(child),
            4 => Command::Demonitor(child),
            5 => Command::Link(child),
            _ => Command::Send { to: child, key: None, body },
        }
    });
    let mut steps: Vec<Command> = steps.collect();
    if random.below(4) == 0 {
        steps.push(Command::Fail { fault: FaultKind::Internal, reason: "no".into() });
    }
    Command::Do(steps)
}

/// The prober once more, under another digest.
fn another_release(mesh: &Mesh) -> Release {
    let mut binary = std::fs::read(guest("prober").with_file_name("target/airssys/prober.wasm")).unwrap();
    // A custom section with a name and nothing in it.
    binary.extend([0, 2, 1, b'x']);
    let path = mesh.folder.path().join("another.wasm");
    std::fs::write(&path, binary).unwrap();
    std::fs::copy(guest("prober").join("Component.toml"), path.with_extension("toml")).unwrap();
    Release::find(&path).unwrap()
}

async fn one_round(random: &mut Random, asks: bool) -> BTreeMap<String, u64> {
    let layer = |name, priority| Counting { name, priority, asks: asks && name == "asking", seen: Arc::default() };
    // One that sees what is denied, one that keeps others waiting, and one behind all others.
    let layers = [layer("outermost", 2_000), layer("asking", 600), layer("innermost", 1)];
    let builder = layers.iter().fold(Runtime::builder(), |builder, layer| builder.layer(layer.clone()));
    let builder = builder.layer(Fickle(AtomicU64::new(random.below(100))));
    let mesh = Mesh::try_start(&topology(), builder).await.unwrap_or_else(|error| panic!("{error}"));
    for subscriber in ["turner", "refuses", "waits", "sheds"] {
        let _a_layer_may_say_no = mesh.tell(subscriber, &Command::Subscribe("news".into())).await;
    }
    let deploys_at = random.below(40);
    for at in 0..40 {
        match random.below(10) {
            0 => drop(mesh.runtime.publish("news", turn(random).bytes())),
            1 | 2 => drop(mesh.tell("overseer", &oversee(random)).await),
            3 => {
                let (command, patience) = (turn(random).bytes(), Duration::from_millis(random.below(100)));
                let _whatever = mesh.runtime.call("turner", command, patience).await;
            }
            // Whoever waits for it goes away.
            4 => {
                let ((to, _), command) = (goal(random), body(random).bytes());
                let call = mesh.runtime.call(&to, command, PATIENCE);
                let _gone = tokio::time::timeout(Duration::from_millis(random.below(5)), call).await;
            }
            5 => {
                let ((to, key), command) = (goal(random), body(random).bytes());
                let _whatever = mesh.runtime.send((&to, key.as_deref().unwrap_or("k")), command).await;
            }
            _ => drop(mesh.tell("turner", &turn(random)).await),
        }
        if at == deploys_at {
            let mut options = DeployOptions::default();
            (options.allow_downgrade, options.handover_deadline) = (true, Duration::from_millis(50));
            options.probation = Duration::from_millis(10);
            let deployment = mesh.runtime.deploy("turner", another_release(&mesh), options).await.unwrap();
            // It may be rolled back, of course.
            let _whatever = tokio::time::timeout(PATIENCE, deployment.ended()).await.unwrap();
        }
    }
    // Somebody is in a turn when all is over, and has to be killed.
    let last = Command::Do(vec![step(random), step(random), Command::Sleep(10_000)]);
    let _a_layer_may_say_no = mesh.tell("turner", &last).await;
    let _some_were_killed = mesh.runtime.shutdown().await;
    let Mesh { runtime, folder: _folder } = mesh;
    drop(runtime);
    let all_are_settled = async {
        while layers.iter().any(|layer| !layer.seen.lock().unwrap().open.is_empty()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(10), all_are_settled).await;
    for layer in &layers {
        let seen = layer.seen.lock().unwrap();
        assert!(seen.wrong.is_empty(), "{}: {:#?}", layer.name, seen.wrong);
        assert!(in_time.is_ok(), "{}: never settled: {:#?}", layer.name, seen.open);
    }
    layers[0].seen.lock().unwrap().settled.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_entry_is_settled_once_whatever_becomes_of_it() {
    let mut random = Random::told();
    let mut settled: BTreeMap<String, u64> = BTreeMap::new();
    // In every third round there is a layer that keeps others waiting.
    for round in 0..18 {
        for (how, times) in one_round(&mut random, round % 3 == 2).await {
            *settled.entry(how).or_default() += times;
        }
    }
    // Each way to end was there.
    for how in [
        "send ok",
        "send discarded",
        "send overloaded",
        "send denied",
        "send no-such-service",
        "call ok",
        "call crashed",
        "call timeout",
        "publish ok",
        "publish discarded",
        "subscribe ok",
        "spawn ok",
        "spawn discarded",
        "spawn taken",
        "monitor ok",
        "deliver ok",
        "deliver overloaded",
    ] {
        assert!(settled.contains_key(how), "{how} is missing in {settled:#?}");
    }
}

/// Keeps the outcomes of what is brought to one address.
#[derive(Clone, Default)]
struct Brought(Arc<Mutex<Vec<String>>>, bool);

impl Layer for Brought {
    fn name(&self) -> &'static str {
        "brought"
    }

    fn priority(&self) -> i32 {
        10
    }

    fn before(&self, context: &mut Context<'_>, _: &mut Bytes) -> Verdict {
        let turns_away = self.1 && context.operation == Operation::Deliver;
        if turns_away { Verdict::Reject(CallError::Deadlock) } else { Verdict::Continue }
    }

    fn after(&self, context: &Context<'_>, outcome: &Answer) {
        let how = outcome.as_ref().map_or_else(CallError::code, |_| "ok");
        self.0.lock().unwrap().push(format!("{} {} {how}", context.operation, context.target));
    }
}

const TOLD: &str = r#"
    name = "told"
    [[service]]
    name = "one"
    release = "@prober"
    grants = { send = ["one"], publish = ["news"], subscribe = ["news"] }
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timers_and_copies_of_publications_pass_the_layers_and_count() {
    let layer = Brought::default();
    let mesh = Mesh::try_start(TOLD, Runtime::builder().layer(layer.clone())).await.unwrap();
    mesh.ok("one", &Command::Subscribe("news".into())).await;
    let both = Command::Do(vec![
        Command::Publish { topic: "news".into(), body: Command::Quiet.value() },
        Command::SendAfter { delay_ms: 1, body: Command::Quiet.value() },
    ]);
    mesh.ok("one", &both).await;
    mesh.until("both are handled", |mesh| mesh.status("one").handled == 4).await;
    assert_eq!(mesh.status("one").accepted, 4);
    let told = std::mem::take(&mut *layer.0.lock().unwrap());
    let brought = told.iter().filter(|told| *told == "deliver one ok").count();
    assert_eq!(brought, 2, "{told:?}");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_layer_turns_away_of_the_hosts_own_is_a_dead_letter() {
    let layer = Brought(Arc::default(), true);
    let mesh = Mesh::try_start(TOLD, Runtime::builder().layer(layer)).await.unwrap();
    mesh.ok("one", &Command::Subscribe("news".into())).await;
    mesh.runtime.publish("news", Command::Quiet.bytes()).unwrap();
    mesh.ok("one", &Command::SendAfter { delay_ms: 1, body: Command::Quiet.value() }).await;
    mesh.until("both are dead", |mesh| mesh.dead().len() == 2).await;
    assert_eq!(mesh.dead(), ["rejected", "rejected"]);
    assert_eq!((mesh.status("one").handled, mesh.status("one").rejected), (2, 2));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_discarded_send_is_told_and_counts_nowhere() {
    let layer = Brought::default();
    let mesh = Mesh::try_start(TOLD, Runtime::builder().layer(layer.clone())).await.unwrap();
    let send = Command::Send { to: "one".into(), key: None, body: Command::Quiet.value() };
    let fail = Command::Fail { fault: FaultKind::Refused, reason: "no".into() };
    assert!(mesh.ask("one", &Command::Do(vec![send, fail])).await.is_err());
    assert_eq!(*layer.0.lock().unwrap(), ["send one discarded", "call one fault"]);
    // The call that was answered, and nothing of the send.
    assert_eq!((mesh.status("one").accepted, mesh.status("one").rejected), (1, 0));
    mesh.stop().await;
}
