//! Wires that lead to several: by an argument to a key or a lane, and by a name to one of several services.

use airssys_tests::{Mesh, PATIENCE, builder, read};
use airssys_wasm::deploy::DeployOptions;

use super::{answering, invoke, refused, result};

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
    mesh.runtime.invoke("desk", call, PATIENCE).await.unwrap_or_else(|why| panic!("{call}: {why}")).unwrap()
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
