//! A key that starts neither with the release before nor with the new one keeps the new one from no other key: it is
//! told, and starts with the new one next.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::time::Duration;

use airssys_tests::deploying::told_of;
use airssys_tests::{Mesh, PATIENCE};
use airssys_wasm::deploy::{DeployOptions, Progress, Setback};
use airssys_wasm::registry::Release;
use prober_protocol::{Command, Trap};
use serde_json::{Value, json};

/// Whoever counts how often each key has started. From the second to the fiftieth time none does.
const TOPOLOGY: &str = r#"
    name = "sick"
    [root]
    intensity = 1000000
    [[service]]
    name = "rec"
    release = "@prober"
    [[service]]
    name = "keys"
    release = "@prober"
    keyed = {}
    grants = { call = ["rec"] }
    config = { init = "fault@rec:2-50" }
"#;

fn options() -> DeployOptions {
    let mut options = DeployOptions::default();
    options.probation = Duration::from_millis(200);
    options.handover_deadline = Duration::from_secs(30);
    options
}

/// A prober of another version.
fn newer(mesh: &Mesh, binary: &str) -> Release {
    let built = airssys_tests::guest(binary).with_file_name("target").join(format!("airssys/{binary}.wasm"));
    let path = mesh.folder.path().join("newer.wasm");
    std::fs::copy(built, &path).unwrap();
    let manifest = std::fs::read_to_string(airssys_tests::guest(binary).join("Component.toml")).unwrap();
    let manifest = manifest.replace("version = \"0.1.0\"", "version = \"9.0.0\"");
    assert!(manifest.contains("9.0.0"), "{manifest}");
    std::fs::write(path.with_extension("toml"), manifest).unwrap();
    Release::find(&path).unwrap()
}

async fn ask(mesh: &Mesh, key: &str, command: Command) -> Value {
    let answer = mesh.runtime.call(("keys", key), command.bytes(), PATIENCE).await.unwrap().unwrap();
    serde_json::from_slice::<Value>(&answer).unwrap()["ok"].clone()
}

/// Lets a key's starts count from another number.
async fn starts(mesh: &Mesh, key: &str, more: u64) {
    mesh.ok("rec", &Command::Increment { key: format!("init of keys/{key}"), by: more }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_starts_with_neither_release_ends_no_deployment() {
    // It serves still, and would not start again; or it has crashed and does not come back.
    for crashes in [false, true] {
        let mesh = Mesh::start(TOPOLOGY).await;
        // The first key that has a state is the one that the new release is tried on.
        ask(&mesh, "a-sick", Command::Set { key: "mine".into(), value: json!(1) }).await;
        for key in ["well", "other"] {
            assert_eq!(ask(&mesh, key, Command::Count).await, json!(1));
            starts(&mesh, key, 100).await;
        }
        if crashes {
            let crashed = mesh.runtime.call(("keys", "a-sick"), Command::Trap(Trap::Panic).bytes(), PATIENCE).await;
            assert!(crashed.is_err(), "{crashed:?}");
        }
        let deployment = mesh.runtime.deploy("keys", newer(&mesh, "prober"), options()).await.unwrap();
        assert_eq!(deployment.ended().await, Progress::Live, "crashed: {crashes}");
        let sick = &told_of(&mesh.runtime, &deployment)["sick"];
        assert_eq!((&sick["actors"], &sick["first"]), (&json!(1), &json!("keys/a-sick")), "crashed: {crashes}");
        let history = mesh.runtime.history("keys");
        assert!(history.last().unwrap().notes[0].contains("keys/a-sick did not start"), "{history:?}");
        for key in ["well", "other", "third"] {
            assert_eq!(ask(&mesh, key, Command::Count).await, json!(1), "a new instance");
        }
        // What was wrong with it is over.
        starts(&mesh, "a-sick", 100).await;
        assert_eq!(ask(&mesh, "a-sick", Command::Get("mine".into())).await, json!(1));
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sick_key_that_wakes_on_probation_takes_nobody_back() {
    let mesh = Mesh::start(TOPOLOGY).await;
    assert_eq!(ask(&mesh, "well", Command::Count).await, json!(1));
    starts(&mesh, "well", 100).await;
    starts(&mesh, "sick", 1).await;
    let mut long = options();
    long.probation = Duration::from_secs(5);
    let deployment = mesh.runtime.deploy("keys", newer(&mesh, "prober"), long).await.unwrap();
    assert_eq!(deployment.switched().await, Progress::Probation);
    mesh.runtime.send(("keys", "sick"), Command::Count.bytes()).await.unwrap();
    let tried = Command::Increment { key: "init of keys/sick".to_owned(), by: 0 };
    // Once with each release, at least.
    let all = async {
        while mesh.ok("rec", &tried).await.as_u64().unwrap() < 3 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, all).await.is_ok(), "it never started");
    assert_eq!(deployment.ended().await, Progress::Live);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_only_the_new_release_does_not_start_with_brings_the_old_one_back() {
    let mesh = Mesh::start(&TOPOLOGY.replace("fault@rec:2-50", "fault@rec:2-2")).await;
    assert_eq!(ask(&mesh, "k", Command::Count).await, json!(1));
    let deployment = mesh.runtime.deploy("keys", newer(&mesh, "prober"), options()).await.unwrap();
    let end = deployment.ended().await;
    assert!(matches!(end, Progress::RolledBack { reason: Setback::NotStarted(_) }), "{end:?}");
    assert_eq!(ask(&mesh, "k", Command::Count).await, json!(2), "it was left alone");
    mesh.stop().await;
}
