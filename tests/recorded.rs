//! A release is shown the turns that were recorded before anything is switched: where it does the same it is deployed,
//! and where it does not, it is told over which message and in what, and nothing has changed.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::path::Path;

use airssys_tests::deploying::{Deploying, Load, counter_with, quick};
use airssys_tests::{Mesh, PATIENCE, guest, heir};
use airssys_wasm::deploy::{DeployError, DeployOptions, Deviation, Divergence, Progress, RecordedGate, RecordingError};
use airssys_wasm::registry::Release;
use prober_protocol::{Command, FaultKind};
use serde_json::{Value, json};

fn gated(turns: Option<usize>, allow: &[Deviation]) -> DeployOptions {
    let mut options = quick();
    options.recorded = Some(RecordedGate { turns, allow: allow.to_vec() });
    options
}

/// A message whose answer has nothing in it of who answers.
async fn plain(mesh: &Deploying, key: &str, from: &str, number: u64) -> Value {
    let body = json!({ "from": from, "number": number, "plain": true }).to_string();
    let answer = mesh.runtime.call(("counter", key), body, PATIENCE).await.unwrap().unwrap();
    serde_json::from_slice(&answer).unwrap()
}

async fn refused(mesh: &Deploying, way: &str, allow: &[Deviation]) -> Divergence {
    let before = mesh.runtime.live_digest("counter");
    let states = mesh.states();
    match mesh.runtime.deploy("counter", mesh.release(&format!("no-{way}"), way), gated(None, allow)).await {
        Err(DeployError::Diverges(divergence)) => {
            assert_eq!(mesh.runtime.live_digest("counter"), before, "{way}: nothing is switched");
            assert_eq!(mesh.states(), states, "{way}: nothing got out");
            *divergence
        }
        other => panic!("{way}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_as_recorded_is_deployed_and_what_does_not_is_told_with_its_message() {
    let mesh = Deploying::start(&counter_with("recorder = {}")).await;
    for number in 1..=5 {
        plain(&mesh, "", "anna", number).await;
    }
    plain(&mesh, "", "probe", 1).await;

    let told = refused(&mesh, "wrong-answers", &[]).await;
    assert_eq!(told.kinds, [Deviation::Answers], "{told}");
    assert!(told.asked.contains("\\\"number\\\":1") && told.asked.contains("anna"), "the first one: {told}");
    assert!(told.answered.contains("\\\"seen\\\":0") && told.would_answer.contains(&u64::MAX.to_string()), "{told}");

    let told = refused(&mesh, "counts-twice", &[Deviation::Answers, Deviation::Latency]).await;
    assert_eq!(told.kinds, [Deviation::State], "{told}");
    assert!(told.what[0].contains("\"handled\""), "{told}");

    let told = refused(&mesh, "refuses-probes", &[]).await;
    assert_eq!(told.kinds, [Deviation::Errors], "{told}");
    assert!(told.asked.contains("probe") && told.would_answer.contains("answers no probe"), "{told}");

    // No way of differing lets a crash through.
    let all = [Deviation::Answers, Deviation::Effects, Deviation::State, Deviation::Errors, Deviation::Latency];
    let told = refused(&mesh, "crashes-on-3", &all).await;
    assert!(told.kinds.is_empty() && told.asked.contains("\\\"number\\\":3"), "{told}");
    assert!(told.what[0].contains("it crashes"), "{told}");
    let told = refused(&mesh, "init-fails", &all).await;
    assert!(told.message.is_none() && told.what[0].contains("does not start"), "{told}");

    // What it was told to bear of the differences, it bears.
    let two =
        mesh.runtime.deploy("counter", mesh.release("two", "counts-twice"), gated(None, &[Deviation::State])).await;
    assert_eq!(two.unwrap().ended().await, Progress::Live);
    let three = mesh.runtime.deploy("counter", mesh.release("three", "healthy"), gated(None, &[])).await;
    // Its recorder began with it, and it has handled nothing.
    assert!(matches!(three, Err(DeployError::Recording(RecordingError::Empty { .. }))), "{three:?}");
    plain(&mesh, "", "anna", 6).await;
    let four = mesh.runtime.deploy("counter", mesh.release("four", "counts-twice"), gated(None, &[])).await;
    assert_eq!(four.unwrap().ended().await, Progress::Live);
    assert_eq!(mesh.counted("handled"), 8, "six by one, and two by two");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_last_turns_are_shown_where_a_number_is_named() {
    let mesh = Deploying::start(&counter_with("recorder = { turns = 8 }")).await;
    plain(&mesh, "", "probe", 1).await;
    for number in 1..=4 {
        plain(&mesh, "", "anna", number).await;
    }
    // The state is what it was before them: none of the numbers is out of order.
    let deployed = mesh.runtime.deploy("counter", mesh.release("two", "refuses-probes"), gated(Some(4), &[])).await;
    assert_eq!(deployed.unwrap().ended().await, Progress::Live);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_takes_much_longer_is_told() {
    let mesh = Deploying::start(&counter_with("recorder = {}")).await;
    for number in 1..=25 {
        plain(&mesh, "", "anna", number).await;
    }
    let told = refused(&mesh, "slower", &[]).await;
    assert_eq!(told.kinds, [Deviation::Latency], "{told}");
    let slow = gated(None, &[Deviation::Latency]);
    let deployed = mesh.runtime.deploy("counter", mesh.release("two", "slower"), slow).await;
    assert_eq!(deployed.unwrap().ended().await, Progress::Live);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_actor_that_is_awake_has_its_own_turns_and_states() {
    for settings in ["keyed = {}", "instances = 3\npartitioned = true"] {
        let mesh = Deploying::start(&counter_with(&format!("recorder = {{}}\n{settings}"))).await;
        for number in 1..=3 {
            for key in ["anna", "bert", "cleo"] {
                plain(&mesh, key, key, number).await;
            }
        }
        let recording = mesh.runtime.recording("counter").await.unwrap();
        assert_eq!(recording.turns(), 9, "{settings}: {:?}", recording.actors());
        let told = refused(&mesh, "counts-twice", &[]).await;
        assert!(told.asked.contains("anna"), "the one that was sent first: {told}");
        let deployed = mesh.runtime.deploy("counter", mesh.release("two", "healthy"), gated(None, &[])).await;
        assert_eq!(deployed.unwrap().ended().await, Progress::Live, "{settings}");
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_is_brought_over_before_the_turns_are_shown() {
    let heir_of = |mesh: &Mesh, name: &str, way: &str, schema: u32| {
        let path = mesh.folder.path().join(format!("{name}.wasm"));
        std::fs::write(&path, heir("one", way, schema)).unwrap();
        std::fs::write(
            path.with_extension("toml"),
            format!("name = \"heir\"\nversion = \"0.{schema}.0\"\nstate_schema = {schema}\n"),
        )
        .unwrap();
        Release::find(&path).unwrap()
    };
    let topology = counter_with("recorder = { turns = 4 }");
    let mesh = Deploying::start_as(&topology, &heir("one", "healthy", 0)).await;
    for number in 1..=7 {
        mesh.ask("anna", number).await;
    }
    // It counts what it has seen in its memory, of which the recorder has lost the beginning.
    let answers = [Deviation::Answers];
    let broken = heir_of(&mesh, "broken", "migrate-fails", 1);
    match mesh.runtime.deploy("counter", broken, gated(None, &answers)).await {
        Err(DeployError::Diverges(told)) => assert!(told.what[0].contains("migrate failed"), "{told}"),
        other => panic!("{other:?}"),
    }
    let deployed = mesh.runtime.deploy("counter", heir_of(&mesh, "good", "healthy", 1), gated(None, &answers)).await;
    assert_eq!(deployed.unwrap().ended().await, Progress::Live);
    assert_eq!(mesh.counted("doubled"), 14);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_live_release_does_not_do_again_says_nothing() {
    let mesh = Deploying::start_as(&counter_with("recorder = { turns = 4 }"), &heir("one", "healthy", 0)).await;
    for number in 1..=7 {
        mesh.ask("anna", number).await;
    }
    // It answers with what it has seen, and the turns in which it saw the first of that are lost.
    let path = mesh.folder.path().join("two.wasm");
    std::fs::write(&path, heir("one", "snapshot-fails", 0)).unwrap();
    let release = || Release::find(&path).unwrap();
    match mesh.runtime.deploy("counter", release(), gated(None, &[])).await {
        Err(DeployError::Recording(RecordingError::NoneComparable { turns: 4, why, .. })) => {
            assert!(why.contains("does not do it again"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    // Where nothing is lost it is known.
    let mesh_of_all = Deploying::start_as(&counter_with("recorder = {}"), &heir("one", "healthy", 0)).await;
    for number in 1..=7 {
        mesh_of_all.ask("anna", number).await;
    }
    let deployed = mesh_of_all.runtime.deploy("counter", release(), gated(None, &[])).await;
    assert_eq!(deployed.unwrap().ended().await, Progress::Live);
    for mesh in [mesh, mesh_of_all] {
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_hangs_is_told_and_one_that_is_shown_turns_under_load_is_not_disturbed() {
    let mesh = Deploying::start(&counter_with("recorder = { turns = 32 }")).await;
    plain(&mesh, "", "anna", 1).await;
    let told = refused(&mesh, "hangs", &[]).await;
    assert!(told.kinds.is_empty() && told.what[0].contains("it crashes"), "{told}");

    let load = Load::start(&mesh);
    for number in 0..4 {
        load.more(50).await;
        let release = mesh.release(&format!("no-{number}"), "counts-twice");
        match mesh.runtime.deploy("counter", release, gated(None, &[Deviation::Latency])).await {
            Err(DeployError::Diverges(told)) => assert_eq!(told.kinds, [Deviation::State], "{told}"),
            other => panic!("{other:?}"),
        }
    }
    let sent = load.drain(&mesh).await;
    assert_eq!(mesh.counted("handled"), sent + 1, "each message is handled once, and the one before them");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_that_was_forgotten_is_known_from_then_on() {
    let mesh = Deploying::start(&counter_with("recorder = {}\nkeyed = {}")).await;
    for number in 1..=3 {
        plain(&mesh, "anna", "anna", number).await;
        plain(&mesh, "bert", "bert", number).await;
    }
    mesh.runtime.forget("counter", Some("anna"), PATIENCE).await.unwrap();
    plain(&mesh, "anna", "anna", 1).await;
    let recording = mesh.runtime.recording("counter").await.unwrap();
    let mut actors = recording.actors();
    actors.sort();
    assert_eq!(actors, [("counter/anna".to_owned(), 1, 0), ("counter/bert".to_owned(), 3, 0)]);
    let deployed = mesh.runtime.deploy("counter", mesh.release("two", "healthy"), gated(None, &[])).await;
    assert_eq!(deployed.unwrap().ended().await, Progress::Live);
    mesh.stop().await;
}

const PROBERS: &str = r#"
    name = "mesh"
    [[service]]
    name = "actor"
    release = "@prober"
    recorder = {}
    grants = { send = ["sink"], call = ["sink"], publish = ["news"] }
    [[service]]
    name = "sink"
    release = "@prober"
    grants = { subscribe = ["news"] }
"#;

/// The prober, with other bytes and another version, which asks for this.
fn next(folder: &Path, requests: &str) -> Release {
    let built = guest("prober").parent().unwrap().join("target/airssys/prober.wasm");
    let mut bytes = std::fs::read(built).unwrap();
    // A custom section called `next`, and nothing in it.
    bytes.extend(b"\0\x05\x04next");
    let path = folder.join("next.wasm");
    std::fs::write(&path, bytes).unwrap();
    let manifest = format!("name = \"prober\"\nversion = \"0.2.0\"\n[requests]\n{requests}\n");
    std::fs::write(folder.join("next.toml"), manifest).unwrap();
    Release::find(&path).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_shown_gets_out_and_what_was_told_is_told_again() {
    let mesh = Mesh::start(PROBERS).await;
    mesh.ok("sink", &Command::Subscribe("news".to_owned())).await;
    let increment = |key: &str| json!({ "increment": { "key": key, "by": 1 } });
    for number in 0..10 {
        let busy = Command::Do(vec![
            Command::Increment { key: "turns".to_owned(), by: 1 },
            // Another answer each time, of what nobody knows before.
            Command::Clock,
            Command::Random,
            Command::Sleep(1),
            Command::Call { to: "sink".to_owned(), key: None, body: increment("calls"), timeout_ms: 60_000 },
            Command::Send { to: "sink".to_owned(), key: None, body: json!({ "record": number }) },
            Command::Publish { topic: "news".to_owned(), body: increment("news") },
            Command::SendAfter { delay_ms: 1, body: increment("timers") },
            Command::Whoami,
        ]);
        mesh.ok("actor", &busy).await;
        mesh.ask("actor", &Command::Fail { fault: FaultKind::Refused, reason: "no".to_owned() }).await.unwrap_err();
    }
    let timers = |mesh: &Mesh| {
        let states = mesh.runtime.state("actor");
        states.get("").and_then(|state| state.get("timers").cloned()).is_some_and(|timers| timers[0] == 10)
    };
    mesh.until("all timers ran out", timers).await;
    mesh.ok("sink", &Command::Count).await;
    let turns = mesh.runtime.recording("actor").await.unwrap().turns();
    assert!(turns >= 20, "{turns}");
    let sink = mesh.runtime.state("sink");

    // What it may not do is told with what was done.
    let release = next(mesh.folder.path(), "call = [\"**\"]\npublish = [\"**\"]");
    match mesh.runtime.deploy("actor", release, gated(None, &[Deviation::Answers])).await {
        Err(DeployError::Diverges(told)) => {
            assert_eq!(told.kinds, [Deviation::Effects], "{told}");
            assert!(told.what.iter().any(|what| what.contains("it may not send")), "{told}");
            assert!(told.effects.iter().any(|effect| effect.starts_with("send ")), "{told}");
            assert!(told.would_effects.iter().any(|effect| effect.starts_with("publish ")), "{told}");
        }
        other => panic!("{other:?}"),
    }
    let release = next(mesh.folder.path(), "send = [\"**\"]\ncall = [\"**\"]\npublish = [\"**\"]");
    let deployed = mesh.runtime.deploy("actor", release, gated(None, &[])).await;
    assert_eq!(deployed.unwrap().ended().await, Progress::Live);
    mesh.ok("sink", &Command::Count).await;
    assert_eq!(mesh.runtime.state("sink"), sink, "each message once");
    assert!(mesh.dead().is_empty(), "{:?}", mesh.dead());
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_can_be_shown_that_is_told() {
    let why = |settings: &'static str| async move {
        let mesh = Deploying::start(&counter_with(settings)).await;
        plain(&mesh, "", "anna", 1).await;
        let told = mesh.runtime.deploy("counter", mesh.release("two", "healthy"), gated(None, &[])).await.unwrap_err();
        mesh.stop().await;
        told
    };
    let told = why("").await;
    assert!(matches!(&told, DeployError::Recording(RecordingError::NoRecorder { .. })), "{told}");
    let told = why("recorder = { bodies = false }").await;
    assert!(matches!(&told, DeployError::Recording(RecordingError::NoBodies { .. })), "{told}");
    let told = why("recorder = { bytes = \"1KiB\" }").await;
    assert!(!matches!(&told, DeployError::Diverges(_)), "{told}");

    // A set is not held against turns of one service.
    let mesh = Deploying::start(&counter_with("recorder = {}")).await;
    let set = vec![("counter".to_owned(), mesh.release("two", "healthy"))];
    let told = mesh.runtime.deploy_set(set, gated(None, &[])).await.unwrap_err();
    assert!(matches!(told, DeployError::Choice(_)), "{told}");
    let none = mesh.runtime.deploy("counter", mesh.release("two", "healthy"), gated(Some(0), &[])).await.unwrap_err();
    assert!(matches!(none, DeployError::Choice(_)), "{none}");
    mesh.stop().await;
}
