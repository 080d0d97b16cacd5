//! A layer may ask somebody before it lets a message on: whoever sends waits, no longer than it may, and each entry is
//! settled once, whatever happens meanwhile. What cannot wait is turned away in the layer's name.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use airssys_tests::{Mesh, PATIENCE, asker_and_goal, until};
use airssys_wasm::Runtime;
use airssys_wasm::error::{CallError, SendError};
use airssys_wasm::hint::Coded;
use airssys_wasm::message::Answer;
use airssys_wasm::middleware::Operation;
use airssys_wasm::middleware::{Context, Layer, Verdict};
use bytes::Bytes;
use prober_protocol::{Command, Outcome};
use serde_json::json;
use tokio::sync::watch;

/// What was asked, and how each of it was settled.
#[derive(Default)]
struct Seen {
    asked: usize,
    settled: Vec<String>,
}

/// Lets on what the service `policy` has a `true` for in its state, under the target's address. The example of
/// `middleware::Verdict::Later`, which can be held up and says what it saw.
#[derive(Clone)]
struct AskPolicy {
    mesh: Arc<OnceLock<Weak<Runtime>>>,
    held: watch::Receiver<bool>,
    seen: Arc<Mutex<Seen>>,
    question: Question,
}

/// Whom to ask about a target, and what; none where it is let on.
type Question = fn(&str) -> Option<(&'static str, Command)>;

/// The question of the example.
fn ask_policy(target: &str) -> Option<(&'static str, Command)> {
    let is_asked_about = ["goal", "news"].contains(&target) || target.starts_with("worker/");
    is_asked_about.then(|| ("policy", Command::Get(target.to_owned())))
}

impl AskPolicy {
    fn question(&self, context: &Context<'_>) -> Option<(&'static str, Command)> {
        let is_child = context.target.starts_with("worker/");
        (context.operation == Operation::Send || !is_child).then(|| (self.question)(context.target)).flatten()
    }
}

impl Layer for AskPolicy {
    fn name(&self) -> &'static str {
        "policy"
    }

    fn priority(&self) -> i32 {
        100
    }

    fn before(&self, context: &mut Context<'_>, _: &mut Bytes) -> Verdict {
        let Some((whom, question)) = self.question(context) else { return Verdict::Continue };
        let (mesh, mut held) = (self.mesh.get().cloned().unwrap_or_default(), self.held.clone());
        self.seen.lock().unwrap().asked += 1;
        Verdict::Later(Box::pin(async move {
            let no = |reason| Verdict::Reject(SendError::Rejected { layer: "policy".into(), reason }.into());
            let _let_go = held.wait_for(|held| !held).await.is_ok();
            let Some(mesh) = mesh.upgrade() else { return no("the mesh is not up".to_owned()) };
            match mesh.call(whom, question.bytes(), PATIENCE).await.map(Option::unwrap_or_default) {
                Ok(answer) if serde_json::from_slice(&answer).ok() == Some(Outcome::Ok(json!(true))) => {
                    Verdict::Continue
                }
                Ok(answer) => no(why_not(&answer)),
                Err(error) => no(error.to_string()),
            }
        }))
    }

    fn after(&self, context: &Context<'_>, outcome: &Answer) {
        if self.question(context).is_some() {
            let how = outcome.as_ref().map_or_else(CallError::code, |_| "ok");
            let settled = format!("{} {} {how}", context.operation, context.target);
            self.seen.lock().unwrap().settled.push(settled);
        }
    }
}

fn why_not(answer: &[u8]) -> String {
    match serde_json::from_slice(answer) {
        Ok(Outcome::Err(refusal)) => format!("it is told {}", refusal.name),
        _ => "there is no rule for it".to_owned(),
    }
}

/// Of which an actor that asks is killed at the end of the mesh, as it waits for a layer.
const ASKER: &str = "shutdown = \"50ms\"";

fn topology(reserve_timeout: &str, asker: &str) -> String {
    let text = format!(
        r#"
        name = "asking"
        [settings]
        reserve_timeout = "{reserve_timeout}"
        [root]
        intensity = 1000
        [[service]]
        name = "policy"
        release = "@prober"
        grants = {{ call = ["asker"] }}
        "#
    );
    text + &asker_and_goal(asker, &["news", "other"])
}

struct Asking {
    mesh: Mesh,
    held: watch::Sender<bool>,
    layer: AskPolicy,
}

impl Asking {
    async fn start(topology: &str) -> Self {
        Self::start_with(topology, ask_policy).await
    }

    async fn start_with(topology: &str, question: Question) -> Self {
        let held = watch::Sender::new(false);
        let layer = AskPolicy { mesh: Arc::default(), held: held.subscribe(), seen: Arc::default(), question };
        let mesh = Mesh::try_start(topology, Runtime::builder().layer(layer.clone())).await.unwrap();
        layer.mesh.set(Arc::downgrade(&mesh.runtime)).unwrap();
        Self { mesh, held, layer }
    }

    async fn allow(&self, target: &str) {
        self.mesh.ok("policy", &Command::Set { key: target.to_owned(), value: json!(true) }).await;
    }

    /// Waits until this much was asked, and gives how it was settled, once it is.
    async fn settled(&self, asked: usize) -> Vec<String> {
        until("all is asked", async || self.layer.seen.lock().unwrap().asked >= asked).await;
        until("all is settled", async || self.layer.seen.lock().unwrap().settled.len() >= asked).await;
        let mut seen = self.layer.seen.lock().unwrap();
        assert_eq!((seen.asked, seen.settled.len()), (asked, asked), "each once: {:?}", seen.settled);
        std::mem::take(&mut *seen).settled
    }
}

fn call(timeout_ms: u64) -> Command {
    Command::Call { to: "goal".into(), key: None, body: Command::Count.value(), timeout_ms }
}

fn send() -> Command {
    Command::Send { to: "goal".into(), key: None, body: Command::Count.value() }
}

fn code(refused: Result<(), SendError>) -> (&'static str, String) {
    refused.map_or_else(|error| (error.code(), error.to_string()), |()| ("ok", String::new()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_about_goes_on_where_the_answer_is_yes() {
    let asking = Asking::start(&topology("60s", ASKER)).await;
    let Ok(Outcome::Err(refusal)) = asking.mesh.ask("asker", &call(5_000)).await else { panic!("it is refused") };
    let named = "policy rejected it: there is no rule for it";
    assert_eq!((refusal.name.as_str(), refusal.text.contains(named)), ("not-sent/denied", true), "{refusal:?}");
    assert_eq!(asking.mesh.refused("asker", &send()).await, "denied");
    let told = asking.mesh.tell("goal", &Command::Count).await;
    assert_eq!(code(told), ("rejected", named.to_owned()));
    assert_eq!(asking.settled(3).await, ["call goal rejected", "send goal rejected", "send goal rejected"]);
    assert_eq!((asking.mesh.status("goal").handled, asking.mesh.status("goal").rejected), (0, 3));

    asking.allow("goal").await;
    assert_eq!(asking.mesh.ok("asker", &call(5_000)).await, json!({ "ok": 1 }));
    asking.mesh.ok("asker", &send()).await;
    asking.mesh.tell("goal", &Command::Count).await.unwrap();
    asking.mesh.until("all is handled", |mesh| mesh.status("goal").handled == 3).await;
    assert_eq!(asking.settled(3).await, ["call goal ok", "send goal ok", "send goal ok"]);
    asking.mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_longer_than_they_may() {
    let asking = Asking::start(&topology("20ms", ASKER)).await;
    asking.allow("goal").await;
    asking.held.send_replace(true);
    let brief = Duration::from_millis(50);
    assert_eq!(asking.mesh.refused("asker", &call(50)).await, "timeout");
    let called = asking.mesh.runtime.call("goal", Command::Count.bytes(), brief).await;
    assert_eq!(called, Err(CallError::Timeout));
    // Whoever is served waits no longer than that; it may just be able to say so.
    let _either = asking.mesh.runtime.call("asker", call(60_000).bytes(), brief).await;
    assert_eq!(asking.settled(3).await, ["call goal timeout"; 3]);
    let status = asking.mesh.status("goal");
    assert_eq!((status.accepted, status.rejected), (0, 3), "none of them came to its mailbox");

    let Ok(Outcome::Err(refusal)) = asking.mesh.ask("asker", &send()).await else { panic!("it is refused") };
    let late = "policy rejected it: it has not decided within the `reserve_timeout`";
    assert_eq!((refusal.name.as_str(), refusal.text.contains(late)), ("denied", true), "{refusal:?}");
    let told = asking.mesh.tell("goal", &Command::Count).await;
    assert_eq!(code(told), ("rejected", late.to_owned()));
    assert_eq!(asking.settled(2).await, ["send goal rejected"; 2]);

    // What was late does not come later.
    asking.held.send_replace(false);
    assert_eq!(asking.mesh.ok("asker", &call(5_000)).await, json!({ "ok": 1 }));
    asking.mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_waits_for_any_more_is_discarded() {
    let limits = "limits = { turn_deadline = \"1s\" }";
    let asking = Asking::start(&topology("60s", &format!("{ASKER}\n{limits}"))).await;
    asking.allow("goal").await;
    asking.held.send_replace(true);
    let caller = tokio::spawn({
        let runtime = Arc::clone(&asking.mesh.runtime);
        async move { runtime.call("goal", Command::Count.bytes(), PATIENCE).await }
    });
    until("it waits", async || asking.layer.seen.lock().unwrap().asked == 1).await;
    caller.abort();
    assert_eq!(asking.settled(1).await, ["call goal discarded"]);

    // A turn that is cut off over it.
    assert_eq!(asking.mesh.ask("asker", &send()).await.unwrap_err().code(), "crashed");
    assert_eq!(asking.settled(1).await, ["send goal discarded"]);

    asking.held.send_replace(false);
    assert_eq!(asking.mesh.ok("asker", &call(5_000)).await, json!({ "ok": 1 }), "nothing came of those");
    asking.mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mesh_that_stops_waits_for_no_layer() {
    let asking = Asking::start(&topology("60s", ASKER)).await;
    asking.held.send_replace(true);
    let runtime = || Arc::clone(&asking.mesh.runtime);
    let (calls, sends) = (runtime(), runtime());
    let called = tokio::spawn(async move { calls.call("goal", Command::Count.bytes(), PATIENCE).await });
    let sent = tokio::spawn(async move { sends.send("goal", Command::Count.bytes()).await });
    asking.mesh.tell("asker", &call(60_000)).await.unwrap();
    until("all wait", async || asking.layer.seen.lock().unwrap().asked == 3).await;
    let report = tokio::time::timeout(PATIENCE, asking.mesh.runtime.shutdown()).await.unwrap();
    assert!(!report.is_clean(), "whoever is in a turn is killed: {report:?}");
    let stopped = SendError::Stopped { service: "goal".into() };
    assert_eq!(called.await.unwrap(), Err(stopped.clone().into()));
    assert_eq!(sent.await.unwrap(), Err(stopped));
    let mut settled = asking.settled(3).await;
    settled.sort();
    assert_eq!(settled, ["call goal discarded", "call goal stopped", "send goal stopped"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_wait_is_turned_away_in_the_layers_name() {
    let sync = r#"
    [[service]]
    name = "spawner"
    release = "@spawner"
    grants = { spawn = ["worker/*"], send = ["worker/*"] }
    [[service]]
    name = "worker"
    release = "@prober"
    spawned = {}
    "#;
    let asking = Asking::start(&(topology("60s", ASKER) + sync)).await;
    for target in ["goal", "news", "worker/a"] {
        asking.allow(target).await;
    }
    asking.mesh.ok("goal", &Command::Subscribe("other".into())).await;
    asking.held.send_replace(true);
    asking.settled(1).await;

    let why = "policy rejected it: it has to wait for its verdict, and here nobody can wait";
    let news = Command::Publish { topic: "news".into(), body: Command::Count.value() };
    let Ok(Outcome::Err(refusal)) = asking.mesh.ask("asker", &news).await else { panic!("it is refused") };
    assert_eq!((refusal.name.as_str(), refusal.text.contains(why)), ("denied", true), "{refusal:?}");
    let published = asking.mesh.runtime.publish("news", Command::Count.bytes());
    assert_eq!(code(published), ("rejected", why.to_owned()));
    // A turn of the sync lane.
    let fault = asking.mesh.runtime.call("spawner", "\"a\"", PATIENCE).await.unwrap_err();
    assert!(fault.code() == "fault" && fault.to_string().contains(why), "{fault}");
    assert_eq!(asking.settled(3).await, ["publish news rejected", "publish news rejected", "send worker/a rejected"]);

    // What the host brings is a dead letter.
    asking.mesh.runtime.publish("other", Command::Count.bytes()).unwrap();
    assert_eq!(asking.settled(1).await, ["deliver goal rejected"]);
    let (_, letters) = asking.mesh.runtime.dead_letters();
    let reason = letters.last().unwrap().reason.to_string();
    assert!(reason.starts_with("rejected: policy: it has to wait"), "{reason}");
    asking.held.send_replace(false);
    asking.mesh.stop().await;
}

/// Asks of both ways to wait for a layer, and gives why nothing went on.
async fn refused(asking: &Asking) -> [String; 2] {
    let mut refusals = Vec::new();
    for command in [call(60_000), send()] {
        let Ok(Outcome::Err(refusal)) = asking.mesh.ask("asker", &command).await else { panic!("it is refused") };
        refusals.push(refusal.text);
    }
    refusals.try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_that_asks_who_waits_for_it_is_told_so_and_not_kept_waiting() {
    let question: Question = |target| (target == "goal").then_some(("asker", Command::Count));
    let asking = Asking::start_with(&topology("60s", ASKER), question).await;
    for why in refused(&asking).await {
        assert!(why.contains("policy rejected it: deadlock: the one called waits for the caller"), "{why}");
    }
    assert_eq!(asking.settled(2).await, ["call goal rejected", "send goal rejected"]);
    asking.mesh.until("nothing else came to it", |mesh| mesh.status("asker").handled == 2).await;
    assert_eq!(asking.mesh.status("asker").accepted, 2);
    asking.mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_a_layer_asks_is_told_that_who_it_calls_waits_for_it() {
    let question: Question = |target| {
        let back = Command::Call { to: "asker".into(), key: None, body: Command::Count.value(), timeout_ms: 60_000 };
        (target == "goal").then_some(("policy", back))
    };
    let asking = Asking::start_with(&topology("60s", ASKER), question).await;
    for why in refused(&asking).await {
        assert!(why.contains("policy rejected it: it is told deadlock"), "{why}");
    }
    // Nobody waits for the layer here, so that it may ask whom it likes.
    asking.mesh.tell("goal", &Command::Count).await.unwrap_err();
    asking.mesh.until("it is asked", |mesh| mesh.status("asker").handled == 3).await;
    asking.mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_that_keeps_the_question_of_a_layer_waiting_is_on_the_way_as_well() {
    let question: Question = |target| match target {
        "goal" => Some(("policy", Command::Count)),
        "policy" => Some(("asker", Command::Count)),
        _ => None,
    };
    let asking = Asking::start_with(&topology("60s", ASKER), question).await;
    for why in refused(&asking).await {
        assert!(why.contains("policy rejected it: policy rejected it: deadlock"), "{why}");
    }
    assert_eq!(asking.mesh.status("policy").accepted, 0);
    asking.mesh.stop().await;
}
