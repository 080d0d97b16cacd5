//! A turn's effects are all seen, exactly once, or none of them is.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use airssys_tests::{Mesh, PATIENCE};
use airssys_wasm::error::{CallError, Crash, Fault};
use airssys_wasm::hint::Coded;
use prober_protocol::{Command, FaultKind, Outcome, Trap};
use serde_json::json;

/// A worker that does what it is told, and a recorder that keeps what it is sent.
const WORKER_AND_RECORDER: &str = r#"
    name = "turns"
    [root]
    intensity = 1000
    [[service]]
    name = "recorder"
    release = "@prober"
    [service.grants]
    subscribe = ["news/**"]
    [[service]]
    name = "worker"
    release = "@prober"
    limits = { turn_deadline = "5s", turn_budget = "200ms" }
    [service.grants]
    send = ["recorder"]
    call = ["recorder"]
    publish = ["news/**"]
"#;

/// Everything that a turn holds back, marked with `mark`.
fn effects(mark: &str) -> Vec<Command> {
    vec![
        Command::Set { key: "mark".into(), value: json!(mark) },
        Command::Increment { key: "count".into(), by: 1 },
        Command::Send {
            to: "recorder".into(),
            key: None,
            body: Command::Record(json!(format!("sent {mark}"))).value(),
        },
        Command::Publish {
            topic: "news/today".into(),
            body: Command::Record(json!(format!("published {mark}"))).value(),
        },
        Command::SendAfter {
            delay_ms: 0,
            body: Command::Set { key: format!("timer {mark}"), value: json!(true) }.value(),
        },
    ]
}

/// Turns end one after the other, so an answer of the recorder means that all that was sent before it was handled.
async fn recorded(mesh: &Mesh) -> serde_json::Value {
    mesh.ok("recorder", &Command::Get("record".into())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_successful_turn_did_is_all_there_exactly_once() {
    let mesh = Mesh::start(WORKER_AND_RECORDER).await;
    mesh.ok("recorder", &Command::Subscribe("news/**".into())).await;
    mesh.ok("worker", &Command::Do(effects("a"))).await;
    mesh.ok("worker", &Command::Do(effects("b"))).await;
    mesh.until("the timers arrive", |mesh| mesh.stored("worker", "timer b") == json!(true)).await;
    assert_eq!(recorded(&mesh).await, json!(["sent a", "published a", "sent b", "published b"]));
    assert_eq!(mesh.ok("worker", &Command::Get("mark".into())).await, json!("b"));
    assert_eq!(mesh.ok("worker", &Command::Increment { key: "count".into(), by: 0 }).await, json!(2));
    assert_eq!(mesh.stored("worker", "timer a"), json!(true));
    assert_eq!(mesh.dead(), Vec::<&str>::new());
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_failed_turn_did_is_nowhere_to_be_seen() {
    let mesh = Mesh::start(WORKER_AND_RECORDER).await;
    mesh.ok("recorder", &Command::Subscribe("news/**".into())).await;
    let endings = [
        Command::Fail { fault: FaultKind::Refused, reason: "no".into() },
        Command::Trap(Trap::Panic),
        Command::Trap(Trap::EndlessLoop),
        Command::Trap(Trap::OutOfMemory),
        Command::Exit(1),
    ];
    for (number, ending) in endings.into_iter().enumerate() {
        let mut commands = effects(&format!("failed {number}"));
        commands.push(ending.clone());
        let failed = mesh.ask("worker", &Command::Do(commands)).await;
        assert!(failed.is_err(), "{ending:?}: {failed:?}");
    }
    // What comes after the failures is handled after anything they might have left behind.
    mesh.ok("worker", &Command::Do(effects("good"))).await;
    mesh.until("the timer arrives", |mesh| mesh.stored("worker", "timer good") == json!(true)).await;
    assert_eq!(recorded(&mesh).await, json!(["sent good", "published good"]));
    assert_eq!(mesh.ok("worker", &Command::Keys).await, json!(["count", "mark", "timer good"]));
    assert_eq!(mesh.ok("worker", &Command::Increment { key: "count".into(), by: 0 }).await, json!(1));
    mesh.stop().await;
}

/// Whether a crash is the one that was to be.
type Expected = fn(&Crash) -> bool;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_to_fail_is_told_apart() {
    let mesh = Mesh::start(WORKER_AND_RECORDER).await;
    for (fault, expected) in [
        (FaultKind::Invalid, Fault::Invalid("why".into())),
        (FaultKind::Refused, Fault::Refused("why".into())),
        (FaultKind::Unavailable, Fault::Unavailable("why".into())),
        (FaultKind::Internal, Fault::Internal("why".into())),
    ] {
        let failed = mesh.ask("worker", &Command::Fail { fault, reason: "why".into() }).await;
        assert_eq!(failed, Err(CallError::Fault(expected)));
    }
    assert_eq!(mesh.status("worker").started, 1, "a fault is an answer: the instance lives on");

    let traps: [(Command, Expected); 9] = [
        (Command::Trap(Trap::Panic), |crash| matches!(crash, Crash::Trap { trap, .. } if trap.contains("unreachable"))),
        (
            Command::Trap(Trap::Unreachable),
            |crash| matches!(crash, Crash::Trap { trap, .. } if trap.contains("unreachable")),
        ),
        (
            Command::Trap(Trap::DivideByZero),
            |crash| matches!(crash, Crash::Trap { trap, .. } if trap.contains("divide by zero")),
        ),
        (
            Command::Trap(Trap::OutOfBounds),
            |crash| matches!(crash, Crash::Trap { trap, .. } if trap.contains("out of bounds")),
        ),
        (Command::Trap(Trap::StackOverflow), |crash| matches!(crash, Crash::StackOverflow { .. })),
        (Command::Trap(Trap::EndlessLoop), |crash| matches!(crash, Crash::Budget { .. })),
        (Command::Trap(Trap::OutOfMemory), |crash| matches!(crash, Crash::OutOfMemory { .. })),
        (Command::HugeAnswer(5 << 20), |crash| matches!(crash, Crash::Oversized { .. })),
        (Command::Exit(1), |crash| matches!(crash, Crash::Exit { status: 1 })),
    ];
    for (number, (command, expected)) in traps.into_iter().enumerate() {
        match mesh.ask("worker", &command).await {
            Err(CallError::Crashed(crash)) => assert!(expected(&crash), "{command:?}: {crash:?}"),
            other => panic!("{command:?}: {other:?}"),
        }
        mesh.until("a fresh instance", |mesh| mesh.status("worker").started == number as u64 + 2).await;
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_waits_too_long_is_ended_at_its_deadline() {
    let mesh = Mesh::start(&WORKER_AND_RECORDER.replace("\"5s\"", "\"30ms\"")).await;
    let slept = mesh.ask("worker", &Command::Sleep(60_000)).await;
    assert!(matches!(slept, Err(CallError::Crashed(Crash::Deadline { .. }))), "{slept:?}");
    assert_eq!(mesh.ok("worker", &Command::Echo(json!(1))).await, json!(1));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_too_large_never_leaves() {
    let mesh = Mesh::start(WORKER_AND_RECORDER).await;
    let refused = mesh.refused("worker", &Command::SendBytes { to: "recorder".into(), bytes: (1 << 20) + 1 }).await;
    assert_eq!(refused, "too-large");
    let from_the_host = mesh.runtime.send("recorder", vec![0; (1 << 20) + 1]).await.unwrap_err();
    assert_eq!(from_the_host.code(), "too-large");
    let huge = mesh.runtime.send("recorder", vec![0; 100 << 20]).await.unwrap_err();
    assert_eq!(huge.code(), "too-large");
    assert_eq!(mesh.status("recorder").accepted, 0);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_says_who_sent_and_the_guest_cannot() {
    let mesh = Mesh::start(WORKER_AND_RECORDER).await;
    let call = Command::Call { to: "recorder".into(), key: None, body: Command::Whoami.value(), timeout_ms: 5_000 };
    let seen = mesh.ok("worker", &call).await;
    assert_eq!((&seen["ok"]["sender"], &seen["ok"]["delivery"]), (&json!("worker"), &json!("call")), "{seen}");
    let seen = mesh.ok("recorder", &Command::Whoami).await;
    assert_eq!((&seen["sender"], &seen["address"]), (&json!(null), &json!("recorder")));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_timer_never_arrives_even_from_the_mailbox() {
    let mesh = Mesh::start(WORKER_AND_RECORDER).await;
    let mark = |key: &str| Command::Set { key: key.into(), value: json!(true) }.value();
    let far = mesh.ok("worker", &Command::SendAfter { delay_ms: 3_600_000, body: mark("far") }).await.as_u64().unwrap();
    assert_eq!(mesh.ok("worker", &Command::Cancel(far)).await, json!(true));
    assert_eq!(mesh.ok("worker", &Command::Cancel(far)).await, json!(false));
    // It runs out while the worker computes, so it is in the mailbox behind the turn that cancels it.
    let soon = mesh.ok("worker", &Command::SendAfter { delay_ms: 30, body: mark("soon") }).await.as_u64().unwrap();
    let cancelled = mesh.ok("worker", &Command::Do(vec![Command::Busy(100), Command::Cancel(soon)])).await;
    assert_eq!(cancelled[1]["ok"], json!(true), "{cancelled}");
    assert_eq!(mesh.ok("worker", &Command::Keys).await, json!([]));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_deletes_keys_while_going_through_them_leaves_none_out() {
    let topology = WORKER_AND_RECORDER.replace("5s", "60s").replace("200ms", "60s");
    let mesh = Mesh::start(&topology).await;
    // Three pages, of which the turn that deletes them has made none, some or all.
    for (before, within) in [(2_500, 0), (1_200, 2_500), (0, 2_500)] {
        mesh.ok("worker", &Command::SetMany(before)).await;
        let turn = Command::Do(vec![Command::SetMany(within), Command::Prune, Command::Keys]);
        let told = mesh.ok("worker", &turn).await;
        assert_eq!(told[1]["ok"], json!(before.max(within)), "{before} and {within}");
        assert_eq!(told[2]["ok"], json!([]), "{before} and {within}");
        assert_eq!(mesh.ok("worker", &Command::Keys).await, json!([]));
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_increment_of_what_is_no_counter_says_so_and_changes_nothing() {
    let mesh = Mesh::start(WORKER_AND_RECORDER).await;
    let increment = |key: &str, by| Command::Increment { key: key.into(), by };
    let refused = async |command: &Command| match mesh.ask("worker", command).await {
        Ok(Outcome::Err(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    mesh.ok("worker", &Command::Set { key: "drink".into(), value: json!("tea") }).await;
    let no_counter = refused(&increment("drink", 1)).await;
    assert!(no_counter.name == "store" && no_counter.text.contains("\"drink\""), "{no_counter:?}");
    assert!(no_counter.text.contains("no counter") && no_counter.text.contains("5 bytes"), "{no_counter:?}");
    assert_eq!(mesh.ok("worker", &Command::Get("drink".into())).await, json!("tea"));

    assert_eq!(mesh.ok("worker", &increment("cups", u64::MAX)).await, json!(u64::MAX));
    let overflow = refused(&increment("cups", 2)).await;
    assert!(overflow.name == "store" && overflow.text.contains("\"cups\""), "{overflow:?}");
    assert!(overflow.text.contains(&u64::MAX.to_string()), "{overflow:?}");
    assert_eq!(mesh.ok("worker", &increment("cups", 0)).await, json!(u64::MAX), "as it was");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_partitioned_pool_a_key_in_the_address_is_the_partition_key() {
    let pool = "[[service]]\nname = \"pool\"\nrelease = \"@prober\"\ninstances = 2\npartitioned = true\n";
    let sender = "[[service]]\nname = \"sender\"\nrelease = \"@prober\"\ngrants = { send = [\"pool\"] }\n";
    let mesh = Mesh::start(&format!("name = \"m\"\n{pool}{sender}")).await;
    let set = |key: &str| Command::Set { key: "k".to_owned(), value: json!(key) };
    for key in ["a", "b", "c"] {
        mesh.ok(&format!("pool/{key}"), &set(key)).await;
    }
    let sends = Command::Send { to: "pool/d".to_owned(), key: None, body: set("d").value() };
    mesh.ok("sender", &sends).await;
    for key in ["a", "b", "c", "d"] {
        let answer = mesh.runtime.call(("pool", key), Command::Get("k".to_owned()).bytes(), PATIENCE).await;
        let answer: Outcome = serde_json::from_slice(&answer.unwrap().unwrap()).unwrap();
        assert_eq!(answer, Outcome::Ok(json!(key)), "each key has a state of its own, however it is named");
    }
    mesh.stop().await;
}
