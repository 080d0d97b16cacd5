//! Components that always travel together are linked into one: a call between them is no message, and nobody who calls
//! the whole sees that it is made of parts.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use airssys_tests::command::Desk;
use airssys_tests::{Mesh, PATIENCE, builder, guest, keeping, made, read, told};
use airssys_wasm::deploy::DeployOptions;
use airssys_wasm::hint::Coded;
use airssys_wasm::registry::{Digest, Draft, Release, Store, StoreError};
use tempfile::TempDir;

const CHECKOUTS: [(&str, &str); 3] = [
    ("checkout(\"book\", 2)", "ok(2800)"),
    ("checkout(\"car\", 1)", "err(\"we do not have car\")"),
    ("values-come-back([0, 255])", "true"),
];

const PAIR: &str = "name = \"till\"\nversion = \"1.0.0\"\n[fuse]\n\"acme:shop/pricing\" = \"pricing.wasm\"\n";

fn built(name: &str) -> Vec<u8> {
    fs::read(guest(name).parent().unwrap().join(format!("target/airssys/{name}.wasm"))).unwrap()
}

/// A folder with the till, its description, and these other files.
fn shelf(toml: &str, others: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("till.toml", toml.as_bytes());
    write("till.wasm", &built("till"));
    others.iter().for_each(|(name, bytes)| write(name, bytes));
    folder
}

fn pair() -> TempDir {
    shelf(PAIR, &[("pricing.wasm", &built("pricing")), ("pricing.toml", b"name = \"pricing\"\nversion = \"1.2.0\"\n")])
}

async fn sells(mesh: &Mesh) {
    for (call, answer) in CHECKOUTS {
        let said = mesh.runtime.invoke("till", call, PATIENCE).await;
        assert_eq!(said, Ok(Some(answer.to_owned())), "{call}");
    }
}

/// What is in a folder, by its names.
fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_pair_is_published_run_called_and_replaced_by_two_services_and_back() {
    let pair = pair();
    let published = Draft::read(&pair.path().join("till.wasm")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let _record = Store::open(&folder.path().join("data")).unwrap().publish(&published).unwrap();
    let fused = "name = \"m\"\n[[service]]\nname = \"till\"\nrelease = \"till@1.0.0\"\n";
    let two = "name = \"m\"\n[[service]]\nname = \"pricing\"\nrelease = \"@pricing\"\n\
        [[service]]\nname = \"till\"\nrelease = \"@till\"\nwires = { \"acme:shop/pricing\" = \"pricing\" }\n";
    let data = keeping(folder.path());
    let mesh = Mesh::start_in(folder, fused, &[], data).await;
    sells(&mesh).await;
    // No message but those that were sent to the whole.
    assert_eq!((mesh.status("till").handled, mesh.runtime.services().len()), (CHECKOUTS.len() as u64, 1));
    let mut anyway = DeployOptions::default();
    anyway.allow_downgrade = true;
    for (topology, services) in [(two, 2), (fused, 1)] {
        let topology = read(mesh.folder.path(), topology).unwrap();
        mesh.runtime.apply(topology, anyway.clone()).await.unwrap_or_else(|error| panic!("{}", told!(error)));
        sells(&mesh).await;
        assert_eq!(mesh.runtime.services().len(), services);
    }
    mesh.stop().await;
}

#[tokio::test]
async fn a_release_by_its_path_is_fused_where_it_is_found() {
    let pair = pair();
    let topology =
        format!("name = \"m\"\n[[service]]\nname = \"till\"\nrelease = {:?}\n", pair.path().join("till.wasm"));
    let mesh = Mesh::start(&topology).await;
    sells(&mesh).await;
    mesh.stop().await;
}

#[test]
fn the_same_parts_are_the_same_bytes_and_the_whole_remembers_them() {
    let (one, other) = (pair(), pair());
    let fused = |folder: &TempDir| {
        let release = Release::find(&folder.path().join("till.wasm")).unwrap();
        (fs::read(&release.component).unwrap(), release.inspect().unwrap())
    };
    let (bytes, inspected) = fused(&one);
    assert!(bytes == fused(&other).0, "the parts are the same, and the wholes differ");
    let parts: Vec<_> =
        inspected.parts.iter().map(|part| (part.name.as_str(), part.version.clone(), part.sha256)).collect();
    let of = |name: &str| Digest::of(&built(name));
    let version = |text: &str| Some(text.parse().unwrap());
    assert_eq!(parts, [("till", version("1.0.0"), of("till")), ("pricing", version("1.2.0"), of("pricing"))]);
    assert_eq!(inspected.parts[1].satisfies, ["acme:shop/pricing@1.0.0"]);
    // It is not written again where it is the same.
    let whole = one.path().join("till.fused.wasm");
    let written = fs::metadata(&whole).unwrap().modified().unwrap();
    let _again = fused(&one);
    assert_eq!(fs::metadata(&whole).unwrap().modified().unwrap(), written);
    fs::write(one.path().join("pricing.wasm"), [built("pricing"), b"\0\x02\x01n".to_vec()].concat()).unwrap();
    assert!(fused(&one).0 != bytes, "another part, and the same whole");
}

#[test]
fn a_whole_that_does_not_hold_its_parts_is_refused() {
    let pair = pair();
    let toml = "name = \"till\"\nversion = \"1.0.0\"\n[limits]\nmemories = 2\n";
    let whole = fs::read(Release::find(&pair.path().join("till.wasm")).unwrap().component).unwrap();
    let draft = |bytes: Vec<u8>, toml: &str| Draft::new(bytes, toml.to_owned());
    assert!(draft(whole.clone(), PAIR).is_ok());
    let refused = draft(built("till"), PAIR).unwrap_err().to_string();
    assert!(refused.contains("has a [fuse], and the binary was not fused so"), "{refused}");
    let digest = Digest::of(&built("pricing")).to_string();
    let at = (0..whole.len()).find(|at| whole[*at..].starts_with(digest.as_bytes())).unwrap();
    let mut lies = whole;
    lies[at..at + 4].copy_from_slice(b"0000");
    match draft(lies, toml) {
        Err(StoreError::Component(error)) => {
            let said = error.to_string();
            assert!(said.contains("it says that pricing is a part of it, with the digest 0000"), "{said}");
        }
        other => panic!("{other:?}"),
    }
}

/// Counts in the state of its service.
fn counter() -> Vec<u8> {
    let wit = "package acme:count; interface counter { next: func() -> u64; }
        world it { import wasi:keyvalue/store@0.2.0-draft; import wasi:keyvalue/atomics@0.2.0-draft; export counter; }";
    let core = r#"(module
        (import "wasi:keyvalue/store@0.2.0-draft" "open" (func $open (param i32 i32 i32)))
        (import "wasi:keyvalue/atomics@0.2.0-draft" "increment" (func $increment (param i32 i32 i32 i64 i32)))
        (import "wasi:keyvalue/store@0.2.0-draft" "[resource-drop]bucket" (func $drop (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 16) "count")
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
        (func (export "acme:count/counter#next") (result i64)
            (call $open (i32.const 0) (i32.const 0) (i32.const 64))
            (call $increment (i32.load (i32.const 68)) (i32.const 16) (i32.const 5) (i64.const 1) (i32.const 128))
            (call $drop (i32.load (i32.const 68)))
            (i64.load (i32.const 136))))"#;
    made::component(wit, core)
}

/// Counts by another component, says so or fails after that, and can trap.
fn counting() -> Vec<u8> {
    let wit = "package acme:whole; world it { import acme:count/counter; export count: func(fail: bool) -> result<u64, string>; export trap: func(); }
        package acme:count { interface counter { next: func() -> u64; } }";
    let core = r#"(module
        (import "acme:count/counter" "next" (func $next (result i64)))
        (memory (export "memory") 1)
        (data (i32.const 16) "no")
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
        (func (export "trap") (drop (call $next)) (unreachable))
        (func (export "count") (param i32) (result i32)
            (i64.store (i32.const 72) (call $next))
            (i32.store8 (i32.const 64) (local.get 0))
            (if (local.get 0) (then
                (i32.store (i32.const 72) (i32.const 16))
                (i32.store (i32.const 76) (i32.const 2))))
            (i32.const 64)))"#;
    made::component(wit, core)
}

#[tokio::test]
async fn what_a_part_writes_is_of_the_service_and_of_its_turn() {
    let folder = tempfile::tempdir().unwrap();
    let toml = "name = \"whole\"\nversion = \"1.0.0\"\n[fuse]\n\"acme:count/counter\" = \"counter.wasm\"\n";
    fs::write(folder.path().join("whole.toml"), toml).unwrap();
    let topology = "name = \"m\"\n[root]\nintensity = 100\n[[service]]\nname = \"whole\"\nrelease = \"whole.wasm\"\n";
    let mesh = Mesh::start_in(folder, topology, &[("whole", &counting()), ("counter", &counter())], builder()).await;
    let count = async |call: &str| mesh.runtime.invoke("whole", call, PATIENCE).await;
    assert_eq!(count("count(false)").await, Ok(Some("ok(1)".to_owned())));
    assert_eq!(count("count(true)").await, Ok(Some("err(\"no\")".to_owned())));
    assert!(count("trap()").await.is_err());
    mesh.until("it serves again", |mesh| mesh.status("whole").started == 2).await;
    assert_eq!(count("count(false)").await, Ok(Some("ok(2)".to_owned())));
    let states = mesh.runtime.state("whole");
    assert_eq!(states[""].get("count").map(|bytes| &bytes[..]), Some(&2u64.to_le_bytes()[..]));
    mesh.stop().await;
}

#[test]
fn the_command_publishes_a_pair_and_shows_its_parts() {
    let desk = Desk::new();
    for file in ["till", "pricing"] {
        desk.write(&format!("{file}.wasm"), built(file));
    }
    desk.write("till.toml", PAIR);
    desk.write("airssys.toml", "name = \"m\"\n[[service]]\nname = \"till\"\nrelease = \"till@1.0.0\"\n");
    let published = desk.run(&["publish", "till.wasm"]).well().stdout;
    assert!(published.contains("fused with pricing"), "{published}");
    // The record of one without parts can be read by a program that has never heard of them.
    let _release = desk.component("echo", "1.0.0");
    let _well = desk.run(&["publish", "echo.wasm"]).well();
    for (release, format) in [("till", 2), ("echo", 1)] {
        let record = fs::read_to_string(desk.releases().join(format!("index/{release}/1.0.0.json"))).unwrap();
        assert!(record.starts_with(&format!("{{\"format\":{format},")), "{record}");
    }
    let listed = desk.run(&["releases", "till"]).well().stdout;
    assert!(listed.trim_end().ends_with("fused with pricing"), "{listed}");
    let digest = Digest::of(&built("pricing")).to_string();
    let shown = desk.run(&["inspect", "till@1.0.0"]).well().stdout;
    let line = format!("\n            pricing, sha256 {digest}: acme:shop/pricing@1.0.0\n");
    assert!(shown.contains("fused of    till 1.0.0, sha256 ") && shown.contains(&line), "{shown}");
    for said in [desk.run(&["inspect", "till@1.0.0", "--json"]), desk.run(&["releases", "--json"])] {
        let said = said.well().stdout;
        assert!(said.contains(&digest), "{said}");
    }
    let _well = desk.run(&["check"]).well();
    desk.write("pricing.wasm", "text");
    let _refused = desk.run(&["publish", "till.wasm"]).refused(2, "AT101", &["till.toml:4:23", "is not WebAssembly"]);
}

/// What something costs, in another component's words.
fn pricing(interface: &str) -> String {
    text("pricing").replace("acme:shop/pricing", interface)
}

/// Asks for a price by this interface.
fn till(interface: &str) -> String {
    text("till").replace("acme:shop/pricing", interface)
}

/// Asks for a price by the one interface, and has it by the other.
fn passes_on(from: &str, to: &str) -> String {
    let end = "(func (export \"pay\") (param \"qty\" u32) (result u32) (canon lift (core func $i \"pay\")))";
    let whole = till(from);
    assert!(whole.contains(end), "{whole}");
    let instance = format!(
        "(func $p (param \"qty\" u32) (result u32) (canon lift (core func $i \"pay\")))
         (instance $e (export \"price\" (func $p))) (export \"{to}\" (instance $e))"
    );
    whole.replace(end, &instance)
}

fn text(name: &str) -> String {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../airssys-wasm/doc/{name}.wat")))
        .unwrap()
}

/// A file's name, and what is in it.
type File = (&'static str, String);

/// A folder with `whole.wasm` and its parts, as text, and what its table says.
fn whole(table: &str, files: &[(&str, String)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let toml = format!("name = \"whole\"\nversion = \"1.0.0\"\n[fuse]\n{table}");
    fs::write(folder.path().join("whole.toml"), toml).unwrap();
    for (name, text) in files {
        let bytes = if text.starts_with('(') || text.starts_with(';') {
            wat::parse_str(text).unwrap()
        } else {
            text.clone().into_bytes()
        };
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

#[tokio::test]
async fn parts_of_parts_and_what_nobody_satisfies() {
    // a asks b, b asks c, and what c asks for stays an import. Both a and b have their parts from one table, or b has
    // parts of its own.
    let files = |extra: &str| {
        vec![
            ("whole.wasm", till("acme:shop/b")),
            ("b.wasm", passes_on("acme:shop/c", "acme:shop/b")),
            ("c.wasm", passes_on("acme:shop/d@1.0.0", "acme:shop/c")),
            ("b.toml", extra.to_owned()),
        ]
    };
    let one = whole(
        "\"acme:shop/c\" = \"c.wasm\"\n\"acme:shop/b\" = \"b.wasm\"\n",
        &files("name = \"b\"\nversion = \"0.1.0\"\n"),
    );
    let own = "name = \"b\"\nversion = \"0.1.0\"\n[fuse]\n\"acme:shop/c\" = \"c.wasm\"\n";
    let nested = whole("\"acme:shop/b\" = \"b.wasm\"\n", &files(own));
    for (folder, parts) in [(&one, vec!["whole", "b", "c"]), (&nested, vec!["whole", "b"])] {
        let path = folder.path().join("whole.wasm");
        let inspected = Release::find(&path).unwrap().inspect().unwrap();
        assert_eq!(inspected.imports, ["acme:shop/d@1.0.0"]);
        let mut names: Vec<&str> = inspected.parts.iter().map(|part| part.name.as_str()).collect();
        names.sort_by_key(|name| parts.iter().position(|part| part == name));
        assert_eq!(names, parts);
        // What stays an import is wired as any other.
        let d = folder.path().join("d.wasm");
        fs::write(&d, wat::parse_str(pricing("acme:shop/d@1.2.0")).unwrap()).unwrap();
        let topology = format!(
            "name = \"m\"\n[[service]]\nname = \"d\"\nrelease = {d:?}\n\
             [[service]]\nname = \"whole\"\nrelease = {path:?}\nwires = {{ \"acme:shop/d\" = \"d\" }}\n"
        );
        let mesh = Mesh::start(&topology).await;
        let paid = mesh.runtime.invoke("whole", "pay(3)", PATIENCE).await;
        assert_eq!(paid, Ok(Some("75".to_owned())));
        mesh.stop().await;
    }
}

#[test]
fn what_cannot_be_fused_is_refused_at_its_place_and_nothing_is_written() {
    let pay = || ("whole.wasm", till("acme:shop/pricing@1.0.0"));
    let ours = "\"acme:shop/pricing\" = \"part.wasm\"\n";
    let wide = || pricing("acme:shop/pricing@1.0.0").replace("(result u32) (canon", "(result s32) (canon");
    let other_name = || pricing("acme:shop/pricing@1.0.0").replace("\"price\" (func $price)", "\"cost\" (func $price)");
    let cases: [(&str, Vec<File>, &str, &str); 11] = [
        (
            "\"acme:shop/stock\" = \"part.wasm\"\n",
            vec![pay(), ("part.wasm", pricing("acme:shop/stock"))],
            "whole.toml:4:21: ",
            "acme:shop/stock is imported by no part; they import acme:shop/pricing@1.0.0",
        ),
        (
            ours,
            vec![pay(), ("part.wasm", pricing("acme:shop/pricing@2.0.0"))],
            "whole.toml:4:23: ",
            "whole imports acme:shop/pricing@1.0.0, and part exports no such thing; it exports acme:shop/pricing@2.0.0",
        ),
        (
            ours,
            vec![pay(), ("part.wasm", other_name())],
            "whole.toml:4:23: ",
            "whole calls acme:shop/pricing@1.0.0#price of part, which exports no such function",
        ),
        (
            ours,
            vec![pay(), ("part.wasm", wide())],
            "whole.toml:4:23: ",
            "whole calls acme:shop/pricing@1.0.0#price of part as `price: func(qty: u32) -> u32`, and part has it as \
             `price: func(qty: u32) -> s32`",
        ),
        (
            "\"acme:shop/a\" = \"a.wasm\"\n\"acme:shop/b\" = \"b.wasm\"\n",
            vec![
                ("whole.wasm", till("acme:shop/a")),
                ("a.wasm", passes_on("acme:shop/b", "acme:shop/a")),
                ("b.wasm", passes_on("acme:shop/a", "acme:shop/b")),
            ],
            "whole.toml: ",
            "the parts need each other in a circle: a needs b needs a; hint: have one of them as a service of its own",
        ),
        (
            "\"acme:shop/pricing\" = \"part.wasm\"\n\"acme:shop/pricing@1.0.0\" = \"other.wasm\"\n",
            vec![
                pay(),
                ("part.wasm", pricing("acme:shop/pricing")),
                ("other.wasm", pricing("acme:shop/pricing@1.0.0")),
            ],
            "whole.toml:5:29: ",
            "acme:shop/pricing@1.0.0, which whole imports, is satisfied by two entries",
        ),
        (ours, vec![pay()], "whole.toml:4:23: ", "part.wasm: is not there"),
        (
            ours,
            vec![pay(), ("part.wasm", "text".to_owned())],
            "whole.toml:4:23: ",
            "is no WebAssembly component: it is not",
        ),
        (ours, vec![pay(), ("part.wasm", "(module)".to_owned())], "whole.toml:4:23: ", "it is a core module"),
        (
            ours,
            vec![pay(), ("part.wasm", pricing("acme:shop/pricing@1.0.0")), ("part.toml", "name = 1\n".to_owned())],
            "whole.toml:4:23: ",
            "acme:shop/pricing is not to be had: ",
        ),
        (ours, vec![("whole.wasm", "(module)".to_owned())], "whole.toml: ", "it is a core module"),
    ];
    for (table, files_of, place, says) in cases {
        let folder = whole(table, &files_of);
        let before = files(folder.path());
        let error = Release::find(&folder.path().join("whole.wasm")).unwrap_err();
        let said = told!(&error).replace(&format!("{}/", folder.path().display()), "");
        assert!(said.starts_with(place) && said.contains(says), "{says}: {said}");
        assert!(Draft::read(&folder.path().join("whole.wasm")).is_err());
        assert_eq!(files(folder.path()), before);
    }
}

#[test]
fn parts_that_are_fused_with_each_other_are_refused() {
    let folder = whole(
        "\"acme:shop/a\" = \"a.wasm\"\n",
        &[("whole.wasm", till("acme:shop/a")), ("a.wasm", passes_on("acme:shop/b", "acme:shop/a"))],
    );
    fs::write(
        folder.path().join("a.toml"),
        "name = \"a\"\nversion = \"1.0.0\"\n[fuse]\n\"acme:shop/b\" = \"a.wasm\"\n",
    )
    .unwrap();
    let said = Release::find(&folder.path().join("whole.wasm")).unwrap_err().to_string();
    assert!(said.contains("is a part of a part, more than 8 deep"), "{said}");
}

#[test]
fn one_that_is_damaged_anywhere_is_refused_and_never_a_panic() {
    let folder = whole("\"acme:shop/a\" = \"a.wasm\"\n", &[("whole.wasm", till("acme:shop/a"))]);
    let part = wat::parse_str(pricing("acme:shop/a")).unwrap();
    let (mut fused, mut refused) = (0, 0);
    for at in 8..part.len() {
        for damaged in [part[..at].to_vec(), [&part[..at], &[part[at] ^ 0x41], &part[at + 1..]].concat()] {
            fs::write(folder.path().join("a.wasm"), damaged).unwrap();
            match Release::find(&folder.path().join("whole.wasm")) {
                Ok(_) => fused += 1,
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 100, "{fused} were fused, {refused} refused");
}
