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
    runtime.invoke("tally", None, call, PATIENCE).await
}

async fn value(mesh: &Mesh, call: &str) -> String {
    invoke(&mesh.runtime, call).await.unwrap().unwrap()
}

/// Keeps the service in a turn that has written, and never ends.
async fn occupy(mesh: &Mesh) {
    let accepted = mesh.status("tally").accepted;
    mesh.runtime.cast("tally", None, "add-for-ever(1000)").await.unwrap();
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
    occupy(&mesh).await;
    for _ in 0..10 {
        assert_eq!(value(&mesh, "total()").await, "7");
    }
    // What is no query waits.
    mesh.runtime.cast("tally", None, "add(1)").await.unwrap();
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
fn another(mesh: &Mesh, number: u8) -> Release {
    let path = mesh.folder.path().join(format!("tally-{number}.wasm"));
    let built = guest("tally").parent().unwrap().join("target/airssys/tally.wasm");
    let mut binary = std::fs::read(built).unwrap();
    binary.extend([0, 3, 1, b'x', number]);
    std::fs::write(&path, binary).unwrap();
    let manifest = format!("name = \"tally\"\nversion = \"1.0.{number}\"\n");
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
        let deployment = mesh.runtime.deploy("tally", another(&mesh, round), quick()).await.unwrap();
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
