//! Wires that make themselves: who is meant where nobody said so, and where nobody can know.

use airssys_tests::deploying::quick;
use airssys_tests::{Mesh, builder, read};
use airssys_wasm::command::ChangedKey;
use airssys_wasm::deploy::{DeployOptions, Progress};

use super::{WIRED, passes_on, refused, release, result};

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
    let told = |key: &ChangedKey| format!("{}: {} -> {}", key.key, key.from, key.to);
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
