//! Components of WASI 0.3, whose functions may be async, are supervised actors as all others are.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by panicking")]

mod ends;
mod folders;
mod handed_on;
mod handler;
mod requests;

use std::path::Path;
use std::sync::Arc;

use airssys_tests::deploying::quick;
use airssys_tests::{Mesh, PATIENCE, builder, guest, told, with_guests};
use airssys_wasm::deploy::{Progress, Strategy};
use airssys_wasm::hint::Coded;
use airssys_wasm::registry::Release;

/// Async functions: one gives a text, one gives many values, one waits for nothing that ever comes.
const ASYNC: &str = r#"(component
    (core module $memory (memory (export "memory") 1) (data (i32.const 16) "hello"))
    (core module $m
        (import "" "text" (func $text (param i32 i32)))
        (import "" "many" (func $many (param i32 i64 i32)))
        (import "" "set" (func $set (result i32)))
        (global $count (mut i32) (i32.const 0))
        (func (export "hello") (result i32) (call $text (i32.const 16) (i32.const 5)) (i32.const 0))
        (func (export "many") (param i32) (result i32)
            (global.set $count (i32.add (global.get $count) (i32.const 1)))
            (call $many (local.get 0) (i64.const 7) (global.get $count)) (i32.const 0))
        (func (export "never") (result i32) (i32.or (i32.const 2) (i32.shl (call $set) (i32.const 4))))
        (func (export "callback") (param i32 i32 i32) (result i32) unreachable)
    )
    (type $many' (record (field "a" u32) (field "b" u64) (field "c" u32)))
    (export $many "many-values" (type $many'))
    (core instance $shared (instantiate $memory))
    (core func $return_text (canon task.return (result string) (memory $shared "memory")))
    (core func $return_many (canon task.return (result $many)))
    (core func $new_set (canon waitable-set.new))
    (core instance $i (instantiate $m (with "" (instance
        (export "text" (func $return_text)) (export "many" (func $return_many)) (export "set" (func $new_set))))))
    (func (export "hello") async (result string)
        (canon lift (core func $i "hello") (memory $shared "memory") async (callback (func $i "callback"))))
    (func (export "many") async (param "a" u32) (result $many)
        (canon lift (core func $i "many") async (callback (func $i "callback"))))
    (func (export "never") async
        (canon lift (core func $i "never") async (callback (func $i "callback"))))
)"#;

const TOPOLOGY: &str = "name = \"m\"\n[root]\nintensity = 100\n[[service]]\nname = \"a\"\nrelease = \"a.wasm\"\n";

/// The answer in WAVE, or why there is none.
async fn invoke(mesh: &Mesh, call: &str) -> String {
    match mesh.runtime.invoke("a", call, PATIENCE).await {
        Ok(answer) => answer.unwrap_or_default(),
        Err(error) => error.to_string(),
    }
}

async fn start() -> Mesh {
    let folder = tempfile::tempdir().unwrap();
    Mesh::start_in(folder, TOPOLOGY, &[("a", &wat::parse_str(ASYNC).unwrap())], builder()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_async_function_is_called_as_any_other() {
    let mesh = start().await;
    assert_eq!(invoke(&mesh, "hello()").await, "\"hello\"");
    assert_eq!(invoke(&mesh, "many(5)").await, "{a: 5, b: 7, c: 1}");
    assert_eq!(invoke(&mesh, "many(6)").await, "{a: 6, b: 7, c: 2}");
    // Nothing can wake it: nobody has to wait for its deadline.
    let never = invoke(&mesh, "never()").await;
    assert!(never.contains("deadlock"), "{never}");
    assert_eq!(invoke(&mesh, "many(5)").await, "{a: 5, b: 7, c: 1}", "another instance");
    mesh.runtime.shutdown().await;
}

/// A mesh with the guest `tasks` as the service `a`, and this besides in its table.
async fn tasks(more: &str) -> Mesh {
    let topology = "name = \"m\"\n[root]\nintensity = 1000\n[[service]]\nname = \"a\"\nrelease = \"@tasks\"\n";
    Mesh::start(&format!("{topology}{more}")).await
}

const MANY: &str = "{a: 1, b: 2, c: 3, d: \"four\", e: some(5), f: [6, 7]}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_cross_as_those_of_other_functions_do() {
    let mesh = tasks("").await;
    assert_eq!(invoke(&mesh, &format!("mirror({MANY})")).await, MANY);
    let vast = format!("{{a: {MANY}, b: {MANY}, c: {MANY}}}");
    assert_eq!(invoke(&mesh, &format!("mirror-all({vast})")).await, vast);
    assert_eq!(invoke(&mesh, &format!("plain({MANY})")).await, format!("ok({MANY})"));
    let nothing = MANY.replace("a: 1", "a: 0");
    assert_eq!(invoke(&mesh, &format!("plain({nothing})")).await, "err(\"nothing\")");
    mesh.runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_waits_for_several_things_at_once_and_ends_when_all_it_began_is_over() {
    let mesh = tasks("").await;
    assert_eq!(invoke(&mesh, "together([60, 1, 30])").await, "[1, 30, 60]");
    // It answers before it writes, and whoever asks next sees what it wrote.
    assert_eq!(invoke(&mesh, "later(20, \"key\", \"value\")").await, "\"at once\"");
    assert_eq!(invoke(&mesh, "get(\"key\")").await, "some(\"value\")");
    // One turn at a time: none of these sees another one's half.
    let mesh = Arc::new(mesh);
    let all = (1..=8).map(|_| {
        let mesh = Arc::clone(&mesh);
        tokio::spawn(async move { invoke(&mesh, "count()").await })
    });
    let all: Vec<_> = all.collect();
    let mut counted = Vec::new();
    for one in all {
        counted.push(one.await.unwrap());
    }
    counted.sort();
    assert_eq!(counted, (1..=8).map(|count| count.to_string()).collect::<Vec<_>>());
    mesh.runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_goes_wrong_is_undone_and_another_instance_goes_on() {
    let mesh = tasks("limits = { turn_deadline = \"300ms\", turn_budget = \"100ms\", memory = \"8MiB\" }\n").await;
    for (how, says) in [
        ("trap", "unreachable"),
        ("spin", "budget"),
        ("hog", "memory"),
        ("wait", "deadline"),
        ("never", "trap"),
        ("exit", "exit"),
        ("linger", "deadline"),
        ("streams", "resources"),
    ] {
        assert_eq!(invoke(&mesh, "count()").await, "1", "a fresh instance before {how}");
        let said = invoke(&mesh, &format!("end(\"{how}\")")).await;
        assert!(said.contains(says), "{how}: {said}");
        assert_eq!(invoke(&mesh, "get(\"ended\")").await, "none", "after {how}");
    }
    // One that says so itself loses its turn and not its instance.
    assert_eq!(invoke(&mesh, "count()").await, "1");
    assert_eq!(invoke(&mesh, "end(\"otherwise\")").await, "err(\"no such end: otherwise\")");
    assert_eq!(invoke(&mesh, "get(\"ended\")").await, "none");
    assert_eq!(invoke(&mesh, "count()").await, "2");
    mesh.runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_sees_of_the_world_is_what_was_granted() {
    let seeded = "clocks = \"none\"\nrandomness = { seed = 7 }\n";
    let granted = "[service.grants]\nenvironment = { GREETING = \"hello\", PATH = \"/nowhere\" }\n";
    let mut drawn = Vec::new();
    for _ in 0..2 {
        let mesh = tasks(&format!("{seeded}{granted}")).await;
        let seen = invoke(&mesh, "surroundings()").await;
        assert!(seen.ends_with("[\"GREETING=hello\"], [], false)"), "{seen}");
        drawn.push(seen);
        mesh.runtime.shutdown().await;
    }
    assert_eq!(drawn[0], drawn[1], "the same seed and the same clock");
    let mesh = tasks("").await;
    let seen = invoke(&mesh, "surroundings()").await;
    assert!(seen.ends_with("[], [], false)"), "{seen}");
    // Standard output is the log, and a message to nobody is refused as it is to others.
    assert_eq!(invoke(&mesh, "say(\"a line\\n\")").await, "ok");
    let sent = invoke(&mesh, "send(\"b\", \"body\")").await;
    assert!(sent.contains("Denied"), "{sent}");
    mesh.runtime.shutdown().await;
}

/// The guest `tasks` with other bytes.
fn next(folder: &Path) -> Release {
    let built = guest("tasks").parent().unwrap().join("target/airssys/tasks.wasm");
    let mut bytes = std::fs::read(built).unwrap();
    // A custom section called `next`, and nothing in it.
    bytes.extend(b"\0\x05\x04next");
    let path = folder.join("next.wasm");
    std::fs::write(&path, bytes).unwrap();
    std::fs::write(folder.join("next.toml"), "name = \"tasks\"\nversion = \"0.2.0\"\n").unwrap();
    Release::find(&path).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_release_takes_over_while_it_is_called() {
    let mesh = Arc::new(tasks("").await);
    assert_eq!(invoke(&mesh, "later(1, \"key\", \"kept\")").await, "\"at once\"");
    let asked = Arc::clone(&mesh);
    let caller = tokio::spawn(async move {
        for _ in 0..200 {
            let answer = invoke(&asked, "together([1])").await;
            assert_eq!(answer, "[1]");
        }
    });
    let release = next(mesh.folder.path());
    let end = mesh.runtime.deploy("a", release, quick()).await.unwrap().ended().await;
    assert_eq!(end, Progress::Live);
    caller.await.unwrap();
    assert_eq!(invoke(&mesh, "get(\"key\")").await, "some(\"kept\")");
    let end = mesh.runtime.rollback("a", quick()).unwrap().ended().await;
    assert_eq!(end, Progress::Live);
    assert_eq!(invoke(&mesh, "get(\"key\")").await, "some(\"kept\")");
    // Nobody could show one what the other waited for, in its order.
    let mut shadow = quick();
    shadow.strategy = Strategy::Shadow { tolerate: 0.0 };
    let refused = mesh.runtime.deploy("a", next(mesh.folder.path()), shadow).await.err().unwrap();
    assert!(told!(&refused).contains("its functions may be async (WASI 0.3)"), "{}", told!(&refused));
    mesh.runtime.shutdown().await;
}

#[test]
fn it_is_said_of_a_component_before_it_runs() {
    let is = |name: &str| Release::find(&guest(name)).unwrap().inspect().unwrap();
    let tasks = is("tasks");
    assert!(tasks.is_wasi_03 && tasks.obstacles.is_empty(), "{:?}", tasks.obstacles);
    assert!(!is("pricing").is_wasi_03);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.wasm"), wat::parse_str(ASYNC).unwrap()).unwrap();
    std::fs::write(folder.path().join("a.toml"), "name = \"a\"\nversion = \"0.1.0\"\nlane = \"sync\"\n").unwrap();
    let inspected = Release::find(&folder.path().join("a.wasm")).unwrap().inspect().unwrap();
    let obstacles: Vec<String> = inspected.obstacles.iter().map(ToString::to_string).collect();
    assert_eq!(obstacles, ["its functions may be async (WASI 0.3), and the sync lane cannot wait for them"]);
}

/// Asks the service `a` how often it was asked, from within a task of its own.
const ASKER: &str = r#"(component
    (import "airssys-tests:tasks/tasks@1.0.0" (instance $tasks (export "count" (func (result u32)))))
    (core func $count (canon lower (func $tasks "count")))
    (core func $return (canon task.return (result u32)))
    (core module $m
        (import "" "count" (func $count (result i32)))
        (import "" "return" (func $return (param i32)))
        (func (export "ask") (result i32) (call $return (call $count)) (i32.const 0))
        (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
    (core instance $i (instantiate $m (with "" (instance
        (export "count" (func $count)) (export "return" (func $return))))))
    (func (export "ask") async (result u32)
        (canon lift (core func $i "ask") async (callback (func $i "callback"))))
)"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_calls_another_over_a_wire() {
    let topology = "name = \"m\"\n[[service]]\nname = \"a\"\nrelease = \"@tasks\"\n\
        [[service]]\nname = \"asker\"\nrelease = \"asker.wasm\"\nwires = { \"airssys-tests:tasks/tasks\" = \"a\" }\n";
    let folder = tempfile::tempdir().unwrap();
    let topology = with_guests(topology);
    let mesh = Mesh::start_in(folder, &topology, &[("asker", &wat::parse_str(ASKER).unwrap())], builder()).await;
    for count in 1..=20 {
        let answer = mesh.runtime.invoke("asker", "ask()", PATIENCE).await.unwrap();
        assert_eq!(answer, Some(count.to_string()));
    }
    mesh.runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_reads_the_message_and_answers_with_what_it_writes() {
    let topology = "name = \"m\"\n[[service]]\nname = \"a\"\nrelease = \"@shout\"\n";
    let mesh = Mesh::start(topology).await;
    let call = async |body: &'static str| mesh.runtime.call("a", body, PATIENCE).await;
    assert_eq!(call("what is said").await.unwrap().as_deref(), Some(b"WHAT IS SAID".as_slice()));
    assert!(call("fail").await.unwrap_err().to_string().contains("status 1"));
    assert!(call("exit").await.unwrap_err().to_string().contains("status 3"));
    assert_eq!(call("again").await.unwrap().as_deref(), Some(b"AGAIN".as_slice()));
    mesh.runtime.shutdown().await;
}
