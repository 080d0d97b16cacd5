//! Durable state is there after the process, exactly as it was committed; state in memory is not, and a commit that is not on disk never was.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use airssys_tests::{Mesh, PATIENCE};
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
    let answer = mesh.runtime.call_with_key(to, key, command.bytes(), PATIENCE).await.unwrap().unwrap();
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
    assert!(mesh.runtime.call_with_key("keyed", "d", "{}", PATIENCE).await.is_err(), "three keys are the most");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_failed_turn_wrote_is_not_there() {
    let data = tempfile::tempdir().unwrap();
    let mesh = start(MESH, data.path()).await;
    mesh.ok("one", &increment("count")).await;
    for ending in [
        Command::Fail { fault: FaultKind::Refused, reason: "no".into() },
        Command::Trap(Trap::Panic),
        Command::Exit(1),
    ] {
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
    assert!(matches!(second.downcast_ref(), Some(RuntimeError::State(_))), "{second:?}");
    assert!(second.to_string().contains("is in use; hint: "), "{second}");
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
