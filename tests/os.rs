//! Programs of the machine: started only as they are granted, spoken with by streams, and ended with whoever started
//! them, whatever becomes of that. The programs are real ones.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

mod ends;
mod files;
mod layers;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use airssys_tests::{Mesh, PATIENCE, guest};
use airssys_wasm::error::CallError;
use airssys_wasm::events::{Happening, Heard, Kind};
use airssys_wasm::{Runtime, RuntimeBuilder};
use serde_json::{Value, json};

/// What may be done with the shell and `cat`.
const GRANTED: &str = "sh = { program = \"/bin/sh\", arguments = [\"-c\", \"**\"], environment = [\"GREETING\"], variables = { FIXED = \"by-the-operator\" } }, \
                       cat = { program = \"/bin/cat\", arguments = [\"in/*.txt\"] }";

fn topology(grants: &str, more: &str) -> String {
    let runner = guest("runner");
    format!(
        "name = \"m\"\n[root]\nintensity = 100\n[[service]]\nname = \"a\"\nrelease = {runner:?}\n\
         grants = {{ {grants} }}\nlimits = {{ turn_deadline = \"1m\" }}\n{more}\n"
    )
}

/// A mesh of one runner that is granted the shell and `cat`.
async fn mesh() -> Mesh {
    Mesh::start(&topology(&format!("processes = {{ {GRANTED} }}"), "")).await
}

async fn tell(mesh: &Mesh, what: &Value) -> Result<Value, CallError> {
    let answer = mesh.runtime.call("a", what.to_string(), PATIENCE).await?.unwrap_or_default();
    Ok(serde_json::from_slice(&answer).unwrap())
}

/// Tells the runner something that it answers.
async fn told(mesh: &Mesh, what: Value) -> Value {
    tell(mesh, &what).await.unwrap_or_else(|error| panic!("{error}: {what}"))
}

fn script(text: &str) -> Value {
    json!({ "name": "sh", "args": ["-c", text] })
}

/// Runs a script, and what came of it.
async fn run(mesh: &Mesh, text: &str) -> Value {
    told(mesh, json!({ "run": [script(text), ""] })).await
}

/// A pipe that is at its end when nobody has it open for writing any more.
struct Fifo(PathBuf);

impl Fifo {
    fn new(folder: &Path) -> Self {
        let path = folder.join("fifo");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        Self(path)
    }

    /// What a program and one that it starts hold, until both are gone.
    fn held_by_two(&self) -> String {
        format!("exec 3>{}; echo first >&3; (echo second >&3; exec sleep 1000) & exec sleep 1000", self.0.display())
    }

    /// Reads what was written, to its end.
    fn reader(&self) -> Reader {
        Reader(File::open(&self.0).unwrap())
    }
}

struct Reader(File);

impl Reader {
    /// Reads so many lines.
    fn lines(&mut self, many: usize) {
        let (mut byte, mut seen) = ([0], 0);
        while seen < many {
            self.0.read_exact(&mut byte).unwrap();
            seen += usize::from(byte == *b"\n");
        }
    }

    /// Waits for the end of all who write.
    fn end(mut self) {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"", "they were at their last line");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_granted_program_is_started_and_its_output_and_exit_are_told() {
    let mesh = mesh().await;
    let came = told(
        &mesh,
        json!({ "run": [{ "name": "sh", "args": ["-c", "cat; echo $GREETING $FIXED $HOME $PATH >&2; exit 3"],
        "env": { "GREETING": "hello" } }, "what it reads"] }),
    )
    .await;
    assert_eq!(came["stdout"], "what it reads");
    let stderr = came["stderr"].as_str().unwrap();
    assert!(stderr.starts_with("hello by-the-operator") && !stderr.contains("root"), "{stderr}");
    assert_eq!(came["exit"], "status 3");
    assert_eq!(run(&mesh, "kill -TERM $$").await["exit"], "signal 15");
    let none = run(&mesh, "pwd; tr '\\0' '\\n' < /proc/$$/environ").await;
    assert_eq!(none["stdout"], "/\nFIXED=by-the-operator\n", "it inherits nothing");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_is_spoken_with_from_turn_to_turn() {
    let mesh = mesh().await;
    let reads = "while read -r line; do echo \"<$line>\"; done; echo done";
    assert_eq!(told(&mesh, json!({ "keep": ["p", script(reads)] })).await, json!({}));
    for line in ["one", "two"] {
        assert_eq!(told(&mesh, json!({ "write": ["p", format!("{line}\n")] })).await, json!({}));
        assert_eq!(told(&mesh, json!({ "line": "p" })).await["stdout"], format!("<{line}>"));
    }
    assert_eq!(told(&mesh, json!({ "exited": "p" })).await, json!({}), "it runs");
    assert_eq!(told(&mesh, json!({ "close": "p" })).await, json!({}));
    assert_eq!(told(&mesh, json!({ "wait": "p" })).await["exit"], "status 0");
    assert_eq!(told(&mesh, json!({ "exited": "p" })).await["exit"], "status 0");
    assert_eq!(told(&mesh, json!({ "rest": "p" })).await["stdout"], "done\n");
    assert!(told(&mesh, json!({ "signal": ["p", "terminate"] })).await["error"].as_str().unwrap().starts_with("ended"));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_comes_to_the_program() {
    let mesh = mesh().await;
    let traps = "trap 'echo got; exit 9' USR1; echo ready; while :; do sleep 0.01; done";
    let _kept = told(&mesh, json!({ "keep": ["p", script(traps)] })).await;
    assert_eq!(told(&mesh, json!({ "line": "p" })).await["stdout"], "ready");
    assert_eq!(told(&mesh, json!({ "signal": ["p", "user-one"] })).await, json!({}));
    assert_eq!(told(&mesh, json!({ "line": "p" })).await["stdout"], "got");
    assert_eq!(told(&mesh, json!({ "wait": "p" })).await["exit"], "status 9");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_within_the_grant_is_denied_by_its_type_and_told_once() {
    let mesh = mesh().await;
    let mut denials = mesh.runtime.events().of_kinds(&[Kind::Denied]);
    for (start, named) in [
        (json!({ "name": "missing" }), "missing"),
        (json!({ "name": "other" }), "other"),
        (json!({ "name": "/bin/sh", "args": ["-c", "exit"] }), "/bin/sh"),
        (json!({ "name": "sh" }), "arguments"),
        (json!({ "name": "sh", "args": ["-x", "exit"] }), "arguments"),
        (json!({ "name": "cat", "args": ["in/a.txt", "more"] }), "arguments"),
        (json!({ "name": "cat", "args": ["-n"] }), "arguments"),
        (json!({ "name": "cat", "args": ["in/../etc/passwd.txt"] }), "arguments"),
        (json!({ "name": "cat", "args": ["/etc/passwd"] }), "arguments"),
        (json!({ "name": "sh", "args": ["-c", "exit"], "env": { "LD_PRELOAD": "x" } }), "LD_PRELOAD"),
        (json!({ "name": "sh", "args": ["-c", "exit"], "env": { "FIXED": "x" } }), "FIXED"),
        (json!({ "name": "sh", "args": ["-c", "exit"], "folder": "/work" }), "/work"),
        (json!({ "name": "sh", "args": ["-c", "exit"], "folder": "/" }), "working folder"),
    ] {
        let came = told(&mesh, json!({ "run": [start, ""] })).await;
        let error = came["error"].as_str().unwrap_or_else(|| panic!("{came}"));
        assert!(error.starts_with("denied") && error.contains(named), "{error}");
        let Some(Heard::Event(event)) = denials.next().await else { panic!("events were lost") };
        let Happening::Denied { actor, operation, target, missing } = &event.what else { panic!("{event:?}") };
        assert_eq!((actor.as_str(), operation.as_str()), ("a", "process-start"));
        assert!(target.starts_with(start["name"].as_str().unwrap()), "{target}");
        assert!(missing.contains(named) || named == "missing", "{missing}");
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_works_in_a_granted_folder_and_no_link_leads_out() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("in/deep")).unwrap();
    std::fs::write(folder.path().join("in/deep/here"), "").unwrap();
    std::os::unix::fs::symlink("/", folder.path().join("in/out")).unwrap();
    let host = folder.path().join("in");
    let grants = format!("files = {{ \"/in\" = {{ host = {host:?} }} }}, processes = {{ {GRANTED} }}");
    let mesh = Mesh::start(&topology(&grants, "")).await;
    let within = |at: &str| json!({ "run": [{ "name": "sh", "args": ["-c", "ls"], "folder": at }, ""] });
    assert_eq!(told(&mesh, within("/in/deep")).await["stdout"], "here\n");
    assert_eq!(told(&mesh, within("/in")).await["stdout"], "deep\nout\n");
    for (out, word) in
        [("/in/out", "not-started"), ("/in/../..", "not-started"), ("/in/none", "not-started"), ("/inn", "denied")]
    {
        let came = told(&mesh, within(out)).await;
        assert!(came["error"].as_str().unwrap_or_default().starts_with(word), "{out}: {came}");
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_ends_at_its_limits_and_that_is_told() {
    let grants =
        "processes = { sh = { program = \"/bin/sh\", arguments = [\"-c\", \"*\"], at_a_time = 1, output = \"1KiB\" } }";
    let mesh = Mesh::start(&topology(grants, "")).await;
    let mut reached = mesh.runtime.events().of_kinds(&[Kind::LimitReached]);
    let with = |script: &str, key: &str, most: u64| json!({ "run": [{ "name": "sh", "args": ["-c", script], key: most }, ""] });
    for (what, exit) in [
        (with("sleep 1000", "time_ms", 10), "limit time"),
        (with("while :; do :; done", "cpu_ms", 10), "limit cpu"),
        (with("while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxx; done", "output_bytes", 1 << 40), "limit output"),
    ] {
        assert_eq!(told(&mesh, what).await["exit"], exit);
        let Some(Heard::Event(event)) = reached.next().await else { panic!("events were lost") };
        let Happening::LimitReached { limit, .. } = &event.what else { panic!("{event:?}") };
        assert_eq!(format!("limit {limit}"), exit);
    }
    let _kept = told(&mesh, json!({ "keep": ["p", script("sleep 1000")] })).await;
    let came = run(&mesh, "exit").await;
    assert!(came["error"].as_str().unwrap().starts_with("overloaded"), "{came}");
    let Some(Heard::Event(event)) = reached.next().await else { panic!("events were lost") };
    assert!(matches!(&event.what, Happening::LimitReached { limit, .. } if limit == "at_a_time"), "{event:?}");
    let _let_go = told(&mesh, json!({ "signal": ["p", "kill"] })).await;
    assert_eq!(told(&mesh, json!({ "wait": "p" })).await["exit"], "signal 9");
    assert_eq!(run(&mesh, "exit").await["exit"], "status 0", "there is room again");
    // More memory than it may have it does not get.
    let hungry = with("x=x; while :; do x=$x$x$x$x; done", "memory_bytes", 64 << 20);
    let came = told(&mesh, hungry).await;
    assert_ne!(came["exit"], "status 0", "{came}");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_and_a_host_have_no_more_programs_than_they_may() {
    for (more, named) in [("limits.processes = 1", "of this service"), ("[settings]\nprocesses = 1", "of this host")] {
        let text = topology(&format!("processes = {{ {GRANTED} }}"), "");
        let text = match more.strip_prefix("limits.") {
            Some(limit) => text.replace("turn_deadline = \"1m\"", &format!("turn_deadline = \"1m\", {limit}")),
            None => format!("{text}{more}\n"),
        };
        let mesh = Mesh::start(&text).await;
        let _kept = told(&mesh, json!({ "keep": ["p", script("sleep 1000")] })).await;
        let came = run(&mesh, "exit").await;
        let error = came["error"].as_str().unwrap();
        assert!(error.starts_with("overloaded") && error.contains(named), "{error}");
        mesh.stop().await;
    }
}

#[tokio::test]
async fn what_is_written_of_a_program_is_looked_at_when_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tool"), "").unwrap();
    let own = folder.path().join("tool");
    std::fs::set_permissions(&own, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let files = format!("files = {{ \"/work\" = {{ host = {:?}, access = \"read-write\" }} }}, ", folder.path());
    for (grants, named) in [
        ("processes = { sh = { program = \"sh\" } }".to_owned(), "no whole path"),
        ("processes = { sh = { program = \"/no/such\" } }".to_owned(), "no program"),
        ("processes = { sh = { program = \"/bin\" } }".to_owned(), "no program"),
        ("processes = { sh = { program = \"/etc/passwd\" } }".to_owned(), "no program"),
        ("processes = { \"a b\" = { program = \"/bin/sh\" } }".to_owned(), "no name"),
        ("processes = { sh = { program = \"/bin/sh\", arguments = [\"**\", \"x\"] } }".to_owned(), "behind it"),
        ("processes = { sh = { program = \"/bin/sh\", arguments = [\"x**\"] } }".to_owned(), "alone"),
        ("processes = { sh = { program = \"/bin/sh\", environment = [\"A=B\"] } }".to_owned(), "variable"),
        ("processes = { sh = { program = \"/bin/sh\", variables = { \"A=B\" = \"\" } } }".to_owned(), "variable"),
        ("processes = { sh = { program = \"/bin/sh\", folder = \"tmp\" } }".to_owned(), "no folder"),
        ("processes = { sh = { program = \"/bin/sh\", colour = \"blue\" } }".to_owned(), "colour"),
        ("processes = { sh = { program = \"/bin/sh\", memory = \"1B\" } }".to_owned(), "memory"),
        (format!("{files}processes = {{ tool = {{ program = {own:?} }} }}"), "may be written to"),
    ] {
        let told = Mesh::try_start(&topology(&grants, ""), Runtime::builder()).await.err().unwrap().to_string();
        assert!(told.contains(named), "{grants}: {told}");
    }
}

/// A mesh of the runner with a builder of its own.
async fn mesh_with(builder: RuntimeBuilder) -> Mesh {
    Mesh::try_start(&topology(&format!("processes = {{ {GRANTED} }}"), ""), builder)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}
