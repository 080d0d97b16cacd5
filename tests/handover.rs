//! What a release hands over to the next one: its memory, where both want that, and the state, which the next one
//! brings over to its own schema. Whatever fails on the way, the old release goes on with the state it had, and no
//! committed turn is discarded unless somebody asks for it.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use airssys_tests::deploying::{restoring, told_of};
use airssys_tests::{Mesh, PATIENCE, heir, keeping, read};
use airssys_wasm::deploy::{DeployError, DeployOptions, Deployment, MemoryHandover, Progress, Setback};
use airssys_wasm::error::Crash;
use airssys_wasm::hint::Coded;
use airssys_wasm::registry::Release;
use serde_json::{Value, json};

const TOPOLOGY: &str = r#"
    name = "handover"
    [root]
    intensity = 3
    [[service]]
    name = "counter"
    release = "one.wasm"
    limits = { turn_budget = "200ms", start_timeout = "500ms", memory = "4MiB", boundary = "128KiB" }
"#;

struct Handover {
    mesh: Mesh,
    number: u64,
}

impl Deref for Handover {
    type Target = Mesh;

    fn deref(&self) -> &Mesh {
        &self.mesh
    }
}

type State = BTreeMap<String, u64>;

impl Handover {
    /// The first release does this.
    async fn start(topology: &str, way: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let builder = keeping(folder.path());
        let mesh = Mesh::start_in(folder, topology, &[("one", &heir("one", way, 0))], builder).await;
        Self { mesh, number: 0 }
    }

    fn release(&self, name: &str, way: &str, schema: u32) -> Release {
        let path: PathBuf = self.folder.path().join(format!("{name}.wasm"));
        std::fs::write(&path, heir(name, way, schema)).unwrap();
        let mut release = Release::find(&path).unwrap();
        release.manifest.state_schema = schema;
        release
    }

    async fn deploy(&self, release: Release) -> Progress {
        self.runtime.deploy("counter", release, quick()).await.unwrap().ended().await
    }

    /// Deploys it, and leaves it on probation for long.
    async fn on_probation(&self, release: Release) -> Deployment {
        let mut options = quick();
        options.probation = Duration::from_secs(3_600);
        let deployment = self.runtime.deploy("counter", release, options).await.unwrap();
        assert_eq!(deployment.switched().await, Progress::Probation);
        deployment
    }

    /// Counts one more, and says who answered and how much it has seen.
    async fn count(&mut self) -> (String, u64) {
        self.number += 1;
        let body = json!({ "from": "a", "number": self.number }).to_string();
        let answer = self.runtime.call("counter", body, PATIENCE).await.unwrap().unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        (answer["release"].as_str().unwrap().to_owned(), answer["seen"].as_u64().unwrap())
    }

    /// The counters of the state, but for those of senders.
    fn state(&self) -> State {
        let states = self.runtime.state("counter");
        let values = states.values().flatten().filter(|(key, _)| !key.starts_with("sender") && &***key != "a");
        values.map(|(key, value)| (key.to_string(), u64::from_le_bytes(value.as_ref().try_into().unwrap()))).collect()
    }

    async fn stop(self) {
        assert_eq!(self.runtime.dead_letters().0, 0, "nothing is a dead letter");
        self.mesh.stop().await;
    }
}

fn quick() -> DeployOptions {
    let mut options = DeployOptions::default();
    options.probation = Duration::from_millis(100);
    options.handover_deadline = Duration::from_secs(20);
    options
}

/// For whom the old release's memory is worth more than the new release.
fn keeps_memory() -> DeployOptions {
    let mut options = quick();
    options.memory = MemoryHandover::Required;
    options
}

fn holds(key: &str, value: u64) -> State {
    BTreeMap::from([(key.to_owned(), value)])
}

fn who(name: &str, seen: u64) -> (String, u64) {
    (name.to_owned(), seen)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_and_state_go_forth_and_back() {
    let mut mesh = Handover::start(TOPOLOGY, "both-ways").await;
    for seen in 1..=3 {
        assert_eq!(mesh.count().await, who("one", seen));
    }
    assert_eq!(mesh.deploy(mesh.release("two", "healthy", 1)).await, Progress::Live);
    assert_eq!(mesh.state(), holds("doubled", 6), "brought over");
    assert_eq!(mesh.count().await, who("two", 4), "what the first one had seen was handed over");
    let back = mesh.runtime.rollback("counter", quick()).unwrap();
    assert_eq!(back.ended().await, Progress::Live);
    assert_eq!(
        mesh.state(),
        holds("handled", 4),
        "the old release brings it back, with the turn that was committed since"
    );
    assert_eq!(mesh.count().await, who("one", 5));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handover_that_fails_leaves_everything_as_it_was() {
    // What the old one does, what the new one does, and whether the old one's memory is lost over it.
    let cases = [
        ("snapshot-fails", "healthy", false),
        ("snapshot-traps", "healthy", true),
        ("snapshot-hangs", "healthy", true),
        ("healthy", "restore-fails", false),
        ("healthy", "restore-traps", false),
        ("healthy", "restore-hangs", false),
        ("healthy", "migrate-fails", false),
        ("healthy", "migrate-traps", false),
        ("healthy", "migrate-hangs", false),
    ];
    for (old, new, lost) in cases {
        let mut mesh = Handover::start(TOPOLOGY, old).await;
        mesh.count().await;
        mesh.count().await;
        let options = keeps_memory();
        let deployment = mesh.runtime.deploy("counter", mesh.release("two", new, 1), options).await.unwrap();
        let end = deployment.ended().await;
        let expected = |reason: &Setback| match old.starts_with("snapshot") {
            true => matches!(reason, Setback::NoMemory(_)),
            false => matches!(reason, Setback::NotStarted(_)),
        };
        assert!(matches!(&end, Progress::RolledBack { reason } if expected(reason)), "{old}, {new}: {end:?}");
        assert_eq!(mesh.state(), holds("handled", 2), "{old}, {new}");
        assert_eq!(mesh.count().await, who("one", if lost { 1 } else { 3 }), "{old}, {new}");
        mesh.stop().await;
    }
}

/// Ways in which a release hands nothing over, and what that is called.
const HANDS_NOTHING_OVER: [(&str, &str); 5] = [
    ("snapshot-fails", "start"),
    ("snapshot-traps", "trap"),
    ("snapshot-hangs", "budget"),
    ("snapshot-grows", "out-of-memory"),
    ("snapshot-large", "oversized"),
];

/// That it began without the memory of the one before, and everybody can know.
fn began_without_memory(mesh: &Handover, deployment: &Deployment, way: &str, code: &str) {
    let without_memory = &told_of(&mesh.runtime, deployment)["without_memory"];
    assert_eq!((&without_memory["actors"], &without_memory["first"]), (&json!(1), &json!("counter")), "{way}");
    let crash: Crash = serde_json::from_value(without_memory["crash"].clone()).unwrap();
    assert_eq!(crash.code(), code, "{way}: {crash}");
    let notes = mesh.runtime.deployment_status(deployment).notes;
    assert!(notes.len() == 1 && notes[0].contains("without the memory"), "{way}: {notes:?}");
    assert_eq!(mesh.runtime.history("counter").last().unwrap().notes, notes, "{way}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_hands_nothing_over_keeps_no_other_one_out() {
    for (way, code) in HANDS_NOTHING_OVER {
        let mut mesh = Handover::start(TOPOLOGY, way).await;
        mesh.count().await;
        mesh.count().await;
        let deployment = mesh.runtime.deploy("counter", mesh.release("two", "healthy", 0), quick()).await.unwrap();
        assert_eq!(deployment.ended().await, Progress::Live, "{way}");
        began_without_memory(&mesh, &deployment, way, code);
        assert_eq!(mesh.count().await, who("two", 1), "{way}");
        assert_eq!(mesh.state(), holds("handled", 3), "{way}");
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_release_before_comes_back_from_one_that_hands_nothing_over() {
    for (way, code) in HANDS_NOTHING_OVER {
        let mut mesh = Handover::start(TOPOLOGY, "healthy").await;
        mesh.count().await;
        assert_eq!(mesh.deploy(mesh.release("two", way, 0)).await, Progress::Live, "{way}");
        assert_eq!(mesh.count().await, who("two", 2), "{way}");
        let refused = mesh.runtime.rollback("counter", keeps_memory()).unwrap().ended().await;
        assert!(matches!(refused, Progress::RolledBack { reason: Setback::NoMemory(_) }), "{way}: {refused:?}");
        // Where that ended its instance it starts again, and who is not there yet has no memory to lose.
        assert_eq!(mesh.runtime.health("counter", PATIENCE).await, Some(Ok(())), "{way}");
        let back = mesh.runtime.rollback("counter", quick()).unwrap();
        assert_eq!(back.ended().await, Progress::Live, "{way}");
        began_without_memory(&mesh, &back, way, code);
        assert_eq!(mesh.count().await, who("one", 1), "{way}");
        assert_eq!(mesh.state(), holds("handled", 3), "{way}");
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_memory_that_nobody_wants_is_not_asked_for() {
    // What the old one hands over the new one does not take: that is told, and there is a way around it.
    let mut mesh = Handover::start(TOPOLOGY, "healthy").await;
    mesh.count().await;
    let end = mesh.deploy(mesh.release("two", "restore-fails", 0)).await;
    assert!(matches!(end, Progress::RolledBack { reason: Setback::NotStarted(_) }), "{end:?}");
    assert_eq!(mesh.count().await, who("one", 2));
    let mut options = quick();
    options.memory = MemoryHandover::Never;
    let deployment = mesh.runtime.deploy("counter", mesh.release("two", "restore-fails", 0), options).await.unwrap();
    assert_eq!(deployment.ended().await, Progress::Live);
    assert_eq!(told_of(&mesh.runtime, &deployment)["without_memory"], Value::Null, "as was asked for");
    assert_eq!(mesh.count().await, who("two", 1));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_without_migrate_does_not_take_over_another_schema() {
    let mut mesh = Handover::start(TOPOLOGY, "healthy").await;
    mesh.count().await;
    let path = mesh.folder.path().join("plain.wasm");
    std::fs::write(&path, airssys_tests::shifter("plain", "healthy")).unwrap();
    let mut release = Release::find(&path).unwrap();
    release.manifest.state_schema = 7;
    let end = mesh.deploy(release).await;
    let Progress::RolledBack { reason: Setback::NotStarted(crash) } = end else { panic!("{end:?}") };
    assert_eq!(crash.code(), "schema");
    assert_eq!(mesh.count().await, who("one", 2));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_before_any_turn_puts_the_old_state_back_bit_for_bit() {
    let mut mesh = Handover::start(TOPOLOGY, "healthy").await;
    for _ in 0..2 {
        mesh.count().await;
    }
    let before = mesh.runtime.state("counter");
    let deployment = mesh.on_probation(mesh.release("two", "healthy", 1)).await;
    assert_eq!(mesh.state(), holds("doubled", 4));
    deployment.cancel();
    assert_eq!(deployment.ended().await, Progress::RolledBack { reason: Setback::Cancelled });
    assert_eq!(mesh.runtime.state("counter"), before, "the old release cannot bring it back, and need not");
    assert_eq!(mesh.count().await, who("one", 3));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_going_back_by_itself_discards_a_committed_turn() {
    let mut mesh = Handover::start(TOPOLOGY, "healthy").await;
    for _ in 0..2 {
        mesh.count().await;
    }
    let deployment = mesh.on_probation(mesh.release("two", "crashes-on-4", 1)).await;
    for _ in 0..3 {
        mesh.count().await;
    }
    // The fourth crashes it. The old release does not know the new schema: nothing serves, and the message waits.
    let waiting = tokio::spawn({
        let runtime = Arc::clone(&mesh.runtime);
        let body = json!({ "from": "b", "number": 1 }).to_string();
        async move { runtime.call("counter", body, PATIENCE).await }
    });
    let end = deployment.ended().await;
    let Progress::Suspended { reason: Setback::Crashed(_), turns: 3, .. } = end else { panic!("{end:?}") };
    assert_eq!(mesh.runtime.turns_to_discard("counter"), 3);
    assert_eq!(mesh.state(), holds("doubled", 10), "what was committed is there");
    assert!(!waiting.is_finished());
    // A release that can read it is one way out: the message that waited gets there.
    assert_eq!(mesh.deploy(mesh.release("three", "healthy", 1)).await, Progress::Live);
    let answer: Value = serde_json::from_slice(&waiting.await.unwrap().unwrap().unwrap()).unwrap();
    assert_eq!(answer["release"], json!("three"));
    assert_eq!(mesh.count().await.0, "three");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_waits_for_ever_when_it_is_to_bring_the_state_back_is_suspended() {
    let mut mesh = Handover::start(TOPOLOGY, "back-waits").await;
    mesh.count().await;
    let deployment = mesh.on_probation(mesh.release("two", "healthy", 1)).await;
    mesh.count().await;
    deployment.cancel();
    let end = deployment.ended().await;
    let Progress::Suspended { reason: Setback::Cancelled, crash, turns: 1 } = end else { panic!("{end:?}") };
    assert!(crash.to_string().contains("500ms"), "how long it may take: {crash}");
    assert_eq!(mesh.state(), holds("doubled", 4));
    assert_eq!(mesh.deploy(mesh.release("three", "healthy", 1)).await, Progress::Live);
    assert_eq!(mesh.count().await.0, "three");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn going_back_with_the_old_state_discards_what_somebody_said_may_be() {
    let mut mesh = Handover::start(TOPOLOGY, "healthy").await;
    mesh.count().await;
    let refused = mesh.runtime.rollback("counter", restoring(quick())).unwrap_err();
    assert!(matches!(refused, DeployError::NoSavedState { .. }), "{refused}");
    assert_eq!(mesh.deploy(mesh.release("two", "healthy", 1)).await, Progress::Live);
    mesh.count().await;
    mesh.count().await;
    // The old release cannot bring it back, so the way back is refused, and the new one goes on.
    let end = mesh.runtime.rollback("counter", quick()).unwrap().ended().await;
    assert!(matches!(end, Progress::RolledBack { reason: Setback::NotStarted(_) }), "{end:?}");
    assert_eq!(mesh.runtime.turns_to_discard("counter"), 2);
    let end = mesh.runtime.rollback("counter", restoring(quick())).unwrap().ended().await;
    assert_eq!(end, Progress::Live);
    assert_eq!(mesh.state(), holds("handled", 1));
    mesh.number = 1;
    assert_eq!(mesh.count().await.0, "one");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_back_that_fails_discards_no_turn_and_counts_none_that_was_not() {
    let mut mesh = Handover::start(TOPOLOGY, "starts-once").await;
    mesh.count().await;
    assert_eq!(mesh.deploy(mesh.release("two", "healthy", 1)).await, Progress::Live);
    for turns in 1..4 {
        assert_eq!(mesh.count().await.0, "two");
        assert_eq!(mesh.runtime.turns_to_discard("counter"), turns);
        let end = mesh.runtime.rollback("counter", restoring(quick())).unwrap().ended().await;
        assert!(matches!(end, Progress::RolledBack { reason: Setback::NotStarted(_) }), "{end:?}");
    }
    // It may not have begun again yet.
    assert_eq!(mesh.deploy(mesh.release("three", "healthy", 1)).await, Progress::Live);
    assert_eq!(mesh.count().await.0, "three");
    assert_eq!(mesh.state(), holds("doubled", 10));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_service_goes_on_with_the_state_from_before() {
    let mut mesh = Handover::start(TOPOLOGY, "healthy").await;
    mesh.count().await;
    let deployment = mesh.on_probation(mesh.release("two", "healthy", 1)).await;
    mesh.count().await;
    deployment.cancel();
    let end = deployment.ended().await;
    assert!(matches!(end, Progress::Suspended { reason: Setback::Cancelled, turns: 1, .. }), "{end:?}");
    let end = mesh.runtime.rollback("counter", restoring(quick())).unwrap().ended().await;
    assert_eq!(end, Progress::Live);
    assert_eq!(mesh.state(), holds("handled", 1));
    mesh.number = 1;
    assert_eq!(mesh.count().await.0, "one");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turns_that_were_discarded_are_not_counted_again() {
    let mut mesh = Handover::start(TOPOLOGY, "healthy").await;
    mesh.count().await;
    assert_eq!(mesh.deploy(mesh.release("two", "healthy", 1)).await, Progress::Live);
    mesh.count().await;
    let deployment = mesh.on_probation(mesh.release("three", "healthy", 2)).await;
    for _ in 0..3 {
        assert_eq!(mesh.count().await.0, "three");
    }
    deployment.cancel();
    let end = deployment.ended().await;
    assert!(matches!(end, Progress::Suspended { reason: Setback::Cancelled, turns: 3, .. }), "{end:?}");
    assert_eq!(mesh.runtime.rollback("counter", restoring(quick())).unwrap().ended().await, Progress::Live);
    // What there was before the second release can be had back still, for the one turn that it has.
    assert_eq!(mesh.runtime.turns_to_discard("counter"), 1);
    mesh.number = 2;
    assert_eq!(mesh.count().await.0, "two");
    assert_eq!(mesh.runtime.turns_to_discard("counter"), 2);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_service_whose_release_does_not_start_either_stays_suspended() {
    let mut mesh = Handover::start(TOPOLOGY, "starts-once").await;
    mesh.count().await;
    let deployment = mesh.on_probation(mesh.release("two", "healthy", 1)).await;
    mesh.count().await;
    deployment.cancel();
    let end = deployment.ended().await;
    assert!(matches!(end, Progress::Suspended { reason: Setback::Cancelled, turns: 1, .. }), "{end:?}");
    let end = mesh.runtime.rollback("counter", restoring(quick())).unwrap().ended().await;
    assert!(matches!(end, Progress::Suspended { reason: Setback::NotStarted(_), turns: 1, .. }), "{end:?}");
    assert!(mesh.status("counter").suspended);
    assert_eq!(mesh.state(), holds("doubled", 4), "no turn is discarded");
    assert_eq!(mesh.deploy(mesh.release("three", "healthy", 1)).await, Progress::Live);
    assert_eq!(mesh.count().await.0, "three");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_suspended_service_goes_on_with_stays_when_another_release_was_tried() {
    let mut mesh = Handover::start(TOPOLOGY, "healthy").await;
    mesh.count().await;
    for (release, turns) in [("two", 1), ("three", 2)] {
        // The second one is tried because the first left the service suspended, and has to go as well.
        let deployment = mesh.on_probation(mesh.release(release, "healthy", 1)).await;
        assert_eq!(mesh.count().await.0, release);
        deployment.cancel();
        let Progress::Suspended { turns: discards, .. } = deployment.ended().await else { panic!("{release} stays") };
        assert_eq!(discards, turns, "all that has come since the release that is back");
    }
    assert_eq!(mesh.runtime.rollback("counter", restoring(quick())).unwrap().ended().await, Progress::Live);
    assert_eq!(mesh.state(), holds("handled", 1));
    mesh.number = 1;
    assert_eq!(mesh.count().await.0, "one");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_every_message_counts_once_in_whichever_schema() {
    let mesh = Handover::start(TOPOLOGY, "both-ways").await;
    let over = Arc::<AtomicBool>::default();
    let senders: Vec<_> = (0..4)
        .map(|sender| {
            let (runtime, over) = (Arc::clone(&mesh.runtime), Arc::clone(&over));
            tokio::spawn(async move {
                let mut number = 0;
                while !over.load(Ordering::Relaxed) {
                    number += 1;
                    let body = json!({ "from": format!("sender {sender}"), "number": number }).to_string();
                    runtime.send("counter", body).await.unwrap();
                }
                number
            })
        })
        .collect();
    for _ in 0..3 {
        assert_eq!(mesh.deploy(mesh.release("two", "healthy", 1)).await, Progress::Live);
        let back = mesh.runtime.rollback("counter", quick()).unwrap();
        assert_eq!(back.ended().await, Progress::Live);
    }
    over.store(true, Ordering::Relaxed);
    let mut all = 0;
    for (sender, task) in senders.into_iter().enumerate() {
        let sent: u64 = task.await.unwrap();
        let body = json!({ "from": format!("sender {sender}"), "number": sent + 1 }).to_string();
        mesh.runtime.call("counter", body, PATIENCE).await.unwrap();
        all += sent + 1;
    }
    assert_eq!(mesh.state(), holds("handled", all), "each message once, in order, none lost");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_key_of_a_pool_is_brought_over() {
    let pool = TOPOLOGY.replace("name = \"counter\"", "name = \"counter\"\ninstances = 3\npartitioned = true");
    let mesh = Handover::start(&pool, "healthy").await;
    const KEYS: [&str; 8] = ["k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8"];
    let count = async |key: &str, number: u64| {
        let body = json!({ "from": "a", "number": number }).to_string();
        mesh.runtime.call(("counter", key), body, PATIENCE).await.unwrap();
    };
    for key in KEYS {
        count(key, 1).await;
    }
    let before = mesh.runtime.state("counter");
    let end = mesh.deploy(mesh.release("two", "migrate-fails", 1)).await;
    assert!(matches!(end, Progress::RolledBack { .. }), "{end:?}");
    assert_eq!(mesh.runtime.state("counter"), before);
    assert_eq!(mesh.deploy(mesh.release("two", "healthy", 1)).await, Progress::Live);
    for key in KEYS {
        count(key, 2).await;
    }
    let after = mesh.runtime.state("counter");
    for key in KEYS {
        let doubled = u64::from_le_bytes(after[key]["doubled"].as_ref().try_into().unwrap());
        assert_eq!((doubled, after[key].contains_key("handled")), (4, false), "{key}");
        assert!(!after[key].contains_key("out of order"), "{key}");
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_is_suspended_in_part_goes_on_with_the_states_from_before() {
    let pool = TOPOLOGY.replace("name = \"counter\"", "name = \"counter\"\ninstances = 3\npartitioned = true");
    let mesh = Handover::start(&pool, "healthy").await;
    let count = async |key: &str, number: u64| {
        let body = json!({ "from": "a", "number": number }).to_string();
        mesh.runtime.call(("counter", key), body, PATIENCE).await.unwrap();
    };
    for key in ["k1", "k2", "k3", "k4", "k5", "k6"] {
        count(key, 1).await;
    }
    let before = mesh.runtime.state("counter");
    let deployment = mesh.on_probation(mesh.release("two", "healthy", 1)).await;
    count("k1", 2).await;
    deployment.cancel();
    assert!(matches!(deployment.ended().await, Progress::Suspended { turns: 1, .. }));
    let end = mesh.runtime.rollback("counter", restoring(quick())).unwrap().ended().await;
    assert_eq!(end, Progress::Live);
    assert_eq!(mesh.runtime.state("counter"), before);
    for key in ["k1", "k2", "k3", "k4", "k5", "k6"] {
        count(key, 2).await;
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn durable_state_is_brought_over_on_disk_as_well() {
    let durable = TOPOLOGY.replace("name = \"counter\"", "name = \"counter\"\nstate = \"durable\"");
    let mut mesh = Handover::start(&durable, "healthy").await;
    for _ in 0..2 {
        mesh.count().await;
    }
    assert_eq!(mesh.deploy(mesh.release("two", "healthy", 1)).await, Progress::Live);
    mesh.count().await;
    let folder = mesh.mesh.stop().await;
    let start = async |schema: u32| {
        std::fs::write(folder.path().join("one.wasm"), heir("again", "healthy", schema)).unwrap();
        std::fs::write(
            folder.path().join("Component.toml"),
            format!("name = \"counter\"\nversion = \"1.0.0\"\ncomponent = \"one.wasm\"\nstate_schema = {schema}\n"),
        )
        .unwrap();
        let topology = read(folder.path(), &durable.replace("\"one.wasm\"", "\".\"")).unwrap();
        keeping(folder.path()).as_written().start(&topology).await
    };
    // The release of before cannot read what is on disk now, and does not pretend to.
    let refused = start(0).await.map(drop).unwrap_err().to_string();
    assert!(refused.contains("schema 1"), "{refused}");
    let runtime = start(1).await.unwrap();
    let states = runtime.state("counter");
    assert_eq!(states[""]["doubled"].as_ref(), 6_u64.to_le_bytes());
    assert!(runtime.shutdown().await.is_clean());
}
