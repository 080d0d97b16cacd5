//! What an instance holds of the host through WASI is bounded: at the bound it is refused, and nobody else notices.
//!
//! One test counts the file descriptors of its process: one at a time.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::net::TcpListener;

use airssys_tests::{Mesh, footprint};
use airssys_wasm::error::{CallError, Crash};
use prober_protocol::{Command, Held};
use serde_json::json;
use tokio::sync::Mutex;

const MOST: usize = 40;

static ALONE: Mutex<()> = Mutex::const_new(());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_opens_as_much_as_it_may_and_is_refused_one_more() {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("text"), "seen").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let service = |name: &str| {
        format!(
            "[[service]]\nname = {name:?}\nrelease = \"@prober\"\nlimits = {{ resources = {MOST} }}\n[service.grants]\nsockets = [\"127.0.0.1:{port}\"]\nfiles = {{ \"/in\" = {{ host = {:?} }} }}\n",
            folder.path()
        )
    };
    let mesh = Mesh::start(&format!(
        "name = \"resources\"\n[root]\nintensity = 10\n{}{}",
        service("greedy"),
        service("sibling")
    ))
    .await;
    let read = Command::ReadFile("/in/text".into());
    for who in ["greedy", "sibling"] {
        assert_eq!(mesh.ok(who, &read).await, json!("seen"));
        assert_eq!(mesh.ok(who, &Command::Connect(format!("127.0.0.1:{port}"))).await, json!(true));
        let _connected = listener.accept().unwrap();
    }
    let before = footprint().file_descriptors;

    for (hold, refused) in [
        (Command::HoldFiles("/in/text".into()), "insufficient-memory"),
        (Command::HoldStreams("/in/text".into()), "insufficient-memory"),
        (Command::HoldSockets, "new-socket-limit"),
    ] {
        let held: Held = serde_json::from_value(mesh.ok("greedy", &hold).await).unwrap();
        // A few are its tool chain's own: the granted folder, standard streams.
        assert!((MOST / 2..MOST).contains(&held.held) && held.refused == refused, "{hold:?}: {held:?}");
        assert!(footprint().file_descriptors <= before + MOST, "{hold:?}: {:?}", footprint());
        // It is an answer: the instance goes on, and what it asks for meanwhile is refused as well.
        let name = mesh.refused("greedy", &read).await;
        assert!(name.starts_with("io/"), "{name}");
        let name = mesh.refused("greedy", &Command::Connect(format!("127.0.0.1:{port}"))).await;
        assert!(name == "socket/new-socket-limit" || name == "socket/out-of-memory", "{name}");
        // Its sibling has a bound of its own.
        assert_eq!(mesh.ok("sibling", &read).await, json!("seen"));
        assert!(mesh.ok("greedy", &Command::LetGo).await.as_u64().unwrap() >= held.held as u64);
        assert_eq!(footprint().file_descriptors, before, "{hold:?}");
        assert_eq!(mesh.ok("greedy", &read).await, json!("seen"), "there is room again");
    }
    assert_eq!(mesh.status("greedy").started, 1);

    // A pollable has no error to answer with.
    match mesh.ask("greedy", &Command::HoldPollables).await {
        Err(CallError::Crashed(Crash::Trap { trap, .. })) => {
            assert!(trap.contains(&format!("the limit `resources` is {MOST}")), "{trap}");
        }
        other => panic!("{other:?}"),
    }
    // What a crashed instance held goes with it.
    mesh.ok("greedy", &Command::HoldFiles("/in/text".into())).await;
    mesh.ask("greedy", &Command::Trap(prober_protocol::Trap::Panic)).await.unwrap_err();
    assert_eq!(mesh.ok("greedy", &read).await, json!("seen"));
    assert_eq!(footprint().file_descriptors, before);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_is_too_large_is_not_listed_and_the_others_are() {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let (many, few) = (folder.path().join("many"), folder.path().join("few"));
    std::fs::create_dir(&many).unwrap();
    std::fs::create_dir(&few).unwrap();
    std::fs::write(few.join("one"), "").unwrap();
    // Each counts with 64 bytes more than its name has: together 8 MiB and a little.
    let name = |number: usize| many.join(format!("{number:0>250}"));
    let most = (8 << 20) / (250 + 64);
    (0..=most).for_each(|number| drop(std::fs::File::create(name(number)).unwrap()));
    let files = format!("[service.grants]\nfiles = {{ \"/in\" = {{ host = {:?} }} }}\n", folder.path());
    let limits =
        "limits = { memory = \"64MiB\", boundary = \"16MiB\", turn_budget = \"60s\", turn_deadline = \"2m\" }\n";
    let mesh =
        Mesh::start(&format!("name = \"m\"\n[[service]]\nname = \"a\"\nrelease = \"@prober\"\n{limits}{files}")).await;
    for _ in 0..2 {
        assert_eq!(mesh.refused("a", &Command::ListFolder("/in/many".into())).await, "io/OutOfMemory");
        assert_eq!(mesh.ok("a", &Command::ListFolder("/in/few".into())).await, json!(["one"]));
    }
    // With one file less it is listed, as often as the guest likes: what it has gone through does not count any more.
    std::fs::remove_file(name(0)).unwrap();
    for _ in 0..3 {
        let names = mesh.ok("a", &Command::ListFolder("/in/many".into())).await;
        assert_eq!(names.as_array().unwrap().len(), most);
    }
    mesh.stop().await;
}
