//! What a service does and fails is tried again as its policy says: so often, after so much time, after these errors
//! and no others. A policy changes while the mesh runs.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::fs;
use std::time::{Duration, Instant};

use airssys_tests::{Mesh, asker_and_goal, with_guests};
use airssys_wasm::ConfigError;
use airssys_wasm::deploy::DeployOptions;
use airssys_wasm::topology::Topology;
use prober_protocol::{Command, FaultKind};

fn topology(policy: &str, more: &str) -> String {
    let services = asker_and_goal("retry = \"patient\"\nlimits = { turn_deadline = \"60s\" }", &[]);
    let services = services.replace("send = [\"goal\"]\n", &format!("{more}\nsend = [\"goal\"]\n"));
    format!("name = \"m\"\n[root]\nintensity = 1000\n{services}\n[[retry]]\nname = \"patient\"\n{policy}\n")
}

/// A call that is answered with a fault.
fn fails(fault: FaultKind) -> Command {
    let body = Command::Fail { fault, reason: "no".to_owned() }.value();
    Command::Call { to: "goal".into(), key: None, body, timeout_ms: 60_000 }
}

/// How often the goal was asked since the last time.
struct Tried(u64);

impl Tried {
    fn times(&mut self, mesh: &Mesh) -> u64 {
        let now = mesh.status("goal").faulted;
        now - std::mem::replace(&mut self.0, now)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_tried_so_often_and_after_so_much_time() {
    let mesh = Mesh::start(&topology("attempts = 4\ndelay = \"20ms\"\njitter = 0.0", "")).await;
    let mut tried = Tried(0);
    let begun = Instant::now();
    assert_eq!(mesh.refused("asker", &fails(FaultKind::Unavailable)).await, "fault/unavailable");
    // 20, 40 and 80 ms lie between four tries.
    assert!(begun.elapsed() >= Duration::from_millis(140), "{:?}", begun.elapsed());
    assert_eq!(tried.times(&mesh), 4);
    // What is no such error is told at once.
    assert_eq!(mesh.refused("asker", &fails(FaultKind::Refused)).await, "fault/refused");
    assert_eq!(tried.times(&mesh), 1);
    // Nor is what is denied, nor what the host asks.
    let denied = Command::Call { to: "asker-2".into(), key: None, body: Command::Count.value(), timeout_ms: 60_000 };
    assert!(mesh.refused("asker", &denied).await.ends_with("denied"));
    let Command::Call { body, .. } = fails(FaultKind::Unavailable) else { panic!("a call") };
    let of_host = mesh.runtime.call("goal", serde_json::to_vec(&body).unwrap(), airssys_tests::PATIENCE).await;
    assert!(of_host.is_err());
    assert_eq!(tried.times(&mesh), 1);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_try_is_begun_that_would_come_too_late() {
    let mesh = Mesh::start(&topology("attempts = 1000\ndelay = \"1h\"\nmax_delay = \"1h\"", "")).await;
    assert_eq!(mesh.refused("asker", &fails(FaultKind::Unavailable)).await, "fault/unavailable");
    assert_eq!(Tried(0).times(&mesh), 1);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_changes_while_the_mesh_runs() {
    let quick = |attempts: u32, errors: &str| format!("attempts = {attempts}\ndelay = \"1ms\"\nerrors = [{errors:?}]");
    let mesh = Mesh::start(&topology(&quick(2, "unavailable"), "")).await;
    let mut tried = Tried(0);
    let unavailable = fails(FaultKind::Unavailable);
    mesh.refused("asker", &unavailable).await;
    assert_eq!(tried.times(&mesh), 2);
    let apply = async |text: &str| {
        let file = mesh.folder.path().join("airssys.toml");
        fs::write(&file, with_guests(text)).unwrap();
        mesh.runtime.apply(Topology::read(&file).unwrap(), DeployOptions::default()).await.unwrap();
    };
    apply(&topology(&quick(6, "unavailable"), "")).await;
    mesh.refused("asker", &unavailable).await;
    assert_eq!(tried.times(&mesh), 6);
    apply(&topology(&quick(6, "internal"), "")).await;
    mesh.refused("asker", &unavailable).await;
    mesh.refused("asker", &fails(FaultKind::Internal)).await;
    assert_eq!(tried.times(&mesh), 1 + 6);
    let (without, _) =
        topology("", "").split_once("[[retry]]").map(|(all, rest)| (all.to_owned(), rest.len())).unwrap();
    apply(&without.replace("retry = \"patient\"\n", "")).await;
    mesh.refused("asker", &fails(FaultKind::Internal)).await;
    assert_eq!(tried.times(&mesh), 1);
    assert_eq!((mesh.status("asker").started, mesh.status("goal").started), (1, 1), "nobody was started again");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_without_room_and_a_file_that_is_not_there_are_tried_again() {
    let disk = tempfile::tempdir().unwrap();
    let files = format!("files = {{ \"/out\" = {{ host = {:?}, access = \"read-write\" }} }}", disk.path());
    let policy = "attempts = 1000\ndelay = \"1ms\"\nfactor = 1.0\nerrors = [\"overloaded\", \"no-entry\"]\n\
        applies_to = [\"send\", \"file-open\"]";
    let text = topology(policy, &files);
    let text =
        text.replace("name = \"goal\"\n", "name = \"goal\"\nmailbox = { capacity = 1, overflow = \"refuse\" }\n");
    let mesh = Mesh::start(&text).await;
    // Each turn sends one, and none is lost, though there is room for one.
    for _ in 0..20 {
        let send = Command::Send { to: "goal".into(), key: None, body: Command::Count.value() };
        mesh.ok("asker", &send).await;
    }
    mesh.until("all are handled", |mesh| mesh.runtime.is_quiet()).await;
    assert_eq!(mesh.status("goal").handled, 20);
    // It is there after a while.
    let read = Command::ReadFile("/out/late".into());
    let (read, ()) = tokio::join!(mesh.ok("asker", &read), async {
        mesh.until("it is asked", |mesh| !mesh.runtime.is_quiet()).await;
        fs::write(disk.path().join("late"), "text").unwrap();
    });
    assert_eq!(read, serde_json::json!("text"));
    mesh.stop().await;
}

#[test]
fn what_is_wrong_with_a_policy_is_told() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.wasm"), "").unwrap();
    let read = |text: &str| -> ConfigError {
        Topology::parse(format!("name = \"m\"\n{text}"), folder.path()).map(|_| ()).unwrap_err()
    };
    for (text, line, part) in [
        ("[[retry]]\nname = \"A b\"", 3, "is no name of a [[retry]]"),
        ("[[retry]]\nname = \"a\"\n[[retry]]\nname = \"a\"", 5, "already"),
        ("[[retry]]\nname = \"a\"\nattempts = 0", 4, "attempts"),
        ("[[retry]]\nname = \"a\"\nfactor = 0.5", 4, "0.5 is none of 1 to 100"),
        ("[[retry]]\nname = \"a\"\njitter = 1.5", 4, "1.5 is none of 0 to 1"),
        ("[[retry]]\nname = \"a\"\nerrors = [\"denied\"]", 4, "\"denied\" is no error after which"),
        ("[[retry]]\nname = \"a\"\napplies_to = [\"http\"]", 4, "\"http\" is nothing that is tried again"),
        ("[[service]]\nname = \"s\"\nrelease = \"a.wasm\"\nretry = \"a\"", 5, "there is no [[retry]] \"a\""),
    ] {
        let error = read(text);
        assert_eq!(error.at.map(|(line, _)| line), Some(line), "{text}: {error}");
        assert!(format!("{error} {:?}", error.hint).contains(part), "{text}: {error}");
    }
}
