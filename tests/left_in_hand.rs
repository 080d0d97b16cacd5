//! What an actor leaves in hand that does not come back is another member's of its pool; where nobody is left who could
//! try it, it is a dead letter at once, and says over what it crashed.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::time::Duration;

use airssys_tests::{Mesh, PATIENCE, code_cache, overseer_and_workers, read, with_guests};
use airssys_wasm::deploy::DeployOptions;
use airssys_wasm::error::{CallError, Crash};
use airssys_wasm::events::{Happening, Heard, Kind, Subscription};
use airssys_wasm::trial::Trial;
use prober_protocol::{Command, Trap};
use serde_json::json;
use tokio::time::timeout;

/// A back-off that no test waits for.
const LONG: &str = "backoff = { initial = \"1h\", max = \"1h\" }";
const TEMPORARY: &str = "restart = \"temporary\"\nretries = 3";

/// A prober `a` under the root, with more keys of either, and who counts how often it was tried.
fn topology(root: &str, more: &str) -> String {
    format!(
        "name = \"m\"\n[root]\nintensity = 1000\n{root}\n[[service]]\nname = \"counter\"\nrelease = \"@prober\"\n\
         [[service]]\nname = \"a\"\nrelease = \"@prober\"\ngrants = {{ call = [\"counter\"] }}\n{more}\n"
    )
}

/// Counts that it is tried, and ends the instance.
fn counted(end: Command) -> Command {
    let body = Command::Increment { key: "tries".into(), by: 1 }.value();
    Command::Do(vec![Command::Call { to: "counter".into(), key: None, body, timeout_ms: 60_000 }, end])
}

fn crashes() -> Command {
    counted(Command::Trap(Trap::Panic))
}

/// How often it was tried.
fn tries(mesh: &Mesh) -> u64 {
    mesh.status("counter").handled
}

/// What the next event of this kind is.
async fn next(events: &mut Subscription) -> Happening {
    match timeout(PATIENCE, events.next()).await.unwrap() {
        Some(Heard::Event(event)) => event.what.clone(),
        other => panic!("{other:?}"),
    }
}

/// The next dead letter is told, and kept, with this reason, after so many tries that counted.
async fn is_dead(mesh: &Mesh, events: &mut Subscription, reason: &str, attempt: u32, case: &str) {
    let Happening::DeadLetter { id, reason: told, detail, .. } = next(events).await else { panic!("{case}") };
    assert_eq!(told, reason, "{case}");
    let letters = mesh.runtime.dead_letters().1;
    let letter = letters.iter().find(|letter| letter.id == id).unwrap();
    assert_eq!((letter.attempt, letter.reason.to_string()), (attempt, detail.unwrap_or(told)), "{case}");
}

#[test]
fn what_a_member_crashed_over_that_does_not_come_back_is_handled_by_another_one() {
    for (restart, fault) in [("temporary", "crash"), ("temporary", "hang"), ("transient", "crash")] {
        let more = format!("instances = 2\nretries = 1\nrestart = \"{restart}\"");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("airssys.toml"), with_guests(&topology("", &more))).unwrap();
        let file = folder.path().join("airssys.test.toml");
        let test = format!(
            "settle = \"30s\"\n[[workload]]\nservice = \"a\"\nask = '{{\"echo\":1}}'\ntimes = 5\npatience = \"20s\"\n\
             [[fault]]\nkind = \"{fault}\"\nservice = \"a\"\nnth = 2\n"
        );
        std::fs::write(&file, test).unwrap();
        let trial = Trial::read(&file).unwrap_or_else(|error| panic!("{error}"));
        for seed in 1..6 {
            let tried = trial.run(seed, Some(&code_cache()), true).unwrap();
            let said = (tried.answered, tried.failed, tried.turns_of["a"], tried.broken);
            assert_eq!(said, (5, 0, 6, Vec::new()), "{restart} {fault} {seed}:\n{}", tried.steps.join("\n"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_member_tries_what_the_one_before_crashed_over_as_often_as_that_may_be_tried() {
    // So many members, how often they were tried, and what is said of the message then.
    let cases = [(2, 2, "crashed", 1), (3, 3, "crashed", 2), (4, 4, "poisoned", 3), (5, 4, "poisoned", 3)];
    for (members, tried, reason, attempt) in cases {
        let mesh = Mesh::start(&topology("", &format!("instances = {members}\n{TEMPORARY}"))).await;
        let mut letters = mesh.runtime.events().of_kinds(&[Kind::DeadLetter]);
        mesh.tell("a", &crashes()).await.unwrap();
        is_dead(&mesh, &mut letters, reason, attempt, &format!("{members} members")).await;
        assert_eq!(tries(&mesh), tried, "{members} members");
        // Nobody else has it.
        let answer = mesh.ask("a", &Command::Echo(json!(1))).await;
        assert_eq!(answer.is_ok(), members > tried, "{members} members: {answer:?}");
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_comes_back_it_is_a_dead_letter_that_says_over_what_it_crashed() {
    let transient = "restart = \"transient\"\nretries = 3";
    let cases = [
        ("a temporary actor", TEMPORARY.to_owned(), crashes(), 1),
        ("a temporary lane", format!("instances = 3\npartitioned = true\n{TEMPORARY}"), crashes(), 1),
        ("a transient actor that ends normally", transient.to_owned(), counted(Command::Exit(0)), 1),
        ("a transient lane", format!("instances = 3\npartitioned = true\n{transient}"), counted(Command::Exit(0)), 1),
        ("members that end normally", format!("instances = 2\n{transient}"), counted(Command::Exit(0)), 2),
    ];
    for (case, more, command, tried) in cases {
        let mesh = Mesh::start(&topology("", &more)).await;
        let mut letters = mesh.runtime.events().of_kinds(&[Kind::DeadLetter]);
        let to = if case.contains("lane") { ("a", Some("key")) } else { ("a", None) };
        let answer = mesh.runtime.call(to, command.bytes(), PATIENCE).await;
        assert!(matches!(answer, Err(CallError::Crashed(_))), "{case}: {answer:?}");
        is_dead(&mesh, &mut letters, "crashed", tried - 1, case).await;
        assert_eq!(tries(&mesh), u64::from(tried), "{case}");
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_tries_it_again_as_often_as_said() {
    let cases = [
        ("a permanent actor", "", crashes()),
        ("a permanent actor that ends normally", "", counted(Command::Exit(0))),
        ("a transient actor", "restart = \"transient\"", crashes()),
        ("members that are transient", "restart = \"transient\"\ninstances = 2", crashes()),
        ("a key", "keyed = {}", crashes()),
        // It sleeps, and is woken for what it has left.
        ("a key that ends normally", "keyed = {}", counted(Command::Exit(0))),
        ("a key of a temporary service", "keyed = {}\nrestart = \"temporary\"", crashes()),
    ];
    for (case, more, command) in cases {
        let mesh = Mesh::start(&topology("", &format!("retries = 2\n{more}"))).await;
        let mut letters = mesh.runtime.events().of_kinds(&[Kind::DeadLetter]);
        let to = if case.contains("key") { "a/key" } else { "a" };
        assert!(mesh.ask(to, &command).await.is_err(), "{case}");
        is_dead(&mesh, &mut letters, "poisoned", 2, case).await;
        assert_eq!(tries(&mesh), 3, "{case}");
        assert_eq!(mesh.ok(to, &Command::Echo(json!(1))).await, json!(1), "{case}");
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_back_off_that_a_stop_ends_is_a_dead_letter() {
    for more in ["", "instances = 2", "instances = 2\npartitioned = true"] {
        for way in ["stopped", "removed", "other members"] {
            let case = format!("{more} {way}");
            let of = |more: &str| topology(LONG, &format!("{more}\nretries = 3"));
            let mesh = Mesh::start(&of(more)).await;
            let mut letters = mesh.runtime.events().of_kinds(&[Kind::DeadLetter]);
            let mut ends = mesh.runtime.events().of_kinds(&[Kind::Ended]);
            mesh.runtime
                .send(("a", Some("key").filter(|_| more.contains("partitioned"))), crashes().bytes())
                .await
                .unwrap();
            next(&mut ends).await;
            let next = match way {
                "stopped" => None,
                "removed" => Some("name = \"m\"\n[root]\nintensity = 1000\n".to_owned()),
                _ => Some(of("instances = 5")),
            };
            match next {
                None => assert!(!mesh.runtime.stop_service("a").await.unwrap(), "{case}"),
                Some(next) => {
                    let next = read(mesh.folder.path(), &next).unwrap();
                    mesh.runtime.apply(next, DeployOptions::default()).await.unwrap();
                }
            }
            is_dead(&mesh, &mut letters, "crashed", 0, &case).await;
            mesh.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_is_terminated_leaves_what_it_has_to_the_others() {
    // One that waits for its back-off, and one that is killed in its turn: a try that counts, since it was cut off.
    for (how, shutdown) in [("waits", "5s"), ("is killed", "brutal-kill")] {
        let more = format!("instances = 2\nretries = 1\nshutdown = \"{shutdown}\"");
        let mesh = Mesh::start(&topology(LONG, &more)).await;
        let mut letters = mesh.runtime.events().of_kinds(&[Kind::DeadLetter]);
        let mut ends = mesh.runtime.events().of_kinds(&[Kind::Ended]);
        let end = if how == "waits" { Command::Trap(Trap::Panic) } else { Command::Sleep(60_000) };
        mesh.until("all sleep", |mesh| mesh.runtime.is_quiet()).await;
        mesh.tell("a", &counted(end)).await.unwrap();
        mesh.until("it is tried", |mesh| tries(mesh) == 1).await;
        let member = if how == "waits" {
            let Happening::Ended { actor, .. } = next(&mut ends).await else { panic!("{how}") };
            actor
        } else {
            // The first one takes what comes to a pool that sleeps.
            "a#0".to_owned()
        };
        mesh.runtime.root().terminate_child(member.as_str()).await.unwrap();
        mesh.until("the other one tries it", |mesh| tries(mesh) == 2).await;
        let other = if member == "a#0" { "a#1" } else { "a#0" };
        mesh.runtime.root().terminate_child(other).await.unwrap();
        is_dead(&mesh, &mut letters, if how == "waits" { "poisoned" } else { "stopped" }, 1, how).await;
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_supervisor_gives_up_leaves_dead_letters() {
    for more in ["", "instances = 2", "instances = 2\npartitioned = true"] {
        let inner = "[[supervisor]]\nname = \"inner\"\nintensity = 0\nrestart = \"transient\"";
        let mesh = Mesh::start(&topology(inner, &format!("supervisor = \"inner\"\nretries = 3\n{more}"))).await;
        let mut letters = mesh.runtime.events().of_kinds(&[Kind::DeadLetter]);
        let to = ("a", Some("key").filter(|_| more.contains("partitioned")));
        let answer = mesh.runtime.call(to, crashes().bytes(), PATIENCE).await;
        assert!(matches!(answer, Err(CallError::Crashed(Crash::Trap { .. }))), "{more}: {answer:?}");
        is_dead(&mesh, &mut letters, "crashed", 0, more).await;
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_does_not_come_back_leaves_a_dead_letter() {
    let services = overseer_and_workers("", &format!("spawned = {{}}\n{TEMPORARY}"));
    let mesh = Mesh::start(&format!("name = \"m\"\n[root]\nintensity = 1000\n{services}")).await;
    let mut letters = mesh.runtime.events().of_kinds(&[Kind::DeadLetter]);
    mesh.ok("overseer", &Command::Spawn { service: "worker".into(), name: "w".into() }).await;
    let answer = mesh.runtime.call("worker/w", Command::Trap(Trap::Panic).bytes(), PATIENCE).await;
    assert!(matches!(answer, Err(CallError::Crashed(Crash::Trap { .. }))), "{answer:?}");
    is_dead(&mesh, &mut letters, "crashed", 0, "a child").await;
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_end_at_the_same_time_lose_nothing() {
    const MESSAGES: u64 = 200;
    for restart in ["temporary", "transient"] {
        let mesh = Mesh::start(&topology("", &format!("instances = 8\nretries = 2\nrestart = \"{restart}\""))).await;
        let mut said = tokio::task::JoinSet::new();
        for number in 0..MESSAGES {
            let runtime = mesh.runtime.clone();
            // A third of those that end an instance end it normally.
            let command = match number % 30 {
                7 => Command::Exit(0),
                17 | 27 => Command::Trap(Trap::Panic),
                _ => Command::Echo(json!(number)),
            };
            said.spawn(async move { runtime.call("a", command.bytes(), Duration::from_secs(50)).await.is_err() });
        }
        let failed = said.join_all().await.into_iter().filter(|failed| *failed).count() as u64;
        let status = mesh.status("a");
        let dead = mesh.runtime.dead_letters().0;
        assert_eq!(
            (status.accepted, status.handled),
            (status.handled + dead, MESSAGES - failed),
            "{restart}: {status:?}"
        );
        assert!(dead > 0, "{restart}");
        mesh.stop().await;
    }
}
