//! What a turn was told of what lies outside of the mesh, such as files, is recorded: it is told again where the turn
//! is seen again, whatever is there by now, and nothing is opened, written or sent.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use airssys_tests::deploying::quick;
use airssys_tests::{Mesh, PATIENCE, code_cache, guest, keeping};
use airssys_wasm::command::{
    Capsule, Comparison, Recording, ReplayError, Replayed, capsules, release_of, replay, verify_release,
};
use airssys_wasm::deploy::{DeployError, Deviation, Divergence, Progress, RecordedGate, RecordingError};
use airssys_wasm::registry::Release;
use prober_protocol::{Command, Trap};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http_listener::client::{Site, all, written};
use crate::http_out::servers::Server;

/// A recorded service with a folder to read and one to write.
struct Recorded {
    mesh: Mesh,
    outside: TempDir,
}

impl Recorded {
    async fn start(recorder: &str, grants: &str) -> Self {
        let outside = tempfile::tempdir().unwrap();
        for folder in ["in", "out"] {
            fs::create_dir(outside.path().join(folder)).unwrap();
        }
        let host = |folder: &str| outside.path().join(folder);
        let topology = format!(
            "name = \"mesh\"\n[root]\nintensity = 1000\n[[service]]\nname = \"reader\"\nrelease = \"@prober\"\n\
             recorder = {recorder}\n[service.grants]\n{grants}\n[service.grants.files]\n\
             \"/in\" = {{ host = {:?} }}\n\"/out\" = {{ host = {:?}, access = \"read-write\" }}\n",
            host("in"),
            host("out"),
        );
        let folder = tempfile::tempdir().unwrap();
        let builder = keeping(folder.path());
        Self { mesh: Mesh::start_in(folder, &topology, &[], builder).await, outside }
    }

    fn path(&self, of: &str) -> PathBuf {
        self.outside.path().join(of)
    }

    /// A file that has a command.
    fn says(&self, of: &str, command: &Command) {
        fs::write(self.path(of), serde_json::to_string(command).unwrap()).unwrap();
    }

    fn data(&self) -> PathBuf {
        self.mesh.folder.path().join("data")
    }

    async fn capsule(&self) -> Capsule {
        self.mesh.until("a capsule is there", |_| !capsules(&self.data()).unwrap().is_empty()).await;
        Capsule::read(&capsules(&self.data()).unwrap().pop().unwrap()).unwrap()
    }

    async fn replayed(&self, capsule: &Capsule) -> Result<Replayed, ReplayError> {
        replay(capsule, release_of(capsule, &self.data(), None).unwrap(), Some(code_cache())).await
    }

    /// All that is in the folders, with its text.
    fn all(&self) -> Vec<(PathBuf, String)> {
        let mut all = Vec::new();
        for folder in ["in", "out"] {
            for entry in fs::read_dir(self.path(folder)).unwrap() {
                let path = entry.unwrap().path();
                all.push((path.clone(), fs::read_to_string(path).unwrap_or_default()));
            }
        }
        all.sort();
        all
    }
}

fn same(capsule: &Capsule, replayed: &Replayed) {
    assert_eq!(replayed.differs, Vec::<String>::new(), "{replayed:?}\n{:#?}", capsule.steps_told);
    assert_eq!(replayed.crash.as_deref(), Some(capsule.text.as_str()));
    assert!(!capsule.frames.is_empty() && replayed.frames == capsule.frames, "at the same instruction");
}

/// A prober of another name, which asks for what the live one asks for.
fn other(folder: &Path, name: &str) -> Release {
    let built = guest("prober").parent().unwrap().join("target/airssys/prober.wasm");
    let mut bytes = fs::read(built).unwrap();
    let (was, is) = (b"release=one", format!("release={name}"));
    let at = bytes.windows(was.len()).position(|window| window == was).unwrap();
    bytes[at..at + was.len()].copy_from_slice(is.as_bytes());
    let path = folder.join(format!("{name}.wasm"));
    fs::write(&path, bytes).unwrap();
    let requests = "files = { \"/in\" = \"read\", \"/out\" = \"read-write\" }";
    let manifest = format!("name = \"prober\"\nversion = \"0.2.0\"\n[requests]\n{requests}\n");
    fs::write(folder.join(format!("{name}.toml")), manifest).unwrap();
    Release::find(&path).unwrap()
}

async fn verified(recording: &Recording, release: Release) -> Comparison {
    verify_release(recording.clone(), release, None, &RecordedGate::default(), Some(code_cache())).await.unwrap()
}

fn told(divergence: Option<&Divergence>) -> String {
    divergence.map(ToString::to_string).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_over_what_a_file_said_comes_again_when_the_file_says_something_else() {
    let host = Recorded::start("{}", "").await;
    host.says("in/order", &Command::Echo(json!("a turn before")));
    assert_eq!(host.mesh.ok("reader", &Command::DoFile("/in/order".to_owned())).await, json!("a turn before"));
    host.says("in/order", &Command::Trap(Trap::DivideByZero));
    host.mesh.ask("reader", &Command::DoFile("/in/order".to_owned())).await.unwrap_err();
    let capsule = host.capsule().await;
    host.says("in/order", &Command::Echo(json!("nothing bad")));
    same(&capsule, &host.replayed(&capsule).await.unwrap());
    fs::remove_dir_all(host.path("in")).unwrap();
    same(&capsule, &host.replayed(&capsule).await.unwrap());
    host.mesh.stop().await;
}

/// Some of everything that can be done with files.
fn busy() -> Command {
    let path = |path: &str| path.to_owned();
    Command::Do(vec![
        Command::ListFolder(path("/in")),
        Command::ReadFile(path("/in/long")),
        Command::ReadFile(path("/in/none")),
        Command::WriteFile { path: path("/out/text"), text: "x".repeat(9_000) },
        Command::Append { path: path("/out/text"), bytes: 10 },
        Command::ReadFile(path("/out/text")),
        Command::SetSize { path: path("/out/text"), bytes: 7 },
        Command::MakeFolder(path("/out/folder")),
        Command::MakeFolder(path("/out/folder")),
        Command::Rename { from: path("/out/text"), to: path("/out/folder/text") },
        Command::HardLink { of: path("/out/folder/text"), path: path("/out/again") },
        Command::Symlink { target: path("again"), path: path("/out/link") },
        Command::ReadFile(path("/out/link")),
        Command::ListFolder(path("/out")),
        Command::MakeFiles { folder: path("/out/folder"), count: 2 },
        Command::WriteFile { path: path("/in/denied"), text: path("no") },
        Command::Remove(path("/out/folder")),
        Command::Remove(path("/out/link")),
        Command::Remove(path("/out/again")),
        Command::Stdout(path("a line of its own")),
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_can_be_done_with_files_is_told_again_and_nothing_is_done() {
    let host = Recorded::start("{ turns = 2 }", "").await;
    fs::write(host.path("in/long"), "0123456789".repeat(10_000)).unwrap();
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(host.mesh.ok("reader", &busy()).await);
    }
    let done = answers[0].as_array().unwrap().iter().filter(|outcome| outcome.get("ok").is_some()).count();
    assert!(done >= 16 && answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    host.mesh.ask("reader", &Command::Do(vec![busy(), Command::Trap(Trap::Panic)])).await.unwrap_err();
    let capsule = host.capsule().await;
    assert_eq!(capsule.lost, 2, "the instance that it is shown to has opened none of its folders before");
    fs::write(host.path("in/long"), "something else").unwrap();
    let before = host.all();
    same(&capsule, &host.replayed(&capsule).await.unwrap());
    assert_eq!(host.all(), before);
    host.mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_would_write_something_else_is_told_and_writes_nothing() {
    let host = Recorded::start("{}", "").await;
    host.says("in/order", &Command::WriteRelease("/out/name".to_owned()));
    for _ in 0..3 {
        host.mesh.ok("reader", &Command::DoFile("/in/order".to_owned())).await;
    }
    assert_eq!(fs::read_to_string(host.path("out/name")).unwrap(), "release=one");
    fs::write(host.path("out/name"), "what is there now").unwrap();
    host.says("in/order", &Command::Trap(Trap::Panic));
    let before = host.all();

    let recording = host.mesh.runtime.recording("reader").await.unwrap();
    let (same, wrong) = (other(host.mesh.folder.path(), "one"), other(host.mesh.folder.path(), "two"));
    let found = verified(&recording, same.clone()).await;
    assert_eq!((found.compared, told(found.divergence.as_ref()).as_str()), (3, ""));
    let both = |divergence: &Divergence| {
        assert_eq!(divergence.kinds, [Deviation::Effects], "{divergence}");
        let what = divergence.what.join("; ");
        assert!(what.contains("it would not write") && what.contains("release=one"), "{what}");
        assert!(what.contains("it alone would write") && what.contains("release=two"), "{what}");
        assert!(what.contains("/out/name"), "{what}");
    };
    both(verified(&recording, wrong.clone()).await.divergence.as_ref().unwrap());

    let gate = |allow: &[Deviation]| {
        let mut options = quick();
        options.recorded = Some(RecordedGate { turns: None, allow: allow.to_vec() });
        options
    };
    match host.mesh.runtime.deploy("reader", wrong, gate(&[Deviation::Latency])).await {
        Err(DeployError::Diverges(divergence)) => both(&divergence),
        other => panic!("{other:?}"),
    }
    assert_eq!(host.all(), before, "nothing was written");
    let deployed = host.mesh.runtime.deploy("reader", same, gate(&[Deviation::Latency])).await.unwrap();
    assert_eq!(deployed.ended().await, Progress::Live);
    assert_eq!(host.all(), before, "nothing was written");
    host.mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_may_not_do_with_files_what_was_done_is_told() {
    let host = Recorded::start("{}", "").await;
    host.mesh.ok("reader", &Command::WriteRelease("/out/name".to_owned())).await;
    other(host.mesh.folder.path(), "one");
    let manifest = host.mesh.folder.path().join("one.toml");
    let less = fs::read_to_string(&manifest).unwrap().replace("read-write", "read");
    fs::write(&manifest, less).unwrap();
    let release = Release::find(&host.mesh.folder.path().join("one.wasm")).unwrap();
    let mut options = quick();
    options.recorded = Some(RecordedGate { turns: None, allow: vec![Deviation::Answers, Deviation::Latency] });
    match host.mesh.runtime.deploy("reader", release, options).await {
        Err(DeployError::Diverges(divergence)) => {
            assert!(divergence.what.iter().any(|what| what.contains("it may not")), "{divergence}");
        }
        other => panic!("{other:?}"),
    }
    host.mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_is_kept_of_a_turn_is_told() {
    let host = Recorded::start("{ bytes = \"64KiB\" }", "").await;
    fs::write(host.path("in/long"), "x".repeat(200_000)).unwrap();
    let read = Command::ReadFile("/in/long".to_owned());
    host.mesh.ask("reader", &Command::Do(vec![read, Command::Trap(Trap::Panic)])).await.unwrap_err();
    let capsule = host.capsule().await;
    let differs = host.replayed(&capsule).await.unwrap().differs.join("; ");
    assert!(differs.contains("more than `bytes` of the recorder"), "{differs}");
    host.mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_by_a_socket_is_not_shown_again_and_that_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let host = Recorded::start("{}", &format!("sockets = [{address:?}]")).await;
    let connect = Command::Connect(address);
    assert_eq!(host.mesh.ok("reader", &connect).await, json!(true));
    host.mesh.ask("reader", &Command::Do(vec![connect, Command::Trap(Trap::Panic)])).await.unwrap_err();
    let capsule = host.capsule().await;
    match host.replayed(&capsule).await {
        Err(ReplayError::Unrecorded(why)) => assert!(why.contains("message") && why.contains("TCP socket"), "{why}"),
        other => panic!("{other:?}"),
    }
    host.mesh.ok("reader", &Command::Connect(listener.local_addr().unwrap().to_string())).await;
    let recording = host.mesh.runtime.recording("reader").await.unwrap();
    let release = other(host.mesh.folder.path(), "one");
    let none = verify_release(recording, release, None, &RecordedGate::default(), Some(code_cache())).await;
    match none {
        Err(ReplayError::Recording(RecordingError::NoneComparable { why, .. })) => {
            assert!(why.contains("sockets"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    host.mesh.stop().await;
}

/// The only capsule of this host.
async fn capsule_of(mesh: &Mesh) -> (Capsule, PathBuf) {
    let data = mesh.folder.path().join("data");
    mesh.until("a capsule is there", |_| !capsules(&data).unwrap().is_empty()).await;
    (Capsule::read(&capsules(&data).unwrap().pop().unwrap()).unwrap(), data)
}

async fn replayed_of(mesh: &Mesh) -> (Capsule, Replayed) {
    let (capsule, data) = capsule_of(mesh).await;
    let replayed = replay(&capsule, release_of(&capsule, &data, None).unwrap(), Some(code_cache())).await.unwrap();
    (capsule, replayed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_peer_answered_is_told_again_and_nobody_is_asked() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let builder = keeping(folder.path());
    let topology = "name = \"m\"\n[root]\nintensity = 100\n[[service]]\nname = \"fetcher\"\nrelease = \"@fetcher\"\nrecorder = {}\n\
         [service.grants]\nhttp = [\"* http://127.0.0.1:*/**\"]\n";
    let mesh = Mesh::start_in(folder, topology, &[], builder).await;
    let fetch = async |ask: Value| mesh.runtime.call("fetcher", ask.to_string(), PATIENCE).await;
    let closed = format!("http://127.0.0.1:{}/", Server::closed_port());
    for ask in [
        json!({ "url": server.url("/v1/a"), "headers": [["x-own", "1"]] }),
        json!({ "url": server.url("/v1/a"), "method": "POST", "body": "said ", "times": 3 }),
        json!({ "url": server.url("/redirect?/v1/b"), "follow": false }),
        json!({ "url": closed }),
        json!({ "url": "http://denied.example/" }),
    ] {
        fetch(ask).await.unwrap();
    }
    let recording = mesh.runtime.recording("fetcher").await.unwrap();
    let came = server.connections();
    let built = guest("fetcher").parent().unwrap().join("target/airssys/fetcher.wasm");
    let verify = async || {
        verify_release(
            recording.clone(),
            Release::find(&built).unwrap(),
            None,
            &RecordedGate::default(),
            Some(code_cache()),
        )
        .await
        .unwrap()
    };
    let found = verify().await;
    assert_eq!((found.compared, told(found.divergence.as_ref()).as_str()), (5, ""), "{found:?}");

    let over = json!({ "url": server.url("/v1/bad"), "body": "why", "panics_over": "/v1/bad" });
    fetch(over).await.unwrap_err();
    assert!(server.connections() >= came, "it was asked");
    let came = server.connections();
    let (capsule, replayed) = replayed_of(&mesh).await;
    same(&capsule, &replayed);
    assert_eq!(server.connections(), came, "and is not asked again");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_came_by_itself_is_told_again() {
    let folder = tempfile::tempdir().unwrap();
    let builder = keeping(folder.path());
    let topology = written("recorder = { bytes = \"16MiB\" }", &all(""));
    let site = Site::of(Mesh::start_in(folder, &topology, &[], builder).await);
    let mut client = site.client().await;
    let long = "a".repeat(1_500_000);
    assert_eq!(client.ask("POST", "/over?evil", &[], &long).await.short(), (200, "nothing"));
    assert_eq!(client.ask("POST", "/echo", &[], &long).await.body.len(), long.len());
    let evil = format!("{long}evil");
    assert!(client.ask("POST", "/over?evil", &[], &evil).await.status >= 500);
    let (capsule, replayed) = replayed_of(&site).await;
    same(&capsule, &replayed);
    site.stop().await;
}
