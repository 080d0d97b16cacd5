//! What a component imports from another one is carried out by the service that it is wired to: by a message as any
//! other, which neither side knows of.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use airssys_tests::{Mesh, PATIENCE, builder, guest, read};
use airssys_wasm::deploy::{DeployOptions, Progress};
use airssys_wasm::error::CallError;
use airssys_wasm::hint::Coded;
use airssys_wasm::registry::Release;
use airssys_wasm::{InvokeError, Runtime};
use tempfile::TempDir;

mod chosen;
mod composed;
mod made;
mod unable;

const WIRED: &str = "name = \"m\"\n[root]\nintensity = 100\n\
    [[service]]\nname = \"pricing\"\nrelease = \"@pricing\"\n\
    [[service]]\nname = \"till\"\nrelease = \"@till\"\nwires = { \"acme:shop/pricing\" = \"pricing\" }\n";

async fn invoke(runtime: &Runtime, call: &str) -> Result<Option<String>, InvokeError> {
    runtime.invoke("till", call, PATIENCE).await
}

async fn result(mesh: &Mesh, call: &str) -> String {
    invoke(&mesh.runtime, call).await.unwrap_or_else(|error| panic!("{call}: {error}")).unwrap_or_default()
}

/// Why a mesh of these services does not start.
async fn refused(topology: &str) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let topology = read(folder.path(), topology).unwrap();
    let error = builder().start(&topology).await.err().unwrap();
    (error.to_string(), error.hint().map(|hint| hint.to_string()).unwrap_or_default())
}

#[tokio::test]
async fn one_component_calls_another_by_its_own_types() {
    let mesh = Mesh::start(WIRED).await;
    assert_eq!(result(&mesh, "checkout(\"book\", 2)").await, "ok(2800)");
    assert_eq!(result(&mesh, "checkout(\"car\", 1)").await, "err(\"we do not have car\")");
    assert_eq!(result(&mesh, "checkout(\"pen\", 101)").await, "err(\"101 are too many\")");
    assert_eq!(result(&mesh, "values-come-back([])").await, "true");
    let many = vec!["255"; 5_000].join(", ");
    assert_eq!(result(&mesh, &format!("values-come-back([{many}])")).await, "true");
    // Messages as any others.
    assert_eq!((mesh.status("till").handled, mesh.status("pricing").handled), (5, 5));
    mesh.stop().await;
}

#[tokio::test]
async fn a_crash_at_the_other_end_is_told_where_a_value_can_and_traps_where_none_can() {
    let mesh = Mesh::start(WIRED).await;
    let told = result(&mesh, "inspect()").await;
    assert!(told.starts_with("err(\"the one called crashed: trap"), "{told}");
    assert_eq!((mesh.status("till").crashed, mesh.status("pricing").crashed), (0, 1));
    match invoke(&mesh.runtime, "audit()").await {
        Err(InvokeError::Call(CallError::Crashed(crash))) => {
            assert_eq!(crash.code(), "wire");
            let said = crash.to_string();
            assert!(
                said.starts_with("its wire acme:shop/pricing@1.0.0#audit to pricing failed: the one called"),
                "{said}"
            );
        }
        other => panic!("{other:?}"),
    }
    mesh.until("both serve again", |mesh| mesh.status("till").started == 2 && mesh.status("pricing").started == 3)
        .await;
    assert_eq!(result(&mesh, "checkout(\"book\", 1)").await, "ok(1550)");
    mesh.stop().await;
}

#[tokio::test]
async fn a_wire_that_does_not_hold_is_refused_before_anything_runs() {
    let (said, hint) = refused(&WIRED.replace("wires = { \"acme:shop/pricing\" = \"pricing\" }\n", "")).await;
    assert_eq!(said, "till imports acme:shop/pricing@1.0.0, and no wire leads from there to a service that exports it");
    assert!(hint.contains("\"acme:shop/pricing@1.0.0\" = \"pricing\""), "{hint}");
    let (said, _) = refused(&WIRED.replace("acme:shop/pricing", "acme:shop/stock")).await;
    assert!(said.contains("a wire for acme:shop/stock to pricing, and imports no such interface"), "{said}");
    let (said, _) = refused(&WIRED.replace("= \"pricing\" }", "= \"till\" }")).await;
    assert!(
        said.contains("till calls acme:shop/pricing@1.0.0#quote of till, which exports no such function"),
        "{said}"
    );
    let second = of_version("pricing", "2.0.0");
    let path = format!("{:?}", second.path().join("pricing.wasm"));
    let (said, _) = refused(&WIRED.replace("\"@pricing\"", &path)).await;
    assert!(said.contains("; it has acme:shop/pricing@2.0.0#quote, which is another version"), "{said}");
}

/// A guest built against another version of the interface, in a folder of its own. The versions have the same length,
/// so their bytes are changed in the binary.
fn of_version(name: &str, version: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = std::fs::read(guest(name).parent().unwrap().join(format!("target/airssys/{name}.wasm"))).unwrap();
    let (built, other) = ("acme:shop/pricing@1.0.0", format!("acme:shop/pricing@{version}"));
    let at: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(built.as_bytes())).collect();
    assert!(!at.is_empty() && built.len() == other.len());
    at.iter().for_each(|at| bytes[*at..*at + other.len()].copy_from_slice(other.as_bytes()));
    std::fs::write(folder.path().join(format!("{name}.wasm")), bytes).unwrap();
    folder
}

fn release(folder: &TempDir, name: &str) -> Release {
    Release::find(&folder.path().join(format!("{name}.wasm"))).unwrap()
}

#[tokio::test]
async fn a_release_that_would_break_a_wire_is_refused_and_one_that_holds_it_takes_over() {
    let mesh = Mesh::start(WIRED).await;
    let mut anyway = DeployOptions::default();
    anyway.allow_downgrade = true;
    for (service, says) in [
        ("pricing", "pricing: the release does not export what the live one does"),
        ("till", "till calls acme:shop/pricing@2.0.0#quote of pricing, which exports no such function; it has"),
    ] {
        let broken = of_version(service, "2.0.0");
        let error = mesh.runtime.deploy(service, release(&broken, service), anyway.clone()).await.unwrap_err();
        assert!(error.to_string().starts_with(says), "{error}");
    }
    assert_eq!(result(&mesh, "checkout(\"book\", 2)").await, "ok(2800)");
    let newer = of_version("pricing", "1.2.0");
    let deployment = mesh.runtime.deploy("pricing", release(&newer, "pricing"), anyway).await.unwrap();
    assert_eq!(deployment.switched().await, Progress::Probation);
    assert_eq!(result(&mesh, "checkout(\"book\", 2)").await, "ok(2800)");
    mesh.stop().await;
}

#[tokio::test]
async fn an_apply_changes_where_a_wire_leads_while_both_ends_run() {
    let mesh = Mesh::start(WIRED).await;
    let other = "[[service]]\nname = \"other\"\nrelease = \"@pricing\"\n";
    let moved = format!("{}{other}", WIRED.replace("= \"pricing\" }", "= \"other\" }"));
    let cut = WIRED.replace("wires = { \"acme:shop/pricing\" = \"pricing\" }\n", "");
    let cut = read(mesh.folder.path(), &cut).unwrap();
    let plan = mesh.runtime.plan_apply(&cut, DeployOptions::default()).await.unwrap();
    let says = "till imports acme:shop/pricing@1.0.0, and no wire leads from there to a service that exports it";
    assert_eq!(plan.refusals.iter().map(|refusal| refusal.message.as_str()).collect::<Vec<_>>(), [says]);
    assert!(mesh.runtime.apply(cut, DeployOptions::default()).await.is_err());
    assert_eq!(result(&mesh, "checkout(\"book\", 1)").await, "ok(1550)");
    let moved = read(mesh.folder.path(), &moved).unwrap();
    mesh.runtime.apply(moved, DeployOptions::default()).await.unwrap();
    assert_eq!(result(&mesh, "checkout(\"book\", 1)").await, "ok(1550)");
    let handled = |service: &str| mesh.status(service).handled;
    // The instance that calls is the one that was there.
    assert_eq!((handled("pricing"), handled("other"), mesh.status("till").started), (1, 1, 1));
    mesh.stop().await;
}

/// Has an interface in two versions, which are no part of each other: the first one answers 1, the second one 2.
const TWO_VERSIONS: &str = r#"(component
    (core module $m
        (func (export "one") (result i32) (i32.const 1))
        (func (export "two") (result i32) (i32.const 2)))
    (core instance $c (instantiate $m))
    (func $one (result u32) (canon lift (core func $c "one")))
    (func $two (result u32) (canon lift (core func $c "two")))
    (instance $first (export "f" (func $one)))
    (instance $second (export "f" (func $two)))
    (export "a:b/c@1.0.0" (instance $first))
    (export "a:b/c@2.0.0" (instance $second)))"#;

/// Was built against the second one.
const OF_THE_SECOND: &str = r#"(component
    (import "a:b/c@2.0.0" (instance $i (export "f" (func (result u32)))))
    (core func $f (canon lower (func $i "f")))
    (core module $m
        (import "i" "f" (func $f (result i32)))
        (func (export "g") (result i32) (call $f)))
    (core instance $c (instantiate $m (with "i" (instance (export "f" (func $f))))))
    (func (export "g") (result u32) (canon lift (core func $c "g"))))"#;

#[tokio::test]
async fn of_two_versions_with_the_same_types_the_one_is_called_that_was_imported() {
    let topology = "name = \"m\"\n[[service]]\nname = \"both\"\nrelease = \"both.wasm\"\n\
        [[service]]\nname = \"till\"\nrelease = \"till.wasm\"\nwires = { \"a:b/c\" = \"both\" }\n";
    let (both, till) = (wat::parse_str(TWO_VERSIONS).unwrap(), wat::parse_str(OF_THE_SECOND).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mesh = Mesh::start_in(folder, topology, &[("both", &both), ("till", &till)], builder()).await;
    assert_eq!(result(&mesh, "g()").await, "2");
    mesh.stop().await;
}

/// [`WIRED`], where the wire has more to say.
fn wired(more: &str) -> String {
    WIRED.replace("= \"pricing\" }", &format!("= {{ to = \"pricing\", {more} }} }}"))
}

#[tokio::test]
async fn a_wire_may_have_a_value_for_an_end_that_cannot_answer() {
    let mesh = Mesh::start(&wired("on_failure = { value = { audit = \"7\" } }")).await;
    assert_eq!(result(&mesh, "audit()").await, "7");
    // Of another function nothing was said.
    let told = result(&mesh, "inspect()").await;
    assert!(told.starts_with("err(\"the one called crashed: trap"), "{told}");
    mesh.runtime.stop_service("pricing").await.unwrap();
    assert_eq!(result(&mesh, "audit()").await, "7");
    let _started = mesh.runtime.start_service("pricing").await.unwrap();
    let one_for_all = wired("on_failure = { value = \"err(\\\"closed\\\")\" }");
    let (said, _) = refused(&one_for_all).await;
    assert!(said.contains("`on_failure` has no value of acme:shop/pricing@1.0.0#"), "{said}");
    let other = wired("on_failure = { value = { inspect = \"ok(9)\" } }");
    let other = read(mesh.folder.path(), &other).unwrap();
    let plan = mesh.runtime.plan_apply(&other, DeployOptions::default()).await.unwrap();
    let changed = plan.differences.iter().flat_map(|found| &found.settings);
    let changed: Vec<_> = changed.map(|key| (&*key.key, &*key.from, &*key.to)).collect();
    let key = |function: &str| format!("wires.acme:shop/pricing.on_failure.value.{function}");
    assert_eq!(changed, [(&*key("audit"), "7", "none"), (&*key("inspect"), "none", "ok(9)")]);
    mesh.runtime.apply(other, DeployOptions::default()).await.unwrap();
    assert_eq!(result(&mesh, "inspect()").await, "ok(9)");
    assert_eq!((mesh.status("till").started, mesh.status("till").crashed), (1, 0));
    assert!(invoke(&mesh.runtime, "audit()").await.is_err());
    mesh.stop().await;
}

#[tokio::test]
async fn a_value_in_place_of_a_result_that_is_none_is_refused_with_its_character() {
    for (value, says) in [
        ("{ audit = \"seven\" }", "#audit: \"seven\" is no u32: at character 1: "),
        ("{ audit = \"7, 8\" }", "#audit: \"7, 8\" is no u32: at character 2: "),
        ("{ quote = \"err(shut)\" }", "character 5: "),
        ("{ quotes = \"7\" }", "acme:shop/pricing@1.0.0#quotes: it is not imported"),
    ] {
        let (said, hint) = refused(&wired(&format!("on_failure = {{ value = {value} }}"))).await;
        assert!(said.starts_with("till is wired to pricing, and `on_failure` has no value of acme:shop/"), "{said}");
        assert!(said.contains(says), "{said}");
        assert!(hint.contains("leave `on_failure` out"), "{hint}");
    }
    let folder = tempfile::tempdir().unwrap();
    let error = read(folder.path(), &wired("on_failure = \"again\"")).unwrap_err();
    assert!(error.to_string().contains("\"again\" is nothing to do about a failure: it is retry, or a"), "{error}");
}

/// Has a function that does this, and an interface with it.
fn answering(what: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
            (core module $m (func (export "f") (result i32) ({what})))
            (core instance $c (instantiate $m))
            (func $f (result u32) (canon lift (core func $c "f")))
            (instance $i (export "f" (func $f)))
            (export "a:b/c@2.0.0" (instance $i)))"#
    );
    wat::parse_str(text).unwrap()
}

#[tokio::test]
async fn a_call_that_is_tried_again_is_answered_when_the_other_end_can() {
    let topology = "name = \"m\"\n[root]\nintensity = 100000\n\
        [[service]]\nname = \"sick\"\nrelease = \"sick.wasm\"\n\
        [[service]]\nname = \"till\"\nrelease = \"till.wasm\"\nlimits = { turn_deadline = \"60s\" }\n\
        wires = { \"a:b/c\" = { to = \"sick\", on_failure = \"retry\" } }\n";
    let (sick, till) = (answering("unreachable"), wat::parse_str(OF_THE_SECOND).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mesh = Mesh::start_in(folder, topology, &[("sick", &sick), ("till", &till)], builder()).await;
    let runtime = mesh.runtime.clone();
    let asked = tokio::spawn(async move { invoke(&runtime, "g()").await });
    mesh.until("it was tried again", |mesh| mesh.status("sick").crashed > 2).await;
    std::fs::write(mesh.folder.path().join("well.wasm"), answering("i32.const 2")).unwrap();
    mesh.runtime.deploy("sick", release(&mesh.folder, "well"), DeployOptions::default()).await.unwrap();
    assert_eq!(asked.await.unwrap().unwrap().as_deref(), Some("2"));
    // Nor is it told that one is stopped, before the caller has no time left.
    mesh.runtime.stop_service("sick").await.unwrap();
    let (asked, started) = tokio::join!(biased; invoke(&mesh.runtime, "g()"), mesh.runtime.start_service("sick"));
    assert!(started.is_ok());
    assert_eq!(asked.unwrap().as_deref(), Some("2"));
    assert_eq!(mesh.status("till").started, 1);
    mesh.stop().await;
}

#[tokio::test]
async fn a_call_that_is_tried_again_ends_with_the_time_of_the_turn() {
    let topology = "name = \"m\"\n[root]\nintensity = 100000\n\
        [[service]]\nname = \"sick\"\nrelease = \"sick.wasm\"\n\
        [[service]]\nname = \"till\"\nrelease = \"till.wasm\"\nlimits = { turn_deadline = \"50ms\" }\n\
        wires = { \"a:b/c\" = { to = \"sick\", on_failure = \"retry\" } }\n";
    let (sick, till) = (answering("unreachable"), wat::parse_str(OF_THE_SECOND).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mesh = Mesh::start_in(folder, topology, &[("sick", &sick), ("till", &till)], builder()).await;
    match invoke(&mesh.runtime, "g()").await {
        Err(InvokeError::Call(CallError::Crashed(crash))) => {
            assert!(["wire", "deadline"].contains(&crash.code()), "{crash}")
        }
        other => panic!("{other:?}"),
    }
    mesh.stop().await;
}

#[tokio::test]
async fn a_wire_carries_the_functions_that_it_names_and_no_other() {
    let mesh = Mesh::start(&wired("functions = [\"quote\"]")).await;
    assert_eq!(result(&mesh, "checkout(\"book\", 1)").await, "ok(1550)");
    let told = result(&mesh, "inspect()").await;
    assert!(told.contains("till may not invoke pricing: its wire does not carry"), "{told}");
    match invoke(&mesh.runtime, "audit()").await {
        Err(InvokeError::Call(CallError::Crashed(crash))) => assert_eq!(crash.code(), "wire", "{crash}"),
        other => panic!("{other:?}"),
    }
    // Nothing of that came to the other end.
    assert_eq!((mesh.status("pricing").handled, mesh.status("pricing").denied), (1, 2));
    let more = read(mesh.folder.path(), &wired("functions = [\"quote\", \"inspect\"]")).unwrap();
    let plan = mesh.runtime.plan_apply(&more, DeployOptions::default()).await.unwrap();
    let changed = &plan.differences[0].settings[0];
    let told = (&*changed.key, &*changed.from, &*changed.to);
    assert_eq!(told, ("wires.acme:shop/pricing.functions", "quote", "quote, inspect"));
    mesh.runtime.apply(more, DeployOptions::default()).await.unwrap();
    assert!(result(&mesh, "inspect()").await.starts_with("err(\"the one called crashed: trap"));
    mesh.stop().await;
    let (said, hint) = refused(&wired("functions = [\"quotes\"]")).await;
    assert_eq!(
        said,
        "till may call acme:shop/pricing@1.0.0#quotes over its wire to pricing, and imports no such function"
    );
    assert!(hint.contains("leave `functions` out"), "{hint}");
}

/// Has the function of the one interface, and calls that of the other one for it.
fn passes_on(own: &str, other: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
            (import "{other}" (instance $i (export "f" (func (result u32)))))
            (core func $f (canon lower (func $i "f")))
            (core module $m
                (import "i" "f" (func $f (result i32)))
                (func (export "f") (result i32) (call $f)))
            (core instance $c (instantiate $m (with "i" (instance (export "f" (func $f))))))
            (func $g (result u32) (canon lift (core func $c "f")))
            (instance $own (export "f" (func $g)))
            (export "{own}" (instance $own)))"#
    );
    wat::parse_str(text).unwrap()
}

#[tokio::test]
async fn wires_in_a_circle_are_told_and_a_call_that_closes_it_fails_with_deadlock() {
    let service = |name: &str, import: &str, to: &str| {
        format!("[[service]]\nname = \"{name}\"\nrelease = \"{name}.wasm\"\nwires = {{ \"{import}\" = \"{to}\" }}\n")
    };
    let topology =
        format!("name = \"m\"\n{}{}", service("till", "a:b/x", "pricing"), service("pricing", "a:b/y", "till"));
    let (till, pricing) = (passes_on("a:b/y", "a:b/x"), passes_on("a:b/x", "a:b/y"));
    let folder = tempfile::tempdir().unwrap();
    let mesh = Mesh::start_in(folder, &topology, &[("till", &till), ("pricing", &pricing)], builder()).await;
    let same = read(mesh.folder.path(), &topology).unwrap();
    let says = "the wires pricing -> till -> pricing are a circle: a call that closes it while the others wait fails \
        with `deadlock`";
    assert_eq!(builder().check(&same).await.unwrap().warnings, [says]);
    assert_eq!(mesh.runtime.plan_apply(&same, DeployOptions::default()).await.unwrap().warnings, [says]);
    match invoke(&mesh.runtime, "f()").await {
        Err(InvokeError::Call(CallError::Crashed(crash))) => assert!(crash.to_string().contains("deadlock"), "{crash}"),
        other => panic!("{other:?}"),
    }
    mesh.stop().await;
}

#[tokio::test]
async fn of_an_end_that_is_gone_the_caller_is_told_who_it_was() {
    let gone = WIRED.replace("release = \"@pricing\"\n", "release = \"@pricing\"\nrestart = \"temporary\"\n");
    let mesh = Mesh::start(&gone).await;
    let told = result(&mesh, "inspect()").await;
    assert!(told.starts_with("err(\"the one called crashed: trap"), "{told}");
    let stopped = "err(\"service \\\"pricing\\\" is stopped\")";
    airssys_tests::until("it is gone", async || result(&mesh, "inspect()").await == stopped).await;
    match invoke(&mesh.runtime, "audit()").await {
        Err(InvokeError::Call(CallError::Crashed(crash))) => {
            let says = "its wire acme:shop/pricing@1.0.0#audit to pricing failed: service \"pricing\" is stopped";
            assert_eq!((crash.code(), crash.to_string().as_str()), ("wire", says));
        }
        other => panic!("{other:?}"),
    }
    mesh.stop().await;
}
