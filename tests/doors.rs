//! Whether a host can run a component is said by every door that it can come in by, and in the same words: `check`,
//! `inspect`, `publish`, `run`, `deploy` and `apply`. What they all take runs.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

use std::ops::Deref;
use std::path::{Path, PathBuf};

use airssys_tests::{Mesh, PATIENCE, guest, told};
use airssys_wasm::Runtime;
use airssys_wasm::command::TemplateError;
use airssys_wasm::deploy::{DeployOptions, Progress};
use airssys_wasm::hint::Coded;
use airssys_wasm::registry::{Draft, Release};
use airssys_wasm::topology::Topology;

/// A component that answers with what it is told.
const ECHO: &str = include_str!("../airssys-wasm/doc/echo.wat");
const MESH: &str = "name = \"doors\"\n[[service]]\nname = \"echo\"\nrelease = \"echo.wasm\"\n";
const MANIFEST: &str = "name = \"bad\"\nversion = \"1.0.0\"\n";

/// The echo with something more in it, at its end.
fn with(more: &str) -> String {
    format!("{}\n{more})", ECHO.trim_end().strip_suffix(')').unwrap())
}

/// A module within the echo that nobody instantiates.
fn module(text: &str) -> String {
    with(&format!("(core module {text})"))
}

/// The echo with core instances of one module.
fn instances(count: usize, text: &str) -> String {
    let all: Vec<String> = (0..count).map(|_| "(core instance (instantiate $more))".to_owned()).collect();
    with(&format!("(core module $more {text}) {}", all.join("\n")))
}

/// A component that exports this as the handler.
fn handler(exported: &str) -> String {
    format!("(component {exported} (export \"airssys:actor/handler@0.1.0\" (instance $handler)))")
}

/// A mesh that runs, and a folder with another component beside it.
struct Doors(Mesh);

impl Deref for Doors {
    type Target = Mesh;

    fn deref(&self) -> &Mesh {
        &self.0
    }
}

impl Doors {
    async fn open() -> Self {
        let (folder, echo) = (tempfile::tempdir().unwrap(), wat::parse_str(ECHO).unwrap());
        Self(Mesh::start_in(folder, MESH, &[("echo", &echo)], Runtime::builder()).await)
    }

    /// The component, with more in its description.
    fn put(&self, bytes: &[u8], manifest: &str) -> PathBuf {
        let path = self.folder.path().join("bad.wasm");
        std::fs::write(&path, bytes).unwrap();
        std::fs::write(path.with_extension("toml"), format!("{MANIFEST}{manifest}")).unwrap();
        path
    }

    /// What each door says of a component: nothing where it takes it.
    async fn say(&self, bytes: &[u8], manifest: &str) -> Vec<(&'static str, Option<String>)> {
        let path = self.put(bytes, manifest);
        let release = match Release::find(&path) {
            Ok(release) => release,
            Err(error) => return self.unread(&path, told!(error)),
        };
        let inspected = release.inspect().and_then(|found| found.check(&release));
        let published = Draft::read(&path).map(drop);
        let topology = format!("{MESH}[[service]]\nname = \"bad\"\nrelease = \"bad.wasm\"\n");
        let file = self.folder.path().join("more.toml");
        std::fs::write(&file, topology).unwrap();
        let topology = Topology::read(&file).unwrap();
        let checked = Runtime::builder().check(&topology).await.map(drop);
        let started = match Runtime::builder().start(&topology).await {
            Ok(runtime) => {
                runtime.shutdown().await;
                Ok(())
            }
            Err(error) => Err(error),
        };
        let planned = self.runtime.plan("echo", release.clone(), DeployOptions::default()).await.map(drop);
        let deployed = match &planned {
            Ok(()) => Ok(()),
            Err(_) => self.runtime.deploy("echo", release, DeployOptions::default()).await.map(drop),
        };
        let applied = self.runtime.plan_apply(&topology, DeployOptions::default()).await.map(drop);
        vec![
            ("inspect", inspected.err().map(|error| told!(error))),
            ("publish", published.err().map(|error| told!(error))),
            ("check", checked.err().map(|error| told!(error))),
            ("run", started.err().map(|error| told!(error))),
            ("plan", planned.err().map(|error| told!(error))),
            ("deploy", deployed.err().map(|error| told!(error))),
            ("apply", applied.err().map(|error| told!(error))),
        ]
    }

    /// What each door says where the description cannot be read, which is before anybody looks at the component.
    fn unread(&self, path: &Path, found: String) -> Vec<(&'static str, Option<String>)> {
        let file = self.folder.path().join("more.toml");
        std::fs::write(&file, format!("{MESH}[[service]]\nname = \"bad\"\nrelease = \"bad.wasm\"\n")).unwrap();
        let read = Topology::read(&file).map_err(|error| told!(error));
        let drafted = Draft::read(path).map_err(|error| told!(error));
        vec![("inspect and deploy", Some(found)), ("publish", drafted.err()), ("check, run and apply", read.err())]
    }

    /// All doors refuse it, in the same words, which have all of these in them.
    async fn refuse(&self, what: &str, bytes: &[u8], manifest: &str, names: &[&str]) {
        let said = self.say(bytes, manifest).await;
        let words = said[0].1.clone().unwrap_or_else(|| panic!("{what}: taken: {said:?}"));
        for name in names {
            assert!(words.contains(name), "{what}: no {name:?} in: {words}");
        }
        assert!(words.contains("hint: "), "{what}: {words}");
        for (door, told) in &said {
            let told = told.as_deref().unwrap_or_else(|| panic!("{what}: {door} takes it: {words}"));
            assert!(told.ends_with(&words), "{what}: {door} says {told}\nand not {words}");
        }
    }

    /// All doors take it.
    async fn take(&self, what: &str, bytes: &[u8], manifest: &str) {
        for (door, told) in self.say(bytes, manifest).await {
            assert_eq!(told, None, "{what}: {door}");
        }
    }

    async fn close(self) {
        let answer = self.runtime.call("echo", "still there", PATIENCE).await.unwrap();
        assert_eq!(answer.as_deref(), Some(b"still there".as_slice()), "nothing of it touched the mesh");
        self.runtime.shutdown().await;
    }
}

fn binary(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_is_not_there_is_named_with_what_is_there() {
    let doors = Doors::open().await;
    let interface = |name: &str| format!("(import {name:?} (instance (export \"f\" (func))))");
    let import = |name: &str| with(&interface(name));
    let cases: [(&str, &[&str]); 9] = [
        ("wasi:keyvalue/store@0.2.0-draft2", &["another version", "this host has wasi:keyvalue/store@0.2.0-draft;"]),
        ("wasi:io/poll@0.3.0", &["another version", "this host has wasi:io/poll@0.2."]),
        ("wasi:io/poll@1.0.0", &["another version", "this host has wasi:io/poll@0.2."]),
        ("wasi:io/poll", &["another version", "this host has wasi:io/poll@0.2."]),
        ("wasi:config/store@0.2.0-draft", &["another version", "wasi:config/store@0.2.0-rc.1"]),
        ("airssys:actor/messaging@0.2.0", &["another version of the contract", "airssys:actor/messaging@0.1.0"]),
        ("airssys:actor/supervision@0.1.0", &["does not request", "`spawn`"]),
        ("pricing", &["nobody provides"]),
        ("shop-pricing", &["nobody provides"]),
    ];
    for (name, says) in cases {
        let says = [&["bad.wasm", name][..], says].concat();
        doors.refuse(name, &binary(&import(name)), "", &says).await;
    }
    // Several are all named.
    let two = with(&[interface("a-b"), interface("wasi:io/poll@0.3.0")].concat());
    doors.refuse("two imports", &binary(&two), "", &["a-b", "wasi:io/poll@0.3.0"]).await;
    let later = "(import \"wasi:random/random@0.2.99\" (instance (export \"get-random-u64\" (func (result u64)))))";
    doors.take("a later patch", &binary(&with(later)), "").await;
    let spawns = "(import \"airssys:actor/supervision@0.1.0\" (instance))";
    let spawns = binary(&with(spawns));
    doors.take("children are requested", &spawns, "[requests]\nspawn = [\"worker/*\"]\n").await;
    doors.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_of_another_shape_is_named_with_what_differs() {
    let doors = Doors::open().await;
    for (what, import, says) in [
        (
            "a function that is not there",
            "(import \"wasi:random/random@0.2.0\" (instance (export \"get-dice\" (func (result u64)))))",
            &["wasi:random/random@0.2.0", "another shape", "get-dice"][..],
        ),
        (
            "a function with another result",
            "(import \"wasi:random/random@0.2.0\" (instance (export \"get-random-u64\" (func (result string)))))",
            &["wasi:random/random@0.2.0", "another shape"],
        ),
        ("a function", "(import \"roll\" (func))", &["it imports roll", "nobody provides"]),
        ("a module", "(import \"part\" (core module))", &["it imports part", "nobody provides"]),
        ("a component", "(import \"part\" (component))", &["the engine does not take it", "component imports"]),
    ] {
        doors.refuse(what, &binary(&with(import)), "", says).await;
    }
    doors.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_wait_is_not_for_the_sync_lane() {
    let doors = Doors::open().await;
    let waits = binary(&with("(import \"wasi:io/poll@0.2.0\" (instance))"));
    let says = &["wasi:io/poll@0.2.0", "the sync lane cannot", "lane = \"sync\""];
    doors.refuse("wasi", &waits, "lane = \"sync\"\n", says).await;
    doors.take("plain", &binary(ECHO), "lane = \"sync\"\n").await;
    doors.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proposal_that_the_engine_is_built_without_is_named() {
    let doors = Doors::open().await;
    for (text, name) in [
        (module("(tag $e) (func (throw $e))"), "exceptions"),
        (module("(func (param externref))"), "garbage collection (gc)"),
        (module("(type (struct (field i32))) (func (param (ref null 0)))"), "garbage collection (gc)"),
        (module("(memory 1 1 shared)"), "threads (shared memory)"),
        (module("(memory 1 (pagesize 1))"), "custom page sizes"),
        (module("(type $f (func)) (type $c (cont $f)) (func (param (ref null $c)))"), "stack switching"),
        (
            module(
                "(func (param i64 i64 i64 i64) (result i64 i64) local.get 0 local.get 1 local.get 2 local.get 3 i64.add128)",
            ),
            "wide arithmetic",
        ),
        (module("(func try catch_all end)"), "legacy exceptions"),
        (with("(core func (canon subtask.cancel async))"), "more functions for async components"),
        (with("(type (list u8 4))"), "lists of a fixed length"),
        (with("(type (map string u8))"), "maps in components"),
    ] {
        let says = &["bad.wasm", "it uses", name, "built without"];
        doors.refuse(name, &binary(&text), "", says).await;
    }
    let two = module("(memory 1 1 shared) (tag $e) (func (throw $e))");
    doors.refuse("two of them", &binary(&two), "", &["exceptions", "threads (shared memory)"]).await;
    // Nobody says that it is damaged.
    let said = doors.say(&binary(&two), "").await;
    assert!(said.iter().all(|(_, told)| !told.as_deref().unwrap_or_default().contains("not a valid")), "{said:?}");
    for (what, text) in [
        ("memory64", module("(memory i64 0)")),
        ("another memory that nobody instantiates", module("(memory 1)")),
        ("tail calls", module("(func return_call 0)")),
        ("async functions and streams (WASI 0.3)", with("(type (stream u8)) (type (func async))")),
        ("vectors", module("(func (result v128) v128.const i64x2 1 2)")),
        ("typed references to functions", module("(type $f (func)) (func (param (ref null $f)))")),
    ] {
        doors.take(what, &binary(&text), "").await;
    }
    doors.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_begins_with_more_than_its_limits_names_both_and_the_key() {
    let doors = Doors::open().await;
    let memory = ECHO.replace("(memory (export \"memory\") 1)", "(memory (export \"memory\") 600)");
    let says = &["begins with 38400KiB (600 pages)", "limit `memory` is 32MiB", "`memory = \"38400KiB\"`"];
    doors.refuse("a large memory", &binary(&memory), "", says).await;
    doors.take("as large as it is", &binary(&memory), "limits = { memory = \"38400KiB\" }\n").await;

    let says = &["begins with 1MiB (16 pages)", "limit `memory` is 512KiB"];
    let small = ECHO.replace("(memory (export \"memory\") 1)", "(memory (export \"memory\") 16)");
    doors.refuse("a small limit", &binary(&small), "limits = { memory = \"512KiB\" }\n", says).await;

    let tables = instances(1, "(table 25000 funcref)");
    let says = &["begin with 25000 elements", "limit `table_elements` is 20000", "`table_elements = 25000`"];
    doors.refuse("a large table", &binary(&tables), "", says).await;

    let many = binary(&instances(40, ""));
    let says = &["it has 41 core instances", "limit `core_instances` is 16", "`core_instances = 41`"];
    doors.refuse("many instances", &many, "", says).await;
    doors.take("as many as there are", &many, "limits = { core_instances = 41 }\n").await;

    let memories = binary(&instances(1, "(memory 1) (memory 1)"));
    let says = &["it has 3 memories", "limit `memories` is 1", "`memories = 3`"];
    doors.refuse("three memories", &memories, "", says).await;
    doors.take("as many as there are", &memories, "limits = { memories = 3 }\n").await;
    let together = binary(&instances(2, "(memory 257)"));
    let says = &["begins with 32960KiB (515 pages)", "limit `memory` is 32MiB"];
    doors.refuse("too large together", &together, "limits = { memories = 3 }\n", says).await;
    let tables = binary(&instances(9, "(table 1 funcref)"));
    doors.refuse("many tables", &tables, "", &["it has 9 tables", "limit `tables` is 8", "`tables = 9`"]).await;

    // All that is in the way is told at once.
    let all = &["600 pages", "core instances", "which nobody provides"];
    let both = memory.trim_end().strip_suffix(')').unwrap();
    let both =
        format!("{both} (core module $m) {} (import \"b-c\" (func)))", "(core instance (instantiate $m))".repeat(16));
    doors.refuse("everything", &binary(&both), "", all).await;
    doors.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_no_host_can_keep_names_what_it_may_be() {
    let doors = Doors::open().await;
    let echo = binary(ECHO);
    for (limits, says) in [
        ("memory = \"5GiB\"", &["bad.toml:3:21: `memory` is 5GiB", "0B to 4GiB", "`memory = \"4GiB\"`"][..]),
        ("stack = \"1GiB\"", &["`stack` is 1GiB", "16KiB to 64MiB", "at most `stack = \"64MiB\"`"]),
        ("stack = \"1KiB\"", &["`stack` is 1KiB", "16KiB to 64MiB", "at least `stack = \"16KiB\"`"]),
        ("stack = \"0B\"", &["`stack` is 0B", "at least"]),
        ("memories = 17", &["`memories` is 17", "0 to 16"]),
        ("memories = 0", &["it has 1 memories", "the limit `memories` is 0"]),
        ("tables = 5000", &["`tables` is 5000", "0 to 1000"]),
        ("table_elements = 1000000000", &["`table_elements` is 1000000000", "0 to 10000000"]),
        ("turn_deadline = \"0s\"", &["bad.toml:3:28: `turn_deadline` is 0s", "1ms to 365days"]),
        ("turn_budget = \"1ns\"", &["`turn_budget` is 1ns", "at least `turn_budget = \"1ms\"`"]),
        ("start_timeout = \"0s\"", &["`start_timeout` is 0s", "1ms to 365days"]),
        ("turn_deadline = \"999999999999years\"", &["bad.toml:3:28", "is no length of time"]),
        ("turn_deadline = \"2years\"", &["bad.toml:3:28", "longer than a year"]),
        ("boundary = \"0B\"", &["`boundary` is 0B", "at least `boundary = \"1KiB\"`"]),
        ("message = \"7EiB\"", &["`message` is ", "0B to 4GiB"]),
        ("state = \"7EiB\"", &["`state` is ", "0B to 1TiB"]),
        ("effects = 9223372036854775807", &["`effects` is 9223372036854775807", "0 to 1000000"]),
        ("effects = 99999999999999999999", &["bad.toml:3:22", "99999999999999999999"]),
        ("timers = -1", &["bad.toml:3:21", "-1"]),
        ("log_line = \"0B\"", &["`log_line` is 0B", "16B to 16MiB"]),
        ("resources = 4000000000", &["`resources` is 4000000000", "0 to 1000000"]),
        ("core_instances = 0", &["it has 1 core instances", "the limit `core_instances` is 0"]),
        ("memory = \"0B\"", &["begins with 64KiB (1 pages)", "the limit `memory` is 0B"]),
    ] {
        doors.refuse(limits, &echo, &format!("limits = {{ {limits} }}\n"), says).await;
    }
    let sync = "lane = \"sync\"\nlimits = { stack = \"2MiB\" }\n";
    doors.refuse("the sync lane", &echo, sync, &["`stack` is 2MiB", "16KiB to 1MiB", "lane = \"sync\""]).await;
    doors.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_is_not_the_contracts_is_told_with_both_types() {
    let doors = Doors::open().await;
    let function = "(core module $m (func (export \"f\") (param i32) (result i32) local.get 0)) (core instance $m (instantiate $m))
        (func $f (param \"msg\" u32) (result u32) (canon lift (core func $m \"f\")))";
    let wrong = handler(&format!("{function} (instance $handler (export \"handle\" (func $f)))"));
    let says =
        &["airssys:actor/handler@0.1.0", "`handle` is func(msg: u32) -> u32", "this host calls func(msg: record {"];
    doors.refuse("another type", &binary(&wrong), "", says).await;
    let empty = handler("(instance $handler)");
    doors.refuse("no function", &binary(&empty), "", &["airssys:actor/handler@0.1.0", "it has no `handle`"]).await;
    doors
        .refuse(
            "no handler",
            &binary("(component)"),
            "",
            &["does not export airssys:actor/handler@0.1.0", "write it with the SDK"],
        )
        .await;
    let other = "(component (instance $i) (export \"airssys:actor/handler@0.2.0\" (instance $i)))";
    let says = &["does not export airssys:actor/handler@0.1.0", "it exports airssys:actor/handler@0.2.0", "SDK"];
    doors.refuse("another version", &binary(other), "", says).await;
    let plain = "(component (core module $m (func (export \"f\"))) (core instance $m (instantiate $m))
        (func $f (canon lift (core func $m \"f\"))) (export \"airssys:actor/handler@0.1.0\" (func $f)))";
    if let Ok(bytes) = wat::parse_str(plain) {
        doors.refuse("a function", &bytes, "", &["airssys:actor/handler@0.1.0"]).await;
    }
    for optional in ["lifecycle", "health", "upgrade", "monitoring"] {
        let name = format!("airssys:actor/{optional}@0.1.0");
        let text = with(&format!("(instance $empty) (export {name:?} (instance $empty))"));
        doors.refuse(optional, &binary(&text), "", &[&name, "it has no `"]).await;
    }
    doors.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_component_says_what_it_is() {
    let doors = Doors::open().await;
    let echo = binary(ECHO);
    let wit = b"package a:b; interface c { f: func(); }";
    for (what, bytes, says) in [
        ("nothing", &b""[..], "it is empty"),
        ("a core module", &binary("(module)"), "it is a core module"),
        ("text", b"hello", "not WebAssembly"),
        ("an interface", wit, "not WebAssembly"),
        ("a component as text", ECHO.as_bytes(), "not WebAssembly"),
        ("half of one", &echo[..echo.len() / 2], "is not a valid component"),
        ("its first bytes", &echo[..9], "is not a valid component"),
    ] {
        doors.refuse(what, bytes, "", &["bad.wasm", says]).await;
    }
    let mut damaged = echo.clone();
    let middle = damaged.len() - 40;
    damaged[middle] ^= 0x40;
    let said = doors.say(&damaged, "").await;
    assert!(said.iter().all(|(_, told)| told.is_some() == said[0].1.is_some()), "{said:?}");
    doors.close().await;
}

/// A number as a binary has it.
fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).unwrap();
        number >>= 7;
        bytes.push(if number == 0 { low } else { low | 0x80 });
        if number == 0 {
            return bytes;
        }
    }
}

/// A section of a binary, which has so many of the same entries.
fn section(id: u8, count: usize, entry: &[u8]) -> Vec<u8> {
    let entries = [leb(count), entry.repeat(count)].concat();
    [vec![id], leb(entries.len()), entries].concat()
}

/// A section that is a component or a module of its own.
fn part(id: u8, inner: &[u8]) -> Vec<u8> {
    [vec![id], leb(inner.len()), inner.to_vec()].concat()
}

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// The echo with a section more at its end.
fn and(section: &[u8]) -> Vec<u8> {
    [binary(ECHO), section.to_vec()].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_host_reads_to_its_end_is_told_at_once() {
    let doors = Doors::open().await;
    // Each level instantiates the one below twice: a few hundred bytes, and more instances than there is memory.
    let leaf = [COMPONENT, &part(1, MODULE), &section(2, 1, b"\0\0\0")].concat();
    let laughs =
        (0..40).fold(leaf.clone(), |inner, _| [COMPONENT, &part(4, &inner), &section(5, 2, b"\0\0\0")].concat());
    let says = &["bad.wasm", "steps to be put together", "the most is 200000", "part it into several components"];
    doors.refuse("a doubling component", &and(&part(4, &laughs)), "", says).await;
    doors.refuse("nothing but that", &laughs, "", says).await;
    // The same by a component that is handed around: what it is in the end, nobody knows before.
    let handed = with(
        "(component $twice (import \"x\" (component $x)) (instance (instantiate $x)) (instance (instantiate $x)))
         (component $leaf) (instance (instantiate $twice (with \"x\" (component $leaf))))",
    );
    let says = &["the engine does not take it", "a component that it is given"];
    doors.refuse("a component that is given", &binary(&handed), "", says).await;
    let aliased = with(
        "(component $holds (component $leaf) (export \"c\" (component $leaf)))
         (instance $i (instantiate $holds)) (alias export $i \"c\" (component $c)) (instance (instantiate $c))",
    );
    doors.refuse("a component that is exported", &binary(&aliased), "", says).await;

    let nested = |levels| (0..levels).fold(COMPONENT.to_vec(), |inner, _| [COMPONENT, &part(4, &inner)].concat());
    let says = &["it takes 101 levels of components in one another", "the most is 100"];
    doors.refuse("many levels", &and(&part(4, &nested(20_000))), "", says).await;
    doors.refuse("one level too many", &and(&part(4, &nested(100))), "", says).await;
    doors.take("as many levels as there may be", &and(&part(4, &nested(99))), "").await;
    let types = |levels| part(7, &[vec![1], [0x42, 1, 1].repeat(levels), vec![0x42, 0]].concat());
    let says = &["levels of types in one another", "the most is 100"];
    doors.refuse("types in types", &and(&types(1_000_000)), "", says).await;
    doors.take("types in types", &and(&types(90)), "").await;
    let many = [COMPONENT, &part(4, COMPONENT).repeat(900)].concat();
    let says = &["it takes 2001 modules and components", "the most is 2000"];
    doors.refuse("many components", &and(&part(4, &many).repeat(300)), "", says).await;
    doors.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_of_anything_is_no_valid_component_and_a_lot_of_nothing_is_one() {
    let doors = Doors::open().await;
    let with_module = |sections: &[&[u8]]| and(&part(1, &[MODULE, &sections.concat()].concat()));
    let function = section(1, 1, b"\x60\0\0");
    for (what, says, bytes) in [
        ("types", "types count", with_module(&[&section(1, 1_000_001, b"\x60\0\0")])),
        (
            "functions",
            "functions count",
            with_module(&[&function, &section(3, 1_000_001, b"\0"), &section(10, 1_000_001, b"\x02\0\x0b")]),
        ),
        ("globals", "globals count", with_module(&[&section(6, 1_000_001, b"\x7f\0\x41\0\x0b")])),
        ("segments of data", "data segments count", with_module(&[&section(11, 100_001, b"\x01\0")])),
        ("segments of elements", "element segments count", with_module(&[&section(9, 100_001, b"\x01\0\0")])),
        (
            "exports",
            "duplicate export",
            with_module(&[
                &function,
                &section(3, 1, b"\0"),
                &section(7, 2, b"\x01f\0\0"),
                &section(10, 1, b"\x02\0\x0b"),
            ]),
        ),
    ] {
        doors.refuse(what, &bytes, "", &["bad.wasm is not a valid component", says, "at offset 0x"]).await;
    }
    let nothing = [b"\x04none".to_vec(), vec![0; 100 << 20]].concat();
    doors.take("100 MiB of nothing", &and(&part(0, &nothing)), "").await;
    doors.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_never_start_is_told_before_anybody_starts_it() {
    let doors = Doors::open().await;
    let started = |text: &str| binary(&instances(1, text));
    let more = "limits = { memories = 2 }\n";
    let says = &["it never starts", "a segment of its data ends at 65537, and its memory begins with 65536"];
    doors.refuse("data", &started("(memory 1) (data (i32.const 65536) \"x\")"), more, says).await;
    let says = &["a segment of its data ends at 4294967297"];
    doors.refuse("data below zero", &started("(memory 1) (data (i32.const -1) \"xx\")"), more, says).await;
    let says = &["a segment of its element ends at 3, and its table begins with 2"];
    doors.refuse("elements", &started("(table 2 funcref) (func $f) (elem (i32.const 1) $f $f)"), "", says).await;
    doors.take("data that fits", &started("(memory 1) (data (i32.const 65535) \"x\")"), more).await;
    let unused = module("(memory 1) (data (i32.const 65536) \"x\")");
    doors.take("a module that nobody instantiates", &binary(&unused), "").await;
    doors.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_function_that_fails_or_never_ends_is_told_by_whoever_starts_it_and_leaves_the_old_release() {
    let doors = Doors::open().await;
    let starting = |body: &str| binary(&instances(1, &format!("(memory 1 2) (func $s {body}) (start $s)")));
    const SLOW: &str = "limits = { memories = 2, turn_budget = \"1h\", start_timeout = \"50ms\" }\n";
    const SLOW_SYNC: &str =
        "lane = \"sync\"\nlimits = { memories = 2, turn_budget = \"1h\", start_timeout = \"50ms\" }\n";
    let limits = "limits = { memories = 2, turn_budget = \"20ms\" }\n";
    for (body, lane, says) in [
        ("unreachable", "", "trap: wasm `unreachable` instruction executed"),
        ("(drop (i32.load (i32.const 65536)))", "", "trap: out of bounds memory access"),
        ("(loop (br 0))", "", "turn budget used up: the limit `turn_budget` is 20ms"),
        ("(loop (br 0))", "lane = \"sync\"\n", "turn budget used up: the limit `turn_budget` is 20ms"),
        // The start of a service that computes as long as it likes is over in time all the same.
        ("(loop (br 0))", SLOW, "it was not over in time: the limit `start_timeout` is 50ms"),
        ("(loop (br 0))", SLOW_SYNC, "it was not over in time: the limit `start_timeout` is 50ms"),
        ("(call $s)", "", "stack overflow in s: the limit `stack` is 512KiB"),
        ("(if (i32.eq (memory.grow (i32.const 900)) (i32.const -1)) (then unreachable))", "", "out of memory: "),
    ] {
        let binary = starting(body);
        // Nobody who only looks starts it.
        let own = if lane.contains("limits") { lane.to_owned() } else { format!("{lane}{limits}") };
        let said = doors.say(&binary, &own).await;
        for (door, told) in &said {
            match *door {
                "run" => assert!(told.as_deref().is_some_and(|told| told.contains(says)), "{body}: {told:?}"),
                _ => assert_eq!(told, &None, "{body}: {door}"),
            }
        }
        let release = Release::find(&doors.folder.path().join("bad.wasm")).unwrap();
        let deployment = doors.runtime.deploy("echo", release, DeployOptions::default()).await.unwrap();
        match deployment.ended().await {
            Progress::RolledBack { reason } => assert!(reason.to_string().contains(says), "{body}: {reason}"),
            other => panic!("{body}: {other:?}"),
        }
    }
    doors.close().await;
}

#[test]
fn every_guest_is_well() {
    for name in ["prober", "echo", "echo-wasi", "heir", "keeper", "overseer", "shifter", "spawner", "crasher", "relay"]
    {
        let release = Release::find(&guest(name)).unwrap();
        let inspection = release.inspect().unwrap();
        let checked = inspection.check(&release);
        assert!(checked.is_ok(), "{name}: {checked:?}");
        assert!(matches!(checked, Ok::<(), TemplateError>(())));
        let needs = inspection.needs.unwrap();
        assert!(needs.memories == 1 && needs.memory_bytes > 0 && needs.core_instances > 0, "{name}: {needs:?}");
    }
}

/// Starts the echo and this component, where compiled code is kept.
async fn run_kept(doors: &Doors, bytes: &[u8], manifest: &str) -> Result<(), String> {
    doors.put(bytes, manifest);
    let file = doors.folder.path().join("kept.toml");
    std::fs::write(&file, format!("{MESH}[[service]]\nname = \"bad\"\nrelease = \"bad.wasm\"\n")).unwrap();
    let topology = Topology::read(&file).unwrap();
    let builder = Runtime::builder().code_cache(doors.folder.path().join("code"));
    match builder.start(&topology).await {
        Ok(runtime) => {
            runtime.shutdown().await;
            Ok(())
        }
        Err(error) => Err(told!(error)),
    }
}

/// What stands beside the compiled code.
fn beside_code(doors: &Doors) -> Vec<PathBuf> {
    let all = std::fs::read_dir(doors.folder.path().join("code")).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.extension().is_some_and(|extension| extension == "xxh3")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_compiled_already_is_refused_in_the_same_words() {
    let doors = Doors::open().await;
    let supervises = binary(&with(
        "(import \"airssys:actor/supervision@0.1.0\" (instance
            (type $error (variant (case \"denied\" string) (case \"no-such-child\" string) (case \"taken\")
                (case \"overloaded\") (case \"deaf\")))
            (export \"supervision-error\" (type $named (eq $error)))
            (export \"stop\" (func (param \"child\" string) (result (result (error $named)))))))",
    ));
    let waits = binary(&with("(import \"wasi:io/poll@0.2.0\" (instance))"));
    let tables = binary(&instances(9, "(table 1 funcref)"));
    let cases: [(&str, &[u8], &str, &str); 5] = [
        ("a limit", &tables, "limits = { tables = 9 }\n", ""),
        ("several", &tables, "limits = { tables = 9 }\n", "limits = { core_instances = 1 }\n"),
        ("no request", &supervises, "[requests]\nspawn = [\"worker/*\"]\n", ""),
        ("the lane", &waits, "", "lane = \"sync\"\n"),
        ("a limit and the lane", &waits, "limits = { memories = 1 }\n", "lane = \"sync\"\nlimits = { memories = 0 }\n"),
    ];
    for (what, bytes, wide, narrow) in cases {
        let words = doors.say(bytes, narrow).await[0].1.clone().unwrap_or_else(|| panic!("{what}: it is taken"));
        assert_eq!(run_kept(&doors, bytes, wide).await, Ok(()), "{what}");
        let refused = async |when: &str| {
            let told =
                run_kept(&doors, bytes, narrow).await.err().unwrap_or_else(|| panic!("{what}, {when}: it is taken"));
            assert!(told.ends_with(&words), "{what}, {when}: {told}\nand not {words}");
        };
        refused("as it was kept").await;
        assert_eq!(run_kept(&doors, bytes, wide).await, Ok(()), "{what}, once more");
        // An entry that is damaged is made anew, and changes nothing.
        for path in beside_code(&doors) {
            let kept = std::fs::read(&path).unwrap();
            std::fs::write(&path, &kept[..kept.len() / 2]).unwrap();
        }
        refused("of half an entry").await;
        assert_eq!(run_kept(&doors, bytes, wide).await, Ok(()), "{what}, of half an entry");
        refused("as it was made anew").await;
    }
    doors.close().await;
}
