//! A keyed service whose release keeps its states in another schema: each key's state is brought over when the new
//! release comes to it, at the deployment or when it wakes next. Whatever fails on the way, no message is lost, and no
//! committed turn is discarded unless somebody asks for it.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use airssys_tests::deploying::{Deploying, Load, quick, restoring};
use airssys_tests::{PATIENCE, heir};
use airssys_wasm::command::StateFate;
use airssys_wasm::deploy::{DeployError, DeployOptions, Deployment, Portion, Progress, Rolling, Setback, Strategy};
use airssys_wasm::events::{Happening, Heard, Kind};
use airssys_wasm::hint::Coded;
use airssys_wasm::registry::Release;
use airssys_wasm::topology::Topology;
use serde_json::{Value, json};

/// Few may be awake, of many keys: they wake and fall asleep all the time.
const RESTLESS: &str = "keyed = { max_awake = 8, idle_timeout = \"20ms\" }";
/// None falls asleep by itself.
const WAKEFUL: &str = "keyed = { idle_timeout = \"1h\" }";
/// Two may be awake, and fall asleep when others want to wake.
const TWO: &str = "keyed = { max_awake = 2, idle_timeout = \"1h\" }";
/// The same, on disk.
const DURABLE: &str = "state = \"durable\"\nkeyed = { max_awake = 2, idle_timeout = \"1h\" }";

fn topology(settings: &str) -> String {
    format!(
        r#"
        name = "keyed"
        [settings]
        reserve_timeout = "60s"
        [[service]]
        name = "counter"
        release = "one.wasm"
        {settings}
        limits = {{ turn_budget = "200ms", start_timeout = "500ms", memory = "4MiB" }}
        "#
    )
}

/// Starts a mesh whose first release does this.
async fn start(settings: &str, way: &str) -> Deploying {
    Deploying::start_kept_as(&topology(settings), &heir("one", way, 0), tempfile::tempdir().unwrap()).await
}

fn release(mesh: &Deploying, name: &str, way: &str, schema: u32) -> Release {
    let path: PathBuf = mesh.path(name);
    std::fs::write(&path, heir(name, way, schema)).unwrap();
    let mut release = Release::find(&path).unwrap();
    release.manifest.state_schema = schema;
    release
}

async fn deploy(mesh: &Deploying, release: Release) -> Progress {
    mesh.runtime.deploy("counter", release, quick()).await.unwrap().ended().await
}

/// A probation that only the test ends.
fn long() -> DeployOptions {
    let mut options = quick();
    options.probation = Duration::from_secs(3_600);
    options
}

/// Deploys it, and leaves it on probation for long.
async fn on_probation(mesh: &Deploying, release: Release) -> Deployment {
    let deployment = mesh.runtime.deploy("counter", release, long()).await.unwrap();
    assert_eq!(deployment.switched().await, Progress::Probation);
    deployment
}

/// The same message to each of these keys, by the same sender; this release answers all.
async fn each(mesh: &Deploying, keys: &[&str], number: u64, by: &str) {
    for key in keys {
        assert_eq!(answers(mesh, key, "a", number).await, by, "{key}");
    }
}

/// Who answers a message to a key.
async fn answers(mesh: &Deploying, key: &str, from: &str, number: u64) -> String {
    mesh.ask_key(key, from, number).await["release"].as_str().unwrap().to_owned()
}

/// What a key keeps, as far as it is the count or about the schema.
fn kept(mesh: &Deploying, key: &str) -> BTreeMap<String, Value> {
    let names = ["handled", "doubled", "brought over from", "out of order"];
    let all = names.into_iter().map(|name| (name.to_owned(), mesh.stored(key, name)));
    all.filter(|(_, value)| !value.is_null()).collect()
}

fn holds(name: &str, value: u64) -> BTreeMap<String, Value> {
    BTreeMap::from([(name.to_owned(), json!(value))])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_each_message_counts_once_in_whichever_schema() {
    const KEYS: usize = 30;
    let mesh = start(RESTLESS, "healthy").await;
    // Keys that nobody sends to meanwhile.
    for key in ["sleeper 1", "sleeper 2"] {
        assert_eq!(answers(&mesh, key, "a", 1).await, "one");
    }
    let load = Load::with_keys(&mesh, KEYS, "k");
    load.more(500).await;
    assert_eq!(deploy(&mesh, release(&mesh, "two", "healthy", 1)).await, Progress::Live);
    load.more(500).await;
    let all = load.drain(&mesh).await;
    let states = mesh.runtime.state("counter");
    assert_eq!((mesh.counted("doubled"), mesh.counted("handled")), (2 * all, 2), "each once, in the new schema");
    assert_eq!(states.len(), KEYS + 2);
    // They have slept through it.
    for key in ["sleeper 1", "sleeper 2"] {
        assert_eq!(kept(&mesh, key), holds("handled", 1));
        assert_eq!(answers(&mesh, key, "a", 2).await, "two");
        assert_eq!(kept(&mesh, key), holds("doubled", 4));
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_first_written_to_meanwhile_is_brought_over_too() {
    const KEYS: [&str; 4] = ["a", "b", "c", "d"];
    let mesh = start(WAKEFUL, "healthy").await;
    for key in KEYS {
        // Wakes it and writes nothing.
        let _refused = mesh.runtime.call(("counter", key), "no number", PATIENCE).await.unwrap_err();
    }
    let deployment = mesh.runtime.deploy("counter", release(&mesh, "two", "init-waits", 1), quick()).await.unwrap();
    let mut told = 0;
    while !matches!(deployment.progress(), Progress::Switching { actors: 4, .. }) {
        told += 1;
        assert!(told < 10_000, "it never begins");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Of one of them the new release's instance is made beside the old one by now, over a state that was not there.
    for key in KEYS {
        let _either = answers(&mesh, key, "a", 1).await;
    }
    assert_eq!(deployment.ended().await, Progress::Live);
    each(&mesh, &KEYS, 2, "two").await;
    for key in KEYS {
        assert_eq!(kept(&mesh, key), holds("doubled", 4), "{key}");
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plan_says_so_and_what_cannot_be_kept_is_refused() {
    let mesh = start(WAKEFUL, "healthy").await;
    let mut options = quick();
    let plan = mesh.runtime.plan("counter", release(&mesh, "two", "healthy", 1), options.clone()).await.unwrap();
    assert_eq!((plan.state_schema.state, plan.refusals.len()), (StateFate::MigratedByKey, 0));
    for (strategy, instead) in
        [("canary".parse().unwrap(), "rolling"), (Strategy::Shadow { tolerate: 0.0 }, "in-place")]
    {
        options.strategy = strategy;
        let refused = mesh.runtime.deploy("counter", release(&mesh, "two", "healthy", 1), options.clone()).await;
        let Err(DeployError::Unfit { instead: told, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!(told, instead);
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_state_that_cannot_be_brought_over_leaves_all_as_they_were() {
    const KEYS: [&str; 5] = ["k1", "k2", "k3", "k4", "z"];
    let mesh = start(WAKEFUL, "healthy").await;
    each(&mesh, &KEYS, 1, "one").await;
    assert_eq!(answers(&mesh, "z", "marked", 1).await, "one");
    let mut number = 1;
    for way in ["marked-fails", "marked-traps", "marked-hangs", "marked-grows", "migrate-traps"] {
        let before = mesh.runtime.state("counter");
        let end = deploy(&mesh, release(&mesh, "two", way, 1)).await;
        let Progress::RolledBack { reason: Setback::NotStarted(crash) } = end else { panic!("{way}: {end:?}") };
        assert_eq!(crash.code(), "schema", "{way}: {crash}");
        assert_eq!(mesh.runtime.state("counter"), before, "{way}: bit for bit");
        number += 1;
        each(&mesh, &KEYS, number, "one").await;
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_is_tried_on_a_state_before_all_that_sleep_depend_on_it() {
    let mesh = start(RESTLESS, "healthy").await;
    each(&mesh, &["k1", "k2"], 1, "one").await;
    let before = mesh.runtime.state("counter");
    let path = mesh.path("plain");
    std::fs::write(&path, airssys_tests::shifter("plain", "healthy")).unwrap();
    let mut plain = Release::find(&path).unwrap();
    plain.manifest.state_schema = 7;
    for release in [plain, release(&mesh, "two", "migrate-hangs", 1)] {
        let end = deploy(&mesh, release).await;
        let Progress::RolledBack { reason: Setback::NotStarted(crash) } = end else { panic!("{end:?}") };
        assert_eq!(crash.code(), "schema", "{crash}");
    }
    assert_eq!(mesh.runtime.state("counter"), before);
    each(&mesh, &["k1", "k2"], 2, "one").await;
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_cannot_be_brought_over_when_it_wakes_ends_the_probation() {
    for way in ["marked-fails", "marked-traps", "marked-hangs", "marked-grows"] {
        let mesh = start(RESTLESS, "healthy").await;
        each(&mesh, &["k1", "k2", "z"], 1, "one").await;
        assert_eq!(answers(&mesh, "z", "marked", 1).await, "one");
        let before = mesh.runtime.state("counter");
        let mut tries = 0;
        let deployment = loop {
            let deployment = mesh.runtime.deploy("counter", release(&mesh, "two", way, 1), long()).await.unwrap();
            // Where it is awake still, it is refused.
            if deployment.switched().await == Progress::Probation {
                break deployment;
            }
            tries += 1;
            assert!(tries < 1_000, "{way}: it never sleeps");
        };
        // What it wakes for waits for the release that survives.
        assert_eq!(answers(&mesh, "z", "a", 2).await, "one", "{way}");
        let end = deployment.ended().await;
        let Progress::RolledBack { reason: Setback::Crashed(crash) } = end else { panic!("{way}: {end:?}") };
        assert_eq!(crash.code(), "schema", "{way}: {crash}");
        let after = mesh.runtime.state("counter");
        assert_eq!((&after["k1"], &after["k2"]), (&before["k1"], &before["k2"]), "{way}: bit for bit");
        assert_eq!(kept(&mesh, "z"), holds("handled", 3), "{way}");
        each(&mesh, &["k1", "k2"], 2, "one").await;
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_going_back_by_itself_discards_a_committed_turn_of_a_key() {
    for settings in [TWO, WAKEFUL, RESTLESS, DURABLE] {
        let mesh = start(settings, "healthy").await;
        // Those of the second row are sent to by the new release's time; the last one is new then.
        let (idle, busy) = (["a", "b", "e"], ["c", "d", "f"]);
        each(&mesh, &busy, 1, "one").await;
        each(&mesh, &idle, 1, "one").await;
        let before = mesh.runtime.state("counter");
        let deployment = on_probation(&mesh, release(&mesh, "two", "healthy", 1)).await;
        each(&mesh, &busy, 2, "two").await;
        each(&mesh, &["new"], 1, "two").await;
        deployment.cancel();
        let end = deployment.ended().await;
        assert!(matches!(end, Progress::Suspended { reason: Setback::Cancelled, turns: 4, .. }), "{settings}: {end:?}");
        assert!(mesh.status("counter").suspended);
        assert_eq!(mesh.runtime.turns_to_discard("counter"), 4);
        let after = mesh.runtime.state("counter");
        for key in idle {
            assert_eq!(after[key], before[key], "{settings}: {key}, bit for bit");
        }
        for key in busy {
            assert_eq!(kept(&mesh, key), holds("doubled", 4), "{settings}: what was committed is there");
        }
        // The others go on, whoever has to wait.
        each(&mesh, &idle, 2, "one").await;
        each(&mesh, &["newer"], 1, "one").await;
        let waiting = tokio::spawn({
            let runtime = Arc::clone(&mesh.runtime);
            let body = json!({ "from": "b", "number": 1 }).to_string();
            async move { runtime.call(("counter", "c"), body, PATIENCE).await }
        });
        let end = mesh.runtime.rollback("counter", restoring(quick())).unwrap().ended().await;
        assert_eq!(end, Progress::Live, "{settings}");
        assert!(!mesh.status("counter").suspended);
        let answer: Value = serde_json::from_slice(&waiting.await.unwrap().unwrap().unwrap()).unwrap();
        assert_eq!(answer["release"], json!("one"));
        each(&mesh, &busy, 2, "one").await;
        each(&mesh, &["new"], 1, "one").await;
        assert_eq!((kept(&mesh, "c"), kept(&mesh, "d")), (holds("handled", 3), holds("handled", 2)));
        assert_eq!(kept(&mesh, "new"), holds("handled", 1), "as if it had never been there");
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_was_suspended_when_the_host_ended_is_suspended_when_it_wakes() {
    let mesh = start(DURABLE, "healthy").await;
    let (idle, busy) = (["a", "b", "e"], ["c", "d"]);
    each(&mesh, &busy, 1, "one").await;
    each(&mesh, &idle, 1, "one").await;
    let deployment = on_probation(&mesh, release(&mesh, "two", "healthy", 1)).await;
    each(&mesh, &busy, 2, "two").await;
    deployment.cancel();
    assert!(matches!(deployment.ended().await, Progress::Suspended { turns: 2, .. }));
    let before = mesh.runtime.state("counter");
    let folder = mesh.stop().await;
    let mesh = Deploying::start_kept_as(&topology(DURABLE), &heir("one", "healthy", 0), folder).await;
    for key in busy {
        let body = json!({ "from": "a", "number": 3 }).to_string();
        let waits = mesh.runtime.call(("counter", key), body, Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(waits.code(), "suspended", "{key}: {waits}");
    }
    assert!(mesh.status("counter").suspended);
    each(&mesh, &idle, 2, "one").await;
    each(&mesh, &["new"], 1, "one").await;
    let after = mesh.runtime.state("counter");
    assert_eq!((mesh.runtime.dead_letters().0, &after["c"], &after["d"]), (0, &before["c"], &before["d"]));
    assert_eq!(deploy(&mesh, release(&mesh, "three", "healthy", 1)).await, Progress::Live);
    // The third ones were given up meanwhile.
    each(&mesh, &busy, 3, "three").await;
    each(&mesh, &idle, 3, "three").await;
    assert_eq!((kept(&mesh, "c"), kept(&mesh, "a")), (holds("doubled", 6), holds("doubled", 6)));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_key_goes_on_with_a_release_that_reads_its_state() {
    let mesh = start(TWO, "healthy").await;
    let keys = ["a", "b", "c", "d"];
    each(&mesh, &keys, 1, "one").await;
    let deployment = on_probation(&mesh, release(&mesh, "two", "healthy", 1)).await;
    each(&mesh, &keys, 2, "two").await;
    deployment.cancel();
    assert!(matches!(deployment.ended().await, Progress::Suspended { turns: 4, .. }));
    for key in keys {
        let body = json!({ "from": "a", "number": 3 }).to_string();
        mesh.runtime.send(("counter", key), body).await.unwrap();
    }
    assert_eq!(deploy(&mesh, release(&mesh, "three", "healthy", 1)).await, Progress::Live);
    each(&mesh, &keys, 4, "three").await;
    for key in keys {
        assert_eq!(kept(&mesh, key), holds("doubled", 8));
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_old_release_brings_back_what_it_can() {
    for settings in [TWO, WAKEFUL, RESTLESS, DURABLE] {
        let mesh = start(settings, "both-ways").await;
        let (idle, busy) = (["a", "b"], ["c", "d", "e"]);
        each(&mesh, &busy, 1, "one").await;
        each(&mesh, &idle, 1, "one").await;
        let deployment = on_probation(&mesh, release(&mesh, "two", "healthy", 1)).await;
        each(&mesh, &busy, 2, "two").await;
        each(&mesh, &["new"], 1, "two").await;
        deployment.cancel();
        assert_eq!(deployment.ended().await, Progress::RolledBack { reason: Setback::Cancelled }, "{settings}");
        // Also of those who sleep.
        for key in busy {
            assert_eq!(kept(&mesh, key), holds("handled", 2), "{settings}: {key}");
        }
        each(&mesh, &busy, 3, "one").await;
        each(&mesh, &idle, 2, "one").await;
        each(&mesh, &["new"], 2, "one").await;
        assert_eq!(mesh.counted("handled"), 3 * 3 + 2 * 2 + 2);
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_on_probation_under_load_loses_nothing() {
    let mut rolling = Rolling::default();
    rolling.batch = Portion::Percent(50.0);
    rolling.bake = Duration::from_millis(50);
    for strategy in [Strategy::InPlace, Strategy::Rolling(rolling), Strategy::BlueGreen] {
        let mesh = start(RESTLESS, "both-ways").await;
        let load = Load::with_keys(&mesh, 30, "k");
        load.more(300).await;
        let mut options = long();
        options.strategy = strategy.clone();
        let release = release(&mesh, "two", "crashes-on-4", 1);
        let end = mesh.runtime.deploy("counter", release, options).await.unwrap().ended().await;
        assert!(matches!(end, Progress::RolledBack { reason: Setback::Crashed(_) }), "{strategy:?}: {end:?}");
        load.more(300).await;
        load.end(&mesh).await;
        assert_eq!(mesh.counted("doubled"), 0);
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_it_goes_forth_and_back_by_hand() {
    let mesh = start(RESTLESS, "both-ways").await;
    let load = Load::with_keys(&mesh, 30, "k");
    for _ in 0..3 {
        load.more(200).await;
        assert_eq!(deploy(&mesh, release(&mesh, "two", "healthy", 1)).await, Progress::Live);
        load.more(200).await;
        let back = mesh.runtime.rollback("counter", quick()).unwrap();
        assert_eq!(back.ended().await, Progress::Live);
    }
    // Each key is asked by then, and has its state in the old schema.
    load.end(&mesh).await;
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn going_back_with_the_old_states_discards_what_somebody_said_may_be() {
    for settings in [TWO, WAKEFUL, RESTLESS, DURABLE] {
        let mesh = start(settings, "healthy").await;
        each(&mesh, &["slept", "a", "b", "c"], 1, "one").await;
        let before = mesh.runtime.state("counter");
        let refused = mesh.runtime.rollback("counter", restoring(quick())).unwrap_err();
        assert!(matches!(refused, DeployError::NoSavedState { .. }), "{refused}");
        assert_eq!(deploy(&mesh, release(&mesh, "two", "healthy", 1)).await, Progress::Live);
        each(&mesh, &["a", "b", "c"], 2, "two").await;
        each(&mesh, &["a"], 3, "two").await;
        each(&mesh, &["new"], 1, "two").await;
        // The old release cannot bring them back, so the way back is refused, and the new one goes on.
        let end = mesh.runtime.rollback("counter", quick()).unwrap().ended().await;
        assert!(matches!(end, Progress::RolledBack { reason: Setback::NotStarted(_) }), "{settings}: {end:?}");
        assert_eq!(mesh.runtime.turns_to_discard("counter"), 5, "{settings}");
        let end = mesh.runtime.rollback("counter", restoring(quick())).unwrap().ended().await;
        assert_eq!(end, Progress::Live, "{settings}");
        let after = mesh.runtime.state("counter");
        for key in ["slept", "a", "b", "c"] {
            assert_eq!(after[key], before[key], "{settings}: {key}, bit for bit");
        }
        assert!(after.get("new").is_none_or(BTreeMap::is_empty), "one that sleeps again may be gone as a whole");
        each(&mesh, &["slept", "a", "b", "c"], 2, "one").await;
        each(&mesh, &["new"], 1, "one").await;
        assert_eq!(mesh.runtime.turns_to_discard("counter"), 0);
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn states_that_the_release_before_cannot_read_are_not_put_back() {
    let mesh = start(TWO, "healthy").await;
    each(&mesh, &["a"], 1, "one").await;
    // The second release cannot read this one, and nobody notices while it sleeps.
    let mut ends = mesh.runtime.events().of_kinds(&[Kind::Ended]).from_now_on();
    assert_eq!(answers(&mesh, "z", "marked", 1).await, "one");
    each(&mesh, &["b", "c"], 1, "one").await;
    // Whoever is idle leaves, and that may be one that has just answered.
    let is_end_of_z = |heard| {
        let Heard::Event(event) = heard else { return false };
        matches!(&event.what, Happening::Ended { actor, .. } if actor == "counter/z")
    };
    let mut more = (0..100).map(|key| format!("more{key}"));
    while !std::iter::from_fn(|| ends.try_next()).any(is_end_of_z) {
        each(&mesh, &[&more.next().unwrap()], 1, "one").await;
    }
    assert_eq!(deploy(&mesh, release(&mesh, "two", "marked-fails", 1)).await, Progress::Live);
    assert_eq!(deploy(&mesh, release(&mesh, "three", "healthy", 1)).await, Progress::Live);
    each(&mesh, &["a", "b", "c"], 2, "three").await;
    assert_eq!(answers(&mesh, "z", "marked", 2).await, "three");
    let before = mesh.runtime.state("counter");
    let end = mesh.runtime.rollback("counter", restoring(quick())).unwrap().ended().await;
    let Progress::RolledBack { reason: Setback::NotStarted(crash) } = end else { panic!("{end:?}") };
    assert!(crash.to_string().contains("fails in marked"), "{crash}");
    assert_eq!(mesh.runtime.state("counter"), before, "nothing was put back");
    assert!(!mesh.status("counter").suspended);
    each(&mesh, &["a", "b", "c"], 3, "three").await;
    assert_eq!(answers(&mesh, "z", "marked", 3).await, "three");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_fails_at_one_key_discards_the_turns_of_none() {
    let mesh = start(WAKEFUL, "starts-once").await;
    each(&mesh, &["last"], 1, "one").await;
    assert_eq!(deploy(&mesh, release(&mesh, "two", "healthy", 1)).await, Progress::Live);
    // These have nothing to go back to, so the release before starts there, and not where it was once.
    let others = ["a", "b", "c", "d", "e", "f", "g"];
    each(&mesh, &others, 1, "two").await;
    each(&mesh, &["last"], 2, "two").await;
    assert_eq!(mesh.runtime.turns_to_discard("counter"), 8);
    let end = mesh.runtime.rollback("counter", restoring(quick())).unwrap().ended().await;
    assert!(matches!(end, Progress::RolledBack { reason: Setback::NotStarted(_) }), "{end:?}");
    assert_eq!(mesh.runtime.turns_to_discard("counter"), 8, "what was put back is there again");
    each(&mesh, &others, 2, "two").await;
    each(&mesh, &["last"], 3, "two").await;
    for key in others {
        assert_eq!(kept(&mesh, key), holds("doubled", 4), "{key}");
    }
    assert_eq!(kept(&mesh, "last"), holds("doubled", 6));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_may_sleep_through_several_deployments() {
    let mesh = start(TWO, "healthy").await;
    const KEYS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
    each(&mesh, &KEYS, 1, "one").await;
    assert_eq!(deploy(&mesh, release(&mesh, "two", "tells-from", 1)).await, Progress::Live);
    each(&mesh, &["a"], 2, "two").await;
    assert_eq!(mesh.stored("a", "brought over from"), json!(0));
    // Two were awake at most, so there are others that sleep through this one, and the next one.
    let slept = KEYS.into_iter().find(|key| kept(&mesh, key) == holds("handled", 1)).unwrap();
    assert_eq!(deploy(&mesh, release(&mesh, "three", "tells-from", 2)).await, Progress::Live);
    assert_eq!(kept(&mesh, slept), holds("handled", 1));
    each(&mesh, &[slept], 2, "three").await;
    each(&mesh, &["a"], 3, "three").await;
    let from = |key| mesh.stored(key, "brought over from");
    assert_eq!((from(slept), from("a")), (json!(0), json!(1)));
    assert_eq!((mesh.stored(slept, "doubled"), mesh.stored("a", "doubled")), (json!(4), json!(6)));
    mesh.stop().await;
}

/// Puts a release with a description beside the topology.
fn describe(mesh: &Path, name: &str, way: &str, schema: u32) {
    std::fs::write(mesh.join(format!("{name}.wasm")), heir(name, way, schema)).unwrap();
    let described = format!("name = \"counter\"\nversion = \"{}.0.0\"\nstate_schema = {schema}\n", schema + 1);
    std::fs::write(mesh.join(format!("{name}.toml")), described).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edited_topology_brings_the_states_over_as_well() {
    let mesh = start(TWO, "healthy").await;
    each(&mesh, &["a", "b", "c", "d"], 1, "one").await;
    let before = mesh.runtime.state("counter");
    let edited = |name: &str| {
        let file = mesh.folder.path().join("airssys.toml");
        std::fs::write(&file, topology(TWO).replace("one.wasm", &format!("{name}.wasm"))).unwrap();
        Topology::read(&file).unwrap()
    };
    describe(mesh.folder.path(), "broken", "migrate-traps", 1);
    let refused = mesh.runtime.apply(edited("broken"), quick()).await.unwrap_err();
    assert!(refused.to_string().contains("migrate"), "{refused}");
    assert_eq!(mesh.runtime.state("counter"), before);
    describe(mesh.folder.path(), "two", "healthy", 1);
    mesh.runtime.apply(edited("two"), quick()).await.unwrap();
    each(&mesh, &["a", "b", "c", "d"], 2, "two").await;
    assert_eq!((mesh.counted("doubled"), mesh.counted("handled")), (16, 0));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_sleeps_through_the_end_of_the_host_is_brought_over_afterwards() {
    const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];
    let mesh = start(DURABLE, "healthy").await;
    each(&mesh, &KEYS, 1, "one").await;
    describe(mesh.folder.path(), "two", "healthy", 1);
    let two = Release::find(&mesh.path("two")).unwrap();
    assert_eq!(deploy(&mesh, two).await, Progress::Live);
    each(&mesh, &["a"], 2, "two").await;
    let folder = mesh.stop().await;
    let mesh = Deploying::start_kept_as(&topology(DURABLE), &heir("one", "healthy", 0), folder).await;
    assert!(mesh.counted("handled") > 0 && mesh.counted("doubled") > 0, "in both schemas, as it was left");
    // What the old release cannot read is refused, also by a host that does not know how it came to that.
    let end = mesh.runtime.rollback("counter", quick()).unwrap().ended().await;
    assert!(matches!(end, Progress::RolledBack { reason: Setback::NotStarted(_) }), "{end:?}");
    each(&mesh, &["a"], 3, "two").await;
    each(&mesh, &KEYS[1..], 2, "two").await;
    assert_eq!((mesh.counted("doubled"), mesh.counted("handled")), (2 * 11, 0));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_cannot_be_brought_over_after_the_probation_keeps_its_state() {
    let mesh = start(TWO, "healthy").await;
    each(&mesh, &["z"], 1, "one").await;
    assert_eq!(answers(&mesh, "z", "marked", 1).await, "one");
    each(&mesh, &["a", "b", "c", "d"], 1, "one").await;
    let before = mesh.runtime.state("counter");
    let mut tries = 0;
    // Where it is awake still, it is refused.
    while deploy(&mesh, release(&mesh, "two", "marked-traps", 1)).await != Progress::Live {
        each(&mesh, &["a", "b", "c", "d"], 2 + tries, "one").await;
        tries += 1;
        assert!(tries < 100, "it never sleeps");
    }
    let body = json!({ "from": "a", "number": 2 }).to_string();
    let failed = mesh.runtime.call(("counter", "z"), body, PATIENCE).await.unwrap_err();
    assert_eq!(failed.code(), "crashed");
    assert!(failed.to_string().contains("migrate"), "{failed}");
    assert_eq!((mesh.runtime.dead_letters().0, &mesh.runtime.state("counter")["z"]), (1, &before["z"]));
    each(&mesh, &["a"], 2 + tries, "two").await;
    // A release that can is the way out.
    assert_eq!(deploy(&mesh, release(&mesh, "three", "healthy", 1)).await, Progress::Live);
    each(&mesh, &["z"], 2, "three").await;
    assert_eq!(kept(&mesh, "z"), holds("doubled", 6));
    mesh.stop().await;
}
