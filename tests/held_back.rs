//! A sound member of a group that a sick one keeps from being started can be deployed to: what starts there later
//! starts with the new release. And whoever waits for a start does not use up what the supervisors bear.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::time::Duration;

use airssys_tests::{Mesh, PATIENCE, shifter, with_guests};
use airssys_wasm::deploy::{DeployOptions, Deployment, Progress};
use airssys_wasm::registry::Release;
use airssys_wasm::topology::Topology;
use prober_protocol::{Command, Trap};
use serde_json::{Value, json};

/// Whoever counts how often the sick one has started, and a group in which it is before a sound one. It waits for its
/// back-off for longer than any test.
fn topology(strategy: &str, init: &str) -> String {
    let service = |name: &str, config: &str| {
        format!(
            "[[service]]\nname = {name:?}\nrelease = \"@prober\"\nsupervisor = \"inner\"\ngrants = {{ call = [\"rec\"] }}\n\
             limits = {{ start_timeout = \"1h\", turn_deadline = \"1h\", turn_budget = \"1h\" }}\nconfig = {{ {config} }}\n"
        )
    };
    let group = format!(
        "[[supervisor]]\nname = \"inner\"\nstrategy = {strategy:?}\nintensity = 3\nbackoff = {{ initial = \"1h\", max = \"1h\" }}\n"
    );
    "name = \"held\"\n[root]\nintensity = 0\n[[service]]\nname = \"rec\"\nrelease = \"@prober\"\n".to_owned()
        + &group
        + &service("sick", &format!("init = {init:?}"))
        + &service("sound", "")
}

/// Options with which whoever is waited for is waited for longer than any test.
fn patient() -> DeployOptions {
    let mut options = DeployOptions::default();
    options.probation = Duration::from_millis(50);
    options.handover_deadline = Duration::from_secs(3_600);
    options.allow_downgrade = true;
    options
}

/// A release that answers with its name.
fn well(mesh: &Mesh) -> Release {
    let path = mesh.folder.path().join("well.wasm");
    std::fs::write(&path, shifter("well", "healthy")).unwrap();
    std::fs::write(path.with_extension("toml"), "name = \"well\"\nversion = \"9.0.0\"\n").unwrap();
    Release::find(&path).unwrap()
}

async fn ended(deployment: &Deployment) -> Progress {
    tokio::time::timeout(PATIENCE, deployment.ended()).await.unwrap()
}

async fn deploy(mesh: &Mesh, service: &str, options: DeployOptions) -> Deployment {
    let deployment = mesh.runtime.deploy(service, well(mesh), options).await.unwrap();
    assert_eq!(ended(&deployment).await, Progress::Live, "{service}");
    deployment
}

async fn answers_well(mesh: &Mesh, service: &str) {
    let who = json!({ "from": "a", "number": 1 }).to_string();
    let answer = mesh.runtime.call(service, who, PATIENCE).await.unwrap().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap()["release"], "well", "{service}");
}

/// Lets the sick one crash, and waits until it has come to its start so often.
async fn falls_sick(mesh: &Mesh, starts: u64) {
    assert!(mesh.ask("sick", &Command::Trap(Trap::Panic)).await.is_err());
    let count = Command::Increment { key: "init of sick".to_owned(), by: 0 };
    let all = async {
        while mesh.ok("rec", &count).await.as_u64().unwrap() < starts {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, all).await.is_ok(), "it never started {starts} times");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_its_group_does_not_start_is_passed_over_and_starts_with_the_new_release() {
    for strategy in ["one-for-all", "rest-for-one"] {
        // It waits for its back-off, fails once the back-off is over, or never comes to the end of its start.
        for (init, backoff, starts) in
            [("fault@rec:2-", "1h", 1), ("fault@rec:2-3", "1ms", 2), ("hang@rec:2-", "1ms", 2)]
        {
            let case = format!("{strategy} {init}");
            let mesh = Mesh::start(
                &topology(strategy, init).replace("\"1h\", max = \"1h\"", &format!("{backoff:?}, max = \"1h\"")),
            )
            .await;
            falls_sick(&mesh, starts).await;
            if init != "fault@rec:2-3" {
                let deployment = deploy(&mesh, "sound", patient()).await;
                assert_eq!(mesh.runtime.deployment_status(&deployment).passed_over, ["sound"], "{case}");
                // And back, and there again: it is no more stopped than before.
                let back = mesh.runtime.rollback("sound", patient()).unwrap();
                assert_eq!(ended(&back).await, Progress::Live, "{case}");
                deploy(&mesh, "sound", patient()).await;
                deploy(&mesh, "sick", patient()).await;
                answers_well(&mesh, "sick").await;
            } else {
                deploy(&mesh, "sound", patient()).await;
            }
            answers_well(&mesh, "sound").await;
            mesh.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_brings_both_in() {
    for strategy in ["one-for-all", "rest-for-one"] {
        let mesh = Mesh::start(&topology(strategy, "fault@rec:2-")).await;
        falls_sick(&mesh, 1).await;
        let set = ["sound", "sick"].map(|service| (service.to_owned(), well(&mesh)));
        for (service, deployment) in mesh.runtime.deploy_set(set.to_vec(), patient()).await.unwrap() {
            assert_eq!(ended(&deployment).await, Progress::Live, "{strategy} {service}");
            answers_well(&mesh, &service).await;
        }
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_for_a_start_does_not_use_up_what_a_supervisor_bears() {
    // The group gives up at once, and its own supervisor starts it again after a back-off; the sick one is before the
    // sound one each time.
    let inner = "intensity = 3\nbackoff = { initial = \"1h\", max = \"1h\" }";
    let text = topology("one-for-all", "fault@rec:2-")
        .replace(inner, "intensity = 0")
        .replace("[root]\nintensity = 0", "[root]\nintensity = 2\nbackoff = { initial = \"1h\", max = \"1h\" }");
    let mesh = Mesh::start(&text).await;
    assert!(mesh.ask("sick", &Command::Trap(Trap::Panic)).await.is_err());
    let mut options = patient();
    options.handover_deadline = Duration::from_millis(300);
    let deployment = deploy(&mesh, "sound", options).await;
    assert_eq!(mesh.runtime.deployment_status(&deployment).passed_over, ["sound"]);
    // The sick one can be mended with one start more, so the root has not given up.
    deploy(&mesh, "sick", patient()).await;
    answers_well(&mesh, "sick").await;
    answers_well(&mesh, "sound").await;
    mesh.stop().await;
}

/// Brings a mesh to another topology.
async fn apply(mesh: Mesh, text: &str) -> Mesh {
    let Mesh { runtime, folder } = mesh;
    let file = folder.path().join("airssys.toml");
    std::fs::write(&file, with_guests(text)).unwrap();
    let applied = tokio::time::timeout(PATIENCE / 2, runtime.apply(Topology::read(&file).unwrap(), patient())).await;
    let applied = applied.unwrap_or_else(|_| panic!("it waits for a start: {text}"));
    assert!(applied.is_ok(), "{:?}\n{text}", applied.err());
    Mesh { runtime, folder }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apply_that_changes_a_supervisor_waits_for_no_start() {
    let strategies = ["one-for-one", "one-for-all", "rest-for-one"];
    for (at, strategy) in strategies.into_iter().enumerate() {
        let before = topology(strategy, "hang@rec:2-").replace("initial = \"1h\"", "initial = \"1ms\"");
        let (head, services) = before.split_once("[[service]]\nname = \"sick\"").unwrap();
        let (sick, sound) = services.split_once("[[service]]\nname = \"sound\"").unwrap();
        let (sick, sound) =
            (format!("[[service]]\nname = \"sick\"{sick}"), format!("[[service]]\nname = \"sound\"{sound}"));
        let other = |head: &str| head.replace(strategy, strategies[(at + 1) % 3]);
        for after in [
            format!("{head}{sound}{sick}"),
            format!("{}{sick}{sound}", other(head)),
            format!("{}{sound}{sick}", other(head)),
            format!("{head}{sound}"),
        ] {
            let mesh = Mesh::start(&before).await;
            falls_sick(&mesh, 2).await;
            let mesh = apply(mesh, &after).await;
            if !after.contains(&sick) || after.find(&sound) < after.find(&sick) {
                // It is held back no more, or by none.
                assert_eq!(mesh.ok("sound", &Command::Echo(json!(1))).await, json!(1), "{strategy}: {after}");
            }
            if after.contains(&sick) {
                deploy(&mesh, "sick", patient()).await;
                answers_well(&mesh, "sick").await;
                assert_eq!(mesh.ok("sound", &Command::Echo(json!(1))).await, json!(1), "{strategy}: {after}");
            }
            let _whatever_hangs_is_killed = mesh.runtime.shutdown().await;
        }
    }
}
