//! What a guest does to itself ends in a typed outcome, its siblings answer throughout, and the host keeps nothing of it.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use airssys_tests::{Mesh, PATIENCE, footprint};
use airssys_wasm::error::CallError;
use prober_protocol::{Command, Flooded, Trap};
use serde_json::json;

/// How often each attack is made here. `cargo xtask soak` sets the variable to 10,000.
fn rounds() -> usize {
    std::env::var("AIRSSYS_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(500)
}

const TOPOLOGY: &str = r#"
    name = "isolation"
    [settings]
    dead_letters = 100
    [root]
    intensity = 1000000
    [[service]]
    name = "sibling"
    release = "@prober"
    [[service]]
    name = "sink"
    release = "@prober"
    mailbox = { capacity = 64, overflow = "refuse" }
    [[service]]
    name = "victim"
    release = "@prober"
    limits = { memory = "6MiB", boundary = "1MiB", turn_deadline = "5s", turn_budget = "20ms", log_line = "16B", effects = 100000 }
    [service.grants]
    send = ["sink"]
    [[service]]
    name = "patient"
    release = "@prober"
    limits = { memory = "6MiB", boundary = "1MiB", turn_deadline = "5s", turn_budget = "4s", log_line = "16B", effects = 100000 }
    [service.grants]
    send = ["sink"]
"#;

struct Attack {
    name: &'static str,
    /// What is not about time gets all the time it needs, however busy the machine is.
    victim: &'static str,
    command: Command,
    outcome: &'static str,
}

fn attacks() -> Vec<Attack> {
    let attack = |name, command, outcome| {
        let victim = if outcome == "budget" { "victim" } else { "patient" };
        Attack { name, victim, command, outcome }
    };
    vec![
        attack("endless loop", Command::Trap(Trap::EndlessLoop), "budget"),
        attack("memory until it is refused", Command::Trap(Trap::OutOfMemory), "out-of-memory"),
        attack("infinite recursion", Command::Trap(Trap::StackOverflow), "stack-overflow"),
        attack("host-call flood", Command::Trap(Trap::EndlessLog), "budget"),
        attack("panic", Command::Trap(Trap::Panic), "trap"),
        attack("huge answer", Command::HugeAnswer(2 << 20), "oversized"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_attack_ends_in_its_typed_outcome_while_siblings_answer() {
    let mesh = Mesh::start(TOPOLOGY).await;
    for attack in attacks() {
        // The allocator's and the pool's first rounds do not count.
        for round in 0..rounds().min(20) {
            strike(&mesh, &attack, round).await;
        }
    }
    let before = footprint();
    for attack in attacks() {
        for round in 0..rounds() {
            strike(&mesh, &attack, round).await;
        }
    }
    mesh.until("all live again", |mesh| mesh.runtime.instances().0 == 4).await;
    let after = footprint();
    assert_eq!(mesh.status("sibling").started, 1, "the sibling was never touched");
    // Fewer is well: the threads that compiled the releases go when they have been idle.
    assert!(after.file_descriptors <= before.file_descriptors, "{before:?} {after:?}");
    assert!(after.threads <= before.threads, "{before:?} {after:?}");
    let grown = after.resident_bytes.saturating_sub(before.resident_bytes);
    assert!(grown < 16 << 20, "the host grew by {grown} bytes over {} attacks", rounds() * attacks().len());
    mesh.stop().await;
}

async fn strike(mesh: &Mesh, attack: &Attack, round: usize) {
    match mesh.ask(attack.victim, &attack.command).await {
        Err(CallError::Crashed(crash)) => {
            assert_eq!(crash.code(), attack.outcome, "{} in round {round}: {crash}", attack.name)
        }
        other => panic!("{} in round {round}: {other:?}", attack.name),
    }
    assert_eq!(mesh.ok("sibling", &Command::Echo(json!(round))).await, json!(round));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn siblings_answer_while_two_guests_never_stop_computing() {
    let mesh = Mesh::start(&TOPOLOGY.replace("\"20ms\"", "\"4s\"")).await;
    let compute = |service| mesh.runtime.call(service, Command::Busy(1_000).bytes(), PATIENCE);
    let answers = async {
        let mut answered = 0;
        mesh.until("both compute", |mesh| mesh.status("victim").queued + mesh.status("sink").queued == 0).await;
        while mesh.status("victim").handled == 0 {
            mesh.ok("sibling", &Command::Echo(json!(1))).await;
            answered += 1;
        }
        answered
    };
    let (one, other, answered) = tokio::join!(compute("victim"), compute("sink"), answers);
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
    // On two threads that two busy guests hold for 2 ms at a time, a second has room for many turns of a third.
    assert!(answered >= 10, "{answered} answers in a second");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_fills_one_mailbox_and_nothing_else() {
    let mesh = Mesh::start(&TOPOLOGY.replace("\"20ms\"", "\"4s\"")).await;
    mesh.tell("sink", &Command::Busy(200)).await.unwrap();
    mesh.until("the sink computes", |mesh| mesh.status("sink").queued == 0).await;
    let flooded = mesh.ok("victim", &Command::FloodSend { to: "sink".into(), messages: 50_000 }).await;
    let flooded: Flooded = serde_json::from_value(flooded).unwrap();
    assert_eq!((flooded.sent + flooded.refused, flooded.last.as_deref()), (50_000, Some("overloaded")));
    assert_eq!(mesh.ok("sibling", &Command::Echo(json!(1))).await, json!(1));
    mesh.until("what was taken is handled", |mesh| mesh.status("sink").handled == flooded.sent + 1).await;
    mesh.stop().await;
}
