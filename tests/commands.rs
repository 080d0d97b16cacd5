//! A command is a service as it is: a message is its stdin, its stdout the answer, and its exit status says whether
//! anything happened.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::path::Path;
use std::sync::Arc;

use airssys_tests::calling::Callers;
use airssys_tests::deploying::quick;
use airssys_tests::{Mesh, PATIENCE, filter, keeping, until};
use airssys_wasm::Runtime;
use airssys_wasm::deploy::{Progress, Strategy};
use airssys_wasm::error::{CallError, Fault};
use airssys_wasm::hint::Coded;
use airssys_wasm::registry::Release;

const FILTER: &str = r#"
    name = "commands"
    [root]
    intensity = 100
    [[service]]
    name = "filter"
    release = "@filter"
"#;

async fn run(mesh: &Mesh, input: &str) -> Result<String, CallError> {
    call(&mesh.runtime, "filter", input).await
}

async fn call(runtime: &Runtime, to: &str, input: &str) -> Result<String, CallError> {
    let answer = runtime.call(to, input.to_owned(), PATIENCE).await?;
    Ok(String::from_utf8(answer.unwrap_or_default().into()).unwrap())
}

async fn answer(mesh: &Mesh, input: &str) -> String {
    run(mesh, input).await.unwrap()
}

/// A release in a folder, of this name, which is `healthy` or `crashing`.
fn release(folder: &Path, name: &str, way: &str, version: &str) -> Release {
    let path = folder.join(format!("{name}.wasm"));
    std::fs::write(&path, filter(name, way)).unwrap();
    let manifest = format!(
        "name = \"filter\"\nversion = \"{version}\"\n\
         [requests]\nenvironment = [\"TZ\"]\nfiles = {{ \"/data\" = \"read-write\", \"/look\" = \"read\" }}\n"
    );
    std::fs::write(path.with_extension("toml"), manifest).unwrap();
    Release::find(&path).unwrap()
}

/// A mesh with such a service, by the release `one`, and more keys of its own.
async fn mesh(keys: &str) -> Mesh {
    let folder = tempfile::tempdir().unwrap();
    release(folder.path(), "one", "healthy", "1.0.0");
    std::fs::create_dir(folder.path().join("shared")).unwrap();
    let topology = FILTER.replace("@filter", "one.wasm") + keys;
    let runtime = keeping(folder.path());
    Mesh::start_in(folder, &topology, &[], runtime).await
}

#[tokio::test]
async fn a_message_is_stdin_and_stdout_the_answer() {
    let mesh = Mesh::start(FILTER).await;
    assert_eq!(answer(&mesh, "hello\nworld").await, "HELLO\nWORLD");
    assert_eq!(answer(&mesh, "").await, "");
    for _ in 0..3 {
        assert_eq!(answer(&mesh, "runs\n").await, "1", "its memory is for one run");
    }
    let more_than_a_pipe = "x".repeat(1 << 19);
    assert_eq!(answer(&mesh, &format!("bytes\n{more_than_a_pipe}")).await, more_than_a_pipe.len().to_string());
    mesh.stop().await;
}

#[tokio::test]
async fn a_status_that_is_not_0_is_an_error_and_no_crash() {
    let mesh = Mesh::start(FILTER).await;
    let failed = run(&mesh, "fail no such thing\n").await.unwrap_err();
    let exit = Fault::Exit { status: 1, stderr: "no such thing".to_owned() };
    assert_eq!(failed, CallError::Fault(exit));
    assert_eq!((failed.code(), failed.to_string()), ("exit", "exited with status 1: no such thing".to_owned()));
    assert_eq!(answer(&mesh, "exit 0\n").await, "");
    assert_eq!(run(&mesh, "exit 1\n").await.unwrap_err().to_string(), "exited with status 1");
    assert_eq!(answer(&mesh, "runs\n").await, "1");
    let status = mesh.status("filter");
    assert_eq!((status.handled, status.faulted, status.crashed, status.started), (2, 2, 0, 1));
    // Of a message that nobody waits for it is what its dead letter says.
    mesh.runtime.send("filter", "fail nobody waits\n").await.unwrap();
    mesh.until("it ran", |mesh| mesh.status("filter").faulted == 3).await;
    let reasons: Vec<String> = mesh.runtime.dead_letters().1.iter().map(|letter| letter.reason.to_string()).collect();
    assert_eq!(reasons, ["fault: exited with status 1: nobody waits"]);
    mesh.stop().await;
}

#[tokio::test]
async fn stdout_has_a_bound() {
    let mesh = Mesh::start(&format!("{FILTER}\n[service.limits]\nboundary = \"64KiB\"\n")).await;
    assert_eq!(answer(&mesh, "many 16\n").await.len(), 16 << 12);
    for blocks in [17, 1 << 30] {
        let too_much = run(&mesh, &format!("many {blocks}\n")).await.unwrap_err();
        assert_eq!(too_much, CallError::Fault(Fault::Oversized { limit_bytes: 64 << 10 }));
    }
    assert_eq!(mesh.status("filter").crashed, 0);
    mesh.stop().await;
}

#[tokio::test]
async fn it_has_the_arguments_variables_and_folders_that_it_is_given() {
    let bare = mesh("").await;
    assert_eq!(answer(&bare, "arguments\n").await, "filter");
    assert_eq!(answer(&bare, "variable TZ\n").await, "none");
    assert!(matches!(run(&bare, "read /data/text\n").await, Err(CallError::Fault(Fault::Exit { .. }))));
    bare.stop().await;

    let keys = r#"
        arguments = ["-v", "two words", "ü"]
        [service.grants]
        environment = { TZ = "UTC" }
        files = { "/data" = { host = "shared", access = "read-write", max = "1MiB" }, "/look" = { host = "shared" } }
    "#;
    let given = mesh(keys).await;
    assert_eq!(answer(&given, "arguments\n").await, "filter|-v|two words|ü");
    assert_eq!(answer(&given, "variable TZ\n").await, "UTC");
    assert_eq!(answer(&given, "write /data/text\nkept").await, "");
    assert_eq!(answer(&given, "read /look/text\n").await, "kept", "also by another run");
    assert!(matches!(run(&given, "write /look/text\nnot").await, Err(CallError::Fault(Fault::Exit { .. }))));
    given.stop().await;
}

#[tokio::test]
async fn a_run_that_does_not_end_well_is_a_crash_and_the_next_one_runs() {
    let limits = "\n[service.limits]\nturn_deadline = \"200ms\"\nturn_budget = \"20ms\"\nmemory = \"4MiB\"\n";
    let mesh = Mesh::start(&format!("{FILTER}{limits}")).await;
    for (order, code) in
        [("panic", "trap"), ("compute", "budget"), ("wait 3600", "deadline"), ("memory 100000000", "out-of-memory")]
    {
        match run(&mesh, &format!("{order}\n")).await {
            Err(CallError::Crashed(crash)) => assert_eq!(crash.code(), code, "{order}: {crash}"),
            other => panic!("{order}: {other:?}"),
        }
        assert_eq!(answer(&mesh, "runs\n").await, "1", "after {order}");
    }
    assert_eq!(mesh.status("filter").crashed, 4);
    mesh.stop().await;
}

#[tokio::test]
async fn what_a_run_sends_and_writes_happens_where_it_exits_with_0() {
    let mesh = Mesh::start(
        r#"
        name = "clerks"
        [[service]]
        name = "clerk"
        release = "@clerk"
        grants = { send = ["goal"] }
        [[service]]
        name = "goal"
        release = "@prober"
        "#,
    )
    .await;
    let runtime = &mesh.runtime;
    assert_eq!(call(runtime, "clerk", "0").await.unwrap(), "1");
    assert!(matches!(call(runtime, "clerk", "1").await, Err(CallError::Fault(Fault::Exit { .. }))));
    assert_eq!(call(runtime, "clerk", "0").await.unwrap(), "2", "state is there from run to run, and counts two");
    mesh.until("both messages came", |mesh| mesh.status("goal").handled == 2).await;
    assert_eq!(mesh.status("goal").accepted, 2, "none of the run that failed");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pools_and_keys_are_of_commands_too() {
    for (keys, to) in [("instances = 3", "filter"), ("keyed = {}", "filter/a"), ("keyed = {}", "filter/b")] {
        let mesh = mesh(keys).await;
        let runtime = Arc::clone(&mesh.runtime);
        let callers = Callers::numbered(4, move |caller, number| {
            let runtime = Arc::clone(&runtime);
            async move {
                let text = format!("{caller} says {number}");
                assert_eq!(call(&runtime, to, &text).await.unwrap(), text.to_uppercase());
            }
        });
        callers.more(100).await;
        callers.end().await;
        assert_eq!(mesh.status("filter").crashed, 0);
        mesh.stop().await;
    }
}

/// Callers of whom each is answered by one of these releases.
fn callers(mesh: &Mesh, names: &'static [&'static str]) -> Callers {
    let runtime = Arc::clone(&mesh.runtime);
    Callers::numbered(4, move |_, _| {
        let runtime = Arc::clone(&runtime);
        async move {
            let name = call(&runtime, "filter", "release\n").await.unwrap();
            assert!(names.contains(&&*name), "{name}");
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_replaced_and_rolled_back_under_load() {
    let mesh = mesh("").await;
    let folder = mesh.folder.path().to_owned();
    let callers = callers(&mesh, &["one", "two"]);
    callers.more(50).await;
    let two = release(&folder, "two", "healthy", "2.0.0");
    assert_eq!(mesh.runtime.deploy("filter", two, quick()).await.unwrap().ended().await, Progress::Live);
    assert_eq!(answer(&mesh, "release\n").await, "two");
    callers.more(50).await;
    assert_eq!(mesh.runtime.rollback("filter", quick()).unwrap().ended().await, Progress::Live);
    assert_eq!(answer(&mesh, "release\n").await, "one");
    callers.more(50).await;
    // One that crashes over each message gives way to the one before, and nobody is told of it.
    let three = release(&folder, "three", "crashing", "3.0.0");
    let end = mesh.runtime.deploy("filter", three, quick()).await.unwrap().ended().await;
    assert!(matches!(end, Progress::RolledBack { .. }), "{end:?}");
    assert_eq!(answer(&mesh, "release\n").await, "one");
    callers.end().await;
    assert!(mesh.dead().is_empty());
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shadow_is_compared_by_its_stdout() {
    let mesh = mesh("").await;
    let folder = mesh.folder.path().to_owned();
    let mut options = quick();
    options.strategy = Strategy::Shadow { tolerate: 0.0 };
    options.gate.bake = std::time::Duration::from_millis(50);
    options.gate.samples = 20;
    options.gate.latency = 1e6;
    let callers = callers(&mesh, &["one"]);
    let other = release(&folder, "two", "healthy", "2.0.0");
    let end = mesh.runtime.deploy("filter", other, options.clone()).await.unwrap().ended().await;
    assert_ne!(end, Progress::Live, "it says its own name");
    callers.more(1).await;
    callers.end().await;
    let runtime = Arc::clone(&mesh.runtime);
    let alike = Callers::numbered(2, move |_, number| {
        let runtime = Arc::clone(&runtime);
        async move { assert!(call(&runtime, "filter", &format!("a{number}")).await.is_ok()) }
    });
    let same = release(&folder, "three", "healthy", "3.0.0");
    let end = mesh.runtime.deploy("filter", same, options).await.unwrap().ended().await;
    assert_eq!(end, Progress::Live, "what it writes is the same");
    alike.end().await;
    mesh.stop().await;
}

/// Lines that a service has written.
fn lines(service: &str, says: &str) -> usize {
    let lines = airssys_tests::log::of("airssys::guest", service);
    lines.iter().filter(|(_, fields)| fields["message"].as_str().is_some_and(|line| line == says)).count()
}

fn running(name: &str, keys: &str) -> String {
    format!(
        "name = \"running\"\n[root]\nintensity = 1000000\n\
         [[service]]\nname = \"{name}\"\nrelease = \"one.wasm\"\nrun = \"service\"\n{keys}\n\
         [[service]]\nname = \"filter\"\nrelease = \"one.wasm\"\n"
    )
}

async fn with_running(name: &str, keys: &str) -> Mesh {
    airssys_tests::log::listen();
    let folder = tempfile::tempdir().unwrap();
    release(folder.path(), "one", "healthy", "1.0.0");
    let runtime = keeping(folder.path());
    Mesh::start_in(folder, &running(name, keys), &[], runtime).await
}

// On one thread: where a program did not yield, nobody else would ever run.
#[tokio::test]
async fn a_program_that_runs_as_a_service_computes_beside_others_and_takes_no_messages() {
    let mesh = with_running("busy", "arguments = [\"serve\", \"compute\"]\nshutdown = \"100ms\"").await;
    mesh.until("it began", |_| lines("busy", "serving one") == 1).await;
    assert_eq!(answer(&mesh, "beside").await, "BESIDE");
    match call(&mesh.runtime, "busy", "hello").await {
        Err(CallError::Fault(Fault::Refused(why))) => assert!(why.contains("run = \"service\""), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(mesh.status("busy").crashed, 0);
    // It cannot be told to end, so it is cut off at its time.
    let report = mesh.runtime.shutdown().await;
    assert!(!report.is_clean(), "{report:?}");
}

#[tokio::test]
async fn a_program_that_ends_is_started_again_as_its_restart_type_says() {
    let ends =
        |status: u8, restart: &str| format!("arguments = [\"serve\", \"exit\", \"{status}\"]\nrestart = \"{restart}\"");
    let mesh = with_running("job", &ends(0, "transient")).await;
    mesh.until("it ran", |_| lines("job", "serving one") == 1).await;
    let is_over = async || call(&mesh.runtime, "job", "").await.is_err_and(|error| error.code() == "stopped");
    until("it is over", is_over).await;
    assert_eq!((mesh.status("job").started, mesh.status("job").crashed), (1, 0));
    mesh.stop().await;

    let mesh = with_running("failing", &ends(1, "transient")).await;
    mesh.until("it is started again", |mesh| mesh.status("failing").started > 3).await;
    assert!(mesh.status("failing").crashed >= 3);
    mesh.stop().await;

    let mesh = with_running("again", &ends(0, "permanent")).await;
    mesh.until("it is started again", |mesh| mesh.status("again").started > 3).await;
    assert_eq!(mesh.status("again").crashed, 0);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_runs_is_replaced_in_place() {
    let mesh = with_running("ticker", "arguments = [\"serve\"]\nshutdown = \"0s\"").await;
    mesh.until("it runs", |_| lines("ticker", "one is there") > 3).await;
    let two = release(mesh.folder.path(), "two", "healthy", "2.0.0");
    assert_eq!(mesh.runtime.deploy("ticker", two, quick()).await.unwrap().ended().await, Progress::Live);
    let before = lines("ticker", "one is there");
    let so_far = lines("ticker", "two is there");
    mesh.until("the other one runs", |_| lines("ticker", "two is there") > so_far + 20).await;
    assert_eq!(lines("ticker", "one is there"), before, "the one before has ended");
    assert_eq!(lines("ticker", "serving two"), 1);
    let _killed = mesh.runtime.shutdown().await;
}

#[tokio::test]
async fn what_is_no_command_cannot_run_as_a_service() {
    let text = "name = \"m\"\n[[service]]\nname = \"echo\"\nrelease = \"@echo\"\nrun = \"service\"\n";
    let refused = Mesh::try_start(text, Runtime::builder()).await.err().unwrap().to_string();
    assert!(refused.contains("its release is no command"), "{refused}");
    for keys in ["keyed = {}", "instances = 2\npartitioned = true"] {
        let text =
            format!("name = \"m\"\n[[service]]\nname = \"f\"\nrelease = \"@filter\"\nrun = \"service\"\n{keys}\n");
        let refused = Mesh::try_start(&text, Runtime::builder()).await.err().unwrap().to_string();
        assert!(refused.contains("takes no messages"), "{refused}");
    }
}

/// A program that exits with a status of its own.
const EXITS: &str = r#"
    (component
        (import "wasi:cli/exit@0.2.0" (instance $exit
            (export "exit-with-code" (func (param "status-code" u8)))))
        (core func $exit (canon lower (func $exit "exit-with-code")))
        (core module $m
            (import "wasi" "exit" (func $exit (param i32)))
            (func (export "run") (result i32) (call $exit (i32.const 42)) (i32.const 0)))
        (core instance $m (instantiate $m (with "wasi" (instance (export "exit" (func $exit))))))
        (func $run (result (result)) (canon lift (core func $m "run")))
        (instance $run (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $run)))
"#;

#[tokio::test]
async fn a_status_is_told_as_it_is_where_the_program_says_one() {
    let folder = tempfile::tempdir().unwrap();
    let topology = "name = \"m\"\n[[service]]\nname = \"exits\"\nrelease = \"exits.wasm\"\n";
    let runtime = keeping(folder.path());
    let mesh = Mesh::start_in(folder, topology, &[("exits", &wat::parse_str(EXITS).unwrap())], runtime).await;
    let failed = call(&mesh.runtime, "exits", "").await.unwrap_err();
    assert_eq!(failed, CallError::Fault(Fault::Exit { status: 42, stderr: String::new() }));
    mesh.stop().await;
}

#[test]
fn a_component_whose_run_is_another_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("runs.wasm");
    let text = "(component (core module $m (func (export \"run\") (param i32))) (core instance $m (instantiate $m))
        (func $run (param \"speed\" u32) (canon lift (core func $m \"run\")))
        (instance $run (export \"run\" (func $run))) (export \"wasi:cli/run@0.2.0\" (instance $run)))";
    std::fs::write(&file, wat::parse_str(text).unwrap()).unwrap();
    let obstacles = Release::find(&file).unwrap().inspect().unwrap().obstacles;
    let told: Vec<String> = obstacles.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("`run` is func(speed: u32), and this host calls func() -> result"), "{told:?}");
}
