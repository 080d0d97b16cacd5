//! What a component imports from another one is carried out by the service that it is wired to: by a message as any
//! other, which neither side knows of.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use airssys_tests::deploying::quick;
use airssys_tests::{Mesh, PATIENCE, builder, guest, read};
use airssys_wasm::deploy::{DeployOptions, Progress};
use airssys_wasm::error::CallError;
use airssys_wasm::hint::{Coded, Hinted};
use airssys_wasm::registry::Release;
use airssys_wasm::{InvokeError, Runtime};
use tempfile::TempDir;

const WIRED: &str = "name = \"m\"\n[root]\nintensity = 100\n\
    [[service]]\nname = \"pricing\"\nrelease = \"@pricing\"\n\
    [[service]]\nname = \"till\"\nrelease = \"@till\"\nwires = { \"acme:shop/pricing\" = \"pricing\" }\n";

async fn invoke(runtime: &Runtime, call: &str) -> Result<Option<String>, InvokeError> {
    runtime.invoke("till", None, call, PATIENCE).await
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

/// [`WIRED`] with this grant in place of its wire.
fn granted(call: &str) -> String {
    WIRED.replace("wires = { \"acme:shop/pricing\" = \"pricing\" }", &format!("grants = {{ call = [{call:?}] }}"))
}

fn wires_of(mesh: &Mesh, service: &str) -> Vec<(String, String)> {
    mesh.status(service).wires.into_iter().collect()
}

#[tokio::test]
async fn an_import_that_one_service_alone_exports_wires_itself_where_that_is_granted() {
    let mesh = Mesh::start(&granted("pricing")).await;
    assert_eq!(result(&mesh, "checkout(\"book\", 1)").await, "ok(1550)");
    let wire = |to: &str| [("acme:shop/pricing@1.0.0".to_owned(), to.to_owned())];
    assert_eq!(wires_of(&mesh, "till"), wire("pricing, by itself"));
    // A second one makes it unclear which is meant.
    let second = "[[service]]\nname = \"prices\"\nrelease = \"@pricing\"\n";
    let both = read(mesh.folder.path(), &format!("{}{second}", granted("*"))).unwrap();
    let plan = mesh.runtime.plan_apply(&both, DeployOptions::default()).await.unwrap();
    let says = "till imports acme:shop/pricing@1.0.0, and no wire says whose: prices and pricing export it";
    assert_eq!(plan.refusals.iter().map(|refusal| refusal.message.as_str()).collect::<Vec<_>>(), [says]);
    assert!(mesh.runtime.apply(both, DeployOptions::default()).await.is_err());
    assert_eq!(result(&mesh, "checkout(\"book\", 1)").await, "ok(1550)");
    // The one in the place of the other is found, under the instance that calls.
    let other = read(mesh.folder.path(), &granted("*").replace("name = \"pricing\"", "name = \"prices\"")).unwrap();
    let plan = mesh.runtime.plan_apply(&other, DeployOptions::default()).await.unwrap();
    let told = |key: &airssys_wasm::apply::ChangedKey| format!("{}: {} -> {}", key.key, key.from, key.to);
    let changed: Vec<String> = plan.differences.iter().flat_map(|found| &found.settings).map(told).collect();
    assert_eq!(
        changed,
        ["grants.call: pricing -> *", "wires.acme:shop/pricing@1.0.0: pricing, by itself -> prices, by itself"]
    );
    mesh.runtime.apply(other, DeployOptions::default()).await.unwrap();
    assert_eq!(wires_of(&mesh, "till"), wire("prices, by itself"));
    assert_eq!(result(&mesh, "checkout(\"book\", 1)").await, "ok(1550)");
    assert_eq!((mesh.status("prices").handled, mesh.status("till").started), (1, 1));
    // Where the grant goes, the wire goes.
    let none = read(mesh.folder.path(), &granted("till").replace("name = \"pricing\"", "name = \"prices\"")).unwrap();
    let refused = mesh.runtime.apply(none, DeployOptions::default()).await.unwrap_err();
    assert!(refused.to_string().contains("no wire leads from there"), "{refused}");
    mesh.stop().await;
}

#[tokio::test]
async fn a_wire_that_makes_itself_carries_what_is_granted() {
    for (grant, told, audits) in [
        ("pricing#quote", "pricing, by itself: quote", false),
        ("pricing#acme:shop/pricing#quote", "pricing, by itself: quote", false),
        ("pricing#acme:shop/pricing", "pricing, by itself", true),
        ("pricing#acme:shop/pricing@1.0.0", "pricing, by itself", true),
    ] {
        let mesh = Mesh::start(&granted(grant)).await;
        assert_eq!(wires_of(&mesh, "till")[0].1, told);
        assert_eq!(result(&mesh, "checkout(\"book\", 1)").await, "ok(1550)");
        let crashed = result(&mesh, "inspect()").await.starts_with("err(\"the one called crashed");
        assert_eq!(crashed, audits, "{grant}");
        mesh.stop().await;
    }
    let (said, hint) = refused(&granted("till")).await;
    assert!(said.ends_with("no wire leads from there to a service that exports it"), "{said}");
    assert!(hint.ends_with("or \"pricing\" to `call` under its grants: it is wired by itself then"), "{hint}");
    let folder = tempfile::tempdir().unwrap();
    let error = read(folder.path(), &granted("pricng#quote")).unwrap_err();
    assert!(error.to_string().contains("there is no service \"pricng\""), "{error}");
}

/// Has functions that answer this, each by itself in an interface.
fn having(interfaces: &[&str]) -> Vec<u8> {
    let mut text = "(component (core module $m (func (export \"f\") (result i32) (i32.const 7)))\n\
        (core instance $c (instantiate $m)) (func $f (result u32) (canon lift (core func $c \"f\")))\n"
        .to_owned();
    for (at, interface) in interfaces.iter().enumerate() {
        text.push_str(&format!(
            "(instance $i{at} (export \"f\" (func $f))) (export {interface:?} (instance $i{at}))\n"
        ));
    }
    wat::parse_str(format!("{text})")).unwrap()
}

#[tokio::test]
async fn a_deployment_wires_what_it_imports_and_makes_no_other_wire_unclear() {
    let topology = "name = \"m\"\n[[service]]\nname = \"one\"\nrelease = \"one.wasm\"\n\
        [[service]]\nname = \"two\"\nrelease = \"two.wasm\"\n\
        [[service]]\nname = \"till\"\nrelease = \"till.wasm\"\ngrants = { call = [\"*\"] }\n";
    let (one, two, till) = (having(&["a:b/x"]), having(&["a:b/y"]), passes_on("a:b/z", "a:b/x"));
    let folder = tempfile::tempdir().unwrap();
    let mesh = Mesh::start_in(folder, topology, &[("one", &one), ("two", &two), ("till", &till)], builder()).await;
    let deploy = async |service: &str, bytes: Vec<u8>| {
        std::fs::write(mesh.folder.path().join("next.wasm"), bytes).unwrap();
        mesh.runtime.deploy(service, release(&mesh.folder, "next"), quick()).await
    };
    let refused = deploy("two", having(&["a:b/x", "a:b/y"])).await.unwrap_err();
    let says = "till imports a:b/x, and no wire says whose: one and two export it";
    assert_eq!(refused.to_string(), says);
    assert_eq!(deploy("till", passes_on("a:b/z", "a:b/y")).await.unwrap().ended().await, Progress::Live);
    assert_eq!(wires_of(&mesh, "till"), [("a:b/y".to_owned(), "two, by itself".to_owned())]);
    assert_eq!(result(&mesh, "f()").await, "7");
    assert_eq!((mesh.status("one").handled, mesh.status("two").handled), (0, 1));
    // Nobody calls it any more.
    assert_eq!(deploy("two", having(&["a:b/y", "a:b/x"])).await.unwrap().ended().await, Progress::Live);
    mesh.stop().await;
}

/// Imports one interface twice, by names of its own, and says of each whom it calls.
const TWICE: &str = r#"(component
    (type $t (instance (export "f" (func (result u32)))))
    (import "primary" (implements "a:b/c@2.0.0") (instance $i (type $t)))
    (import "secondary" (implements "a:b/c@2.0.0") (instance $j (type $t)))
    (core func $f (canon lower (func $i "f")))
    (core func $g (canon lower (func $j "f")))
    (core module $m
        (import "i" "f" (func $f (result i32)))
        (import "i" "g" (func $g (result i32)))
        (func (export "first") (result i32) (call $f))
        (func (export "second") (result i32) (call $g)))
    (core instance $c (instantiate $m (with "i" (instance (export "f" (func $f)) (export "g" (func $g))))))
    (func (export "first") (result u32) (canon lift (core func $c "first")))
    (func (export "second") (result u32) (canon lift (core func $c "second"))))"#;

#[tokio::test]
async fn one_interface_that_is_imported_by_several_names_leads_to_several_services() {
    let topology = "name = \"m\"\n[root]\nintensity = 100\n\
        [[service]]\nname = \"one\"\nrelease = \"one.wasm\"\n\
        [[service]]\nname = \"two\"\nrelease = \"two.wasm\"\n\
        [[service]]\nname = \"till\"\nrelease = \"till.wasm\"\n\
        wires = { primary = \"one\", secondary = { to = \"two\", on_failure = { value = \"9\" } } }\n";
    let (one, two, till) = (answering("i32.const 1"), answering("i32.const 2"), wat::parse_str(TWICE).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let components: [(&str, &[u8]); 3] = [("one", &one), ("two", &two), ("till", &till)];
    let mesh = Mesh::start_in(folder, topology, &components, builder()).await;
    assert_eq!((result(&mesh, "first()").await, result(&mesh, "second()").await), ("1".to_owned(), "2".to_owned()));
    // What is said of the one is not said of the other.
    for service in ["one", "two"] {
        mesh.runtime.stop_service(service).await.unwrap();
    }
    assert_eq!(result(&mesh, "second()").await, "9");
    assert!(invoke(&mesh.runtime, "first()").await.is_err());
    let cut = topology.replace("primary = \"one\", ", "");
    let cut = read(mesh.folder.path(), &cut).unwrap();
    let refused = mesh.runtime.apply(cut, DeployOptions::default()).await.unwrap_err();
    assert!(
        refused.to_string().contains("till imports primary, and no wire says whose: one and two export it"),
        "{refused}"
    );
    mesh.stop().await;
}

/// A ledger with more keys of its own, and a desk with this wire to it.
fn books(ledger: &str, wire: &str) -> String {
    format!(
        "name = \"m\"\n[[service]]\nname = \"ledger\"\nrelease = \"@ledger\"\n{ledger}\n\
         [[service]]\nname = \"desk\"\nrelease = \"@desk\"\nwires = {{ \"acme:books/ledger\" = {wire} }}\n"
    )
}

/// The keys of the ledger that have a state.
fn keys_of(mesh: &Mesh) -> Vec<String> {
    let mut keys: Vec<String> = mesh.runtime.state("ledger").into_keys().collect();
    keys.sort_unstable();
    keys
}

async fn entered(mesh: &Mesh, call: &str) -> String {
    mesh.runtime.invoke("desk", None, call, PATIENCE).await.unwrap_or_else(|why| panic!("{call}: {why}")).unwrap()
}

#[tokio::test]
async fn an_argument_chooses_the_key_or_the_lane_that_is_called() {
    let mesh = Mesh::start(&books("keyed = {}", "{ to = \"ledger\", key = \"customer\" }")).await;
    for (customer, number) in [("alice", 1), ("bob", 1), ("alice", 2)] {
        assert_eq!(entered(&mesh, &format!("enter({customer:?}, 7, {number})")).await, format!("ok({number})"));
    }
    let keys = keys_of(&mesh);
    assert_eq!(keys, ["alice", "bob"]);
    // What is no key is nobody's, and told so.
    let told = entered(&mesh, "enter(\"\", 7, 1)").await;
    assert!(told.starts_with("err(\""), "{told}");
    // A number is a key as well, under the instance that calls.
    let by_sender = books("keyed = {}", "{ to = \"ledger\", key = \"sender\" }");
    let by_sender = read(mesh.folder.path(), &by_sender).unwrap();
    mesh.runtime.apply(by_sender, DeployOptions::default()).await.unwrap();
    assert_eq!(entered(&mesh, "enter(\"alice\", 7, 1)").await, "ok(1)");
    let keys = keys_of(&mesh);
    assert_eq!((keys.as_slice(), mesh.status("desk").started), (&["7".into(), "alice".into(), "bob".into()][..], 1));
    mesh.stop().await;
    let lanes = "instances = 4\npartitioned = true";
    let mesh = Mesh::start(&books(lanes, "{ to = \"ledger\", key = \"customer\" }")).await;
    assert_eq!(entered(&mesh, "enter(\"alice\", 7, 1)").await, "ok(1)");
    assert_eq!(entered(&mesh, "enter(\"bob\", 7, 1)").await, "ok(1)");
    let keys = keys_of(&mesh);
    assert_eq!(keys, ["alice", "bob"]);
    mesh.stop().await;
    let mesh = Mesh::start(&books("keyed = {}", "\"ledger/house\"")).await;
    assert_eq!(entered(&mesh, "enter(\"alice\", 7, 1)").await, "ok(1)");
    assert_eq!(keys_of(&mesh), ["house"]);
    mesh.stop().await;
}

#[tokio::test]
async fn a_key_that_does_not_fit_the_other_end_is_refused_before_anything_runs() {
    for (ledger, wire, says) in [
        ("keyed = {}", "\"ledger\"", "which has an actor a key, and no key is said"),
        ("", "\"ledger/house\"", "which has no keys"),
        ("", "{ to = \"ledger\", key = \"customer\" }", "which has no keys"),
        ("keyed = {}", "{ to = \"ledger\", key = \"client\" }", "by a key, and enter has no parameter \"client\""),
    ] {
        let (said, hint) = refused(&books(ledger, wire)).await;
        assert_eq!(said.split_once("acme:books/ledger@1.0.0, ").unwrap().1, says);
        assert!(said.starts_with("desk is wired to ledger"), "{said}");
        assert!(hint.contains("with `key`"), "{hint}");
    }
    let folder = tempfile::tempdir().unwrap();
    let error = read(folder.path(), &books("keyed = {}", "{ to = \"ledger/house\", key = \"customer\" }")).unwrap_err();
    assert!(error.to_string().contains("the wire to \"ledger/house\" has two keys"), "{error}");
}

#[tokio::test]
async fn a_rollback_that_would_break_a_wire_is_refused_and_makes_its_own_wires_anew() {
    let topology = "name = \"m\"\n[[service]]\nname = \"one\"\nrelease = \"one.wasm\"\n\
        [[service]]\nname = \"two\"\nrelease = \"two.wasm\"\n\
        [[service]]\nname = \"till\"\nrelease = \"till.wasm\"\ngrants = { call = [\"*\"] }\n";
    let (one, two, till) = (having(&["a:b/x"]), having(&["a:b/y"]), passes_on("a:b/z", "a:b/x"));
    let folder = tempfile::tempdir().unwrap();
    let mesh = Mesh::start_in(folder, topology, &[("one", &one), ("two", &two), ("till", &till)], builder()).await;
    let next = async |service: &str, bytes: Vec<u8>| {
        let name = format!("next-{service}");
        std::fs::write(mesh.folder.path().join(format!("{name}.wasm")), bytes).unwrap();
        let deployment = mesh.runtime.deploy(service, release(&mesh.folder, &name), quick()).await.unwrap();
        assert_eq!(deployment.ended().await, Progress::Live);
    };
    next("two", having(&["a:b/y", "a:b/w"])).await;
    next("till", passes_on("a:b/z", "a:b/w")).await;
    assert_eq!(result(&mesh, "f()").await, "7");
    let error = mesh.runtime.rollback("two", quick()).unwrap_err();
    assert_eq!(error.to_string(), "till calls a:b/w#f of two, which exports no such function");
    // An apply in between is no reason to come back with the wires of the other release.
    let more = topology.replace("name = \"till\"\n", "name = \"till\"\nretries = 1\n");
    let more = read(mesh.folder.path(), &more).unwrap();
    mesh.runtime.apply(more, DeployOptions::default()).await.unwrap();
    assert_eq!(wires_of(&mesh, "till"), [("a:b/w".to_owned(), "two, by itself".to_owned())]);
    for service in ["till", "two"] {
        assert_eq!(mesh.runtime.rollback(service, quick()).unwrap().ended().await, Progress::Live, "{service}");
    }
    assert_eq!(wires_of(&mesh, "till"), [("a:b/x".to_owned(), "one, by itself".to_owned())]);
    assert_eq!(result(&mesh, "f()").await, "7");
    assert_eq!((mesh.status("one").handled, mesh.status("two").handled), (1, 1));
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

#[tokio::test]
async fn a_guest_of_a_tool_chain_imports_one_interface_by_two_names() {
    let topology = "name = \"m\"\n[[service]]\nname = \"town\"\nrelease = \"@ledger\"\n\
        [[service]]\nname = \"harbour\"\nrelease = \"@ledger\"\nkeyed = {}\n\
        [[service]]\nname = \"till\"\nrelease = \"@branches\"\n\
        wires = { town = \"town\", harbour = { to = \"harbour\", key = \"customer\" } }\n";
    let mesh = Mesh::start(topology).await;
    for (in_town, customer) in [(true, "alice"), (false, "alice"), (false, "bob")] {
        assert_eq!(result(&mesh, &format!("enter({in_town}, {customer:?}, 1, 1)")).await, "ok(1)");
    }
    assert_eq!((mesh.status("town").handled, mesh.status("harbour").handled), (1, 2));
    assert_eq!((mesh.status("town").keys, mesh.status("harbour").keys), (0, 2));
    mesh.stop().await;
}
