//! What is left of a crash shows the same crash again: with the release alone, without the mesh, on what was recorded.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use airssys_tests::{Mesh, code_cache, guest, keeping, log};
use airssys_wasm::Runtime;
use airssys_wasm::command::{Capsule, CapsuleError, Repeats, ReplayError, Replayed, capsules, release_of, replay};
use airssys_wasm::registry::Digest;
use prober_protocol::{Command, Trap};
use serde_json::{Value, json};

/// A service that crashes, one that answers it, and one that never does in time.
fn topology(victim: &str) -> String {
    format!(
        r#"
        name = "mesh"
        [root]
        intensity = 1000000
        [[service]]
        name = "sibling"
        release = "@prober"
        limits = {{ turn_deadline = "60s" }}
        [[service]]
        name = "victim"
        release = "@prober"
        {victim}
        [service.grants]
        send = ["sibling"]
        call = ["sibling"]
        "#
    )
}

const PATIENT: &str = r#"limits = { memory = "6MiB", boundary = "1MiB", turn_budget = "4s", log_line = "16B" }
        recorder = {}"#;

async fn start(victim: &str) -> Mesh {
    let folder = tempfile::tempdir().unwrap();
    let builder = keeping(folder.path());
    Mesh::start_in(folder, &topology(victim), &[], builder).await
}

fn data(mesh: &Mesh) -> PathBuf {
    mesh.folder.path().join("data")
}

/// Waits for so many capsules; the newest one.
async fn newest(mesh: &Mesh, count: usize) -> PathBuf {
    mesh.until("a capsule is there", |mesh| capsules(&data(mesh)).unwrap().len() == count).await;
    capsules(&data(mesh)).unwrap().pop().unwrap()
}

async fn replayed(capsule: &Capsule, data: &Path) -> Replayed {
    let release = release_of(capsule, data, None).unwrap();
    replay(capsule, release, Some(code_cache())).await.unwrap()
}

fn same(what: &str, capsule: &Capsule, replayed: &Replayed) {
    assert_eq!(replayed.differs, Vec::<String>::new(), "{what}: {replayed:?}\n{:#?}", capsule.steps_told);
    assert_eq!(replayed.crash.as_deref(), Some(capsule.text.as_str()), "{what}");
    assert_eq!(replayed.code.as_deref(), Some(capsule.code.as_str()), "{what}");
}

/// A turn that asks for some of everything that a guest has of its host.
fn busy(number: u64) -> Command {
    Command::Do(vec![
        Command::Increment { key: "turns".to_owned(), by: number },
        Command::Get("turns".to_owned()),
        Command::Set { key: "last".to_owned(), value: json!(number) },
        Command::Keys,
        Command::Clock,
        Command::Random,
        Command::RandomBytes(7),
        Command::Whoami,
        Command::Sleep(1),
        Command::Call { to: "sibling".to_owned(), key: None, body: json!({ "echo": number }), timeout_ms: 60_000 },
        Command::Send { to: "sibling".to_owned(), key: None, body: json!({ "record": number }) },
        Command::Count,
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_crash_leaves_a_capsule_that_replays_to_the_same_crash() {
    let mesh = start(PATIENT).await;
    let attacks = [
        ("trap", Command::Trap(Trap::Panic)),
        ("trap", Command::Trap(Trap::Unreachable)),
        ("trap", Command::Trap(Trap::DivideByZero)),
        ("trap", Command::Trap(Trap::OutOfBounds)),
        ("stack-overflow", Command::Trap(Trap::StackOverflow)),
        ("out-of-memory", Command::Trap(Trap::OutOfMemory)),
        ("out-of-memory", Command::Trap(Trap::AllMemory)),
        ("oversized", Command::HugeAnswer(2 << 20)),
        ("out-of-memory", Command::SendBytes { to: "sibling".to_owned(), bytes: 100 << 20 }),
        ("exit", Command::Exit(1)),
    ];
    for (number, (code, attack)) in attacks.into_iter().enumerate() {
        // What it does before is told again too, also within the turn that crashes.
        for turn in 1..=3 {
            mesh.ok("victim", &busy(turn)).await;
        }
        let stored = mesh.stored("victim", "last");
        let what = format!("{attack:?}");
        // What it answers alone is too much.
        let attack = if code == "oversized" { attack } else { Command::Do(vec![busy(4), attack]) };
        mesh.ask("victim", &attack).await.unwrap_err();
        let capsule = Capsule::read(&newest(&mesh, number + 1).await).unwrap();
        assert_eq!((capsule.code.as_str(), capsule.actor.as_str()), (code, "victim"), "{what}: {}", capsule.text);
        assert!(code != "trap" || !capsule.frames.is_empty(), "{what}: {:?}", capsule.frames);
        assert_eq!(capsule.lost, 0);
        // The turn that crashed wrote nothing.
        let before = capsule.state.as_ref().unwrap();
        assert_eq!(serde_json::from_str::<Value>(&before["last"]).unwrap(), stored, "{what}");
        same(&what, &capsule, &replayed(&capsule, &data(&mesh)).await);
    }
    // Of the tree around it, what its supervisor says.
    let capsule = Capsule::read(&capsules(&data(&mesh)).unwrap().pop().unwrap()).unwrap();
    assert!(capsule.tree.is_some_and(|tree| tree.contains("sibling") && tree.contains("victim")));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_time_is_up_it_is_up_again() {
    let limits = "limits = { turn_budget = \"20ms\", turn_deadline = \"300ms\", log_line = \"16B\" }\nrecorder = {}";
    let mesh = start(limits).await;
    let attacks = [
        ("budget", Command::Trap(Trap::EndlessLoop)),
        // What it logs is more than is kept of a turn.
        ("budget", Command::Trap(Trap::EndlessLog)),
        ("deadline", Command::Sleep(100_000)),
    ];
    for (number, (code, attack)) in attacks.into_iter().enumerate() {
        let what = format!("{attack:?}");
        mesh.ok("victim", &Command::Increment { key: "turns".to_owned(), by: 1 }).await;
        mesh.ask("victim", &attack).await.unwrap_err();
        let capsule = Capsule::read(&newest(&mesh, number + 1).await).unwrap();
        assert_eq!(capsule.code, code, "{what}: {}", capsule.text);
        same(&what, &capsule, &replayed(&capsule, &data(&mesh)).await);
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_crashes_leaves_one_too() {
    let victim = format!("{PATIENT}\nconfig = {{ init = \"panic@sibling:2-2\" }}");
    let mesh = start(&victim).await;
    mesh.ask("victim", &Command::Trap(Trap::Panic)).await.unwrap_err();
    // The restart crashes, and the one after it does not.
    assert_eq!(mesh.ok("victim", &Command::Count).await, json!(1));
    newest(&mesh, 2).await;
    for path in capsules(&data(&mesh)).unwrap() {
        let capsule = Capsule::read(&path).unwrap();
        assert_eq!(capsule.code, "trap");
        same(&format!("{:?}", capsule.steps_told), &capsule, &replayed(&capsule, &data(&mesh)).await);
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_turns_the_last_ones_are_kept_and_that_is_told() {
    let mesh = start("recorder = { turns = 3 }\nkeyed = {}").await;
    let call = |command: Command| {
        let runtime: Arc<Runtime> = Arc::clone(&mesh.runtime);
        async move { runtime.call(("victim", "anna"), command.bytes(), airssys_tests::PATIENCE).await }
    };
    for turn in 0..10 {
        call(busy(turn)).await.unwrap();
    }
    call(Command::Trap(Trap::Panic)).await.unwrap_err();
    let capsule = Capsule::read(&newest(&mesh, 1).await).unwrap();
    assert_eq!((capsule.actor.as_str(), capsule.lost), ("victim/anna", 7));
    let turns = capsule.steps_told.iter().filter(|step| step.starts_with("message")).count();
    assert_eq!(turns, 4, "the one that crashed beside those that are kept: {:#?}", capsule.steps_told);
    // It counts its messages in memory, which it has not: told so.
    let release = release_of(&capsule, &data(&mesh), None).unwrap();
    let replayed = replay(&capsule, release, Some(code_cache())).await.unwrap();
    same("with what is left", &capsule, &replayed);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_that_comes_again_is_one_capsule_and_is_counted() {
    let mesh = start(PATIENT).await;
    let crash = |what| Command::Do(vec![Command::Echo(json!(what)), Command::Trap(Trap::DivideByZero)]);
    for what in ["one", "other", "one", "one", "other"] {
        mesh.ask("victim", &crash(what)).await.unwrap_err();
        // Another way there makes no other crash.
        mesh.ok("victim", &busy(1)).await;
    }
    let counted = |mesh: &Mesh| {
        let all = capsules(&data(mesh)).unwrap();
        let mut counts: Vec<u64> =
            all.iter().map(|path| Repeats::of(path).map_or(0, |repeats| repeats.count)).collect();
        counts.sort_unstable();
        counts
    };
    mesh.until("all are counted", |mesh| counted(mesh) == [2, 3]).await;
    let path = capsules(&data(&mesh)).unwrap().remove(0);
    let Repeats { first, last, .. } = Repeats::of(&path).unwrap();
    assert!(first < last, "{first} {last}");
    let capsule = Capsule::read(&path).unwrap();
    assert_eq!(capsule.at, first, "it is the first one");
    same("the first", &capsule, &replayed(&capsule, &data(&mesh)).await);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_as_it_was_written_is_refused_and_another_release_too() {
    let mesh = start(PATIENT).await;
    mesh.ok("victim", &busy(1)).await;
    mesh.ask("victim", &Command::Trap(Trap::Panic)).await.unwrap_err();
    let path = newest(&mesh, 1).await;
    let (whole, damaged) = (fs::read(&path).unwrap(), mesh.folder.path().join("damaged.capsule"));
    for at in (0..whole.len()).step_by(61) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&damaged, &bytes).unwrap();
        match Capsule::read(&damaged) {
            Err(CapsuleError::Damaged { .. } | CapsuleError::Other { .. }) => {}
            other => panic!("byte {at}: {other:?}"),
        }
    }
    let capsule = Capsule::read(&path).unwrap();
    let other = release_of(&capsule, &data(&mesh), Some(&guest("echo")));
    assert!(matches!(&other, Err(ReplayError::OtherRelease { found, sha256, .. }) if found != sha256), "{other:?}");
    let nowhere = release_of(&capsule, mesh.folder.path(), None);
    assert!(matches!(&nowhere, Err(ReplayError::NoRelease { release, .. }) if release.starts_with("prober@")));
    // On another machine, with the file alone.
    let built = guest("prober").parent().unwrap().join("target/airssys/prober.wasm");
    let alone = mesh.folder.path().join("alone.wasm");
    fs::copy(built, &alone).unwrap();
    let release = release_of(&capsule, "nowhere".as_ref(), Some(&alone)).unwrap();
    same("alone", &capsule, &replay(&capsule, release, Some(code_cache())).await.unwrap());
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_it_asks_for_something_else_both_are_told() {
    let mesh = start(PATIENT).await;
    mesh.ok("victim", &Command::Set { key: "first".to_owned(), value: json!(1) }).await;
    mesh.ask("victim", &Command::Do(vec![Command::Get("first".to_owned()), Command::Trap(Trap::Panic)]))
        .await
        .unwrap_err();
    let path = newest(&mesh, 1).await;
    // As if it had asked for another key then.
    let text = String::from_utf8(fs::read(&path).unwrap()).unwrap();
    let (_, content) = text.split_once('\n').unwrap();
    let changed = content.replace(r#"{"GetState":{"key":"first"}}"#, r#"{"GetState":{"key":"other"}}"#);
    assert_ne!(changed, content);
    let head = format!("airssys capsule 1 {}\n", Digest::of(changed.as_bytes()));
    fs::write(&path, head + &changed).unwrap();
    let capsule = Capsule::read(&path).unwrap();
    let replayed = replayed(&capsule, &data(&mesh)).await;
    let told = replayed.differs.join("; ");
    assert!(told.contains("recorded to get other") && told.contains("would get first"), "{told}");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_in_none_and_bodies_only_where_they_may_be() {
    const SECRET: &str = "c4psule-h0rse-battery";
    let config = format!("config = {{ token = {{ value = {SECRET:?}, secret = true }} }}");
    for (recorder, bodies) in [("recorder = {}", true), ("recorder = { bodies = false }", false)] {
        let mesh = start(&format!("{recorder}\n{config}")).await;
        mesh.ok("victim", &Command::Set { key: "said".to_owned(), value: json!("a b0dy in state") }).await;
        mesh.ok("victim", &Command::Do(vec![Command::Config("token".to_owned()), Command::Echo(json!(SECRET))])).await;
        mesh.ask("victim", &Command::Do(vec![Command::Echo(json!("a b0dy")), Command::Trap(Trap::Panic)]))
            .await
            .unwrap_err();
        let path = newest(&mesh, 1).await;
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        assert!(!text.contains("h0rse"), "{text}");
        assert_eq!(text.contains("b0dy"), bodies, "{text}");
        let capsule = Capsule::read(&path).unwrap();
        let release = release_of(&capsule, &data(&mesh), None).unwrap();
        match replay(&capsule, release, Some(code_cache())).await {
            // What stands in the place of the secret is told in its place.
            Ok(replayed) if bodies => same("hidden", &capsule, &replayed),
            Err(ReplayError::NoBodies) if !bodies => {}
            other => panic!("{other:?}"),
        }
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_where_it_is_off_and_no_harm_is_done_where_it_cannot_be() {
    log::listen();
    let mesh = start("").await;
    mesh.ask("victim", &Command::Trap(Trap::Panic)).await.unwrap_err();
    mesh.ok("victim", &busy(1)).await;
    assert!(!data(&mesh).join("capsules").exists());
    mesh.stop().await;

    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/capsules"), "in the way").unwrap();
    let text = topology(PATIENT).replace("\"victim\"", "\"unshelved\"");
    let builder = keeping(folder.path());
    let mesh = Mesh::start_in(folder, &text, &[], builder).await;
    mesh.ask("unshelved", &Command::Trap(Trap::Panic)).await.unwrap_err();
    mesh.ok("unshelved", &busy(1)).await;
    mesh.until("it is told", |_| {
        let lines = log::of("airssys::capsule", "unshelved");
        lines.iter().any(|(level, fields)| level == "WARN" && fields["message"] == "not written")
    })
    .await;
    mesh.stop().await;
}
