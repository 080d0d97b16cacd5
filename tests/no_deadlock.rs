//! No set of services waits for itself for ever, and one full mailbox stalls nobody else.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::time::{Duration, Instant};

use airssys_tests::Mesh;
use prober_protocol::Command;
use serde_json::{Value, json};

fn service(name: &str, more: &str) -> String {
    format!(
        "[[service]]\nname = \"{name}\"\nrelease = \"@prober\"\n{more}\n[service.grants]\nsend = [\"**\"]\ncall = [\"**\"]\n"
    )
}

fn call(to: &str, body: &Command) -> Command {
    Command::Call { to: to.into(), key: None, body: body.value(), timeout_ms: 30_000 }
}

/// The name of the innermost refusal in an answer of nested calls.
fn innermost(outcome: &Value) -> &str {
    match (outcome.get("ok"), outcome.get("err")) {
        (Some(inner), _) => innermost(inner),
        (_, Some(refusal)) => refusal["name"].as_str().unwrap(),
        _ => panic!("no outcome: {outcome}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_cycle_fails_at_once_and_typed() {
    let mesh =
        Mesh::start(&format!("name = \"m\"\n{}{}{}", service("a", ""), service("b", ""), service("c", ""))).await;
    let begun = Instant::now();
    assert_eq!(mesh.refused("a", &call("a", &Command::Count)).await, "deadlock");
    let around = mesh.ok("a", &call("b", &call("a", &Command::Count))).await;
    assert_eq!(innermost(&around), "deadlock");
    let far_around = mesh.ok("a", &call("b", &call("c", &call("a", &Command::Count)))).await;
    assert_eq!(innermost(&far_around), "deadlock");
    assert!(begun.elapsed() < Duration::from_secs(20), "it waited for a time-out: {:?}", begun.elapsed());
    // All three live on, and none of them still counts as waiting.
    for name in ["a", "b", "c"] {
        assert_eq!(
            mesh.ok(name, &call(if name == "a" { "b" } else { "a" }, &Command::Echo(json!(1)))).await,
            json!({ "ok": 1 })
        );
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crossing_calls_of_unrelated_messages_fail_typed_and_not_by_time() {
    let mesh = Mesh::start(&format!("name = \"m\"\n{}{}", service("a", ""), service("b", ""))).await;
    // Each is busy first, so that both turns run before either of them calls.
    let crossing = |other: &str| Command::Do(vec![Command::Sleep(200), call(other, &Command::Echo(json!(1)))]);
    let begun = Instant::now();
    let (from_b, from_a) = (crossing("b"), crossing("a"));
    let (a, b) = tokio::join!(mesh.ok("a", &from_b), mesh.ok("b", &from_a));
    let refused: Vec<bool> = [&a[1], &b[1]].iter().map(|outcome| outcome["err"]["name"] == json!("deadlock")).collect();
    assert_eq!(refused.iter().filter(|refused| **refused).count(), 1, "exactly the second to call is refused: {a} {b}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_may_call_back_into_itself_while_a_member_is_free() {
    let mesh = Mesh::start(&format!("name = \"m\"\n{}{}", service("pool", "instances = 2"), service("b", ""))).await;
    let around = mesh.ok("pool", &call("b", &call("pool", &Command::Echo(json!("free"))))).await;
    assert_eq!(around["ok"]["ok"], json!("free"), "{around}");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_of_full_mailboxes_ends_in_overloaded_within_its_time_out() {
    let small = "mailbox = { capacity = 1 }";
    let mesh = Mesh::start(&format!(
        "name = \"m\"\n[settings]\nreserve_timeout = \"100ms\"\n{}{}{}",
        service("a", small),
        service("b", small),
        service("c", small)
    ))
    .await;
    // While each sleeps, its mailbox is filled; then each sends to the next one, whose mailbox is full.
    let turn = |next: &str| {
        Command::Do(vec![
            Command::Sleep(300),
            Command::Send { to: next.into(), key: None, body: Command::Quiet.value() },
        ])
    };
    let begun = Instant::now();
    for (name, next) in [("a", "b"), ("b", "c"), ("c", "a")] {
        mesh.tell(name, &turn(next)).await.unwrap();
        mesh.until("the turn has begun", |mesh| mesh.status(name).queued == 0).await;
        mesh.tell(name, &Command::Quiet).await.unwrap();
    }
    for name in ["a", "b", "c"] {
        mesh.until("its turn ends, and what filled its mailbox is handled", |mesh| mesh.status(name).handled >= 2)
            .await;
    }
    // The first that gives up makes room for who waits for it: one refusal is enough to open the ring.
    let refused: u64 = ["a", "b", "c"].iter().map(|name| mesh.status(name).rejected).sum();
    assert!((1..=3).contains(&refused), "{refused} refusals");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_mailbox_does_not_slow_a_sender_to_others() {
    let mesh = Mesh::start(&format!(
        "name = \"m\"\n[settings]\nreserve_timeout = \"10s\"\n{}{}{}",
        service("full", "mailbox = { capacity = 1, overflow = \"refuse\" }\nlimits = { turn_deadline = \"60s\" }"),
        service("free", ""),
        service("sender", "limits = { turn_deadline = \"60s\" }")
    ))
    .await;
    mesh.tell("full", &Command::Sleep(600_000)).await.unwrap();
    mesh.until("its turn has begun", |mesh| mesh.status("full").queued == 0).await;
    mesh.tell("full", &Command::Quiet).await.unwrap();
    let send = |to: &str| Command::Send { to: to.into(), key: None, body: Command::Quiet.value() };
    let mixed: Vec<Command> = (0..100).flat_map(|_| [send("full"), send("free")]).collect();
    let begun = Instant::now();
    let outcomes = mesh.ok("sender", &Command::Do(mixed)).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    for pair in outcomes.as_array().unwrap().chunks(2) {
        assert_eq!((&pair[0]["err"]["name"], &pair[1]["ok"]), (&json!("overloaded"), &json!(null)), "{pair:?}");
    }
    mesh.until("all arrive", |mesh| mesh.status("free").handled == 100).await;
    // The host's own sends to others go on as well.
    assert_eq!(mesh.ok("free", &Command::Echo(json!(1))).await, json!(1));
    let report = mesh.runtime.shutdown().await;
    assert_eq!(report.killed, ["m/full"], "only the one that sleeps on had to be killed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_to_ones_own_full_mailbox_answers_at_once() {
    let mesh = Mesh::start(&format!(
        "name = \"m\"\n[settings]\nreserve_timeout = \"20s\"\n{}",
        service("a", "mailbox = { capacity = 2 }")
    ))
    .await;
    let to_self = || Command::Send { to: "a".into(), key: None, body: Command::Quiet.value() };
    let begun = Instant::now();
    let outcomes = mesh.ok("a", &Command::Do(vec![to_self(), to_self(), to_self()])).await;
    assert_eq!(outcomes[2]["err"]["name"], json!("overloaded"), "{outcomes}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    mesh.until("the two that found room arrive", |mesh| mesh.status("a").handled == 3).await;
    mesh.stop().await;
}
