//! A query has no effects, and need not wait behind what has some: it answers while a turn of its service runs, from
//! what was committed last. Its crash is its own, and whoever takes over loses none.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use airssys_tests::deploying::quick;
use airssys_tests::{Mesh, PATIENCE, builder, guest, with_guests};
use airssys_wasm::deploy::Progress;
use airssys_wasm::error::CallError;
use airssys_wasm::hint::Coded;
use airssys_wasm::registry::Release;
use airssys_wasm::topology::Topology;
use airssys_wasm::{InvokeError, Runtime};

mod keyed;

const TALLY: &str = r#"
    name = "m"
    [root]
    intensity = 100
    [settings]
    reserve_timeout = "60s"
    [[service]]
    name = "tally"
    release = "@tally"
    shutdown = "brutal-kill"
    queries = ["total", "asked", "meddle", "acme:tally/book#crash"]
    grants = { send = ["tally"], publish = ["news"] }
    limits = { turn_deadline = "1h", turn_budget = "1h" }
"#;

async fn invoke(runtime: &Runtime, call: &str) -> Result<Option<String>, InvokeError> {
    runtime.invoke("tally", call, PATIENCE).await
}

async fn value(mesh: &Mesh, call: &str) -> String {
    invoke(&mesh.runtime, call).await.unwrap().unwrap()
}

/// Keeps the service, or one of its keys, in a turn that has written, and never ends.
async fn occupy(mesh: &Mesh, key: Option<&str>) {
    let accepted = mesh.status("tally").accepted;
    mesh.runtime.cast(("tally", key), "add-for-ever(1000)").await.unwrap();
    let is_in_it = |mesh: &Mesh| {
        let status = mesh.status("tally");
        status.accepted > accepted && status.queued == 0
    };
    mesh.until("it is in its turn", is_in_it).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_answers_while_a_turn_runs_from_what_was_committed() {
    let mesh = Mesh::start(TALLY).await;
    assert_eq!(value(&mesh, "add(7)").await, "7");
    occupy(&mesh, None).await;
    for _ in 0..10 {
        assert_eq!(value(&mesh, "total()").await, "7");
    }
    // What is no query waits.
    mesh.runtime.cast("tally", "add(1)").await.unwrap();
    mesh.until("it waits", |mesh| mesh.status("tally").queued == 1).await;
    assert_eq!(value(&mesh, "total()").await, "7");
    mesh.stop().await;
}

#[tokio::test]
async fn a_query_that_waits_in_the_mailbox_is_no_other() {
    let waits = TALLY.replace("shutdown =", "max_queries = 0\n    shutdown =");
    for topology in [TALLY.to_owned(), waits] {
        let mesh = Mesh::start(&topology).await;
        assert_eq!(value(&mesh, "add(7)").await, "7");
        assert_eq!(value(&mesh, "total()").await, "7");
        // Each has an instance of its own, which remembers nothing.
        assert_eq!((value(&mesh, "asked()").await, value(&mesh, "asked()").await), ("0".to_owned(), "0".to_owned()));
        // It is told of each effect that it has none.
        let told = value(&mesh, "meddle()").await;
        for effect in ["set", "delete", "increment", "send", "call", "publish", "timer"] {
            assert!(told.contains(&format!("\"{effect}: ")) && !told.contains("done"), "{told}");
        }
        assert!(told.matches("a query has no effects").count() == 7, "{told}");
        assert_eq!(value(&mesh, "total()").await, "7");
        // It crashes alone: whoever serves goes on.
        match invoke(&mesh.runtime, "crash()").await {
            Err(InvokeError::Call(CallError::Crashed(crash))) => assert_eq!(crash.code(), "trap"),
            other => panic!("{other:?}"),
        }
        assert_eq!((mesh.status("tally").started, mesh.status("tally").crashed, mesh.dead()), (1, 1, vec!["crashed"]));
        assert_eq!(value(&mesh, "add(1)").await, "8");
        mesh.stop().await;
    }
}

/// Another release of the same functions: its binary says something more at its end, which nobody reads.
fn another(mesh: &Mesh, number: u8, schema: u32) -> Release {
    let path = mesh.folder.path().join(format!("tally-{number}.wasm"));
    let built = guest("tally").parent().unwrap().join("target/airssys/tally.wasm");
    let mut binary = std::fs::read(built).unwrap();
    binary.extend([0, 3, 1, b'x', number]);
    std::fs::write(&path, binary).unwrap();
    let manifest = format!("name = \"tally\"\nversion = \"1.0.{number}\"\nstate_schema = {schema}\n");
    std::fs::write(path.with_extension("toml"), manifest).unwrap();
    Release::find(&path).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_query_is_lost_where_another_release_takes_over() {
    let mesh = Mesh::start(TALLY).await;
    assert_eq!(value(&mesh, "add(7)").await, "7");
    let (ends, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (runtime, ends, answered) = (Arc::clone(&mesh.runtime), Arc::clone(&ends), Arc::clone(&answered));
            tokio::spawn(async move {
                while !ends.load(Ordering::Relaxed) {
                    assert_eq!(invoke(&runtime, "total()").await, Ok(Some("7".to_owned())));
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for round in 0..4_u8 {
        let before = answered.load(Ordering::Relaxed);
        mesh.until("queries are answered", |_| answered.load(Ordering::Relaxed) > before + 8).await;
        let deployment = mesh.runtime.deploy("tally", another(&mesh, round, 0), quick()).await.unwrap();
        assert_eq!(deployment.ended().await, Progress::Live, "round {round}");
    }
    ends.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    assert!(mesh.dead().is_empty(), "{:?}", mesh.dead());
    mesh.stop().await;
}

#[tokio::test]
async fn a_query_that_the_release_does_not_have_is_refused_at_the_start_and_by_an_apply() {
    let wrong = TALLY.replace("\"asked\"", "\"asks\"");
    let Err(refused) = Mesh::try_start(&wrong, builder()).await else { panic!("it starts") };
    let said = refused.to_string();
    assert!(said.contains("tally has a query \"asks\": there is no function `asks`; it exports"), "{said}");
    let mesh = Mesh::start(TALLY).await;
    let edited = Topology::parse(with_guests(&wrong), mesh.folder.path()).unwrap();
    let refused = mesh.runtime.apply(edited, quick()).await.unwrap_err().to_string();
    assert!(refused.contains("asks"), "{refused}");
    // Another list is taken up in place: what is no query any more waits, and may write.
    let edited = TALLY.replace("\"meddle\", ", "");
    let edited = Topology::parse(with_guests(&edited), mesh.folder.path()).unwrap();
    let _applied = mesh.runtime.apply(edited, quick()).await.unwrap();
    assert!(value(&mesh, "meddle()").await.contains("\"set: done\""));
    mesh.stop().await;
}

#[tokio::test]
async fn what_takes_or_gives_resources_is_no_query() {
    for query in ["cart.new", "cart.owner", "count"] {
        let topology =
            format!("name = \"m\"\n[[service]]\nname = \"carts\"\nrelease = \"@carts\"\nqueries = [{query:?}]\n");
        let Err(refused) = Mesh::try_start(&topology, builder()).await else { panic!("{query} is a query") };
        let says = format!(
            "carts has a query {query:?}: it takes or gives resources, which live in the instance of the service"
        );
        assert_eq!(refused.to_string(), says);
    }
}

/// Answers 7, and has another one ask it for that.
const ASKS_ITSELF: &str = r#"(component
    (import "a:b/y" (instance $i (export "f" (func (result u32)))))
    (core func $f (canon lower (func $i "f")))
    (core module $m
        (import "i" "f" (func $f (result i32)))
        (func (export "asks") (result i32) (call $f))
        (func (export "answers") (result i32) (i32.const 7)))
    (core instance $c (instantiate $m (with "i" (instance (export "f" (func $f))))))
    (func $asks (result u32) (canon lift (core func $c "asks")))
    (func $answers (result u32) (canon lift (core func $c "answers")))
    (instance $x (export "f" (func $asks)))
    (instance $z (export "f" (func $answers)))
    (export "a:b/x" (instance $x))
    (export "a:b/z" (instance $z)))"#;

/// Passes the question on.
const PASSES_ON: &str = r#"(component
    (import "a:b/z" (instance $i (export "f" (func (result u32)))))
    (core func $f (canon lower (func $i "f")))
    (core module $m
        (import "i" "f" (func $f (result i32)))
        (func (export "f") (result i32) (call $f)))
    (core instance $c (instantiate $m (with "i" (instance (export "f" (func $f))))))
    (func $g (result u32) (canon lift (core func $c "f")))
    (instance $y (export "f" (func $g)))
    (export "a:b/y" (instance $y)))"#;

#[tokio::test]
async fn a_query_of_one_that_waits_for_who_asks_is_answered_and_closes_no_circle() {
    let topology = "name = \"m\"\n[root]\nintensity = 100\n\
        [[service]]\nname = \"one\"\nrelease = \"one.wasm\"\nwires = { \"a:b/y\" = \"two\" }\n\
        queries = [\"a:b/z#f\"]\n\
        [[service]]\nname = \"two\"\nrelease = \"two.wasm\"\nwires = { \"a:b/z\" = \"one\" }\n";
    let (one, two) = (wat::parse_str(ASKS_ITSELF).unwrap(), wat::parse_str(PASSES_ON).unwrap());
    let components: [(&str, &[u8]); 2] = [("one", &one), ("two", &two)];
    for (waits, topology) in
        [(false, topology.to_owned()), (true, topology.replace("queries =", "max_queries = 0\nqueries ="))]
    {
        let mesh = Mesh::start_in(tempfile::tempdir().unwrap(), &topology, &components, builder()).await;
        let answered = mesh.runtime.invoke("one", "a:b/x#f()", PATIENCE).await;
        match waits {
            false => assert_eq!(answered.unwrap().as_deref(), Some("7")),
            true => assert!(answered.unwrap_err().to_string().contains("deadlock"), "it waits in the mailbox"),
        }
        mesh.stop().await;
    }
}
