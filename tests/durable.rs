//! Durable state is there after the process, exactly as it was committed; state in memory is not, and a commit that is
//! not on disk never was.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]
#![allow(clippy::print_stdout, reason = "the seed, and what came of it")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use airssys_tests::{Mesh, PATIENCE, shifter, told};
use airssys_wasm::deploy::{DeployOptions, Progress};
use airssys_wasm::error::CallError;
use airssys_wasm::hint::Coded;
use airssys_wasm::registry::Release;
use airssys_wasm::{Runtime, RuntimeError};
use prober_protocol::{Command, FaultKind, Outcome, Trap};
use serde_json::{Value, json};

/// Each way to have state, once in memory and once on disk.
const MESH: &str = r#"
    name = "durable"
    [root]
    intensity = 1000
    [[service]]
    name = "memory"
    release = "@prober"
    [[service]]
    name = "one"
    release = "@prober"
    state = "durable"
    [[service]]
    name = "lanes"
    release = "@prober"
    instances = 3
    partitioned = true
    state = "durable"
    [[service]]
    name = "keyed"
    release = "@prober"
    keyed = { max_keys = 3 }
    state = "durable"
"#;

async fn start(topology: &str, data: &Path) -> Mesh {
    Mesh::try_start(topology, Runtime::builder().data_folder(data)).await.unwrap()
}

fn increment(key: &str) -> Command {
    Command::Increment { key: key.into(), by: 1 }
}

/// Tells a prober with a partition key what to do.
async fn with_key(mesh: &Mesh, to: &str, key: &str, command: &Command) -> Value {
    let answer = mesh.runtime.call((to, key), command.bytes(), PATIENCE).await.unwrap().unwrap();
    match serde_json::from_slice(&answer).unwrap() {
        Outcome::Ok(value) => value,
        refused @ Outcome::Err(_) => panic!("{refused:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_is_there_after_a_restart_and_only_where_it_is_durable() {
    let data = tempfile::tempdir().unwrap();
    let mesh = start(MESH, data.path()).await;
    for service in ["memory", "one"] {
        for commit in 1..=3 {
            assert_eq!(mesh.ok(service, &increment("count")).await, json!(commit));
        }
        mesh.ok(service, &Command::Set { key: "gone".into(), value: json!("soon") }).await;
        mesh.ok(service, &Command::Delete("gone".into())).await;
    }
    for key in ["a", "b", "c", "d", "e", "f"] {
        with_key(&mesh, "lanes", key, &Command::Set { key: "own".into(), value: json!(key) }).await;
    }
    for key in ["a", "b"] {
        with_key(&mesh, "keyed", key, &increment("count")).await;
    }
    mesh.stop().await;

    // With another number of lanes every key has its state still.
    let mesh = start(&MESH.replace("instances = 3", "instances = 5"), data.path()).await;
    assert_eq!(mesh.ok("one", &Command::Keys).await, json!(["count"]));
    assert_eq!(mesh.ok("one", &increment("count")).await, json!(4));
    assert_eq!(mesh.ok("memory", &Command::Keys).await, json!([]));
    for key in ["a", "b", "c", "d", "e", "f"] {
        assert_eq!(with_key(&mesh, "lanes", key, &Command::Get("own".into())).await, json!(key));
    }
    // What nobody has asked for yet is there to be looked at, and counts.
    let keys: BTreeSet<String> = mesh.runtime.state("keyed").into_keys().collect();
    assert_eq!(keys, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
    assert_eq!(mesh.status("keyed").keys, 2);
    assert_eq!(with_key(&mesh, "keyed", "a", &increment("count")).await, json!(2));
    with_key(&mesh, "keyed", "c", &increment("count")).await;
    assert!(mesh.runtime.call(("keyed", "d"), "{}", PATIENCE).await.is_err(), "three keys are the most");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_failed_turn_wrote_is_not_there() {
    let data = tempfile::tempdir().unwrap();
    let mesh = start(MESH, data.path()).await;
    mesh.ok("one", &increment("count")).await;
    for ending in
        [Command::Fail { fault: FaultKind::Refused, reason: "no".into() }, Command::Trap(Trap::Panic), Command::Exit(1)]
    {
        let failed = mesh.ask("one", &Command::Do(vec![increment("count"), increment("other"), ending])).await;
        assert!(failed.is_err(), "{failed:?}");
    }
    assert_eq!(mesh.ok("one", &Command::Keys).await, json!(["count"]), "in the next incarnation");
    mesh.stop().await;
    let mesh = start(MESH, data.path()).await;
    assert_eq!(mesh.ok("one", &Command::Keys).await, json!(["count"]));
    assert_eq!(mesh.ok("one", &increment("count")).await, json!(2));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_mesh_lets_go_of_its_folder_and_a_running_one_does_not() {
    let data = tempfile::tempdir().unwrap();
    let mesh = start(MESH, data.path()).await;
    mesh.ok("one", &increment("count")).await;
    let second = Mesh::try_start(MESH, Runtime::builder().data_folder(data.path())).await.err().unwrap();
    let Some(second @ RuntimeError::State(_)) = second.downcast_ref() else { panic!("{second:?}") };
    assert!(told!(second).contains("is in use; hint: "), "{second}");
    drop(mesh);
    let mesh = start(MESH, data.path()).await;
    assert_eq!(mesh.ok("one", &increment("count")).await, json!(2));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_folder_it_does_not_start() {
    let refused = Mesh::try_start(MESH, Runtime::builder()).await.err().unwrap();
    assert!(matches!(refused.downcast_ref(), Some(RuntimeError::NoDataFolder { service }) if service == "one"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_keeps_durable_state_and_what_its_start_wrote_lasts() {
    let (data, releases) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let release = |name: &str, way: &str| {
        let path = releases.path().join(format!("{name}.wasm"));
        std::fs::write(&path, shifter(name, way)).unwrap();
        path
    };
    let one = release("one", "healthy");
    let topology =
        format!("name = \"mesh\"\n[[service]]\nname = \"counter\"\nrelease = {one:?}\nstate = \"durable\"\n");
    let count = |mesh: &Mesh, key: &str| {
        let states = mesh.runtime.state("counter");
        states[""].get(key).map(|bytes| u64::from_le_bytes(bytes.as_ref().try_into().unwrap()))
    };
    let ask = async |mesh: &Mesh, number: u64| {
        let body = json!({ "from": "a", "number": number }).to_string();
        mesh.runtime.call("counter", body, PATIENCE).await.unwrap()
    };
    let mesh = start(&topology, data.path()).await;
    ask(&mesh, 1).await;
    let two = Release::find(&release("two", "init-counts")).unwrap();
    let mut options = DeployOptions::default();
    options.probation = Duration::ZERO;
    let deployment = mesh.runtime.deploy("counter", two, options).await.unwrap();
    assert_eq!(deployment.ended().await, Progress::Live);
    ask(&mesh, 2).await;
    mesh.stop().await;
    let mesh = start(&topology, data.path()).await;
    ask(&mesh, 3).await;
    assert_eq!(
        (count(&mesh, "handled"), count(&mesh, "starts"), count(&mesh, "out of order")),
        (Some(3), Some(2), None),
        "what was deployed starts again"
    );
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_durable_state_together_has_a_bound_and_what_is_beyond_it_is_an_error_for_who_writes() {
    let data = tempfile::tempdir().unwrap();
    let with = |bound: &str| format!("{MESH}[settings]\ndurable_state = \"{bound}\"\n");
    let set = |key: &str, length: usize| Command::Set { key: key.into(), value: json!("x".repeat(length)) };
    let mesh = start(&with("100KiB"), data.path()).await;
    assert_eq!(mesh.runtime.durable_bytes(), Some((0, Some(100 << 10))));
    // A key of one letter, and a text in quotes.
    mesh.ok("one", &set("a", 60_000)).await;
    let refused = mesh.runtime.call(("keyed", "k"), set("a", 60_000).bytes(), PATIENCE).await.unwrap().unwrap();
    let Outcome::Err(refused) = serde_json::from_slice(&refused).unwrap() else { panic!("it is {refused:?}") };
    assert!(refused.name == "store" && refused.text.contains("durable_state"), "{refused:?}");
    assert_eq!(mesh.runtime.durable_bytes(), Some((60_003, Some(100 << 10))));
    mesh.ok("memory", &set("a", 60_000)).await;
    assert_eq!(mesh.ok("one", &increment("count")).await, json!(1), "there is room for that");
    let crashes = ["one", "keyed"].map(|service| mesh.status(service).crashed);
    assert_eq!(crashes, [0, 0], "nobody crashed over it");

    mesh.stop().await;

    let mesh = start(&with("200KiB"), data.path()).await;
    with_key(&mesh, "keyed", "k", &set("a", 60_000)).await;
    let all = 2 * 60_003 + 13;
    assert_eq!(mesh.runtime.durable_bytes(), Some((all, Some(200 << 10))));
    mesh.stop().await;

    // What a service has that is in the topology no more is in the file, and counts.
    let without = with("150KiB").replace("[[service]]\n    name = \"keyed\"\n", "[[service]]\n    name = \"other\"\n");
    let mesh = start(&without, data.path()).await;
    assert_eq!(mesh.runtime.durable_bytes(), Some((all, Some(150 << 10))));
    assert_eq!(mesh.refused("one", &set("b", 60_000)).await, "store");
    mesh.ok("one", &Command::Delete("a".into())).await;
    mesh.ok("one", &set("b", 60_000)).await;
    assert_eq!(mesh.runtime.durable_bytes(), Some((all, Some(150 << 10))));
    mesh.stop().await;
}

/// A ledger that is killed each time its sibling crashes, and a recorder that hears of each turn.
const KILLED: &str = r#"
    name = "killed"
    [[service]]
    name = "recorder"
    release = "@prober"
    [[supervisor]]
    name = "group"
    strategy = "one-for-all"
    intensity = 100000
    [[service]]
    name = "ledger"
    release = "@prober"
    supervisor = "group"
    state = "durable"
    shutdown = "brutal-kill"
    retries = 100000
    [service.grants]
    send = ["recorder"]
    [[service]]
    name = "trigger"
    release = "@prober"
    supervisor = "group"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_whose_actor_is_killed_over_the_wait_for_the_disk_happens_once_with_all_its_effects_or_is_tried_again() {
    let data = tempfile::tempdir().unwrap();
    let mesh = Arc::new(start(KILLED, data.path()).await);
    let body = increment("count").value();
    let turn = Command::Do(vec![increment("count"), Command::Send { to: "recorder".into(), key: None, body }]);
    let done = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..4)
        .map(|_| {
            let (mesh, turn, done) = (Arc::clone(&mesh), turn.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                let (mut answered, mut unknown) = (0_u64, 0_u64);
                while !done.load(Ordering::SeqCst) {
                    match mesh.ask("ledger", &turn).await {
                        Ok(_) => answered += 1,
                        // It was saved, and its actor was gone before it could answer.
                        Err(CallError::Timeout) => unknown += 1,
                        Err(error) => panic!("{error}"),
                    }
                }
                (answered, unknown)
            })
        })
        .collect();
    for kill in 1..=80 {
        let crashed = mesh.ask("trigger", &Command::Trap(Trap::Panic)).await;
        assert!(crashed.is_err());
        mesh.until("both are there again", |mesh| mesh.status("ledger").started > kill).await;
    }
    done.store(true, Ordering::SeqCst);
    let (mut answered, mut unknown) = (0, 0);
    for sender in senders {
        let (more, lost) = sender.await.unwrap();
        answered += more;
        unknown += lost;
    }
    println!("{answered} answered, {unknown} happened without an answer");
    // An answer of the recorder means that all that was sent before was handled.
    assert_eq!(
        mesh.ok("recorder", &Command::Increment { key: "count".into(), by: 0 }).await,
        json!(answered + unknown)
    );
    assert_eq!(mesh.ok("ledger", &Command::Increment { key: "count".into(), by: 0 }).await, json!(answered + unknown));
    let report = mesh.runtime.shutdown().await;
    assert!(report.unresponsive.is_empty(), "{report:?}");
}
