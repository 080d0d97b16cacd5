//! What a service or a key remembers can be dropped, whoever runs on it and whatever it does: all of it, at once, and
//! for good.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]
#![allow(clippy::print_stdout, reason = "the seed, and what came of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use airssys_tests::deploying::{Deploying, quick, restoring};
use airssys_tests::{Mesh, PATIENCE, heir, log, until};
use airssys_wasm::Runtime;
use airssys_wasm::command::{ForgetError, Forgotten};
use airssys_wasm::command::{KeptState, StateFile};
use airssys_wasm::deploy::{Deployment, Progress, Setback};
use airssys_wasm::hint::Coded;
use airssys_wasm::registry::Release;
use prober_protocol::{Command, Outcome, Trap};
use serde_json::{Value, json};

/// Each way to have state, in memory and on disk.
const MESH: &str = r#"
    name = "forget"
    [root]
    intensity = 1000
    [[service]]
    name = "one"
    release = "@prober"
    [[service]]
    name = "lanes"
    release = "@prober"
    instances = 3
    partitioned = true
    [[service]]
    name = "keyed"
    release = "@prober"
    keyed = { idle_timeout = "1h" }
    [[service]]
    name = "drowsy"
    release = "@prober"
    keyed = { idle_timeout = "10ms" }
    [[service]]
    name = "pool"
    release = "@prober"
    instances = 2
"#;

/// Each service that may have durable state has it.
fn durable() -> String {
    let (with_state, pool) = MESH.split_once("[[service]]\n    name = \"pool\"").unwrap();
    format!(
        "{}[[service]]\n    name = \"pool\"{pool}",
        with_state.replace("release = \"@prober\"", "release = \"@prober\"\n    state = \"durable\"")
    )
}

async fn start(topology: &str, data: &Path) -> Mesh {
    Mesh::try_start(topology, Runtime::builder().data_folder(data)).await.unwrap()
}

/// Tells a prober with a key, where it takes one, what to do.
async fn ask(mesh: &Mesh, (service, key): (&str, Option<&str>), command: &Command) -> Value {
    let answer = mesh.runtime.call((service, key), command.bytes(), PATIENCE).await;
    match serde_json::from_slice(&answer.unwrap().unwrap()).unwrap() {
        Outcome::Ok(value) => value,
        refused @ Outcome::Err(_) => panic!("{refused:?}"),
    }
}

fn increment() -> Command {
    Command::Increment { key: "count".into(), by: 1 }
}

async fn forget(mesh: &Mesh, (service, key): (&str, Option<&str>)) -> Forgotten {
    mesh.runtime.forget(service, key, PATIENCE).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_one_remembers_is_gone_and_nothing_of_the_others() {
    for topology in [MESH.to_owned(), durable()] {
        let data = tempfile::tempdir().unwrap();
        let mesh = start(&topology, data.path()).await;
        let all = [
            ("one", None),
            ("lanes", Some("a")),
            ("lanes", Some("b/c\n")),
            ("lanes", None),
            ("keyed", Some("a")),
            ("keyed", Some("a b/c")),
            ("drowsy", Some("a")),
            ("drowsy", Some("b")),
        ];
        for who in all {
            ask(&mesh, who, &Command::Set { key: "kept".into(), value: json!("x".repeat(5_000)) }).await;
            assert_eq!(ask(&mesh, who, &increment()).await, json!(1));
        }
        mesh.until("the drowsy ones sleep", |mesh| mesh.runtime.instances().0 == 1 + 3 + 2 + 2).await;
        let bytes = mesh.runtime.durable_bytes().map(|(bytes, _)| bytes);
        for (at, who) in all.into_iter().enumerate().filter(|(at, _)| at % 2 == 0) {
            let planned = mesh.runtime.plan_forget(who.0, who.1).unwrap();
            assert_eq!((planned.values, planned.commits, planned.waiting), (2, 2, 0), "{who:?}");
            assert_eq!(forget(&mesh, who).await, planned, "{who:?}");
            assert_eq!(ask(&mesh, who, &Command::Count).await, json!(1), "{at}: an instance that knows nothing of it");
            assert_eq!(ask(&mesh, who, &Command::Keys).await, json!([]));
        }
        for (at, who) in all.into_iter().enumerate() {
            let counted = if at % 2 == 0 { json!(1) } else { json!(2) };
            assert_eq!(ask(&mesh, who, &increment()).await, counted, "{who:?}");
        }
        if let Some(bytes) = bytes {
            let left = mesh.runtime.durable_bytes().unwrap().0;
            assert!(left < bytes / 2 + 1_000, "{left} of {bytes}");
        }
        mesh.stop().await;
        let mesh = start(&topology, data.path()).await;
        if bytes.is_some() {
            for (at, who) in all.into_iter().enumerate() {
                let keys = if at % 2 == 0 { json!(["count"]) } else { json!(["count", "kept"]) };
                assert_eq!(ask(&mesh, who, &Command::Keys).await, keys, "{who:?}, after a restart");
            }
        }
        mesh.stop().await;
        assert!(StateFile::survey(data.path()).map_or(bytes.is_none(), |survey| survey.damage.is_empty()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_there_is_told_and_nothing_is_touched() {
    let data = tempfile::tempdir().unwrap();
    let mesh = start(&durable(), data.path()).await;
    ask(&mesh, ("keyed", Some("a")), &increment()).await;
    ask(&mesh, ("lanes", Some("a")), &increment()).await;
    for (service, key, code) in [
        ("nobody", None, "no-such-service"),
        ("keyed", None, "needs-key"),
        ("keyed", Some("b"), "no-such-key"),
        ("keyed", Some(""), "no-such-key"),
        ("lanes", Some("b"), "no-such-key"),
        ("lanes", None, "no-such-key"),
        ("one", Some("a"), "takes-no-key"),
        ("pool", None, "no-state"),
    ] {
        let refused = mesh.runtime.forget(service, key, PATIENCE).await.unwrap_err();
        assert_eq!(refused.code(), code, "{service} {key:?}: {refused}");
        assert!(refused.hint().is_some(), "{refused}");
        assert_eq!(mesh.runtime.plan_forget(service, key).unwrap_err().code(), code);
    }
    assert_eq!((mesh.status("keyed").keys, mesh.status("keyed").started), (1, 1));
    assert_eq!(ask(&mesh, ("keyed", Some("a")), &Command::Count).await, json!(2));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_runs_is_waited_for_and_nothing_that_waits_is_lost() {
    log::listen();
    let data = tempfile::tempdir().unwrap();
    let mesh = start(&durable().replace("\"keyed\"", "\"patient\""), data.path()).await;
    for (service, key) in [("one", None), ("patient", Some("a"))] {
        assert_eq!(ask(&mesh, (service, key), &increment()).await, json!(1));
        let to = key.map_or_else(|| service.to_owned(), |key| format!("{service}/{key}"));
        mesh.tell(&to, &Command::Do(vec![increment(), Command::Sleep(700), increment()])).await.unwrap();
        for _ in 0..3 {
            mesh.tell(&to, &increment()).await.unwrap();
        }
        mesh.until("the first one is in its turn", |mesh| mesh.status(service).queued == 3).await;
        assert_eq!(forget(&mesh, (service, key)).await.waiting, 3);
        assert_eq!(ask(&mesh, (service, key), &increment()).await, json!(4), "three that waited, and this one");
    }
    assert_eq!(mesh.dead(), Vec::<&str>::new(), "it was not cut off");
    let told = log::of("airssys::state", "patient/a");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].1["message"].as_str().unwrap().contains("forgotten"), "{told:?}");
    mesh.stop().await;
}

/// A turn that would not be over for an hour is a crash then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_does_not_end_is_cut_off() {
    let limits = "limits = { turn_deadline = \"1h\", turn_budget = \"1h\" }\n    release = \"@prober\"";
    let data = tempfile::tempdir().unwrap();
    let mesh = start(&durable().replace("release = \"@prober\"", limits), data.path()).await;
    for (service, key, stuck) in [
        ("one", None, Command::Sleep(3_600_000)),
        ("keyed", Some("a"), Command::Sleep(3_600_000)),
        ("keyed", Some("b"), Command::Trap(Trap::EndlessLoop)),
    ] {
        assert_eq!(ask(&mesh, (service, key), &increment()).await, json!(1));
        let to = key.map_or_else(|| service.to_owned(), |key| format!("{service}/{key}"));
        mesh.tell(&to, &Command::Do(vec![increment(), stuck])).await.unwrap();
        mesh.tell(&to, &increment()).await.unwrap();
        mesh.until("it is in its turn", |mesh| mesh.status(service).queued == 1).await;
        let _forgotten = mesh.runtime.forget(service, key, Duration::from_millis(50)).await.unwrap();
        assert_eq!(ask(&mesh, (service, key), &increment()).await, json!(2), "{to}: what waited, and this");
    }
    assert_eq!(mesh.dead(), ["crashed"; 3]);
    mesh.stop().await;
}

/// What no turn can undo: the state itself keeps the release from starting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_whose_state_keeps_it_from_starting_is_let_in_again_with_what_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let state = |key: &str| KeptState { values: [(key.into(), vec![2; 8].into())].into(), commits: 3, schema: 0 };
    let states = BTreeMap::from([("alice".into(), state("doubled")), ("bob".into(), state("handled"))]);
    StateFile::open(&data).unwrap().replace("counter", &states).unwrap();
    let rules =
        "keyed = { intensity = 1, backoff = { initial = \"1h\", max = \"1h\" } }\nstate = \"durable\"\nretries = 1000";
    let topology = format!("name = \"sick\"\n[[service]]\nname = \"counter\"\nrelease = \"one.wasm\"\n{rules}\n");
    let mesh = Deploying::start_kept_as(&topology, &heir("one", "healthy", 0), folder).await;

    let handled = mesh.ask_key("bob", "a", 1).await;
    assert_eq!(handled["release"], json!("one"));
    for number in 1..=3 {
        let body = json!({ "from": "b", "number": number }).to_string();
        mesh.runtime.send(("counter", "alice"), body).await.unwrap();
    }
    // It does not start at all: its messages are dead letters, and so are those that come later.
    while mesh.runtime.dead_letters().0 < 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let body = json!({ "from": "b", "number": 1 }).to_string();
    // Each is told why, and not what became of the start before.
    for _ in 0..100 {
        let refused = mesh.runtime.call(("counter", "alice"), body.clone(), PATIENCE).await.unwrap_err();
        assert!(refused.to_string().contains("doubled"), "{refused}");
    }
    let forgotten = mesh.runtime.forget("counter", Some("alice"), PATIENCE).await.unwrap();
    assert_eq!((forgotten.values, forgotten.commits), (1, 3));
    mesh.ask_key("alice", "b", 1).await;
    assert_eq!((mesh.stored("alice", "handled"), mesh.stored("alice", "doubled")), (json!(1), Value::Null));
    assert_eq!(mesh.ask_key("bob", "a", 2).await["seen"], json!(2), "nobody has touched it");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_set_aside_for_long_is_let_in_again_at_once() {
    let rules = "{ intensity = 1, backoff = { initial = \"1h\", max = \"1h\" } }";
    let topology = durable().replace("{ idle_timeout = \"1h\" }", rules).replace("intensity = 1000", "intensity = 0");
    let data = tempfile::tempdir().unwrap();
    let mesh = start(&topology, data.path()).await;
    assert_eq!(ask(&mesh, ("keyed", Some("a")), &increment()).await, json!(1));
    assert_eq!(ask(&mesh, ("keyed", Some("b")), &increment()).await, json!(1));
    for _ in 0..2 {
        mesh.tell("keyed/a", &Command::Trap(Trap::Panic)).await.unwrap();
    }
    mesh.until("a is set aside", |mesh| mesh.status("keyed").set_aside == 1).await;
    for _ in 0..2 {
        mesh.tell("keyed/a", &increment()).await.unwrap();
    }
    assert_eq!(forget(&mesh, ("keyed", Some("a"))).await.waiting, 2);
    assert_eq!(ask(&mesh, ("keyed", Some("a")), &increment()).await, json!(3), "with what waited for it");
    assert_eq!(mesh.status("keyed").set_aside, 0);
    assert_eq!(ask(&mesh, ("keyed", Some("b")), &increment()).await, json!(2));
    mesh.stop().await;
}

/// How the children of the root are, in order of the words for it.
async fn states(mesh: &Mesh) -> Vec<&'static str> {
    let mut states: Vec<_> = mesh.runtime.tree().await.iter().map(|node| node.child.status.name()).collect();
    states.sort_unstable();
    states
}

/// One that its supervisor starts again in an hour, and one of a group that waits for its sibling.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_back_off_is_not_waited_for_and_starts_at_once() {
    let topology = r#"
        name = "waits"
        [root]
        intensity = 1000
        strategy = "one-for-all"
        backoff = { initial = "1h", max = "1h" }
        [[service]]
        name = "one"
        release = "@prober"
        state = "durable"
        [[service]]
        name = "sibling"
        release = "@prober"
        state = "durable"
    "#;
    let data = tempfile::tempdir().unwrap();
    let mesh = start(topology, data.path()).await;
    for (crashing, other) in [("one", "sibling"), ("sibling", "one")] {
        for service in [crashing, other] {
            ask(&mesh, (service, None), &increment()).await;
        }
        let starts = mesh.status(other).started;
        mesh.tell(crashing, &Command::Trap(Trap::Panic)).await.unwrap();
        // That nobody lives is not enough: it is a moment later that the supervisor begins to wait.
        until("the supervisor waits", async || states(&mesh).await == ["down", "restarting"]).await;
        for service in [other, crashing] {
            mesh.tell(service, &increment()).await.unwrap();
            let forgotten = forget(&mesh, (service, None)).await;
            assert!(forgotten.values == 1 && forgotten.waiting == 1, "{forgotten:?}");
        }
        for service in [crashing, other] {
            assert_eq!(ask(&mesh, (service, None), &increment()).await, json!(2), "{service}");
        }
        assert_eq!(mesh.status(other).started, starts + 1);
    }
    assert_eq!(mesh.dead(), ["crashed"; 2]);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_forgets_and_stays_the_child_that_it_is() {
    let mesh = Mesh::start(
        r#"
        name = "children"
        [root]
        intensity = 0
        [[service]]
        name = "worker"
        release = "@prober"
        spawned = { intensity = 0, backoff = { initial = "1h", max = "1h" } }
        [[service]]
        name = "overseer"
        release = "@overseer"
        [service.grants]
        spawn = ["worker/*"]
        "#,
    )
    .await;
    let spawn = |name: &str| Command::Spawn { service: "worker".into(), name: name.into() };
    mesh.ok("overseer", &Command::Do(vec![spawn("a"), spawn("b"), Command::Monitor("worker/a".into())])).await;
    for who in ["worker/a", "worker/b"] {
        assert_eq!(mesh.ok(who, &increment()).await, json!(1));
    }
    let unknown = mesh.runtime.forget("worker", Some("c"), PATIENCE).await.unwrap_err();
    assert_eq!(unknown.code(), "no-such-key", "{unknown}");
    assert_eq!(forget(&mesh, ("worker", Some("a"))).await.values, 1);
    assert_eq!(mesh.ok("worker/a", &increment()).await, json!(1));
    assert_eq!(mesh.ok("overseer", &Command::Get("downs".into())).await, Value::Null, "it has not ended");
    mesh.tell("worker/a", &Command::Trap(Trap::Panic)).await.unwrap();
    mesh.until("a is set aside", |mesh| mesh.status("worker").set_aside == 1).await;
    assert_eq!(forget(&mesh, ("worker", Some("a"))).await.values, 1);
    assert_eq!(mesh.ok("worker/a", &increment()).await, json!(1));
    assert_eq!(mesh.ok("worker/b", &increment()).await, json!(2));
    mesh.stop().await;
}

/// A sender counts up two numbers in turn, and every now and then they are forgotten: both go on from there or both
/// begin anew, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_each_count_goes_on_or_begins_anew() {
    const FORGOTTEN: usize = 150;
    let data = tempfile::tempdir().unwrap();
    let topology = durable().replace("idle_timeout = \"10ms\"", "idle_timeout = \"1ms\"");
    let mesh = Arc::new(start(&topology, data.path()).await);
    let over = Arc::<AtomicBool>::default();
    let all = [("one", None), ("lanes", Some("a")), ("keyed", Some("a")), ("drowsy", Some("a"))];
    let count = |who: (&'static str, Option<&'static str>)| {
        let (mesh, over) = (Arc::clone(&mesh), Arc::clone(&over));
        tokio::spawn(async move {
            // All that the two numbers may be now: where one is 1, they may have been forgotten before it, and nobody
            // knows.
            let (mut may_be, mut anew, mut at) = (BTreeSet::from([[0, 0]]), 0, 0);
            while !over.load(Ordering::Relaxed) {
                let command = Command::Increment { key: format!("count {at}"), by: 1 };
                let counted = ask(&mesh, who, &command).await.as_u64().unwrap();
                let went_on: BTreeSet<[u64; 2]> =
                    may_be.iter().filter(|were| were[at] + 1 == counted).copied().collect();
                anew += usize::from(went_on.is_empty());
                let begun_anew = (counted == 1).then_some([0, 0]);
                let are = |mut were: [u64; 2]| {
                    were[at] = counted;
                    were
                };
                let next: BTreeSet<[u64; 2]> = went_on.into_iter().chain(begun_anew).map(are).collect();
                assert!(!next.is_empty(), "{who:?}: {counted} after one of {may_be:?}");
                (may_be, at) = (next, 1 - at);
                if counted % 7 == 0 {
                    // Long enough to fall asleep.
                    tokio::time::sleep(Duration::from_millis(3)).await;
                }
            }
            (may_be, anew)
        })
    };
    let counting: Vec<_> = all.into_iter().map(count).collect();
    for round in 0..FORGOTTEN {
        for who in all {
            match mesh.runtime.forget(who.0, who.1, PATIENCE).await {
                // Nobody has counted since.
                Err(ForgetError::NoSuchKey { .. }) => {}
                forgotten => drop(forgotten.unwrap()),
            }
        }
        tokio::time::sleep(Duration::from_millis(round as u64 % 5)).await;
    }
    over.store(true, Ordering::Relaxed);
    let mut last = Vec::new();
    for (who, counting) in all.into_iter().zip(counting) {
        let (counted, anew) = counting.await.unwrap();
        println!("{who:?} began anew {anew} times");
        assert!((1..=FORGOTTEN).contains(&anew), "{who:?}: {anew}");
        last.push(counted);
    }
    assert_eq!(mesh.dead(), Vec::<&str>::new());
    Arc::into_inner(mesh).unwrap().stop().await;
    let mesh = start(&topology, data.path()).await;
    for (who, counted) in all.into_iter().zip(last) {
        let mut next = [0; 2];
        for (at, next) in next.iter_mut().enumerate() {
            let command = Command::Increment { key: format!("count {at}"), by: 1 };
            *next = ask(&mesh, who, &command).await.as_u64().unwrap();
        }
        // What was forgotten last may have been counted by nobody since.
        let went_on = counted.contains(&next.map(|next| next - 1));
        assert!(went_on || next == [1, 1], "{who:?}, after a restart: {next:?} after one of {counted:?}");
    }
    mesh.stop().await;
}

/// Ways to have the counters of a deployment: one, lanes, and keys that are awake or sleep.
const COUNTERS: [&str; 4] = [
    "instances = 2\npartitioned = true",
    "keyed = { idle_timeout = \"1h\" }",
    "keyed = { idle_timeout = \"20ms\" }",
    "state = \"durable\"\nkeyed = { max_awake = 2, idle_timeout = \"1h\" }",
];

async fn counters(settings: &str) -> Deploying {
    let folder = tempfile::tempdir().unwrap();
    let topology = format!(
        "name = \"deployed\"\n[root]\nintensity = 100\n[[service]]\nname = \"counter\"\nrelease = \"one.wasm\"\n{settings}\n\
         limits = {{ turn_budget = \"200ms\", start_timeout = \"500ms\", memory = \"4MiB\" }}\n"
    );
    Deploying::start_kept_as(&topology, &heir("one", "healthy", 0), folder).await
}

async fn deploy(mesh: &Deploying, way: &str, probation: Duration) -> Deployment {
    let path = mesh.path("two");
    std::fs::write(&path, heir("two", way, 1)).unwrap();
    let mut release = Release::find(&path).unwrap();
    release.manifest.state_schema = 1;
    let mut options = quick();
    options.probation = probation;
    mesh.runtime.deploy("counter", release, options).await.unwrap()
}

const LONG: Duration = Duration::from_secs(3_600);

async fn each(mesh: &Deploying, keys: &[&str], number: u64, by: &str) {
    for key in keys {
        assert_eq!(mesh.ask_key(key, "a", number).await["release"], json!(by), "{key}");
    }
}

async fn forget_each(mesh: &Deploying, keys: &[&str]) {
    for key in keys {
        let _forgotten = mesh.runtime.forget("counter", Some(key), PATIENCE).await.unwrap();
    }
}

/// What a state was before a release brought it over is kept for a way back. It does not come back where it was
/// forgotten meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_back_brings_nothing_back_that_was_forgotten() {
    for settings in COUNTERS {
        let mesh = counters(settings).await;
        each(&mesh, &["a", "b", "c", "d"], 1, "one").await;
        each(&mesh, &["a", "b", "c", "d"], 2, "one").await;
        // In its probation.
        let deployment = deploy(&mesh, "healthy", LONG).await;
        assert_eq!(deployment.switched().await, Progress::Probation, "{settings}");
        forget_each(&mesh, &["a", "b"]).await;
        deployment.cancel();
        let end = deployment.ended().await;
        assert_eq!(end, Progress::RolledBack { reason: Setback::Cancelled }, "{settings}");
        each(&mesh, &["a", "b"], 1, "one").await;
        each(&mesh, &["c", "d"], 3, "one").await;
        for (key, handled) in [("a", 1), ("b", 1), ("c", 3), ("d", 3)] {
            let (stored, doubled) = (mesh.stored(key, "handled"), mesh.stored(key, "doubled"));
            assert_eq!((stored, doubled), (json!(handled), Value::Null), "{settings}: {key}");
        }
        // After it, with the state from before it.
        let deployment = deploy(&mesh, "healthy", Duration::from_millis(50)).await;
        assert_eq!(deployment.ended().await, Progress::Live, "{settings}");
        each(&mesh, &["c", "d"], 4, "two").await;
        forget_each(&mesh, &["a", "c"]).await;
        each(&mesh, &["c"], 1, "two").await;
        let end = mesh.runtime.rollback("counter", restoring(quick())).unwrap().ended().await;
        assert_eq!(end, Progress::Live, "{settings}");
        each(&mesh, &["a"], 1, "one").await;
        each(&mesh, &["b"], 2, "one").await;
        each(&mesh, &["d"], 4, "one").await;
        each(&mesh, &["c"], 1, "one").await;
        for (key, handled) in [("a", 1), ("b", 2), ("c", 1), ("d", 4)] {
            let (stored, doubled) = (mesh.stored(key, "handled"), mesh.stored(key, "doubled"));
            assert_eq!((stored, doubled), (json!(handled), Value::Null), "{settings}: {key}");
        }
        mesh.stop().await;
    }
}

/// The release crashes by itself, and the one before goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_crashes_goes_back_to_nothing_where_that_was_forgotten() {
    for settings in &COUNTERS[1..] {
        let mesh = counters(settings).await;
        each(&mesh, &["a", "b"], 1, "one").await;
        let deployment = deploy(&mesh, "init-waits", LONG).await;
        assert_eq!(deployment.switched().await, Progress::Probation, "{settings}");
        forget_each(&mesh, &["a"]).await;
        deployment.cancel();
        let end = deployment.ended().await;
        assert!(matches!(end, Progress::RolledBack { .. }), "{settings}: {end:?}");
        each(&mesh, &["a"], 1, "one").await;
        each(&mesh, &["b"], 2, "one").await;
        mesh.stop().await;
    }
}

/// Where nobody dares to discard turns, a person may.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_suspended_serves_again_when_its_state_is_forgotten() {
    for settings in COUNTERS {
        let mesh = counters(settings).await;
        each(&mesh, &["a", "b"], 1, "one").await;
        let deployment = deploy(&mesh, "healthy", LONG).await;
        assert_eq!(deployment.switched().await, Progress::Probation, "{settings}");
        each(&mesh, &["a", "b"], 2, "two").await;
        deployment.cancel();
        let end = deployment.ended().await;
        assert!(matches!(end, Progress::Suspended { turns: 2, .. }), "{settings}: {end:?}");
        assert!(mesh.status("counter").suspended);
        let body = json!({ "from": "a", "number": 1 }).to_string();
        mesh.runtime.send(("counter", "a"), body).await.unwrap();
        forget_each(&mesh, &["a"]).await;
        if settings.contains("keyed") {
            each(&mesh, &["a"], 2, "one").await;
            assert_eq!(mesh.runtime.turns_to_discard("counter"), 1, "{settings}: those of the other one");
        }
        forget_each(&mesh, &["b"]).await;
        each(&mesh, &["b"], 1, "one").await;
        each(&mesh, &["a"], 2 + u64::from(settings.contains("keyed")), "one").await;
        assert!(!mesh.status("counter").suspended, "{settings}");
        assert_eq!(mesh.runtime.dead_letters().0, 0);
        mesh.stop().await;
    }
}
