//! Queries of those that come and go: each from the state of its own key or child, which need not be awake.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use airssys_tests::calling::Callers;
use airssys_tests::deploying::{quick, restoring};
use airssys_tests::{Mesh, PATIENCE, keeping};
use airssys_wasm::deploy::{Portion, Progress, Rolling, Setback, Strategy};
use airssys_wasm::error::CallError;
use airssys_wasm::{InvokeError, Runtime};
use prober_protocol::Command;

use super::{TALLY, another, occupy};

/// [`TALLY`], with an actor a key.
fn keyed(rules: &str) -> String {
    TALLY.replace("shutdown =", &format!("keyed = {rules}\n    shutdown ="))
}

async fn ask(runtime: &Runtime, key: &str, call: &str) -> String {
    let answered = runtime.invoke(("tally", key), call, PATIENCE).await;
    answered.unwrap_or_else(|why| panic!("{key}: {call}: {why}")).unwrap()
}

/// Waits until nobody is awake; how many were started by then.
async fn asleep(mesh: &Mesh) -> u64 {
    mesh.until("all sleep", |mesh| mesh.runtime.instances().0 == 0).await;
    mesh.status("tally").started
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_of_a_key_answers_while_its_turn_runs_from_what_was_committed_there() {
    let mesh = Mesh::start(&keyed("{ idle_timeout = \"1h\" }")).await;
    for (key, amount) in [("a", 7), ("b", 9)] {
        assert_eq!(ask(&mesh.runtime, key, &format!("add({amount})")).await, amount.to_string());
    }
    occupy(&mesh, Some("a")).await;
    for _ in 0..10 {
        assert_eq!(ask(&mesh.runtime, "a", "total()").await, "7");
        assert_eq!(ask(&mesh.runtime, "b", "total()").await, "9");
    }
    // What is no query waits, behind the turn of its own key alone.
    mesh.runtime.cast(("tally", "a"), "add(1)").await.unwrap();
    mesh.until("it waits", |mesh| mesh.status("tally").queued == 1).await;
    assert_eq!(ask(&mesh.runtime, "a", "total()").await, "7");
    assert_eq!(ask(&mesh.runtime, "b", "add(1)").await, "10");
    assert_eq!(ask(&mesh.runtime, "b", "total()").await, "10");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_wakes_no_key_and_has_no_effects_there() {
    let mesh = Mesh::start(&keyed("{ idle_timeout = \"10ms\" }")).await;
    assert_eq!(ask(&mesh.runtime, "a", "add(7)").await, "7");
    let started = asleep(&mesh).await;
    for (key, total) in [("a", "7"), ("never seen", "0"), ("a", "7")] {
        assert_eq!(ask(&mesh.runtime, key, "total()").await, total);
        assert_eq!(ask(&mesh.runtime, key, "asked()").await, "0");
        let told = ask(&mesh.runtime, key, "meddle()").await;
        assert_eq!(told.matches("a query has no effects").count(), 7, "{told}");
    }
    match mesh.runtime.invoke(("tally", "a"), "crash()", PATIENCE).await {
        Err(InvokeError::Call(CallError::Crashed(_))) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(mesh.status("tally").started, started, "nobody woke");
    assert_eq!(mesh.dead(), ["crashed"]);
    assert_eq!(ask(&mesh.runtime, "a", "add(1)").await, "8");
    mesh.stop().await;
}

#[tokio::test]
async fn a_query_of_a_key_that_waits_in_the_mailbox_is_no_other() {
    let mesh = Mesh::start(&keyed("{}").replace("shutdown =", "max_queries = 0\n    shutdown =")).await;
    assert_eq!(ask(&mesh.runtime, "a", "add(7)").await, "7");
    for (key, total) in [("a", "7"), ("b", "0")] {
        assert_eq!(ask(&mesh.runtime, key, "total()").await, total);
        assert_eq!(ask(&mesh.runtime, key, "asked()").await, "0");
    }
    mesh.stop().await;
}

#[tokio::test]
async fn what_is_on_disk_is_there_to_be_asked_before_anybody_wakes() {
    let topology = keyed("{}").replace("shutdown =", "state = \"durable\"\n    shutdown =");
    let mut folder = tempfile::tempdir().unwrap();
    for round in 0..3_u64 {
        let builder = keeping(folder.path());
        let mesh = Mesh::start_in(folder, &topology, &[], builder).await;
        assert_eq!(ask(&mesh.runtime, "a", "total()").await, (7 * round).to_string());
        assert_eq!(mesh.status("tally").started, 0);
        assert_eq!(ask(&mesh.runtime, "a", "add(7)").await, (7 * round + 7).to_string());
        assert_eq!(ask(&mesh.runtime, "a", "total()").await, (7 * round + 7).to_string());
        folder = mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_is_asked_beside_its_turn_as_long_as_it_is_there() {
    let overseer =
        "[[service]]\n    name = \"overseer\"\n    release = \"@overseer\"\n    grants = { spawn = [\"tally/*\"] }\n";
    let tally = TALLY.replace("shutdown =", "spawned = {}\n    shutdown =");
    let mesh = Mesh::start(&format!("{tally}{overseer}")).await;
    let total = async || mesh.runtime.invoke(("tally", "a"), "total()", PATIENCE).await;
    assert!(total().await.is_err());
    mesh.ok("overseer", &Command::Spawn { service: "tally".into(), name: "a".into() }).await;
    assert_eq!(ask(&mesh.runtime, "a", "add(7)").await, "7");
    occupy(&mesh, Some("a")).await;
    for _ in 0..10 {
        assert_eq!(ask(&mesh.runtime, "a", "total()").await, "7");
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_crashes_on_probation_brings_the_release_before_back() {
    let waits = TALLY.replace("shutdown =", "max_queries = 0\n    shutdown =");
    let (awake, sleeps) = (keyed("{ idle_timeout = \"1h\" }"), keyed("{ idle_timeout = \"10ms\" }"));
    for (how, topology, key) in
        [("one", TALLY, None), ("waits", &waits, None), ("awake", &awake, Some("a")), ("sleeps", &sleeps, Some("a"))]
    {
        let mesh = Mesh::start(topology).await;
        let ask = async |call: &str| mesh.runtime.invoke(("tally", key), call, PATIENCE).await;
        assert_eq!(ask("add(7)").await.unwrap().as_deref(), Some("7"), "{how}");
        let mut options = quick();
        options.probation = PATIENCE;
        let deployment = mesh.runtime.deploy("tally", another(&mesh, 1, 0), options).await.unwrap();
        assert_eq!(deployment.switched().await, Progress::Probation, "{how}");
        assert_eq!(ask("add(1)").await.unwrap().as_deref(), Some("8"), "{how}");
        if how == "sleeps" {
            asleep(&mesh).await;
        }
        assert!(ask("crash()").await.is_err(), "{how}");
        let end = deployment.ended().await;
        assert!(matches!(end, Progress::RolledBack { reason: Setback::Crashed(_) }), "{how}: {end:?}");
        for (call, total) in [("total()", "8"), ("add(1)", "9"), ("total()", "9")] {
            assert_eq!(ask(call).await.unwrap().as_deref(), Some(total), "{how}");
        }
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_are_turns_where_releases_are_compared() {
    let mesh = Mesh::start(&keyed("{}")).await;
    for key in KEYS {
        assert_eq!(ask(&mesh.runtime, key, "add(7)").await, "7");
    }
    let runtime = Arc::clone(&mesh.runtime);
    let askers = Callers::numbered(KEYS.len(), move |caller, _| {
        let runtime = Arc::clone(&runtime);
        async move { assert_eq!(ask(&runtime, KEYS[caller], "total()").await, "7") }
    });
    let mut options = quick();
    options.strategy = Strategy::Canary { steps: vec![50.0] };
    options.gate.bake = Duration::from_millis(50);
    options.gate.samples = 20;
    options.gate.latency = 1_000_000.0;
    let deployment = mesh.runtime.deploy("tally", another(&mesh, 1, 0), options).await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, deployment.ended()).await;
    assert_eq!(ended, Ok(Progress::Live), "nothing else is asked of it");
    askers.end().await;
    mesh.stop().await;
}

const KEYS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Of each key how much was added: begun, and answered.
#[derive(Default)]
struct Added([(AtomicU64, AtomicU64); KEYS.len()]);

/// Adds to all keys, and asks what it comes to meanwhile: never less than was answered before, nor more than was begun.
fn load(mesh: &Mesh) -> Callers {
    let (runtime, added) = (Arc::clone(&mesh.runtime), Arc::<Added>::default());
    Callers::numbered(2 * KEYS.len(), move |caller, _| {
        let (runtime, added) = (Arc::clone(&runtime), Arc::clone(&added));
        async move {
            let (key, (begun, answered)) = (KEYS[caller / 2], &added.0[caller / 2]);
            if caller % 2 == 0 {
                let next = begun.fetch_add(1, Ordering::SeqCst) + 1;
                assert_eq!(ask(&runtime, key, "add(1)").await, next.to_string());
                answered.store(next, Ordering::SeqCst);
                return;
            }
            let least = answered.load(Ordering::SeqCst);
            let total: u64 = ask(&runtime, key, "total()").await.parse().unwrap();
            let most = begun.load(Ordering::SeqCst);
            assert!(least <= total && total <= most, "{key}: {least} <= {total} <= {most}");
        }
    })
}

fn strategies() -> [Strategy; 5] {
    let mut rolling = Rolling::default();
    rolling.batch = Portion::Percent(50.0);
    rolling.bake = Duration::from_millis(50);
    let canary = Strategy::Canary { steps: vec![10.0, 50.0] };
    let shadow = Strategy::Shadow { tolerate: 0.0 };
    [Strategy::InPlace, Strategy::Rolling(rolling), Strategy::BlueGreen, canary, shadow]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_of_keys_are_answered_from_their_last_commit_whoever_takes_over() {
    let mesh = Mesh::start(&keyed("{ max_awake = 3, idle_timeout = \"5ms\" }")).await;
    let load = load(&mesh);
    for (round, strategy) in strategies().into_iter().enumerate() {
        load.more(50).await;
        let mut options = quick();
        options.strategy = strategy;
        options.gate.bake = Duration::from_millis(50);
        options.gate.samples = 20;
        // On a busy machine any release may be a millisecond slower.
        options.gate.latency = 1_000_000.0;
        let release = another(&mesh, u8::try_from(round).unwrap(), 0);
        let deployment = mesh.runtime.deploy("tally", release, options.clone()).await.unwrap();
        assert_eq!(deployment.ended().await, Progress::Live, "{options:?}");
    }
    load.more(50).await;
    load.end().await;
    assert!(mesh.dead().is_empty(), "{:?}", mesh.dead());
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_has_slept_since_another_schema_came_brings_its_state_over_before_it_is_asked() {
    let mesh = Mesh::start(&keyed("{ idle_timeout = \"10ms\" }")).await;
    for key in ["a", "b"] {
        assert_eq!(ask(&mesh.runtime, key, "add(7)").await, "7");
    }
    asleep(&mesh).await;
    let deployment = mesh.runtime.deploy("tally", another(&mesh, 1, 1), quick()).await.unwrap();
    assert_eq!(deployment.ended().await, Progress::Live);
    let started = asleep(&mesh).await;
    assert_eq!(ask(&mesh.runtime, "a", "total()").await, "7");
    assert_eq!(mesh.status("tally").started, started + 1, "it woke for that");
    assert_eq!(ask(&mesh.runtime, "a", "add(1)").await, "8");
    let started = asleep(&mesh).await;
    assert_eq!(ask(&mesh.runtime, "a", "total()").await, "8");
    assert_eq!(mesh.status("tally").started, started);
    // The state from before comes back, and is asked for all the time.
    let runtime = Arc::clone(&mesh.runtime);
    let askers = Callers::numbered(2, move |caller, _| {
        let runtime = Arc::clone(&runtime);
        async move {
            let (key, totals) = if caller == 0 { ("a", ["7", "8"]) } else { ("b", ["7", "7"]) };
            let total = ask(&runtime, key, "total()").await;
            assert!(totals.contains(&total.as_str()), "{key}: {total}");
        }
    });
    askers.more(10).await;
    assert_eq!(mesh.runtime.rollback("tally", restoring(quick())).unwrap().ended().await, Progress::Live);
    for key in ["a", "b"] {
        assert_eq!(ask(&mesh.runtime, key, "total()").await, "7");
    }
    askers.more(10).await;
    askers.end().await;
    mesh.stop().await;
}
