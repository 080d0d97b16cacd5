//! A guest that means harm makes the host hold no more than its limits say, and its siblings answer meanwhile.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::path::Path;
use std::process::Command as Program;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use airssys_tests::{Mesh, PATIENCE, footprint};
use airssys_wasm::error::{CallError, Crash, Fault, SendError};
use prober_protocol::{Command, Flooded, Outcome, Trap};
use serde_json::json;
use tokio::sync::Mutex;

const MEBI: u64 = 1 << 20;

/// One at a time: the process is measured.
static ALONE: Mutex<()> = Mutex::const_new(());

/// A villain and its sibling. A turn may compute for long, since the machine may be slow.
fn topology(grants: &str) -> String {
    let service = |name: &str| format!("[[service]]\nname = {name:?}\nrelease = \"@prober\"\n");
    let limits = "limits = { turn_budget = \"60s\", turn_deadline = \"2m\", state = \"8MiB\" }";
    let villain = format!("{}{limits}\n[service.grants]\n{grants}\n", service("villain"));
    format!("name = \"hostile\"\n[root]\nintensity = 1000\n{}{villain}", service("sibling"))
}

/// Has the villain do the same again and again in one turn.
async fn again(mesh: &Mesh, times: u64, command: Command) -> Flooded {
    serde_json::from_value(mesh.ok("villain", &Command::Times(times, Box::new(command))).await).unwrap()
}

/// What it takes and what it is refused, for each way to make the host hold something.
async fn attack(mesh: &Mesh, granted: bool) {
    let myself = || "villain".to_owned();
    let refused = |flooded: &Flooded| flooded.last.clone().unwrap_or_default();

    // Its effects may have 16 MiB, and its mailbox as much.
    let sent = again(mesh, 60, Command::SendBytes { to: myself(), bytes: 1_000_000 }).await;
    assert!((1..=16).contains(&sent.sent) && refused(&sent) == "overloaded", "{sent:?}");
    let small = again(mesh, 3_000, Command::SendBytes { to: myself(), bytes: 1 }).await;
    assert!(small.sent <= 1_024 && refused(&small) == "overloaded", "{small:?}");
    // 4 MiB of timers; those of the rounds before count.
    let timers = again(mesh, 60, Command::SendBytesAfter { delay_ms: 3_600_000, bytes: 100_000 }).await;
    assert!(timers.sent <= 41 && refused(&timers) == "overloaded", "{timers:?}");

    let published = again(mesh, 60, Command::PublishBytes { topic: "t".into(), bytes: 1_000_000 }).await;
    let subscribed = again(mesh, 200, Command::SubscribeLong(1_000)).await;
    if granted {
        assert!(published.sent <= 16 && refused(&published) == "overloaded", "{published:?}");
        assert!(subscribed.sent <= 100 && refused(&subscribed) == "overloaded", "{subscribed:?}");
        assert_eq!(mesh.refused("villain", &Command::SubscribeLong(1_025)).await, "too-large");
        let topic = "t".repeat(1_025);
        assert_eq!(mesh.refused("villain", &Command::PublishBytes { topic, bytes: 1 }).await, "too-large");
    } else {
        for flooded in [&published, &subscribed] {
            assert_eq!((flooded.sent, &*refused(flooded)), (0, "denied"), "{flooded:?}");
        }
    }
    // A name that is longer than any is not looked at, whoever may send to it.
    let to = "x".repeat(500_000);
    assert_eq!(mesh.refused("villain", &Command::SendBytes { to, bytes: 1 }).await, "no-such-service");

    match mesh.ask("villain", &Command::FailLong(1_000_000)).await {
        Err(CallError::Fault(Fault::Internal(text))) => assert!((4_096..5_000).contains(&text.len()), "{}", text.len()),
        other => panic!("{other:?}"),
    }
    match mesh.ask("villain", &Command::HugeAnswer(8_000_000)).await {
        Err(CallError::Crashed(Crash::Oversized { .. })) => {}
        other => panic!("{other:?}"),
    }
    mesh.ok("villain", &Command::FloodState).await;
    mesh.ok("villain", &Command::FloodLog(2_000)).await;
    let call = Command::Call { to: myself(), key: None, body: json!("count"), timeout_ms: 60_000 };
    let name = mesh.refused("villain", &call).await;
    assert!(name == "deadlock" || name == "not-sent/denied", "{name}");
    mesh.ask("villain", &Command::Trap(Trap::OutOfMemory)).await.unwrap_err();
}

/// Calls the sibling until it is told to stop; how long each call took.
async fn bystander(mesh: &Mesh, stop: &AtomicBool) -> Vec<Duration> {
    let mut took = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        mesh.ok("sibling", &Command::Count).await;
        took.push(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_guest_makes_the_host_hold_is_bounded_and_its_sibling_answers() {
    let _alone = ALONE.lock().await;
    for (granted, grants) in [(false, ""), (true, "publish = [\"**\"]\nsubscribe = [\"**\"]")] {
        let mesh = Mesh::start(&topology(grants)).await;
        attack(&mesh, granted).await;
        let before = footprint();
        let stop = AtomicBool::new(false);
        let attacks = async {
            for round in 0..6 {
                attack(&mesh, granted).await;
                let grown = footprint().resident_bytes.saturating_sub(before.resident_bytes);
                // Its effects and its mailbox, 64 MiB of dead letters, and what the allocator keeps. Without bounds it is 60 MiB and more a round.
                assert!(grown < 150 * MEBI, "round {round}: {} MiB", grown / MEBI);
            }
            stop.store(true, Ordering::Relaxed);
        };
        let ((), mut took) = tokio::join!(attacks, bystander(&mesh, &stop));
        took.sort();
        let median = took[took.len() / 2];
        assert!(median < Duration::from_secs(1), "half of {} calls took longer than {median:?}", took.len());
        assert_eq!(mesh.status("sibling").started, 1);

        mesh.until("its mailbox is empty", |mesh| mesh.status("villain").queued == 0).await;
        let (total, kept) = mesh.runtime.dead_letters();
        let bytes: usize = kept.iter().map(|letter| letter.body.len()).sum();
        assert!(total as usize > kept.len() && bytes <= 64 << 20, "{total} letters, {} with {bytes} bytes", kept.len());
        let after = footprint();
        assert!(after.file_descriptors <= before.file_descriptors, "{before:?} {after:?}");
        assert!(after.threads <= before.threads + 4, "{before:?} {after:?}");
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipe_in_a_granted_folder_is_refused_and_holds_no_thread() {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Program::new("mkfifo").arg(&pipe).status().unwrap().success());
    let grants = format!("files = {{ \"/out\" = {{ host = {:?}, access = \"read-write\" }} }}", folder.path());
    let mesh = Mesh::start(&topology(&grants)).await;
    mesh.ok("villain", &Command::WriteFile { path: "/out/plain".into(), text: "seen".into() }).await;
    mesh.ok("villain", &Command::Symlink { target: "pipe".into(), path: "/out/link".into() }).await;
    for path in ["/out/pipe", "/out/link"] {
        for command in
            [Command::ReadFile(path.into()), Command::WriteFile { path: path.into(), text: "nobody reads this".into() }]
        {
            for _ in 0..20 {
                let name = mesh.refused("villain", &command).await;
                assert_eq!(name, "io/Unsupported", "{command:?}");
            }
        }
    }
    assert_eq!(mesh.ok("villain", &Command::ReadFile("/out/plain".into())).await, json!("seen"));
    assert_eq!(mesh.status("villain").started, 1);
    mesh.stop().await;
}

/// A name that is a link to a pipe and to a file by turns, so that now and then a pipe is opened where a file was looked at: the host cannot tell in time.
fn change_places(folder: &Path, stop: &AtomicBool) {
    for target in ["pipe", "plain"].into_iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        std::os::unix::fs::symlink(target, folder.join("next")).unwrap();
        std::fs::rename(folder.join("next"), folder.join("link")).unwrap();
    }
}

#[test]
fn files_that_hang_hold_the_threads_of_their_service_and_of_nobody_else() {
    const THREADS: usize = 8;
    let _alone = ALONE.blocking_lock();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    // The only thread for blocking work that the host's runtime has is taken for good: nothing of the mesh may need it.
    let (release, hung) = std::sync::mpsc::channel::<()>();
    let _hanging = runtime.spawn_blocking(move || hung.recv());
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Program::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::fs::write(folder.path().join("plain"), "seen").unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| change_places(folder.path(), &stop));
        runtime.block_on(async {
            let files = format!("[service.grants]\nfiles = {{ \"/in\" = {{ host = {:?} }} }}\n", folder.path());
            let limits = "limits = { turn_deadline = \"300ms\" }\n";
            let service = |name: &str| format!("[[service]]\nname = {name:?}\nrelease = \"@prober\"\n");
            let root = "name = \"m\"\n[root]\nintensity = 1000\n";
            let text = format!("{root}{}{limits}{files}{}{files}", service("reader"), service("sibling"));
            let mesh = tokio::time::timeout(PATIENCE, Mesh::start(&text)).await.unwrap();
            let read = |to: &'static str, name: &str| {
                let command = Command::ReadFile(format!("/in/{name}"));
                let mesh = &mesh;
                async move { mesh.ask(to, &command).await }
            };
            let before = footprint();
            let mut held = 0;
            while held < THREADS {
                match read("reader", "link").await {
                    Err(CallError::Crashed(Crash::Deadline { .. })) => held += 1,
                    Ok(_) => {}
                    other => panic!("{other:?}"),
                }
            }
            stop.store(true, Ordering::Relaxed);
            // Whatever it opens now waits for one of its threads, and its turn ends typed; turn by turn, and no thread more is held.
            for _ in 0..3 {
                match read("reader", "plain").await {
                    Err(CallError::Crashed(Crash::Deadline { .. })) => {}
                    other => panic!("{other:?}"),
                }
            }
            let during = footprint();
            assert!(during.threads <= before.threads + THREADS + 4, "{before:?} {during:?}");
            // It answers otherwise, and its sibling reads.
            mesh.ok("reader", &Command::Count).await;
            for _ in 0..20 {
                assert_eq!(mesh.ok("sibling", &Command::ReadFile("/in/plain".into())).await, json!("seen"));
            }
            // What hung is there again: the threads are the reader's as before.
            let _somebody_writes = std::fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
            while !matches!(read("reader", "plain").await, Ok(Outcome::Ok(_))) {}
            mesh.stop().await;
        });
    });
    drop(release);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mailboxes_of_all_keys_have_a_bound_together() {
    let _alone = ALONE.lock().await;
    let mesh = Mesh::start(
        "name = \"m\"\n[[service]]\nname = \"keys\"\nrelease = \"@prober\"\nshutdown = \"brutal-kill\"\nkeyed = { max_awake = 1 }\nmailbox = { all_bytes = \"1MiB\" }\nlimits = { turn_deadline = \"10m\" }\n",
    )
    .await;
    // Nobody else wakes while this one is busy.
    mesh.tell("keys/busy", &Command::Sleep(500_000)).await.unwrap();
    mesh.until("it is awake", |mesh| mesh.runtime.instances().0 == 1).await;
    let body = || vec![b'x'; 300_000];
    for key in ["keys/a", "keys/b", "keys/c"] {
        mesh.runtime.send(key, body()).await.unwrap();
    }
    for key in ["keys/a", "keys/d"] {
        let refused = mesh.runtime.send(key, body()).await;
        assert!(matches!(refused, Err(SendError::Overloaded { .. })), "{refused:?}");
    }
    mesh.tell("keys/d", &Command::Count).await.unwrap();
    assert_eq!(mesh.status("keys").queued, 4);
    mesh.runtime.shutdown().await;
}

/// What a service with states of several keys refuses a write with, which is not for the one state alone.
async fn no_room(mesh: &Mesh, to: &str, command: &Command) {
    match mesh.ask(to, command).await {
        Ok(Outcome::Err(refusal)) => assert!(refusal.text.contains("all_state"), "{refusal:?}"),
        other => panic!("{to}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_states_of_all_keys_have_a_bound_together_and_so_has_their_number() {
    let _alone = ALONE.lock().await;
    let service = |name: &str, more: &str| {
        format!(
            "[[service]]\nname = {name:?}\nrelease = \"@prober\"\nlimits = {{ state = \"2MiB\", all_state = \"3MiB\", turn_budget = \"60s\" }}\n{more}\n"
        )
    };
    let keyed = service("keyed", "keyed = { max_awake = 2, idle_timeout = \"1ms\" }");
    let lanes = service("lanes", "instances = 2\npartitioned = true");
    let mesh = Mesh::start(&format!("name = \"m\"\n{keyed}{lanes}")).await;
    let value = |letters: usize| Command::Set { key: "k".to_owned(), value: json!("x".repeat(letters)) };
    for service in ["keyed", "lanes"] {
        let to = |key: usize| format!("{service}/{key}");
        // Each value has 256 KiB: one key may have less than eight, and both together less than twelve.
        assert_eq!(mesh.ok(&to(1), &Command::FloodState).await, json!(7));
        assert_eq!(mesh.ok(&to(2), &Command::FloodState).await, json!(4));
        no_room(&mesh, &to(3), &value(300_000)).await;
        // What is there can be read and changed, and what does not grow is never refused.
        let shrinks = Command::Do(vec![value(1_000), value(999)]);
        mesh.ok(&to(2), &shrinks).await;
        // What is deleted is room for others.
        mesh.ok(&to(1), &Command::Prune).await;
        mesh.ok(&to(3), &value(300_000)).await;
        mesh.ok(&to(2), &Command::Prune).await;
        mesh.ok(&to(3), &Command::Prune).await;
        // A state of a few bytes counts too: 3 MiB are no more than 12,288 of them.
        let (mut kept, small) = (0, value(1));
        while kept < 12_288 && matches!(mesh.ask(&to(kept + 10), &small).await, Ok(Outcome::Ok(_))) {
            kept += 1;
        }
        assert!((10_000..12_288).contains(&kept), "{kept}");
        no_room(&mesh, &to(1), &small).await;
        mesh.ok(&to(10), &Command::Prune).await;
        mesh.ok(&to(1), &small).await;
    }
    mesh.stop().await;
}
