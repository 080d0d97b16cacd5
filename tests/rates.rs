//! A quota bounds what the services that use it send and do in a second, together or each for itself; what is too much
//! is rejected, delayed or dropped, and told. A quota changes while the mesh runs.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::fs;
use std::time::Instant;

use airssys_tests::{Mesh, with_guests};
use airssys_wasm::ConfigError;
use airssys_wasm::deploy::DeployOptions;
use airssys_wasm::events::Kind;
use airssys_wasm::topology::Topology;
use prober_protocol::{Command, Flooded};

/// Two that send, and one that is sent to, in which both have this quota. A second adds next to nothing to it: so what
/// a quota holds is in its burst.
fn topology(quota: &str, folder: &str) -> String {
    let sender = |name: &str| {
        format!(
            "[[service]]\nname = {name:?}\nrelease = \"@prober\"\nquota = \"shared\"\n\
             limits = {{ effects = 100000, turn_deadline = \"60s\" }}\n\
             [service.grants]\nsend = [\"goal\", \"other\"]\ncall = [\"goal\"]\npublish = [\"news\"]\n{folder}\n"
        )
    };
    let goal = |name: &str| {
        format!("[[service]]\nname = {name:?}\nrelease = \"@prober\"\nmailbox = {{ capacity = 100000 }}\n")
    };
    let all = [sender("a"), sender("b"), goal("goal"), goal("other")].concat();
    format!("name = \"rates\"\n[settings]\nreserve_timeout = \"60s\"\n{all}[[quota]]\nname = \"shared\"\n{quota}\n")
}

async fn flood(mesh: &Mesh, from: &str, to: &str, messages: u64) -> Flooded {
    let told = mesh.ok(from, &Command::FloodSend { to: to.into(), messages }).await;
    serde_json::from_value(told).unwrap()
}

/// What a second each of a test that is slow adds.
const SLOW: u64 = 200;

fn about(sent: u64, expected: u64) -> bool {
    (expected..=expected + SLOW).contains(&sent)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_several_services_share_is_used_up_together_and_told() {
    let mesh = Mesh::start(&topology("messages = 1\nburst = \"1000s\"", "")).await;
    let mut events = mesh.runtime.events().of_kinds(&[Kind::LimitReached]);
    let first = flood(&mesh, "a", "goal", 2_000).await;
    assert!(about(first.sent, 1_000) && first.last.as_deref() == Some("overloaded"), "{first:?}");
    let second = flood(&mesh, "b", "other", 2_000).await;
    assert!(about(second.sent, 0), "it is theirs together: {second:?}");
    let heard = events.next().await;
    let told = format!("{heard:?}");
    for part in ["\"quota\"", "shared", "1 messages a second", "a: "] {
        assert!(told.contains(part), "no {part} in {told}");
    }
    // The host is no service, and one without a quota has no bound.
    mesh.runtime.send("goal", Command::Count.bytes()).await.unwrap();
    let goal = mesh.status("goal");
    assert!(goal.rejected > 0, "{goal:?}");
    mesh.until("all is handled", |mesh| mesh.runtime.is_quiet()).await;
    assert_eq!(mesh.status("goal").handled, first.sent + 1);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_sender_or_target_has_its_own_where_the_quota_says_so() {
    for (each, second) in [("sender", ("b", "goal")), ("target", ("a", "other"))] {
        let quota = format!("messages = 1\nburst = \"1000s\"\neach = \"{each}\"");
        let mesh = Mesh::start(&topology(&quota, "")).await;
        for (from, to) in [("a", "goal"), second] {
            let flooded = flood(&mesh, from, to, 2_000).await;
            assert!(about(flooded.sent, 1_000), "{each}: {from} {to}: {flooded:?}");
        }
        let again = flood(&mesh, "a", "goal", 2_000).await;
        assert!(about(again.sent, 0), "{each}: {again:?}");
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_much_is_delayed_or_dropped_where_the_quota_says_so() {
    // One in 20 ms: five of them take 80 ms at least.
    let delayed = Mesh::start(&topology("messages = 50\nburst = \"1ms\"\nthen = \"delay\"", "")).await;
    let begun = Instant::now();
    let flooded = flood(&delayed, "a", "goal", 5).await;
    assert_eq!((flooded.sent, flooded.refused), (5, 0));
    assert!(begun.elapsed().as_millis() >= 80, "{:?}", begun.elapsed());
    delayed.until("all is handled", |mesh| mesh.status("goal").handled == 5).await;
    delayed.stop().await;

    let dropped = Mesh::start(&topology("messages = 1\nburst = \"1000s\"\nthen = \"drop\"", "")).await;
    let flooded = flood(&dropped, "a", "goal", 3_000).await;
    assert_eq!((flooded.sent, flooded.refused), (3_000, 0), "a send that is dropped is not told");
    let call = Command::Call { to: "goal".into(), key: None, body: Command::Count.value(), timeout_ms: 60_000 };
    let calls = Command::Times(2 * SLOW, Box::new(call));
    let told: Flooded = serde_json::from_value(dropped.ok("b", &calls).await).unwrap();
    assert_eq!(told.last.as_deref(), Some("dropped"), "a call is: {told:?}");
    dropped.until("all is handled", |mesh| mesh.runtime.is_quiet()).await;
    let handled = dropped.status("goal").handled;
    assert!(about(handled, 1_000), "{handled}");
    dropped.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_and_operations_are_bounded_as_well() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("text"), "x".repeat(4_000)).unwrap();
    let files = format!("files = {{ \"/in\" = {{ host = {:?} }} }}", folder.path());
    let reads = Command::Times(2_000, Box::new(Command::ReadFile("/in/text".into())));

    let mesh = Mesh::start(&topology("operations = 1\nburst = \"1000s\"", &files)).await;
    let flooded: Flooded = serde_json::from_value(mesh.ok("a", &reads).await).unwrap();
    // Each opens, looks and reads.
    assert!(flooded.sent > 50 && flooded.refused > 0, "{flooded:?}");
    assert!(flooded.last.is_some_and(|last| last.starts_with("io/")));
    // Messages are no operations.
    assert_eq!(flood(&mesh, "a", "goal", 2_000).await.refused, 0);
    mesh.stop().await;

    let mesh = Mesh::start(&topology("bytes = \"1B\"\nburst = \"1000s\"", &files)).await;
    let send = Command::SendBytes { to: "goal".into(), bytes: 100 };
    let told = mesh.ok("a", &Command::Times(100, Box::new(send))).await;
    let flooded: Flooded = serde_json::from_value(told).unwrap();
    assert!((10..=12).contains(&flooded.sent) && flooded.last.as_deref() == Some("overloaded"), "{flooded:?}");
    // Rust's own makes one error of all of a stream.
    assert!(mesh.refused("b", &Command::ReadFile("/in/text".into())).await.starts_with("io/"));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_comes_changes_and_goes_by_an_apply() {
    let full = "messages = 1\nburst = \"1000s\"";
    let mesh = Mesh::start(&topology(full, "")).await;
    flood(&mesh, "a", "goal", 2_000).await;
    let apply = async |text: &str| {
        let file = mesh.folder.path().join("airssys.toml");
        fs::write(&file, with_guests(text)).unwrap();
        mesh.runtime.apply(Topology::read(&file).unwrap(), DeployOptions::default()).await.unwrap()
    };
    // What stays the same stays used up, whatever else changes.
    apply(&topology(full, "").replace("reserve_timeout = \"60s\"", "reserve_timeout = \"50s\"")).await;
    assert!(about(flood(&mesh, "a", "goal", 500).await.sent, 0));
    apply(&topology("messages = 2\nburst = \"300s\"", "")).await;
    let wider = flood(&mesh, "a", "goal", 2_000).await.sent;
    assert!((600..=600 + 2 * SLOW).contains(&wider), "{wider}");
    let without = topology("", "").replace("[[quota]]\nname = \"shared\"\n", "").replace("quota = \"shared\"\n", "");
    apply(&without).await;
    assert_eq!(flood(&mesh, "a", "goal", 5_000).await.sent, 5_000);
    assert_eq!((mesh.status("a").started, mesh.status("goal").started), (1, 1), "nobody was started again");
    mesh.stop().await;
}

#[test]
fn what_is_wrong_with_a_quota_is_told() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.wasm"), "").unwrap();
    let read = |text: &str| -> ConfigError {
        Topology::parse(format!("name = \"m\"\n{text}"), folder.path()).map(|_| ()).unwrap_err()
    };
    for (text, line, part) in [
        ("[[quota]]\nname = \"a\"", 3, "bounds nothing"),
        ("[[quota]]\nname = \"A b\"\nmessages = 1", 3, "is no name of a quota"),
        ("[[quota]]\nname = \"a\"\nmessages = 1\n[[quota]]\nname = \"a\"\nbytes = \"1B\"", 6, "already"),
        ("[[quota]]\nname = \"a\"\nmessages = 1\nburst = \"2h\"", 5, "burst"),
        ("[[quota]]\nname = \"a\"\nmessages = 1\nthen = \"wait\"", 5, "reject, delay, drop"),
        ("[[service]]\nname = \"s\"\nrelease = \"a.wasm\"\nquota = \"a\"", 5, "there is no quota \"a\""),
    ] {
        let error = read(text);
        assert_eq!(error.at.map(|(line, _)| line), Some(line), "{text}: {error}");
        assert!(format!("{error} {:?}", error.hint).contains(part), "{text}: {error}");
    }
}
