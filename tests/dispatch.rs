//! Layers of the dispatch stack are asked in order and obeyed, whoever sends; and no layer makes something happen that
//! was denied.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::sync::{Arc, Mutex};

use airssys_tests::{Mesh, PATIENCE, asker_and_goal};
use airssys_wasm::Runtime;
use airssys_wasm::error::CallError;
use airssys_wasm::hint::Coded;
use airssys_wasm::message::Answer;
use airssys_wasm::middleware::Operation;
use airssys_wasm::middleware::{Context, ErrorVerdict, Layer, Verdict};
use prober_protocol::{Command, FaultKind, Outcome, Trap};
use serde_json::json;

type Notes = Arc<Mutex<Vec<String>>>;

/// Notes what it is asked about one target, and answers as it was told.
struct Told {
    name: &'static str,
    priority: i32,
    target: &'static str,
    notes: Notes,
    before: fn(Operation, &mut Vec<u8>) -> Option<Verdict>,
    on_error: fn(&CallError) -> ErrorVerdict,
}

impl Told {
    fn note(&self, context: &Context<'_>, what: &str) {
        self.notes.lock().unwrap().push(format!("{} {what} {}", self.name, context.operation));
    }
}

impl Layer for Told {
    fn name(&self) -> &'static str {
        self.name
    }

    fn priority(&self) -> i32 {
        self.priority
    }

    fn before(&self, context: &mut Context<'_>, body: &mut bytes::Bytes) -> Verdict {
        if context.target != self.target {
            return Verdict::Continue;
        }
        self.note(context, "before");
        let mut changed = body.to_vec();
        let verdict = (self.before)(context.operation, &mut changed);
        *body = changed.into();
        verdict.unwrap_or(Verdict::Continue)
    }

    fn after(&self, context: &Context<'_>, outcome: &Answer) {
        if context.target == self.target {
            self.note(context, if outcome.is_ok() { "after ok" } else { "after error" });
        }
    }

    fn on_error(&self, context: &Context<'_>, error: &CallError) -> ErrorVerdict {
        if context.target != self.target {
            return ErrorVerdict::Continue;
        }
        self.note(context, &format!("on {}", error.code()));
        (self.on_error)(error)
    }
}

fn layer(notes: &Notes, name: &'static str, priority: i32, target: &'static str) -> Told {
    Told { name, priority, target, notes: Arc::clone(notes), before: |_, _| None, on_error: |_| ErrorVerdict::Continue }
}

async fn mesh(layers: impl IntoIterator<Item = Told>) -> Mesh {
    let builder = layers.into_iter().fold(Runtime::builder(), |builder, layer| builder.layer(layer));
    let topology =
        "name = \"layers\"\n[root]\nintensity = 1000\n".to_owned() + &asker_and_goal("", &["news", "secrets"]);
    Mesh::try_start(&topology, builder).await.unwrap_or_else(|error| panic!("{error}"))
}

fn call(body: &Command) -> Command {
    Command::Call { to: "goal".into(), key: None, body: body.value(), timeout_ms: 5_000 }
}

fn take(notes: &Notes) -> Vec<String> {
    std::mem::take(&mut notes.lock().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn layers_run_by_priority_and_back_in_reverse_for_each_way_to_send() {
    let notes = Notes::default();
    // Given in the wrong order.
    let mesh = mesh([layer(&notes, "inner", 10, "goal"), layer(&notes, "outer", 20, "goal")]).await;
    let passed = |operation: &str| {
        ["outer before", "inner before", "inner after ok", "outer after ok"].map(|what| format!("{what} {operation}"))
    };
    mesh.ok("asker", &call(&Command::Count)).await;
    assert_eq!(take(&notes), passed("call"));
    mesh.ok("asker", &Command::Send { to: "goal".into(), key: None, body: Command::Count.value() }).await;
    assert_eq!(take(&notes), passed("send"));
    mesh.ok("goal", &Command::Count).await;
    assert_eq!(take(&notes), passed("call"), "from the host too");
    let failed = mesh
        .ok("asker", &Command::Do(vec![call(&Command::Fail { fault: FaultKind::Refused, reason: "no".into() })]))
        .await;
    assert_eq!(failed[0]["err"]["name"], "fault/refused");
    assert_eq!(
        take(&notes),
        ["outer before", "inner before", "inner on fault", "outer on fault", "inner after error", "outer after error"]
            .map(|what| format!("{what} call"))
    );
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_layer_says_before_is_obeyed() {
    let notes = Notes::default();
    let inner = || layer(&notes, "inner", 10, "goal");
    let outer = |before| Told { before, ..layer(&notes, "outer", 20, "goal") };

    let changed = mesh([outer(|_, body| {
        *body = Command::Echo(json!("changed")).bytes();
        None
    })]);
    let changed = changed.await;
    assert_eq!(changed.ok("asker", &call(&Command::Count)).await, json!({ "ok": "changed" }));
    changed.stop().await;

    let handled = mesh([outer(|_, _| Some(Verdict::Handled(Some("\"mine\"".into())))), inner()]).await;
    take(&notes);
    assert_eq!(handled.ok("asker", &call(&Command::Count)).await, json!("mine"));
    assert_eq!(handled.runtime.call("goal", "x", PATIENCE).await.unwrap().unwrap(), "\"mine\"".as_bytes());
    handled.ok("asker", &Command::Send { to: "goal".into(), key: None, body: json!(1) }).await;
    assert!(take(&notes).iter().all(|note| note.starts_with("outer ")), "the inner one is not asked");
    assert_eq!(handled.status("goal").handled, 0);
    handled.stop().await;

    let rejected = mesh([outer(|_, _| Some(Verdict::Reject(CallError::Deadlock))), inner()]).await;
    take(&notes);
    assert_eq!(rejected.refused("asker", &call(&Command::Count)).await, "deadlock");
    assert_eq!(take(&notes), ["outer before call", "outer on deadlock call", "outer after error call"]);
    assert_eq!(rejected.status("goal").handled, 0);
    rejected.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_layer_says_of_an_error_is_obeyed() {
    for (recovery, outcome, crashes) in [
        ((|_| ErrorVerdict::Continue) as fn(&CallError) -> ErrorVerdict, "crashed", 1),
        (|_| ErrorVerdict::Replace(CallError::Timeout), "timeout", 1),
        (|_| ErrorVerdict::Stop, "crashed", 1),
        (|_| ErrorVerdict::Suppress, "", 1),
        (|_| ErrorVerdict::Retry, "crashed", 4),
    ] {
        let notes = Notes::default();
        let inner = Told { on_error: recovery, ..layer(&notes, "inner", 10, "goal") };
        let mesh = mesh([layer(&notes, "outer", 20, "goal"), inner]).await;
        match mesh.ask("asker", &call(&Command::Trap(Trap::Panic))).await {
            Ok(Outcome::Err(refusal)) => assert_eq!(refusal.name, outcome),
            // Suppressed: an answer, with nothing in it.
            other => assert_eq!((other, outcome), (Ok(Outcome::Ok(json!(null))), "")),
        }
        assert_eq!(mesh.status("goal").crashed, crashes, "{outcome}");
        let asked_outer = take(&notes).iter().filter(|note| note.starts_with("outer on ")).count();
        let expected = match recovery(&CallError::Timeout) {
            ErrorVerdict::Stop | ErrorVerdict::Suppress => 0,
            _ => 1,
        };
        assert_eq!(asked_outer, expected, "{outcome}");
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_is_never_retried_and_nothing_comes_of_suppressing_it() {
    let secrets = Command::Publish { topic: "secrets".into(), body: Command::Count.value() };
    let to_asker = |operation| match operation {
        Operation::Send => Command::Send { to: "asker".into(), key: None, body: Command::Count.value() },
        _ => Command::Call { to: "asker".into(), key: None, body: Command::Count.value(), timeout_ms: 5_000 },
    };
    for (on_error, name) in [
        ((|_| ErrorVerdict::Retry) as fn(&CallError) -> ErrorVerdict, Some("denied")),
        (|_| ErrorVerdict::Suppress, None),
    ] {
        let notes = Notes::default();
        // Above the check, so that they see its denials.
        let above = |name, target| Told { on_error, ..layer(&notes, name, 2_000, target) };
        let mesh = mesh([above("topic", "secrets"), above("service", "asker")]).await;
        mesh.ok("goal", &Command::Subscribe("secrets".into())).await;
        take(&notes);
        for (who, command) in
            [("goal", to_asker(Operation::Send)), ("goal", to_asker(Operation::Call)), ("asker", secrets.clone())]
        {
            let seen = (mesh.status("asker").accepted, mesh.status("goal").accepted);
            let outcome = mesh.ok(who, &Command::Do(vec![command.clone()])).await;
            match name {
                Some(name) => assert!(outcome[0]["err"]["name"].as_str().unwrap().ends_with(name), "{outcome}"),
                None => assert_ne!(outcome[0]["err"]["name"], "denied", "{outcome}"),
            }
            let about_it: Vec<String> = take(&notes).into_iter().filter(|note| note.contains(" on denied ")).collect();
            assert_eq!(about_it.len(), 1, "{command:?}: {about_it:?}");
            mesh.until("all is handled", |mesh| mesh.runtime.is_quiet()).await;
            let told = if who == "asker" { (seen.0 + 1, seen.1) } else { (seen.0, seen.1 + 1) };
            assert_eq!((mesh.status("asker").accepted, mesh.status("goal").accepted), told, "only what the test said");
        }
        // Two from the host, two more from this test, and no publication.
        assert_eq!(mesh.ok("goal", &Command::Count).await, json!(4));
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publication_that_a_layer_handles_goes_no_further() {
    let notes = Notes::default();
    let handles = Told {
        before: |operation, _| (operation == Operation::Publish).then_some(Verdict::Handled(None)),
        ..layer(&notes, "handles", 10, "news")
    };
    let mesh = mesh([handles]).await;
    for topic in ["news", "secrets"] {
        mesh.ok("goal", &Command::Subscribe(topic.into())).await;
    }
    mesh.ok("asker", &Command::Publish { topic: "news".into(), body: Command::Count.value() }).await;
    for topic in ["news", "secrets"] {
        mesh.runtime.publish(topic, Command::Count.bytes()).unwrap();
    }
    mesh.until("the other topic arrives", |mesh| mesh.status("goal").handled >= 3 && mesh.runtime.is_quiet()).await;
    assert_eq!(mesh.ok("goal", &Command::Count).await, json!(4), "two subscriptions, one publication, and this");
    mesh.stop().await;
}
