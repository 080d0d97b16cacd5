//! Who calls a service that sleeps runs its turn. What the two are to each other is what it is on the long way: neither
//! ends with the other, and whatever becomes of the turn, each call has one answer.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use airssys_tests::{Mesh, PATIENCE};
use airssys_wasm::error::CallError;
use prober_protocol::{Command, Outcome, Trap};
use serde_json::{Value, json};

fn service(name: &str, more: &str) -> String {
    format!(
        "[[service]]\nname = \"{name}\"\nrelease = \"@prober\"\n{more}\n[service.grants]\nsend = [\"**\"]\ncall = [\"**\"]\n"
    )
}

async fn mesh(services: &[String]) -> Mesh {
    Mesh::start(&format!("name = \"m\"\n[root]\nintensity = 100000\n{}", services.concat())).await
}

fn call(to: &str, body: &Command) -> Command {
    Command::Call { to: to.into(), key: None, body: body.value(), timeout_ms: 30_000 }
}

/// Calls through all of these to the last one.
fn through(names: &[&str], last: &Command) -> Command {
    names.iter().rev().fold(last.clone(), |inner, name| call(name, &inner))
}

/// What came of the innermost of nested calls.
fn innermost(outcome: &Value) -> &Value {
    match outcome.get("ok") {
        Some(inner) => innermost(inner),
        None => outcome,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trap_three_deep_ends_the_one_that_trapped() {
    let mesh = mesh(&["a", "b", "c", "d"].map(|name| service(name, ""))).await;
    for round in 1..=20 {
        let answer = mesh.ok("a", &through(&["b", "c", "d"], &Command::Trap(Trap::Unreachable))).await;
        assert_eq!(innermost(&answer)["err"]["name"], json!("crashed"), "{answer}");
        // Whoever called has its memory.
        for name in ["a", "b", "c"] {
            assert_eq!(mesh.ok(name, &Command::Count).await, json!(2 * round), "{name}");
        }
        mesh.until("it serves again", |mesh| mesh.status("d").started == round + 1).await;
        assert_eq!(mesh.ok("d", &Command::Count).await, json!(1));
    }
    assert_eq!(["a", "b", "c"].map(|name| (mesh.status(name).started, mesh.status(name).crashed)), [(1, 0); 3]);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_whose_caller_is_cut_off_goes_on() {
    let short = "limits = { turn_deadline = \"100ms\" }";
    let mesh = mesh(&[service("caller", short), service("asked", "")]).await;
    let slow = Command::Do(vec![Command::Sleep(1_000), Command::Set { key: "done".into(), value: json!(true) }]);
    // A guest that is cut off, or is told just before that.
    match mesh.ask("caller", &call("asked", &slow)).await {
        Err(CallError::Crashed(_)) => {}
        Ok(Outcome::Err(refused)) => assert_eq!(refused.name, "timeout"),
        other => panic!("{other:?}"),
    }
    mesh.until("its turn ends by itself", |mesh| mesh.status("asked").handled == 1).await;
    assert_eq!(mesh.stored("asked", "done"), json!(true));
    // A task of the host that is dropped.
    let mesh = Arc::new(mesh);
    let again = Command::Do(vec![Command::Sleep(1_000), Command::Set { key: "again".into(), value: json!(true) }]);
    let asks = tokio::spawn({
        let mesh = Arc::clone(&mesh);
        async move { mesh.ask("asked", &again).await }
    });
    mesh.until("its turn has begun", |mesh| !mesh.runtime.is_quiet()).await;
    asks.abort();
    assert!(asks.await.unwrap_err().is_cancelled());
    mesh.until("its turn ends by itself", |mesh| mesh.status("asked").handled == 2).await;
    assert_eq!(mesh.stored("asked", "again"), json!(true));
    assert_eq!((mesh.status("asked").started, mesh.status("asked").crashed), (1, 0));
    Arc::into_inner(mesh).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_is_cut_off_takes_nobody_along() {
    let short = "limits = { turn_deadline = \"100ms\", turn_budget = \"100ms\" }";
    let mesh = mesh(&[service("caller", ""), service("asked", short)]).await;
    for (round, command) in [Command::Sleep(60_000), Command::Trap(Trap::EndlessLoop)].iter().enumerate() {
        assert_eq!(mesh.refused("caller", &call("asked", command)).await, "crashed");
        assert_eq!(mesh.ok("caller", &Command::Count).await, json!(2 * (round + 1)));
    }
    assert_eq!((mesh.status("caller").started, mesh.status("asked").crashed), (1, 2));
    mesh.stop().await;
}

/// Beyond a depth they are woken; the answer is the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_as_deep_as_one_likes() {
    let names: Vec<String> = (0..24).map(|at| format!("s{at}")).collect();
    let mesh = mesh(&names.iter().map(|name| service(name, "")).collect::<Vec<_>>()).await;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for _ in 0..3 {
        let answer = mesh.ok(names[0], &through(&names[1..], &Command::Whoami)).await;
        assert!(innermost(&answer).to_string().contains("s23"), "{answer}");
    }
    mesh.stop().await;
}

/// What several calls ask of one place at a time is handled once each, also while some of it traps and the place is
/// started again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_callers_at_one_place_are_each_answered_once() {
    const CALLERS: u64 = 100;
    const EACH: u64 = 10;
    let mut services = vec![service("place", "")];
    services.extend((0..8).map(|at| service(&format!("caller{at}"), "")));
    let mesh = Arc::new(mesh(&services).await);
    let crashed = Arc::new(AtomicU64::new(0));
    let callers: Vec<_> = (0..CALLERS)
        .map(|number| {
            let (mesh, crashed) = (Arc::clone(&mesh), Arc::clone(&crashed));
            tokio::spawn(async move {
                for round in 0..EACH {
                    let increment = Command::Increment { key: "answered".into(), by: 1 };
                    let command = match (number + round) % 25 {
                        0 => Command::Trap(Trap::Panic),
                        _ => increment,
                    };
                    // Some from the host, some from a guest.
                    let outcome = match number % 2 {
                        0 => mesh.ask("place", &command).await,
                        _ => mesh.ask(&format!("caller{}", number % 8), &call("place", &command)).await,
                    };
                    let is_crashed = match &outcome {
                        Ok(Outcome::Ok(_)) => false,
                        Ok(Outcome::Err(refused)) => refused.name == "crashed",
                        Err(CallError::Crashed(_)) => true,
                        Err(error) => panic!("{error}"),
                    };
                    assert_eq!(is_crashed, command == Command::Trap(Trap::Panic), "{outcome:?}");
                    crashed.fetch_add(u64::from(is_crashed), Ordering::Relaxed);
                }
            })
        })
        .collect();
    for caller in callers {
        tokio::time::timeout(PATIENCE, caller).await.unwrap().unwrap();
    }
    let crashed = crashed.load(Ordering::Relaxed);
    assert!(crashed > 0);
    mesh.until("all has a fate", |mesh| mesh.status("place").crashed == crashed).await;
    assert_eq!(mesh.status("place").handled, CALLERS * EACH - crashed);
    let answered = mesh.ok("place", &Command::Increment { key: "answered".into(), by: 0 }).await;
    assert_eq!(answered, json!(CALLERS * EACH - crashed));
    Arc::try_unwrap(mesh).ok().unwrap().stop().await;
}
