//! A guest that wants out does not get out: by no form of a path, an address or a name, by no link that changes while
//! it is opened, and not where a layer fails. What is outside is as it was, and nobody outside hears of it.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use airssys_tests::{Mesh, PATIENCE};
use airssys_wasm::error::CallError;
use airssys_wasm::message::Answer;
use airssys_wasm::middleware::{Context, ErrorVerdict, Layer, Operations, Verdict};
use airssys_wasm::{Runtime, RuntimeBuilder};
use bytes::Bytes;
use prober_protocol::{Command, Outcome};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http_out::servers::Server;

/// What nobody may read who is not granted it.
const SECRET: &str = "what-is-outside";

/// Where a foreign layer fails, if anywhere: over all that guests do, and nothing that the host does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failing {
    Nowhere,
    Before,
    Later,
    OnError,
    After,
}

/// A layer that lets everything on, until it panics.
struct Fails {
    priority: i32,
    at: Failing,
    /// Not before this: nobody would start.
    armed: Arc<AtomicBool>,
}

/// A panic of which nothing is printed: there are thousands.
fn fail() -> ! {
    resume_unwind(Box::new("told to panic"))
}

impl Fails {
    fn perhaps_fail(&self, context: &Context<'_>, at: Failing) {
        if self.fails_now(context, at) {
            fail();
        }
    }

    fn fails_now(&self, context: &Context<'_>, at: Failing) -> bool {
        self.at == at && context.sender.is_some() && self.armed.load(Ordering::Relaxed)
    }
}

impl Layer for Fails {
    fn name(&self) -> &'static str {
        "fails"
    }

    fn priority(&self) -> i32 {
        self.priority
    }

    fn applies_to(&self) -> Operations {
        Operations::ALL
    }

    fn before(&self, context: &mut Context<'_>, _: &mut Bytes) -> Verdict {
        self.perhaps_fail(context, Failing::Before);
        if context.may_wait && self.fails_now(context, Failing::Later) {
            return Verdict::Later(Box::pin(async { fail() }));
        }
        Verdict::Continue
    }

    fn on_error(&self, context: &Context<'_>, _: &CallError) -> ErrorVerdict {
        self.perhaps_fail(context, Failing::OnError);
        ErrorVerdict::Continue
    }

    fn after(&self, context: &Context<'_>, _: &Answer) {
        self.perhaps_fail(context, Failing::After);
    }
}

/// What is granted, and what is beside it.
fn disk() -> TempDir {
    let disk = tempfile::tempdir().unwrap();
    for folder in ["in", "out", "outside", "out-side"] {
        fs::create_dir(disk.path().join(folder)).unwrap();
        fs::write(disk.path().join(folder).join("kept"), if folder == "out" { "kept" } else { SECRET }).unwrap();
    }
    fs::write(disk.path().join("secret"), SECRET).unwrap();
    fs::write(disk.path().join("in/kept"), "kept").unwrap();
    symlink("../outside", disk.path().join("out/up")).unwrap();
    symlink("../secret", disk.path().join("out/link")).unwrap();
    symlink(disk.path().join("secret"), disk.path().join("out/absolute")).unwrap();
    symlink("link", disk.path().join("out/twice")).unwrap();
    disk
}

/// All that is outside of what may be written to, by its path: what it has, or where it leads.
fn outside(disk: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![disk.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            if path == disk.join("out") {
                continue;
            }
            if kind.is_dir() {
                folders.push(path.clone());
            }
            let what = if kind.is_file() { fs::read(&path).unwrap() } else { format!("{kind:?}").into_bytes() };
            all.insert(path, what);
        }
    }
    all
}

/// `a` wants out, and `b` as well, by HTTP, and `c`, by what WASI has no word for; `goal` is whom they may speak to,
/// and `ledger` is not.
fn topology(disk: &Path, server: &Server, closed: u16) -> String {
    let (out, input) = (disk.join("out"), disk.join("in"));
    format!(
        r#"
        name = "escape"
        [root]
        intensity = 10000
        [[service]]
        name = "a"
        release = "@prober"
        limits = {{ turn_deadline = "60s" }}
        [service.grants]
        send = ["goal", "goal/*"]
        call = ["goal"]
        publish = ["open/*"]
        subscribe = ["open/*"]
        sockets = ["127.0.0.1:1"]
        environment = {{ GREETING = "hello" }}
        [service.grants.files]
        "/out" = {{ host = {out:?}, access = "read-write" }}
        "/in" = {{ host = {input:?} }}
        [[service]]
        name = "b"
        release = "@reacher"
        [service.grants]
        http = ["GET http://127.0.0.1:{port}/v1/**"]
        sockets = ["granted.test:{closed}", "near.test:{closed} private", "localhost:1"]
        [[service]]
        name = "c"
        release = "@scribe"
        [service.grants.files]
        "/out" = {{ host = {out:?}, access = "read-write" }}
        "/in" = {{ host = {input:?} }}
        [[service]]
        name = "goal"
        release = "@prober"
        [[service]]
        name = "ledger"
        release = "@prober"
        config = {{ secret = "{SECRET}" }}
        [service.grants]
        subscribe = ["**"]
        "#,
        port = server.port,
    )
}

/// Paths that lead out, or would if somebody read them otherwise than the host does.
fn ways(disk: &Path) -> Vec<String> {
    let mut ways: Vec<String> = [
        "/out/../secret",
        "/out/./../secret",
        "/out/x/../../secret",
        "/out//../secret",
        "/out/up/kept",
        "/out/up/../secret",
        "/out/link",
        "/out/twice",
        "/out/absolute",
        "/out/link/",
        "/out/%2e%2e/secret",
        "/out/..%2fsecret",
        "/out/..\\secret",
        "/out\\..\\secret",
        "/out/\u{ff0e}\u{ff0e}/secret",
        "/out/\u{2025}/secret",
        "/out/..\u{0}/secret",
        "/out/../out-side/kept",
        "/out-side/kept",
        "/OUT/../secret",
        "/in/../secret",
        "/in/../out/../secret",
        "/outside/kept",
        "/../secret",
        "../secret",
        "secret",
        "./secret",
        "/secret",
        "//secret",
        "/etc/passwd",
        "/proc/self/root/etc/passwd",
        "/proc/self/environ",
        "/proc/self/fd/0",
        "/dev/null",
        "",
        ".",
        "/",
    ]
    .map(str::to_owned)
    .to_vec();
    ways.push(format!("{}/secret", disk.display()));
    ways.push(format!("/out/{}/secret", disk.display()));
    ways.push(format!("/out/{}secret", "../".repeat(200)));
    ways.push(format!("/out/{}/../secret", "d/..".repeat(2000)));
    ways
}

/// Each of these by each way into the disk.
fn of_files(disk: &Path) -> Vec<Command> {
    let mut all = Vec::new();
    for way in ways(disk) {
        all.extend([
            Command::ReadFile(way.clone()),
            Command::WriteFile { path: way.clone(), text: "broken out".into() },
            Command::Append { path: way.clone(), bytes: 10 },
            Command::SetSize { path: way.clone(), bytes: 0 },
            Command::ListFolder(way.clone()),
            Command::MakeFolder(format!("{way}-made")),
            Command::HardLink { of: way.clone(), path: "/out/hard".into() },
            Command::ReadFile("/out/hard".into()),
            Command::HardLink { of: "/out/kept".into(), path: format!("{way}-linked") },
            Command::Rename { from: "/out/kept".into(), to: format!("{way}-moved") },
            Command::Rename { from: way.clone(), to: "/out/moved".into() },
            Command::ReadFile("/out/moved".into()),
            Command::Symlink { target: way.clone(), path: "/out/made".into() },
            Command::ReadFile("/out/made".into()),
            Command::WriteFile { path: "/out/made".into(), text: "broken out".into() },
            Command::ListFolder("/out/made".into()),
            Command::Remove("/out/made".into()),
        ]);
        if way.contains("secret") || way.contains("side") {
            all.push(Command::Remove(way));
        }
    }
    // What is for reading only.
    all.extend([
        Command::WriteFile { path: "/in/kept".into(), text: "broken out".into() },
        Command::SetSize { path: "/in/kept".into(), bytes: 0 },
        Command::HardLink { of: "/in/kept".into(), path: "/out/hard".into() },
        Command::WriteFile { path: "/out/hard".into(), text: "broken out".into() },
        Command::Rename { from: "/in/kept".into(), to: "/out/taken".into() },
        Command::Rename { from: "/out/kept".into(), to: "/in/given".into() },
        Command::Remove("/in/kept".into()),
    ]);
    all
}

/// Names that somebody may take for that of `ledger`, or of what it hears.
fn of_names() -> Vec<Command> {
    let mut all = Vec::new();
    for name in [
        "ledger",
        "Ledger",
        "LEDGER",
        "ledger.",
        "ledger/",
        "/ledger",
        "./ledger",
        "goal/../ledger",
        "goal/./ledger",
        "goal//ledger",
        "goal/\u{0}ledger",
        "ledger\u{0}",
        " ledger",
        "ledger ",
        "l\u{435}dger",
        "le\u{301}dger",
        "\u{202e}regdel",
        "ledger%00",
        "%6cedger",
        "goal,ledger",
        "goal ledger",
        "ledger#record",
        "ledger@1.0.0",
        "escape/ledger",
        "*",
        "**",
        "goal/*",
        "",
    ] {
        let record = || Command::Record(json!("broken out")).value();
        all.extend([
            Command::Send { to: name.into(), key: None, body: record() },
            Command::Send { to: name.into(), key: Some("k".into()), body: record() },
            Command::Call { to: name.into(), key: None, body: record(), timeout_ms: 1_000 },
            Command::Spawn { service: name.into(), name: "x".into() },
            Command::Stop(name.into()),
            Command::Monitor(name.into()),
            Command::Link(name.into()),
        ]);
    }
    for topic in
        ["closed/x", "open/../closed/x", "open", "open/x/y", "open//x", "OPEN/x", "open/./x", "**", "", "open/\u{0}"]
    {
        all.push(Command::Publish { topic: topic.into(), body: Command::Record(json!("broken out")).value() });
        all.push(Command::Subscribe(topic.into()));
    }
    for name in ["PATH", "HOME", "greeting", "GREETING=", "GREETING\u{0}", "CARGO_MANIFEST_DIR", ""] {
        all.push(Command::Env(name.into()));
    }
    all.extend([Command::EnvAll, Command::Args, Command::Config("secret".into())]);
    all
}

/// Addresses of a listener that none of its grants names.
fn of_addresses(port: u16) -> Vec<Command> {
    let mut all = Vec::new();
    for host in [
        "127.0.0.1",
        "127.0.0.2",
        "[::ffff:127.0.0.1]",
        "[::1]",
        "0.0.0.0",
        "[::]",
        "[::ffff:0.0.0.0]",
        "[::127.0.0.1]",
    ] {
        all.push(Command::Connect(format!("{host}:{port}")));
        all.push(Command::Datagram { to: format!("{host}:{port}"), text: "broken out".into() });
    }
    for name in
        ["localhost", "LOCALHOST", "localhost.", "127.1", "0x7f000001", "2130706433", "127\u{3002}0\u{3002}0\u{3002}1"]
    {
        all.push(Command::Resolve(name.into()));
    }
    all
}

/// URLs of a server of which only `GET /v1/**` is granted.
fn of_urls(port: u16) -> Vec<String> {
    [
        "/secret",
        "/v1",
        "/v1/../secret",
        "/v1/./../secret",
        "/v1/%2e%2e/secret",
        "/v1/%2E%2E%2Fsecret",
        "/v1/..%2fsecret",
        "/v1/x/%2e%2e/../secret",
        "//v1/x",
        "/V1/x",
        "/%76%31/../secret",
        "/v1;/../secret",
        "/v1/..;/secret",
        "/v1\\..\\secret",
        "/secret?/v1/x",
        "/secret#/v1/x",
    ]
    .into_iter()
    .map(|path| format!("http://127.0.0.1:{port}{path}"))
    // The same address, by another name.
    .chain(["127.0.0.1.", "[::ffff:127.0.0.1]"].map(|host| format!("http://{host}:{port}/secret")))
    .chain(
        ["localhost", "LOCALHOST", "127.1", "0x7f.1", "0.0.0.0", "granted@127.0.0.1", "127.0.0.1%00.example"]
            .map(|host| format!("http://{host}:{port}/v1/x")),
    )
    .collect()
}

/// Names that somebody may take for one that is granted, which leads to what is too near, as those that are granted do.
fn of_named_sockets(port: u16) -> Vec<String> {
    let names = [
        "granted.test",
        "GRANTED.test.",
        "near.test",
        "granted.test..",
        "granted.test\u{0}",
        "granted.test/",
        " granted.test",
        "granted.test%00.example",
        "user@granted.test",
        "granted\u{3002}test",
        "gr\u{430}nted.test",
        "\u{ff47}ranted.test",
        "xn--grnted-5nf.test",
        "granted.test.evil.test",
        "evilgranted.test",
        "below.granted.test",
        "test",
        "*.test",
        "localhost",
        "LOCALHOST.",
        "ip6-localhost",
        "127.1",
        "0x7f.1",
        "0x7f000001",
        "0177.0.0.1",
        "2130706433",
        "127.0.0.1",
        "127.0.0.1.",
        "::1",
        "[::1]",
        "::ffff:127.0.0.1",
        "[::ffff:7f00:1]",
        "127\u{3002}0\u{3002}0\u{3002}1",
        "",
        ".",
    ];
    names.into_iter().map(|name| format!("{name}:{port}")).collect()
}

/// What came of all that was tried, by its names.
type Came = BTreeMap<String, usize>;

/// [`nothing_opens`], with a layer of others that fails once all have started.
async fn nothing_opens_where_fails(layer: Fails, with: &str) -> Came {
    let armed = Arc::clone(&layer.armed);
    nothing_opens(Runtime::builder().layer(layer), Some(armed), with).await
}

/// Tries all of it in a mesh that was built so; whatever layers do, nothing opens.
async fn nothing_opens(builder: RuntimeBuilder, armed: Option<Arc<AtomicBool>>, with: &str) -> Came {
    let (disk, server) = (disk(), Server::start().await);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let before = outside(disk.path());
    let asked = Arc::new(Mutex::new(BTreeSet::new()));
    let noted = Arc::clone(&asked);
    let builder = builder.resolver(move |name| {
        noted.lock().unwrap().insert(name);
        async { Ok(["127.0.0.1", "::ffff:127.0.0.1", "169.254.169.254", "::1"].map(|ip| ip.parse().unwrap()).into()) }
    });
    let topology = topology(disk.path(), &server, port);
    let mesh = Mesh::try_start(&topology, builder).await.unwrap_or_else(|error| panic!("{error}"));
    let arm = |fails| armed.iter().for_each(|armed| armed.store(fails, Ordering::Relaxed));
    arm(true);
    let mut came = BTreeMap::new();
    for command in of_files(disk.path()).into_iter().chain(of_names()).chain(of_addresses(port)) {
        let outcome = mesh.ask("a", &command).await;
        let told = format!("{outcome:?}");
        assert!(!told.contains(SECRET) && !told.contains("root:x:"), "{with}: {command:?}: {told}");
        let name = match outcome {
            Ok(Outcome::Ok(_)) => "ok".to_owned(),
            Ok(Outcome::Err(refusal)) => refusal.name,
            Err(error) => format!("{error:?}").chars().take_while(char::is_ascii_alphanumeric).collect(),
        };
        *came.entry(name).or_default() += 1;
        // What it may write to is its own: it may be gone.
        if !disk.path().join("out/kept").exists() {
            fs::write(disk.path().join("out/kept"), "kept").unwrap();
        }
    }
    let within = disk.path().join("out").canonicalize().unwrap();
    for way in ways(disk.path()) {
        // Last what is to be told nothing of what happens there.
        for told in ["append", "append-synced", "replace", "watch"] {
            let rest = if told == "watch" { [told, &way] } else { [&way, "broken out"] };
            let told = json!([{ told: rest }]).to_string();
            let answer = mesh.runtime.call("c", told.clone(), PATIENCE).await;
            let text = answer.as_ref().ok().and_then(|answer| answer.as_deref()).map(String::from_utf8_lossy);
            let text = text.as_deref().unwrap_or_default();
            assert!(!text.contains(SECRET), "{with}: {told}: {text}");
            // Some of them are names of files that were made within.
            let meant = fs::canonicalize(disk.path().join(way.trim_start_matches('/')));
            let is_within = meant.is_ok_and(|path| path.starts_with(&within));
            assert!(is_within || rest[0] != "watch" || !text.starts_with("[\"ok"), "{with}: {told}: {text}");
        }
    }
    for url in of_urls(server.port) {
        let told = json!({ "do": [{ "get": url }] }).to_string();
        let answer = mesh.runtime.call("b", told.into_bytes(), PATIENCE).await;
        let text = answer.as_ref().ok().and_then(|answer| answer.as_deref()).map(String::from_utf8_lossy);
        assert_ne!(text.as_deref(), Some("[\"ok\"]"), "{with}: {url}");
    }
    for address in of_named_sockets(port) {
        let told = json!({ "do": [{ "connect": address }] }).to_string();
        let answer = mesh.runtime.call("b", told.into_bytes(), PATIENCE).await;
        let text = answer.as_ref().ok().and_then(|answer| answer.as_deref()).map(String::from_utf8_lossy);
        assert_ne!(text.as_deref(), Some("[\"ok\"]"), "{with}: {address}");
    }
    let granted = ["granted.test", "localhost", "near.test"].map(str::to_owned).into();
    assert!(asked.lock().unwrap().is_subset(&granted), "{with}: somebody else was looked up: {asked:?}");
    assert_eq!(outside(disk.path()), before, "{with}: what is outside was changed");
    assert!(listener.accept().is_err(), "{with}: somebody came to a closed address");
    assert_eq!(server.connections(), 0, "{with}: somebody came to a closed path");
    // Also where nobody counts.
    arm(false);
    assert_eq!(mesh.ok("ledger", &Command::Get("record".into())).await, Value::Null, "{with}: the ledger was told");
    let ledger = mesh.status("ledger");
    assert_eq!((ledger.started, ledger.crashed), (1, 0), "{with}: the ledger was reached");
    assert!(ledger.handled <= 1, "{with}: the ledger was reached");
    mesh.stop().await;
    came
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_no_form_of_a_path_a_name_or_an_address() {
    let came = nothing_opens(Runtime::builder(), None, "the layers as they are").await;
    // Each was tried, and answered by the guest: nobody crashed, nothing hung.
    for wanted in ["ok", "io/PermissionDenied", "not-sent/denied"] {
        assert!(came.contains_key(wanted), "{came:?}");
    }
    assert!(!came.keys().any(|name| name.starts_with("Crashed") || name.starts_with("Timeout")), "{came:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_authorize_is_the_only_layer_nothing_opens_either() {
    let alone = nothing_opens(Runtime::builder().only_layers(&["authorize"]), None, "authorize alone").await;
    assert!(alone.contains_key("not-sent/denied"), "{alone:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_layer_fails_nothing_opens_either() {
    for at in [Failing::Before, Failing::Later, Failing::OnError, Failing::After] {
        // As the first of all, and after the host's own.
        for priority in [i32::MIN, i32::MAX] {
            let layer = Fails { priority, at, armed: Arc::default() };
            let came = nothing_opens_where_fails(layer, &format!("{at:?} fails at {priority}")).await;
            if at == Failing::Before {
                // A deed at a time is refused, and the guest is told.
                assert!(came.contains_key("io/PermissionDenied") && came.contains_key("not-sent/denied"), "{came:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_that_does_not_fail_changes_nothing() {
    let layer = Fails { priority: 10, at: Failing::Nowhere, armed: Arc::default() };
    let with = nothing_opens_where_fails(layer, "a layer that does nothing").await;
    assert_eq!(with, nothing_opens(Runtime::builder(), None, "the layers as they are").await);
}

/// Changes what stands at a path again and again, for as long as it lives.
struct Changing {
    until: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<u64>>,
}

impl Changing {
    fn start(mut change: impl FnMut() + Send + 'static) -> Self {
        let until = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&until);
        let work = move || {
            let mut changes = 0;
            while !over.load(Ordering::Relaxed) {
                change();
                changes += 1;
            }
            changes
        };
        Self { until, thread: Some(thread::spawn(work)) }
    }

    /// How often it was changed.
    fn end(mut self) -> u64 {
        self.until.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Changing {
    fn drop(&mut self) {
        self.until.store(true, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_no_link_or_folder_that_is_exchanged_while_it_is_opened() {
    let (disk, server) = (disk(), Server::start().await);
    let out = disk.path().join("out");
    fs::create_dir_all(out.join("deep/er")).unwrap();
    fs::write(out.join("deep/er/kept"), "kept").unwrap();
    let before = outside(disk.path());
    let mesh = Mesh::start(&topology(disk.path(), &server, 1)).await;
    // A file and a link out of the folder in turn, and a folder that is moved out while its parent is looked for.
    let (flip, aside) = (out.join("flip"), out.join("aside"));
    let exchanged = Changing::start(move || {
        fs::write(&aside, "kept").unwrap();
        fs::rename(&aside, &flip).unwrap();
        symlink("../secret", &aside).unwrap();
        fs::rename(&aside, &flip).unwrap();
    });
    let (inner, moved) = (out.join("deep/er"), disk.path().join("er"));
    let away = Changing::start(move || {
        fs::rename(&inner, &moved).unwrap();
        fs::rename(&moved, &inner).unwrap();
    });
    let (mut well, mut refused) = (0, 0);
    for _ in 0..400 {
        for command in [
            Command::ReadFile("/out/flip".into()),
            Command::WriteFile { path: "/out/flip".into(), text: "kept".into() },
            Command::SetSize { path: "/out/flip".into(), bytes: 4 },
            Command::ReadFile("/out/deep/er/../../../secret".into()),
            Command::ReadFile("/out/deep/er/../../kept".into()),
            Command::WriteFile { path: "/out/deep/er/../../../secret".into(), text: "broken out".into() },
            Command::ListFolder("/out/deep/er/../..".into()),
        ] {
            let outcome = mesh.ask("a", &command).await.unwrap_or_else(|error| panic!("{command:?}: {error}"));
            let told = format!("{outcome:?}");
            assert!(!told.contains(SECRET) && !told.contains("outside"), "{command:?}: {told}");
            *if matches!(outcome, Outcome::Ok(_)) { &mut well } else { &mut refused } += 1;
        }
    }
    let changes = [exchanged.end(), away.end()];
    assert!(changes.iter().all(|changes| *changes > 10), "{changes:?}: it was hardly a race");
    // Both were met: what may be opened, and what may not.
    assert!(well > 0 && refused > 0, "{well} well, {refused} refused");
    assert_eq!(outside(disk.path()), before);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_is_who_the_host_says() {
    let (disk, server) = (disk(), Server::start().await);
    let mesh = Mesh::start(&topology(disk.path(), &server, 1)).await;
    // Whatever it says of itself in a body, and whatever it sends through: the one that it came of is told.
    let whoami = Command::Whoami.value();
    let lies: [Value; 2] = [whoami.clone(), json!({ "do": [whoami, "count"] })];
    for body in lies {
        let call = Command::Call { to: "goal".into(), key: None, body, timeout_ms: 10_000 };
        let told = mesh.ok("a", &call).await.to_string();
        assert!(told.contains("goal") && !told.contains("ledger"), "{told}");
    }
    // A deputy does what it may itself: `goal` is granted nothing, so `a` gets nothing by it.
    for deed in [
        Command::Send { to: "ledger".into(), key: None, body: Command::Count.value() },
        Command::ReadFile("/out/kept".into()),
        Command::Env("GREETING".into()),
    ] {
        let through = Command::Call { to: "goal".into(), key: None, body: deed.value(), timeout_ms: 10_000 };
        let told = mesh.ok("a", &through).await.to_string();
        assert!(!told.contains("hello") && !told.contains("kept"), "{deed:?}: {told}");
    }
    assert_eq!(mesh.status("ledger").handled, 0);
    mesh.stop().await;
}
