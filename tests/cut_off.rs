//! A turn that does not end keeps no release and no rules out: after the handover deadline it is cut off, as a crash
//! that says so.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::time::Duration;

use airssys_tests::{Mesh, PATIENCE, heir, shifter, with_guests};
use airssys_wasm::deploy::{DeployOptions, MemoryHandover, Progress, Setback};
use airssys_wasm::hint::Coded;
use airssys_wasm::registry::Release;
use airssys_wasm::topology::Topology;
use prober_protocol::{Command, Trap};
use serde_json::{Value, json};

/// Turns within which nothing ends by itself, and a supervisor that bears no end of a worker.
const TOPOLOGY: &str = r#"
    name = "hung"
    [root]
    intensity = 0
    [[service]]
    name = "deaf"
    release = "@prober"
    limits = { turn_deadline = "1h", turn_budget = "1h" }
    [[service]]
    name = "rec"
    release = "@prober"
    [[service]]
    name = "sick"
    release = "@prober"
    limits = { turn_deadline = "1h", turn_budget = "1h" }
    grants = { call = ["deaf", "rec"] }
"#;

/// [`TOPOLOGY`], with something more about the sick one.
fn with(more: &str) -> String {
    TOPOLOGY.replace("name = \"sick\"", &format!("name = \"sick\"\n{more}"))
}

/// Options whose deadline is soon over; nothing else is waited for.
fn options() -> DeployOptions {
    let mut options = DeployOptions::default();
    options.probation = Duration::from_millis(50);
    options.handover_deadline = Duration::from_millis(500);
    options.allow_downgrade = true;
    options
}

/// A release that answers with its name.
fn well(mesh: &Mesh) -> Release {
    release(mesh, "well", &shifter("well", "healthy"))
}

fn release(mesh: &Mesh, name: &str, binary: &[u8]) -> Release {
    let path = mesh.folder.path().join(format!("{name}.wasm"));
    std::fs::write(&path, binary).unwrap();
    std::fs::write(path.with_extension("toml"), format!("name = {name:?}\nversion = \"9.0.0\"\n")).unwrap();
    Release::find(&path).unwrap()
}

/// A release that answers with what it was told, and needs no state.
fn echo(mesh: &Mesh) -> Release {
    let built = airssys_tests::guest("echo").with_file_name("target").join("airssys/echo.wasm");
    release(mesh, "echo", &std::fs::read(built).unwrap())
}

fn prober() -> Release {
    Release::find(&airssys_tests::guest("prober")).unwrap()
}

/// A message that a well one answers with its name.
fn who() -> String {
    json!({ "from": "a", "number": 1 }).to_string()
}

async fn answer(mesh: &Mesh, to: &str, key: &str) -> Value {
    let answer = mesh.runtime.call((to, key), who(), PATIENCE).await.unwrap().unwrap();
    serde_json::from_slice::<Value>(&answer).unwrap()["release"].clone()
}

/// Waits in a call that is never answered.
fn call() -> Command {
    let body = serde_json::to_value(Command::Sleep(3_600_000)).unwrap();
    Command::Call { to: "deaf".to_owned(), key: None, body, timeout_ms: 3_600_000 }
}

/// Gives an actor a turn that does not end, and waits until it is in it.
async fn hang(mesh: &Mesh, to: &str, key: &str, command: &Command) {
    mesh.runtime.send((to, key), command.bytes()).await.unwrap();
    let service = to.split('/').next().unwrap().to_owned();
    mesh.until("it is in its turn", move |mesh| mesh.status(&service).queued == 0).await;
}

async fn live(mesh: &Mesh, options: DeployOptions) -> Vec<String> {
    live_with(mesh, well(mesh), options).await
}

async fn live_with(mesh: &Mesh, release: Release, options: DeployOptions) -> Vec<String> {
    let deployment = mesh.runtime.deploy("sick", release, options).await.unwrap();
    assert_eq!(deployment.ended().await, Progress::Live);
    mesh.runtime.deployment_status(&deployment).notes
}

/// Ends a mesh in which one still waits for ever.
async fn end(mesh: Mesh) {
    let _it_has_to_be_killed = mesh.runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_does_not_end_is_cut_off_for_a_release() {
    let cases = [
        ("waits", Command::Sleep(3_600_000)),
        ("computes", Command::Trap(Trap::EndlessLoop)),
        ("waits in a call", call()),
    ];
    for (case, command) in cases {
        for retries in [0, 1] {
            let mesh = Mesh::start(&with(&format!("retries = {retries}"))).await;
            hang(&mesh, "sick", "", &command).await;
            let waits = mesh.runtime.call("sick", who(), PATIENCE);
            let (waited, notes) = tokio::join!(waits, live(&mesh, options()));
            let waited: Value = serde_json::from_slice(&waited.unwrap().unwrap()).unwrap();
            assert_eq!(waited["release"], "well", "{case}: what waited is for the well one");
            assert!(notes[0].contains("cut off the turn of sick"), "{case}: {notes:?}");
            let history = mesh.runtime.history("sick");
            assert_eq!(history.last().unwrap().notes, notes, "{case}");
            let (_, letters) = mesh.runtime.dead_letters();
            let letter = letters.iter().find(|letter| letter.reason.code() != "late-answer").unwrap();
            if retries == 0 {
                assert_eq!(letter.reason.code(), "crashed", "{case}");
                let reason = letter.reason.to_string();
                assert!(reason.contains("cut off for the release well.wasm"), "{case}: {reason}");
            } else {
                // Its next try is the well one's, which does not understand it.
                assert_eq!(letter.reason.code(), "fault", "{case}");
            }
            assert_eq!(mesh.status("sick").crashed, 1, "{case}");
            end(mesh).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_does_not_end_is_cut_off_in_a_pool_under_a_key_and_in_a_child() {
    let mesh = Mesh::start(&with("instances = 3")).await;
    hang(&mesh, "sick", "", &Command::Sleep(3_600_000)).await;
    let notes = live_with(&mesh, echo(&mesh), options()).await;
    assert!(notes[0].contains("cut off the turn of sick#"), "{notes:?}");
    for _ in 0..20 {
        assert_eq!(mesh.runtime.call("sick", who(), PATIENCE).await.unwrap().unwrap(), who());
    }
    end(mesh).await;
    for more in ["instances = 3\npartitioned = true", "keyed = {}"] {
        let mesh = Mesh::start(&with(more)).await;
        hang(&mesh, "sick", "k", &Command::Sleep(3_600_000)).await;
        let notes = live(&mesh, options()).await;
        assert!(notes[0].contains("cut off the turn of "), "{more}: {notes:?}");
        for key in 0..10 {
            assert_eq!(answer(&mesh, "sick", &format!("k{key}")).await, "well", "{more}");
        }
        assert_eq!(answer(&mesh, "sick", "k").await, "well", "{more}");
        end(mesh).await;
    }
    let overseer = "[[service]]\nname = \"overseer\"\nrelease = \"@overseer\"\ngrants = { spawn = [\"sick/*\"] }\n";
    let mesh = Mesh::start(&(with("spawned = {}") + overseer)).await;
    mesh.ok("overseer", &Command::Spawn { service: "sick".into(), name: "a".into() }).await;
    hang(&mesh, "sick/a", "", &Command::Sleep(3_600_000)).await;
    live(&mesh, options()).await;
    assert_eq!(answer(&mesh, "sick/a", "").await, "well");
    end(mesh).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_does_not_end_keeps_the_release_before_from_coming_back() {
    // By hand, when it was live for long; and where a deployment is cancelled on its probation.
    for is_cancelled in [false, true] {
        let mesh = Mesh::start(&with("")).await;
        live(&mesh, options()).await;
        let mut forth = options();
        if is_cancelled {
            forth.probation = Duration::from_secs(3_600);
        }
        let deployment = mesh.runtime.deploy("sick", prober(), forth).await.unwrap();
        let reached = deployment.switched().await;
        if is_cancelled {
            assert_eq!(reached, Progress::Probation);
        } else {
            assert_eq!(deployment.ended().await, Progress::Live);
        }
        hang(&mesh, "sick", "", &Command::Sleep(3_600_000)).await;
        let back = mesh.runtime.rollback("sick", options()).unwrap();
        let end_of_it = back.ended().await;
        assert_eq!(end_of_it == Progress::Live, !is_cancelled, "{end_of_it:?}");
        assert_eq!(answer(&mesh, "sick", "").await, "well");
        end(mesh).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_health_check_that_does_not_end_is_cut_off_as_well() {
    // At its start it is well, and hangs when it is asked on probation.
    let mesh = Mesh::start(&with("config = { health = \"hang@rec:3-\" }")).await;
    live(&mesh, options()).await;
    let deployment = mesh.runtime.deploy("sick", prober(), options()).await.unwrap();
    assert_eq!(deployment.ended().await, Progress::Live);
    live(&mesh, options()).await;
    assert_eq!(answer(&mesh, "sick", "").await, "well");
    end(mesh).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_memory_is_to_be_kept_no_turn_is_cut_off() {
    let mesh = Mesh::start(&with("")).await;
    live_with(&mesh, release(&mesh, "one", &heir("one", "handle-hangs", 0)), options()).await;
    mesh.runtime.send("sick", who()).await.unwrap();
    mesh.until("it is in its turn", |mesh| mesh.status("sick").queued == 0).await;
    let (mut keep, next) = (options(), heir("two", "healthy", 0));
    (keep.memory, keep.same_version) = (MemoryHandover::Required, true);
    let next = release(&mesh, "two", &next);
    let deployment = mesh.runtime.deploy("sick", next.clone(), keep.clone()).await.unwrap();
    let end_of_it = deployment.ended().await;
    assert_eq!(end_of_it, Progress::RolledBack { reason: Setback::NoHandover(keep.handover_deadline) });
    assert_eq!(mesh.status("sick").crashed, 0);
    // Where it need not be, what is lost is told.
    keep.memory = MemoryHandover::WherePossible;
    let notes = live_with(&mesh, next, keep).await;
    assert!(
        notes[0].contains("sick took over without the memory of the release before: the turn was cut off"),
        "{notes:?}"
    );
    end(mesh).await;
}

/// Brings a mesh to another topology.
async fn apply(mesh: Mesh, text: &str) -> (Mesh, Vec<String>) {
    let Mesh { runtime, folder } = mesh;
    let file = folder.path().join("airssys.toml");
    std::fs::write(&file, with_guests(text)).unwrap();
    let applied = runtime.apply(Topology::read(&file).unwrap(), options()).await.unwrap();
    (Mesh { runtime, folder }, applied.notes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_does_not_end_is_cut_off_for_an_apply() {
    // Rules that change under the instance, and what an instance is made with.
    let before = with("retries = 1");
    let after = [before.replace("retries = 1", "retries = 2"), before.replace("retries = 1", "config = { a = \"b\" }")];
    for after in after {
        let mesh = Mesh::start(&before).await;
        hang(&mesh, "sick", "", &Command::Sleep(3_600_000)).await;
        let sleeps_again = mesh.status("sick").started;
        let (mesh, notes) = apply(mesh, &after).await;
        assert!(notes.iter().any(|note| note.contains("cut off the turn of sick")), "{notes:?}");
        assert_eq!(mesh.status("sick").crashed, 1);
        mesh.until("it serves again", |mesh| mesh.status("sick").started > sleeps_again).await;
        end(mesh).await;
    }
}
