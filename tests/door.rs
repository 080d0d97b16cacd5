//! All that a guest does passes the layers that apply to it, once, and is settled once: files, sockets, HTTP requests,
//! its state, clocks, randomness, its environment and its configuration. What a layer says is obeyed, and a layer that
//! panics lets nothing through.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

#[path = "door/seen.rs"]
mod seen;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use airssys_tests::{Mesh, PATIENCE, until};
use airssys_wasm::Runtime;
use airssys_wasm::error::{CallError, SendError};
use airssys_wasm::events::{Happening, Heard, Kind};
use airssys_wasm::middleware::{ErrorVerdict, Operation, Operations, Verdict};
use prober_protocol::{Command, Outcome};
use serde_json::json;
use tempfile::TempDir;

use self::seen::{Seen, Watch};
use crate::http_out::servers::Server;

/// A folder that is granted to be written to, with a file in it.
fn disk() -> TempDir {
    let disk = tempfile::tempdir().unwrap();
    for folder in ["out", "in"] {
        fs::create_dir(disk.path().join(folder)).unwrap();
    }
    fs::write(disk.path().join("out/kept"), "kept").unwrap();
    disk
}

fn topology(disk: &Path) -> String {
    format!(
        r#"
        name = "door"
        [root]
        intensity = 1000
        [settings]
        reserve_timeout = "60s"
        [[service]]
        name = "a"
        release = "@prober"
        config = {{ colour = "red" }}
        limits = {{ turn_deadline = "60s" }}
        [service.grants]
        send = ["goal"]
        call = ["goal"]
        sockets = ["127.0.0.1:*"]
        environment = {{ GREETING = "hello" }}
        [service.grants.files]
        "/out" = {{ host = {:?}, access = "read-write" }}
        "/in" = {{ host = {:?}, access = "read" }}
        [[service]]
        name = "goal"
        release = "@prober"
        "#,
        disk.join("out"),
        disk.join("in"),
    )
}

async fn mesh(disk: &Path, layers: impl IntoIterator<Item = Watch>) -> Mesh {
    let builder = layers.into_iter().fold(Runtime::builder(), |builder, layer| builder.layer(layer));
    Mesh::try_start(&topology(disk), builder).await.unwrap_or_else(|error| panic!("{error}"))
}

fn write(path: &str, text: &str) -> Command {
    Command::WriteFile { path: path.into(), text: text.into() }
}

fn read(path: &str) -> Command {
    Command::ReadFile(path.into())
}

fn rejected() -> Verdict {
    Verdict::Reject(SendError::Rejected { layer: "test".into(), reason: "no".to_owned() }.into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_guest_does_with_files_passes_and_is_settled_once() {
    let (disk, seen) = (disk(), Seen::default());
    let mesh = mesh(disk.path(), [Watch::of(Operations::FILES, &seen)]).await;
    mesh.ok("a", &write("/out/.//a", "text")).await;
    let noted = seen.take();
    assert!(noted.contains(&"file-open [file-open, file-write, file-create] /out/a: ok".to_owned()), "{noted:?}");
    assert!(noted.contains(&"file-write [file-write] /out/a \"text\": ok".to_owned()), "{noted:?}");
    assert_eq!(mesh.ok("a", &read("/out/a")).await, json!("text"));
    let noted = seen.take();
    assert!(noted.contains(&"file-open [file-open, file-read] /out/a: ok".to_owned()), "{noted:?}");
    assert!(noted.contains(&"file-read [file-read] /out/a: ok \"text\"".to_owned()), "{noted:?}");
    for (command, note) in [
        (
            Command::Rename { from: "/out/a".into(), to: "/out/b".into() },
            "file-move [file-create, file-remove, file-move] /out/a and /out/b: ok",
        ),
        (
            Command::HardLink { of: "/out/b".into(), path: "/out/c".into() },
            "file-create [file-create] /out/c and /out/b: ok",
        ),
        (Command::ListFolder("/out".into()), "file-list [file-list] /out: ok"),
        (Command::MakeFolder("/out/sub".into()), "file-create [file-create] /out/sub: ok"),
        (Command::SetSize { path: "/out/b".into(), bytes: 2 }, "file-write [file-write] /out/b \"\": ok"),
        (Command::Remove("/out/b".into()), "file-remove [file-remove] /out/b: ok"),
    ] {
        mesh.ok("a", &command).await;
        let noted = seen.take();
        assert!(noted.contains(&note.to_owned()), "{command:?}: {noted:?}");
    }
    assert_eq!(mesh.refused("a", &read("/out/gone")).await, "io/NotFound");
    assert_eq!(seen.take(), ["file-open [file-open, file-read] /out/gone: failed no-entry"]);
    mesh.stop().await;
    seen.is_settled();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_layer_rejects_does_not_happen() {
    let (disk, seen) = (disk(), Seen::default());
    // All that would write, in whatever way.
    let writes = Operations::of(Operation::FileWrite) | Operation::FileCreate.into() | Operation::FileRemove.into();
    let no = Watch { before: |_, _| Some(rejected()), ..Watch::of(writes, &seen) };
    let mesh = mesh(disk.path(), [no]).await;
    let out = disk.path().join("out");
    for command in [
        write("/out/a", "text"),
        write("/out/kept", ""),
        Command::SetSize { path: "/out/kept".into(), bytes: 0 },
        Command::Append { path: "/out/kept".into(), bytes: 1 },
        Command::Remove("/out/kept".into()),
        Command::Rename { from: "/out/kept".into(), to: "/out/a".into() },
        Command::MakeFolder("/out/sub".into()),
        Command::Symlink { target: "kept".into(), path: "/out/link".into() },
        Command::HardLink { of: "/out/kept".into(), path: "/out/link".into() },
    ] {
        let refused = mesh.refused("a", &command).await;
        assert!(["io/PermissionDenied", "not-permitted"].contains(&&*refused), "{command:?}: {refused}");
    }
    let names: Vec<_> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!((names, fs::read_to_string(out.join("kept")).unwrap()), (vec!["kept".into()], "kept".to_owned()));
    // What is none of that goes on.
    assert_eq!(mesh.ok("a", &read("/out/kept")).await, json!("kept"));
    let noted = seen.take();
    assert!(noted.iter().all(|note| note.ends_with(": rejected")), "{noted:?}");
    mesh.stop().await;
    seen.is_settled();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_hides_nothing_that_is_read_or_written() {
    let (disk, seen) = (disk(), Seen::default());
    symlink("kept", disk.path().join("out/link")).unwrap();
    let no = Watch {
        before: |context, _| (context.target == "/out/kept").then(rejected),
        ..Watch::of(Operations::FILES, &seen)
    };
    let mesh = mesh(disk.path(), [no]).await;
    assert_eq!(mesh.refused("a", &read("/out/link")).await, "io/PermissionDenied");
    // It would be empty when it is open.
    assert_eq!(mesh.refused("a", &write("/out/link", "text")).await, "io/PermissionDenied");
    assert_eq!(fs::read_to_string(disk.path().join("out/kept")).unwrap(), "kept");
    mesh.stop().await;
    seen.is_settled();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_answer_of_a_layer_is_obeyed_over_a_file() {
    let disk = disk();
    let seen = Seen::default();
    // What is written, and what is read in the place of a file.
    let changes = Watch {
        before: |context, body| match (context.operation, context.target) {
            (Operation::FileWrite, "/out/barred") => Some(rejected()),
            (Operation::FileWrite, _) => {
                *body = body.to_ascii_uppercase().into();
                None
            }
            (Operation::FileRead, "/out/kept") => Some(Verdict::Handled(Some("of the layer".into()))),
            _ => None,
        },
        ..Watch::of(Operations::FILES, &seen)
    };
    let changed = mesh(disk.path(), [changes]).await;
    changed.ok("a", &write("/out/a", "text")).await;
    assert_eq!(changed.ok("a", &read("/out/a")).await, json!("TEXT"));
    assert_eq!(changed.ok("a", &read("/out/kept")).await, json!("of the layer"));
    assert_eq!(changed.refused("a", &Command::Append { path: "/out/barred".into(), bytes: 3 }).await, "not-permitted");
    assert_eq!(fs::read(disk.path().join("out/barred")).unwrap(), b"", "it was opened, and not written to");
    changed.stop().await;
    seen.is_settled();

    for (on_error, told, times, asked_outer) in [
        ((|_| ErrorVerdict::Continue) as fn(&CallError) -> ErrorVerdict, Some("io/NotFound"), 1, true),
        (|_| ErrorVerdict::Replace(CallError::Failed { code: "busy".to_owned() }), Some("io/ResourceBusy"), 1, true),
        (|_| ErrorVerdict::Suppress, None, 1, false),
        (|_| ErrorVerdict::Retry, Some("io/NotFound"), 4, true),
        (|_| ErrorVerdict::Stop, Some("io/NotFound"), 1, false),
    ] {
        let (inner_seen, outer_seen) = (Seen::default(), Seen::default());
        let inner = Watch { on_error, ..Watch::of(Operation::FileRemove.into(), &inner_seen) };
        let outer = Watch { priority: 20, ..Watch::of(Operation::FileRemove.into(), &outer_seen) };
        let mesh = mesh(disk.path(), [outer, inner]).await;
        let gone = Command::Rename { from: "/out/gone".into(), to: "/out/too".into() };
        match (mesh.ask("a", &gone).await, told) {
            (Ok(Outcome::Err(refusal)), Some(told)) => assert_eq!(refusal.name, told),
            (Ok(Outcome::Ok(_)), None) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(inner_seen.take().len(), times);
        assert_eq!(outer_seen.errors() > 0, asked_outer, "{told:?}");
        mesh.stop().await;
        inner_seen.is_settled();
        outer_seen.is_settled();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_of_a_file_ends_when_it_is_well() {
    static TIMES: AtomicU32 = AtomicU32::new(0);
    let (disk, seen) = (disk(), Seen::default());
    let flaky = Watch {
        before: |_, _| (TIMES.fetch_add(1, Ordering::SeqCst) < 2).then(|| Verdict::Reject(CallError::Timeout)),
        on_error: |_| ErrorVerdict::Retry,
        ..Watch::of(Operation::FileCreate.into(), &seen)
    };
    let mesh = mesh(disk.path(), [flaky]).await;
    mesh.ok("a", &Command::MakeFolder("/out/sub".into())).await;
    assert!(disk.path().join("out/sub").is_dir());
    let note = |how: &str| format!("file-create [file-create] /out/sub: {how}");
    assert_eq!(seen.take(), [note("timeout"), note("timeout"), note("ok")]);
    mesh.stop().await;
    seen.is_settled();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_waits_for_a_verdict_and_what_cannot_wait_is_turned_away() {
    let (disk, seen) = (disk(), Seen::default());
    let later = Watch {
        before: |_, _| {
            Some(Verdict::Later(Box::pin(async {
                tokio::task::yield_now().await;
                Verdict::Continue
            })))
        },
        ..Watch::of(Operations::FILES | Operations::STATE, &seen)
    };
    let mesh = mesh(disk.path(), [later]).await;
    mesh.ok("a", &write("/out/a", "text")).await;
    mesh.ok("a", &Command::Append { path: "/out/a".into(), bytes: 3 }).await;
    assert_eq!(mesh.ok("a", &read("/out/a")).await, json!("textxxx"));
    assert_eq!(mesh.ok("a", &Command::ListFolder("/out".into())).await, json!(["a", "kept"]));
    seen.take();
    let refused = mesh.ask("a", &Command::Set { key: "k".into(), value: json!(1) }).await;
    let Ok(Outcome::Err(refusal)) = refused else { panic!("{refused:?}") };
    assert!(refusal.text.contains("watch rejected it: it has to wait"), "{refusal:?}");
    assert_eq!(seen.take(), ["state-write [state-write] k \"1\": rejected"]);
    mesh.stop().await;
    seen.is_settled();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cut_off_at_the_door_is_told_as_discarded() {
    let (disk, seen) = (disk(), Seen::default());
    let never = Watch {
        before: |context, _| {
            matches!(context.operation, Operation::FileRead | Operation::FileCreate)
                .then(|| Verdict::Later(Box::pin(std::future::pending())))
        },
        ..Watch::of(Operations::FILES, &seen)
    };
    let builder = Runtime::builder().layer(never);
    let topology = topology(disk.path()).replace("turn_deadline = \"60s\"", "turn_deadline = \"300ms\"");
    let mesh = Mesh::try_start(&topology, builder).await.unwrap();
    for (command, note) in [
        (read("/out/kept"), "file-read [file-read] /out/kept: discarded"),
        (Command::MakeFolder("/out/sub".into()), "file-create [file-create] /out/sub: discarded"),
    ] {
        let crashed = mesh.ask("a", &command).await;
        assert!(matches!(crashed, Err(CallError::Crashed(_))), "{crashed:?}");
        until("it is told", async || seen.has(note)).await;
        let noted = seen.take();
        assert_eq!(noted.iter().filter(|noted| *noted == note).count(), 1, "{noted:?}");
    }
    assert!(!disk.path().join("out/sub").exists());
    mesh.stop().await;
    seen.is_settled();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_guest_has_for_itself_passes_too() {
    let (disk, seen) = (disk(), Seen::default());
    let rest = Operations::STATE
        | Operations::of(Operation::Clock).and(Operation::Random).and(Operation::Environment).and(Operation::Config);
    let mesh = mesh(disk.path(), [Watch::of(rest, &seen)]).await;
    for (command, notes) in [
        (Command::Set { key: "k".into(), value: json!("v") }, &["state-write [state-write] k \"\"v\"\": ok"][..]),
        (Command::Get("k".into()), &["state-read [state-read] k: ok \"\"v\"\""]),
        (Command::Delete("k".into()), &["state-write [state-write] k \"\": ok"]),
        (Command::Increment { key: "n".into(), by: 2 }, &["state-write [state-read, state-write] n \"\": ok"]),
        (Command::Keys, &["state-read [state-read] : ok"]),
        (Command::Config("colour".into()), &["config [config] colour: ok \"red\""]),
        (Command::RandomBytes(8), &["random [random] : ok"]),
    ] {
        seen.take();
        mesh.ok("a", &command).await;
        let noted = seen.take();
        assert!(notes.iter().all(|note| noted.contains(&(*note).to_owned())), "{command:?}: {noted:?}");
    }
    seen.take();
    mesh.ok("a", &Command::Clock).await;
    let noted = seen.take();
    for clock in ["wall", "monotonic"] {
        assert!(noted.contains(&format!("clock [clock] {clock}: ok")), "{noted:?}");
    }
    mesh.stop().await;
    seen.is_settled();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_guest_has_for_itself_is_refused_where_a_layer_says_so() {
    let (disk, seen) = (disk(), Seen::default());
    let no = Watch {
        before: |context, _| match (context.operation, context.target) {
            (Operation::Clock, "wall") | (Operation::StateWrite, _) => Some(rejected()),
            (Operation::StateRead, "mine") => Some(Verdict::Handled(Some("\"of the layer\"".into()))),
            (Operation::StateRead, "yours") | (Operation::Config, "colour") => Some(rejected()),
            _ => None,
        },
        ..Watch::of(Operations::ALL, &seen)
    };
    let mesh = mesh(disk.path(), [no]).await;
    assert_eq!(mesh.refused("a", &Command::Set { key: "k".into(), value: json!(1) }).await, "store");
    assert_eq!(mesh.refused("a", &Command::Increment { key: "k".into(), by: 1 }).await, "store");
    assert_eq!(mesh.ok("a", &Command::Get("mine".into())).await, json!("of the layer"));
    assert_eq!(mesh.refused("a", &Command::Get("yours".into())).await, "store");
    assert_eq!(mesh.refused("a", &Command::Config("colour".into())).await, "config");
    assert_eq!(mesh.ok("a", &Command::Keys).await, json!([]), "nothing was written");
    // A clock has no error to answer with.
    let ended = mesh.ask("a", &Command::Clock).await;
    let Err(CallError::Crashed(crash)) = &ended else { panic!("{ended:?}") };
    assert!(crash.to_string().contains("test rejected it: no"), "{crash}");
    assert_eq!(mesh.ok("a", &Command::Echo(json!(1))).await, json!(1), "another instance");
    mesh.stop().await;
    seen.is_settled();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_and_requests_pass_and_a_rejected_one_reaches_nobody() {
    let (disk, seen) = (disk(), Seen::default());
    let no = Watch {
        before: |context, _| (context.operation == Operation::SocketConnect).then(rejected),
        ..Watch::of(Operations::SOCKETS, &seen)
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let turned_away = mesh(disk.path(), [no]).await;
    assert_eq!(turned_away.refused("a", &Command::Connect(address.clone())).await, "socket/access-denied");
    assert_eq!(listener.accept().map(drop).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    assert!(seen.take().contains(&format!("socket-connect [socket-connect] {address}: rejected")));
    turned_away.stop().await;
    let let_on = mesh(disk.path(), [Watch::of(Operations::SOCKETS, &seen)]).await;
    assert_eq!(let_on.ok("a", &Command::Connect(address.clone())).await, json!(true));
    let noted = seen.take();
    assert!(noted.contains(&format!("socket-connect [socket-connect] {address}: ok")), "{noted:?}");
    let_on.stop().await;
    seen.is_settled();

    let server = Server::start().await;
    let grants = [format!("* http://127.0.0.1:{}/**", server.port)];
    let topology = format!(
        "name = \"m\"\n[[service]]\nname = \"fetcher\"\nrelease = \"@fetcher\"\n[service.grants]\nhttp = {grants:?}\n"
    );
    let no = Watch {
        before: |context, _| context.target.ends_with("/secret").then(rejected),
        ..Watch::of(Operation::Http.into(), &seen)
    };
    let mesh = Mesh::try_start(&topology, Runtime::builder().layer(no)).await.unwrap();
    let fetch = async |path: &str| {
        let ask = json!({ "url": server.url(path) });
        let told = mesh.runtime.call("fetcher", serde_json::to_vec(&ask).unwrap(), PATIENCE).await.unwrap().unwrap();
        serde_json::from_slice::<serde_json::Value>(&told).unwrap()
    };
    assert_eq!(fetch("/secret").await["error"], "HttpRequestDenied");
    assert_eq!(server.connections(), 0, "nobody came");
    assert_eq!(fetch("/open").await["status"], 200);
    let note = |path: &str, how: &str| format!("http [http] GET http://127.0.0.1:{}{path}: {how}", server.port);
    assert_eq!(seen.take(), [note("/secret", "rejected"), note("/open", "ok")]);
    mesh.stop().await;
    seen.is_settled();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_of_wasi_0_3_passes_the_same_door() {
    let (disk, seen) = (disk(), Seen::default());
    let start = async |watch: Watch| {
        let topology = format!(
            "name = \"m\"\n[[service]]\nname = \"a\"\nrelease = \"@tasks\"\nlimits = {{ turn_deadline = \"60s\" }}\n\
             [service.grants.files]\n\"/data\" = {{ host = {:?}, access = \"read-write\" }}\n",
            disk.path().join("out")
        );
        Mesh::try_start(&topology, Runtime::builder().layer(watch)).await.unwrap()
    };
    let invoke = async |mesh: &Mesh, call: &str| mesh.runtime.invoke("a", call, PATIENCE).await.unwrap().unwrap();
    let mesh = start(Watch::of(Operations::FILES, &seen)).await;
    assert_eq!(invoke(&mesh, r#"write("/data/a", "text", some(0))"#).await, "ok");
    let noted = seen.take();
    assert!(noted.iter().any(|note| note.starts_with("file-open [") && note.ends_with("] /data/a: ok")), "{noted:?}");
    assert!(noted.contains(&"file-write [file-write] /data/a \"text\": ok".to_owned()), "{noted:?}");
    assert_eq!(invoke(&mesh, r#"read("/data/a", 0)"#).await, r#"ok("text")"#);
    let noted = seen.take();
    assert!(noted.contains(&"file-read [file-read] /data/a: ok \"text\"".to_owned()), "{noted:?}");
    for (call, note) in [
        (r#"entries("/data")"#, "file-list [file-list] /data: ok"),
        (r#"make-folder("/data/sub")"#, "file-create [file-create] /data/sub: ok"),
        (r#"stat("/data/a")"#, "file-inspect [file-inspect] /data/a: ok"),
        (
            r#"rename("/data/a", "/data/sub/b")"#,
            "file-move [file-create, file-remove, file-move] /data/a and /data/sub/b: ok",
        ),
        (r#"remove("/data/sub/b")"#, "file-remove [file-remove] /data/sub/b: ok"),
    ] {
        assert!(invoke(&mesh, call).await.starts_with("ok"), "{call}");
        let noted = seen.take();
        assert!(noted.contains(&note.to_owned()), "{call}: {noted:?}");
    }
    mesh.stop().await;
    seen.is_settled();

    let no = Watch {
        before: |context, _| match context.operation {
            Operation::FileWrite | Operation::FileRead | Operation::FileList => Some(Verdict::Later(Box::pin(async {
                tokio::task::yield_now().await;
                rejected()
            }))),
            Operation::FileCreate => Some(rejected()),
            _ => None,
        },
        ..Watch::of(Operations::FILES, &seen)
    };
    let mesh = start(no).await;
    for call in [
        r#"write("/data/kept", "text", some(0))"#,
        r#"read("/data/kept", 0)"#,
        r#"entries("/data")"#,
        r#"make-folder("/data/folder")"#,
    ] {
        assert_eq!(invoke(&mesh, call).await, r#"err("ErrorCode::NotPermitted")"#, "{call}");
    }
    assert_eq!(fs::read_to_string(disk.path().join("out/kept")).unwrap(), "kept");
    assert!(!disk.path().join("out/folder").exists());
    mesh.stop().await;
    seen.is_settled();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_that_panics_lets_nothing_through_and_ends_nobody() {
    let call = Command::Call { to: "goal".into(), key: None, body: Command::Count.value(), timeout_ms: 60_000 };
    let disk = disk();
    for before in [(|_, _| panic!("told to panic")) as seen::Before, |_, _| {
        Some(Verdict::Later(Box::pin(async {
            tokio::task::yield_now().await;
            panic!("told to panic")
        })))
    }] {
        let seen = Seen::default();
        let only = Operations::of(Operation::Send).and(Operation::Call) | Operations::FILES;
        let layer = Watch { target: Some(&["goal", "/out/a"]), before, ..Watch::of(only, &seen) };
        let mesh = mesh(disk.path(), [layer]).await;
        // From the host, from a guest, and over a file.
        let sent = mesh.runtime.send("goal", "x").await.unwrap_err();
        assert!(sent.to_string().contains("watch rejected it: "), "{sent}");
        let called = mesh.runtime.call("goal", "x", PATIENCE).await.unwrap_err();
        assert!(called.to_string().contains("panicked over its verdict"), "{called}");
        for command in [call.clone(), write("/out/a", "text")] {
            let refused = mesh.refused("a", &command).await;
            assert!(["not-sent/denied", "io/PermissionDenied"].contains(&&*refused), "{command:?}: {refused}");
        }
        assert!(!disk.path().join("out/a").exists());
        assert_eq!((mesh.status("goal").handled, mesh.status("a").crashed, mesh.status("a").started), (0, 0, 1));
        mesh.stop().await;
        seen.is_settled();
    }
    // Over an outcome it changes nothing.
    for (on_error, after) in [(true, false), (false, true)] {
        let seen = Seen::default();
        let layer = Watch {
            on_error: if on_error { |_| panic!("told to panic") } else { |_| ErrorVerdict::Continue },
            after_panics: after,
            ..Watch::of(Operations::MESSAGES | Operations::FILES, &seen)
        };
        let mesh = mesh(disk.path(), [layer]).await;
        assert_eq!(mesh.refused("a", &read("/out/gone")).await, "io/NotFound");
        assert_eq!(mesh.ok("a", &read("/out/kept")).await, json!("kept"));
        mesh.ok("a", &call).await;
        assert_eq!((mesh.status("a").crashed, mesh.status("goal").handled), (0, 1));
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_is_asked_only_about_what_it_applies_to() {
    let (disk, seen, all) = (disk(), Seen::default(), Seen::default());
    let mesh = mesh(
        disk.path(),
        [Watch::of(Operation::FileRemove.into(), &seen), Watch { priority: 5, ..Watch::of(Operations::ALL, &all) }],
    )
    .await;
    mesh.ok("a", &write("/out/a", "text")).await;
    mesh.ok("a", &Command::Set { key: "k".into(), value: json!(1) }).await;
    assert_eq!(seen.take(), Vec::<String>::new());
    mesh.ok("a", &Command::Remove("/out/a".into())).await;
    assert_eq!(seen.take(), ["file-remove [file-remove] /out/a: ok"]);
    assert!(all.take().len() > 5);
    mesh.stop().await;
    seen.is_settled();
    all.is_settled();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn denials_of_files_sockets_and_names_are_told_as_those_of_messages() {
    airssys_tests::log::listen();
    let disk = disk();
    let own = "denied-at-the-door";
    let topology = topology(disk.path()).replace("127.0.0.1:*", "127.0.0.1:1").replace("\"a\"", &format!("{own:?}"));
    let mesh = Mesh::start(&topology).await;
    let mut events = mesh.runtime.events().of_kinds(&[Kind::Denied]);
    let attempts = [
        (write("/in/a", "text"), "file-open", "/in/a"),
        (Command::MakeFolder("/in/sub".into()), "file-create", "/in/sub"),
        (Command::Connect("127.0.0.1:2".into()), "socket-connect", "127.0.0.1:2"),
        (Command::Resolve("example.org".into()), "lookup", "example.org"),
        (Command::Send { to: "nobody".into(), key: None, body: json!(1) }, "send", "nobody"),
    ];
    for (command, operation, target) in &attempts {
        mesh.refused(own, command).await;
        let heard = tokio::time::timeout(Duration::from_secs(60), events.next()).await.unwrap();
        let Some(Heard::Event(event)) = heard else { panic!("{command:?}: {heard:?}") };
        let Happening::Denied { actor, operation: told, target: at, missing } = &event.what else {
            panic!("{event:?}")
        };
        assert_eq!((actor.as_str(), told.as_str(), at.as_str()), (own, *operation, *target), "{missing}");
    }
    let audited = airssys_tests::log::of("airssys::audit", own);
    let told: Vec<_> = audited.iter().map(|(_, record)| (&record["operation"], &record["target"])).collect();
    let expected: Vec<_> = attempts.iter().map(|(_, operation, target)| (json!(operation), json!(target))).collect();
    assert_eq!(told, expected.iter().map(|(operation, target)| (operation, target)).collect::<Vec<_>>());
    mesh.stop().await;
}
