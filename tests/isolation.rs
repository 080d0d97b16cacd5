//! What a guest does to itself ends in a typed outcome, its siblings answer throughout, and the host keeps nothing of
//! it.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]
#![allow(clippy::print_stdout, reason = "the soak tells what it measured")]

use airssys_tests::{Mesh, PATIENCE, footprint};
use airssys_wasm::error::CallError;
use airssys_wasm::hint::Coded;
use prober_protocol::{Command, Flooded, Outcome, Trap};
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
    name = "roomy"
    release = "@prober"
    limits = { memory = "256MiB", boundary = "256MiB", turn_deadline = "60s", turn_budget = "60s", log_line = "16B" }
    [service.grants]
    send = ["sink"]
    [[service]]
    name = "narrow"
    release = "@prober"
    limits = { memory = "256MiB", boundary = "1MiB", turn_deadline = "60s", turn_budget = "60s", log_line = "16B" }
    [service.grants]
    send = ["sink"]
    [[service]]
    name = "patient"
    release = "@prober"
    limits = { memory = "6MiB", boundary = "1MiB", turn_deadline = "5s", turn_budget = "4s", log_line = "16B", effects = 100000 }
    [service.grants]
    send = ["sink"]
"#;

/// What a mailbox of the sink holds.
const SINK: u64 = 64;
/// What no service here takes.
const HUGE: usize = 100 << 20;

struct Attack {
    name: &'static str,
    victim: &'static str,
    command: Command,
    outcome: Expected,
    /// Made in every so-many-th round only: those that fill a hundred megabytes first take a tenth of a second each.
    every: usize,
}

/// How an attack ends.
#[derive(Clone, Copy)]
enum Expected {
    /// The instance does, with this code.
    Crash(&'static str),
    /// The guest is refused by this name, and goes on.
    Refused(&'static str),
    /// The sink takes what it has room for, and the guest is refused the rest by this name.
    Flooded(&'static str),
}

fn attacks() -> Vec<Attack> {
    use Expected::{Crash, Flooded, Refused};
    let attack = |name, command, outcome| {
        // What is not about time gets all the time it needs, however busy the machine is.
        let victim = if matches!(outcome, Crash("budget")) { "victim" } else { "patient" };
        Attack { name, victim, command, outcome, every: 1 }
    };
    let flood = Command::FloodSend { to: "sink".into(), messages: 300 };
    let huge = |name, victim, outcome| {
        let every = if victim == "patient" { 1 } else { 25 };
        Attack { name, victim, command: Command::SendBytes { to: "sink".into(), bytes: HUGE }, outcome, every }
    };
    vec![
        attack("endless loop", Command::Trap(Trap::EndlessLoop), Crash("budget")),
        attack("memory until it is refused", Command::Trap(Trap::OutOfMemory), Crash("out-of-memory")),
        attack("4 GiB at once", Command::Trap(Trap::AllMemory), Crash("out-of-memory")),
        attack("infinite recursion", Command::Trap(Trap::StackOverflow), Crash("stack-overflow")),
        attack("host-call flood", Command::Trap(Trap::EndlessLog), Crash("budget")),
        attack("mailbox flood", flood, Flooded("overloaded")),
        attack("panic", Command::Trap(Trap::Panic), Crash("trap")),
        attack("huge answer", Command::HugeAnswer(2 << 20), Crash("oversized")),
        // A message of 100 MB fails at the first limit that it meets.
        huge("huge message, no memory for it", "patient", Crash("out-of-memory")),
        huge("huge message, over the boundary", "narrow", Crash("oversized")),
        huge("huge message, for the mailbox", "roomy", Refused("too-large")),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_attack_ends_in_its_typed_outcome_while_siblings_answer() {
    let mesh = Mesh::start(TOPOLOGY).await;
    let instances = mesh.runtime.instances().0;
    for attack in attacks() {
        // The allocator's and the pool's first rounds do not count.
        for round in (0..rounds().min(20)).step_by(attack.every) {
            strike(&mesh, &attack, round).await;
        }
    }
    mesh.until("all live", |mesh| mesh.runtime.instances().0 == instances).await;
    let before = footprint();
    let mut made = 0;
    for attack in attacks() {
        for round in (0..rounds()).step_by(attack.every) {
            strike(&mesh, &attack, round).await;
            made += 1;
        }
    }
    mesh.until("all live again", |mesh| mesh.runtime.instances().0 == instances).await;
    // The tasks of actors that ended may still be on their way out.
    mesh.until("no task is left over", |_| footprint().tasks <= before.tasks).await;
    let after = footprint();
    assert_eq!(mesh.status("sibling").started, 1, "the sibling was never touched");
    // Fewer is well: the threads that compiled the releases go when they have been idle.
    assert!(after.file_descriptors <= before.file_descriptors, "{before:?} {after:?}");
    assert!(after.threads <= before.threads, "{before:?} {after:?}");
    let grown = after.resident_bytes.saturating_sub(before.resident_bytes);
    assert!(grown < 16 << 20, "the host grew by {grown} bytes over {made} attacks");
    println!("{made} attacks: {before:?}, then {after:?}");
    mesh.stop().await;
}

async fn strike(mesh: &Mesh, attack: &Attack, round: usize) {
    let answer = mesh.ask(attack.victim, &attack.command).await;
    let place = || format!("{} in round {round}: {answer:?}", attack.name);
    match (attack.outcome, &answer) {
        (Expected::Crash(code), Err(CallError::Crashed(crash))) => assert_eq!(crash.code(), code, "{}", place()),
        (Expected::Refused(name), Ok(Outcome::Err(refusal))) => assert_eq!(refusal.name, name, "{}", place()),
        (Expected::Flooded(name), Ok(Outcome::Ok(flooded))) => {
            let flooded: Flooded = serde_json::from_value(flooded.clone()).unwrap();
            assert_eq!((flooded.sent, flooded.last.as_deref()), (SINK, Some(name)), "{}", place());
            mesh.until("the sink is drained", |mesh| mesh.runtime.is_quiet()).await;
        }
        _ => panic!("{}", place()),
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_state_ends_at_the_limit_and_what_was_there_stays() {
    let mesh = Mesh::start(
        "name = \"state\"\n[[service]]\nname = \"hoarder\"\nrelease = \"@prober\"\nlimits = { state = \"8MiB\", turn_budget = \"30s\", turn_deadline = \"30s\" }\n",
    )
    .await;
    mesh.ok("hoarder", &Command::Set { key: "kept".into(), value: json!(1) }).await;
    assert_eq!(mesh.ok("hoarder", &Command::FloodState).await, json!(31), "8 MiB, and something is there already");
    let text = "y".repeat(300 << 10);
    assert_eq!(mesh.refused("hoarder", &Command::Set { key: "more".into(), value: json!(text) }).await, "store");
    assert_eq!(mesh.ok("hoarder", &Command::Get("kept".into())).await, json!(1));
    for number in 0..31 {
        mesh.ok("hoarder", &Command::Delete(format!("flood {number}"))).await;
    }
    mesh.ok("hoarder", &Command::Set { key: "more".into(), value: json!(text) }).await;
    // A turn that fails has taken no room.
    let failed = Command::Do(vec![Command::FloodState, Command::Trap(Trap::Panic)]);
    mesh.ask("hoarder", &failed).await.unwrap_err();
    assert_eq!(mesh.ok("hoarder", &Command::Keys).await, json!(["kept", "more"]));
    mesh.stop().await;
}
