//! A release that is shown what the live one does: nothing of what it does itself gets out, and each difference is told
//! with the message that caused it.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use airssys_tests::deploying::{Deploying, Load, TOPOLOGY, quick};
use airssys_tests::{Mesh, PATIENCE, guest, heir, shifter};
use airssys_wasm::Runtime;
use airssys_wasm::command::Rehearsed;
use airssys_wasm::deploy::{DeployError, DeployOptions, Deployment, Progress, Setback, Strategy};
use airssys_wasm::registry::Release;
use prober_protocol::Command;
use serde_json::{Value, json};

const MESH: &str = r#"
    name = "shadow"
    [[service]]
    name = "actor"
    release = "@prober"
    grants = { send = ["sink"], call = ["sink"], publish = ["news"] }
    [[service]]
    name = "sink"
    release = "@prober"
    grants = { subscribe = ["news"] }
"#;

fn options(samples: u64) -> DeployOptions {
    let mut options = quick();
    options.strategy = Strategy::Shadow { tolerate: 0.0 };
    options.gate.bake = Duration::from_millis(50);
    options.gate.samples = samples;
    // What takes how long is not what these tests are about.
    options.gate.latency = 1e6;
    options
}

/// The prober, with other bytes and another version, which asks for this.
fn next(folder: &Path, requests: &str) -> Release {
    let built = guest("prober").parent().unwrap().join("target/airssys/prober.wasm");
    let mut bytes = std::fs::read(built).unwrap();
    // A custom section called `next`, and nothing in it.
    bytes.extend(b"\0\x05\x04next");
    let path: PathBuf = folder.join("next.wasm");
    std::fs::write(&path, bytes).unwrap();
    let manifest = format!("name = \"prober\"\nversion = \"0.2.0\"\n[requests]\n{requests}\n");
    std::fs::write(folder.join("next.toml"), manifest).unwrap();
    Release::find(&path).unwrap()
}

const ALL: &str = "send = [\"**\"]\ncall = [\"**\"]\npublish = [\"**\"]";

/// A counter of a service's state.
fn counted(mesh: &Mesh, service: &str, key: &str) -> u64 {
    let value = mesh.runtime.state(service).get("").and_then(|state| state.get(key).cloned()).unwrap_or_default();
    value.as_ref().try_into().map_or(0, u64::from_le_bytes)
}

/// One turn that does some of everything.
fn busy(number: u64) -> Command {
    let increment = |key: &str| json!({ "increment": { "key": key, "by": 1 } });
    Command::Do(vec![
        Command::Increment { key: "turns".to_owned(), by: 1 },
        Command::Call { to: "sink".to_owned(), key: None, body: increment("calls"), timeout_ms: 60_000 },
        Command::Send { to: "sink".to_owned(), key: None, body: json!({ "record": number }) },
        Command::Publish { topic: "news".to_owned(), body: increment("news") },
        Command::SendAfter { delay_ms: 1, body: increment("timers") },
        Command::Get("turns".to_owned()),
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_a_shadow_does_gets_out() {
    let mesh = Mesh::start(MESH).await;
    mesh.ok("sink", &Command::Subscribe("news".to_owned())).await;
    let release = next(mesh.folder.path(), ALL);
    let deployment = mesh.runtime.deploy("actor", release, options(60)).await.unwrap();
    const TURNS: u64 = 40;
    for number in 0..TURNS {
        mesh.ok("actor", &busy(number)).await;
    }
    // The timers' messages are turns as well.
    mesh.until("all timers ran out", |mesh| counted(mesh, "actor", "timers") == TURNS).await;
    let end = deployment.ended().await;
    let rehearsed = found(&mesh.runtime, &deployment);
    assert_eq!(end, Progress::Live, "{rehearsed:?}");
    assert!(rehearsed.compared >= 60 && rehearsed.differing == 0, "{rehearsed:?}");
    mesh.ok("sink", &Command::Count).await;
    for key in ["calls", "news"] {
        assert_eq!(counted(&mesh, "sink", key), TURNS, "{key}: once a turn");
    }
    let recorded: Vec<Value> = (0..TURNS).map(|number| json!(number)).collect();
    assert_eq!(mesh.stored("sink", "record"), json!(recorded), "each message once, in order");
    assert_eq!(counted(&mesh, "actor", "turns"), TURNS);
    assert!(mesh.dead().is_empty(), "{:?}", mesh.dead());
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_alone_may_not_is_told_with_the_message() {
    let mesh = Mesh::start(MESH).await;
    let release = next(mesh.folder.path(), "send = [\"**\"]\ncall = [\"**\"]");
    let deployment = mesh.runtime.deploy("actor", release, options(1_000)).await.unwrap();
    while !matches!(deployment.progress(), Progress::Rehearsing { .. }) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    mesh.ok("actor", &busy(7)).await;
    let Progress::RolledBack { reason: reason @ Setback::Differs { .. } } = deployment.ended().await else {
        panic!("{:?}", deployment.progress());
    };
    let told = reason.to_string();
    assert!(told.contains("it may not publish") && told.contains("on news"), "{told}");
    let found = found(&mesh.runtime, &deployment);
    let difference = found.differences.first().unwrap();
    assert_eq!(found.differing, 1);
    assert!(difference.contains("from the host") && difference.contains("increment"), "{difference}");
    assert!(difference.contains("answers"), "the outcome is another one: {difference}");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_shadow_waits_for_becomes_ready_in_the_order_in_which_it_did() {
    let mesh = Mesh::start(MESH).await;
    let release = next(mesh.folder.path(), ALL);
    let deployment = mesh.runtime.deploy("actor", release, options(60)).await.unwrap();
    mesh.until("it is shown what comes", |_| matches!(deployment.progress(), Progress::Rehearsing { .. })).await;
    let mut turns = 0;
    while matches!(deployment.progress(), Progress::Rehearsing { .. }) {
        mesh.ok("actor", &Command::Race("sink".to_owned())).await;
        turns += 1;
    }
    // Each of the two has its own chance, and was told by whom it was to be won.
    let (end, rehearsed) = (deployment.ended().await, found(&mesh.runtime, &deployment));
    assert_eq!(end, Progress::Live, "{rehearsed:?}");
    assert!(rehearsed.compared >= 60 && rehearsed.differing == 0, "{rehearsed:?}");
    mesh.until("all is recorded", |mesh| mesh.stored("sink", "record").as_array().map_or(0, Vec::len) == turns).await;
    let record = mesh.stored("sink", "record");
    let won = |place: u32| record.as_array().unwrap().iter().filter(|ready| **ready == json!([place])).count();
    assert!(won(0) > 0 && won(1) > 0 && won(0) + won(1) == turns, "{record}");
    mesh.stop().await;
}

/// What was found so far when the new release was shown what the old one does.
fn found(runtime: &Runtime, deployment: &Deployment) -> Rehearsed {
    runtime.deployment_status(deployment).rehearsed.unwrap_or_default()
}

/// Asks until the deployment is over; one message of ten is one that the new release refuses.
async fn one_of_ten_differs(tolerated: &str) -> (Progress, Rehearsed) {
    let deploying = Deploying::start(TOPOLOGY).await;
    std::fs::write(deploying.path("two"), shifter("one", "refuses-probes")).unwrap();
    let release = Release::find(&deploying.path("two")).unwrap();
    let mut options = options(100);
    options.strategy = serde_json::from_value(json!({ "strategy": "shadow", "tolerate": tolerated })).unwrap();
    // How many fail is not what this is about.
    options.gate.errors = 1.0;
    let deployment = deploying.runtime.deploy("counter", release, options).await.unwrap();
    // From its first message on: it has no memory of one before.
    while matches!(deployment.progress(), Progress::Switching { .. }) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut number = 0;
    while matches!(deployment.progress(), Progress::Switching { .. } | Progress::Rehearsing { .. }) {
        number += 1;
        let from = if number % 10 == 0 { "probe" } else { "well" };
        // A turn that the shadow is not shown makes no difference to a plain answer.
        let body = json!({ "from": from, "number": number, "plain": true }).to_string();
        // The last one may come to the new release when that serves.
        let _refused = deploying.runtime.call("counter", body, PATIENCE).await;
        // No faster than what is shown is looked at, so that none of ten is left out more often than the others.
        let looked_at = || {
            let found = found(&deploying.runtime, &deployment);
            found.compared + found.skipped
        };
        while number > looked_at() + 50 && matches!(deployment.progress(), Progress::Rehearsing { .. }) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let end = deployment.ended().await;
    let rehearsed = found(&deploying.runtime, &deployment);
    deploying.stop().await;
    (end, rehearsed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_tolerated_is_a_share_of_the_messages() {
    let (end, found) = one_of_ten_differs("30%").await;
    assert_eq!(end, Progress::Live, "{found:?}");
    assert!(found.differing > 1 && found.compared >= 100, "as many as were asked for: {found:?}");
    for tolerated in ["3%", "0%"] {
        let (end, found) = one_of_ten_differs(tolerated).await;
        let Progress::RolledBack { reason: Setback::Differs { differing, .. } } = end else { panic!("{end:?}") };
        assert!(differing > u64::from(tolerated == "3%"), "one is no verdict where a share is tolerated: {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_touches_what_cannot_be_held_back_is_refused() {
    let mesh = Mesh::start(&MESH.replace("publish = [\"news\"]", "sockets = [\"127.0.0.1:1\"]")).await;
    let release = next(mesh.folder.path(), "sockets = [\"*:*\"]");
    let refused = mesh.runtime.deploy("actor", release, options(1)).await.unwrap_err();
    assert!(matches!(refused, DeployError::Unfit { .. }), "{refused}");
    assert!(refused.to_string().contains("sockets"), "{refused}");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shadow_has_the_memory_that_is_handed_over() {
    let deploying = Deploying::start(TOPOLOGY).await;
    let release = |name: &str, way: &str| {
        let path = deploying.path(name);
        std::fs::write(&path, heir("one", way, 0)).unwrap();
        Release::find(&path).unwrap()
    };
    let mut quickly = quick();
    quickly.probation = Duration::ZERO;
    let first = deploying.runtime.deploy("counter", release("first", "healthy"), quickly).await.unwrap();
    assert_eq!(first.ended().await, Progress::Live);
    for number in 1..=5 {
        deploying.ask("a", number).await;
    }
    let deployment = deploying.runtime.deploy("counter", release("second", "fine"), options(10)).await.unwrap();
    let mut number = 5;
    while matches!(deployment.progress(), Progress::Switching { .. } | Progress::Rehearsing { .. }) {
        number += 1;
        assert_eq!(deploying.ask("a", number).await["seen"], json!(number));
    }
    let end = deployment.ended().await;
    assert_eq!(end, Progress::Live, "{:?}", found(&deploying.runtime, &deployment));
    assert_eq!(deploying.ask("a", number + 1).await["seen"], json!(number + 1));
    deploying.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_shadow_with_memory_is_not_shown_makes_no_difference() {
    let deploying = Deploying::start_as(TOPOLOGY, &heir("one", "healthy", 0)).await;
    let load = Load::start(&deploying);
    load.more(400).await;
    // It takes so long to start that more turns come than wait for it.
    std::fs::write(deploying.path("two"), heir("one", "init-waits", 0)).unwrap();
    let release = Release::find(&deploying.path("two")).unwrap();
    let deployment = deploying.runtime.deploy("counter", release, options(1_000)).await.unwrap();
    let end = deployment.ended().await;
    let found = found(&deploying.runtime, &deployment);
    assert_eq!(end, Progress::Live, "{found:?}");
    assert!(found.skipped > 0 && found.compared >= 1_000 && found.differing == 0, "{found:?}");
    load.end(&deploying).await;
    deploying.stop().await;
}

/// A message to the counter whose sender has so long a name, under which its number is kept.
fn long(number: usize, letters: usize) -> Vec<u8> {
    json!({ "from": format!("{number}{}", "x".repeat(letters)), "number": 1 }).to_string().into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shadow_that_is_too_far_behind_is_given_up_and_ends_the_deployment() {
    let limits = "limits = { turn_budget = \"200ms\", start_timeout = \"500ms\", memory = \"4MiB\" }";
    let deploying =
        Deploying::start(&TOPOLOGY.replace(limits, "limits = { turn_budget = \"60s\", turn_deadline = \"10m\" }"))
            .await;
    let release = deploying.release("two", "hangs");
    let deployment = deploying.runtime.deploy("counter", release, options(1_000_000)).await.unwrap();
    while !matches!(deployment.progress(), Progress::Rehearsing { .. }) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // The first of them keeps the shadow. What waits for it has a bound, and so has what the turns that are not shown
    // have written.
    let mut sent = 0;
    while matches!(deployment.progress(), Progress::Rehearsing { .. }) {
        assert!(
            sent < 60,
            "60 MiB are written, and the shadow is not given up: {:?}",
            found(&deploying.runtime, &deployment)
        );
        let answer = deploying.runtime.call("counter", long(sent, 1_000_000), PATIENCE).await;
        assert!(answer.is_ok(), "the live release does not wait: {answer:?}");
        sent += 1;
    }
    let end = deployment.ended().await;
    let Progress::RolledBack { reason: reason @ Setback::Behind { compared: 0 } } = &end else { panic!("{end:?}") };
    assert!(reason.to_string().contains("16MiB"), "{reason}");
    let found = found(&deploying.runtime, &deployment);
    assert!(found.behind == 1 && (10..40).contains(&found.skipped), "{found:?}");
    // It serves as before.
    assert!(deploying.runtime.call("counter", long(sent, 10), PATIENCE).await.is_ok());
    deploying.runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_asks_for_more_than_is_kept_is_not_shown() {
    let mesh = Mesh::start(&MESH.replace(
        "[[service]]\n    name = \"actor\"",
        "[[service]]\n    name = \"actor\"\n    limits = { turn_budget = \"60s\", turn_deadline = \"2m\" }",
    ))
    .await;
    let release = next(mesh.folder.path(), ALL);
    let deployment = mesh.runtime.deploy("actor", release, options(1_000)).await.unwrap();
    while !matches!(deployment.progress(), Progress::Rehearsing { .. }) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // All but the first few are refused, and what they carry is written down all the same.
    let flood = Command::SendBytes { to: "sink".to_owned(), bytes: 1_000_000 };
    mesh.ok("actor", &Command::Times(300, Box::new(flood))).await;
    mesh.until("it is passed over", |mesh| found(&mesh.runtime, &deployment).skipped == 1).await;
    mesh.ok("actor", &Command::Get("nothing".to_owned())).await;
    mesh.until("the next one is shown", |mesh| found(&mesh.runtime, &deployment).compared == 1).await;
    assert!(matches!(deployment.progress(), Progress::Rehearsing { .. }));
    mesh.runtime.shutdown().await;
}
