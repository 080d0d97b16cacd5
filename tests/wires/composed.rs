//! Wires beside what else may be said of a service: sets of releases, keys that call each other, lanes.

use std::sync::Arc;

use airssys_tests::calling::Callers;
use airssys_tests::deploying::quick;
use airssys_tests::{Mesh, PATIENCE, builder, read};
use airssys_wasm::error::CallError;
use airssys_wasm::{InvokeError, RuntimeError};

use super::{WIRED, invoke, of_version, release};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_that_would_break_a_wire_while_it_switches_is_refused_and_nothing_changes() {
    let mesh = Mesh::start(WIRED).await;
    let (pricing, till) = (of_version("pricing", "2.0.0"), of_version("till", "2.0.0"));
    let runtime = Arc::clone(&mesh.runtime);
    let callers = Callers::numbered(4, move |_, _| {
        let runtime = Arc::clone(&runtime);
        async move { assert_eq!(invoke(&runtime, "checkout(\"book\", 2)").await, Ok(Some("ok(2800)".to_owned()))) }
    });
    callers.more(20).await;
    let mut options = quick();
    options.allow_downgrade = true;
    let set = vec![("till".to_owned(), release(&till, "till")), ("pricing".to_owned(), release(&pricing, "pricing"))];
    // The old till would call the new prices for a moment.
    let refused = mesh.runtime.deploy_set(set, options).await.unwrap_err().to_string();
    assert!(refused.starts_with("pricing: the release does not export what the live one does"), "{refused}");
    callers.more(20).await;
    callers.end().await;
    assert_eq!((mesh.status("till").started, mesh.status("pricing").started), (1, 1));
    mesh.stop().await;
}

/// Has a function that answers 7, and one that calls that one of somebody else.
const CALLS_ANOTHER_KEY: &str = r#"(component
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
    (instance $y (export "f" (func $answers)))
    (export "a:b/x" (instance $x))
    (export "a:b/y" (instance $y)))"#;

#[tokio::test]
async fn a_key_may_call_another_one_of_its_service_and_not_itself() {
    let topology = "name = \"m\"\n[root]\nintensity = 100\n\
        [[service]]\nname = \"one\"\nrelease = \"one.wasm\"\nkeyed = {}\nwires = { \"a:b/y\" = \"one/b\" }\n";
    let one = wat::parse_str(CALLS_ANOTHER_KEY).unwrap();
    let mesh = Mesh::start_in(tempfile::tempdir().unwrap(), topology, &[("one", &one)], builder()).await;
    let asks = async |key: &str| mesh.runtime.invoke(("one", key), "a:b/x#f()", PATIENCE).await;
    assert_eq!(asks("a").await.unwrap().as_deref(), Some("7"));
    match asks("b").await {
        Err(InvokeError::Call(CallError::Crashed(crash))) => assert_eq!(
            crash.to_string(),
            "its wire a:b/y#f to one/b failed: deadlock: the one called waits for the caller"
        ),
        other => panic!("{other:?}"),
    }
    mesh.stop().await;
}

#[tokio::test]
async fn a_component_with_a_wire_is_not_hosted_in_the_sync_lane() {
    let topology = "name = \"m\"\n[root]\nintensity = 100\n\
        [[service]]\nname = \"one\"\nrelease = \"one.wasm\"\nwires = { \"a:b/y\" = \"one\" }\n";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("one.wasm"), wat::parse_str(CALLS_ANOTHER_KEY).unwrap()).unwrap();
    std::fs::write(folder.path().join("one.toml"), "name = \"one\"\nversion = \"1.0.0\"\nlane = \"sync\"\n").unwrap();
    let topology = read(folder.path(), topology).unwrap();
    let refused: RuntimeError = builder().start(&topology).await.err().unwrap();
    let says = "it imports a:b/y, which can wait, and the sync lane cannot";
    assert!(refused.to_string().contains(says), "{refused}");
}
