//! What is fuzzed: each target takes any bytes, and panics where a promise is broken.
//!
//! `cargo xtask fuzz` runs them under libFuzzer, `tests/fuzz.rs` a short while from fixed seeds. What starts the bytes
//! of a target is in `corpus/`.

#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "what is found is told by panicking")]
#![allow(clippy::indexing_slicing, reason = "an index is made of the length of what it is for")]
#![allow(unreachable_pub, reason = "also a module of the tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use airssys_tests::made;
use airssys_wasm::command::{Decision, KeptState, StateFile, adapt};
use airssys_wasm::hint::Coded;
use airssys_wasm::registry::{Draft, Manifest, Release};
use airssys_wasm::topology::Topology;
use airssys_wasm::{InvokeError, Runtime, Written};
use tempfile::TempDir;
use tokio::runtime::Runtime as Tokio;

/// Its name, as that of its folder in `corpus/`, and what takes the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 6] = [
    ("patterns", patterns),
    ("topology", topology),
    ("manifest", manifest),
    ("component", component),
    ("values", values),
    ("durable", durable),
];

/// An error tells something, and its code.
fn told(error: &(impl Coded + ToString)) {
    assert!(!error.to_string().trim().is_empty() && !error.code().is_empty(), "{:?}", error.to_string());
}

/// Lines of patterns: those that are requested, those that are granted, and in the third line the addresses that are
/// asked for, with a tab between two.
///
/// The decision is what a plain comparison says, and taking a grant away never allows more.
pub fn patterns(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.lines().map(|line| line.split('\t').take(16).collect::<Vec<_>>());
    let mut next = || lines.next().unwrap_or_default();
    let (requested, granted, asked) = (next(), next(), next());
    let decision = |granted: &[&str]| Decision::new(requested.iter().copied(), granted.iter().copied());
    let Ok(all) = decision(&granted) else { return };
    for address in &asked {
        let naive = covered(&requested, address) && covered(&granted, address);
        assert_eq!(all.allows(address), naive, "{requested:?}, {granted:?}: {address:?}");
    }
    for left_out in 0..granted.len() {
        let fewer: Vec<&str> = (0..granted.len()).filter(|at| *at != left_out).map(|at| granted[at]).collect();
        let fewer = decision(&fewer).expect("a part of what is well");
        let more = asked.iter().find(|address| fewer.allows(address) && !all.allows(address));
        assert_eq!(more, None, "without {:?}", granted[left_out]);
    }
}

/// Whether one of these patterns says so, as the book has it: nothing of the host's is used.
fn covered(patterns: &[&str], address: &str) -> bool {
    let segments: Vec<&str> = address.split('/').collect();
    if segments.iter().any(|segment| ["", ".", ".."].contains(segment)) {
        return false;
    }
    patterns.iter().any(|pattern| {
        // An end of a grant that is over is one of no target: no decision looks at a clock.
        let pattern = pattern.rsplit_once(" until ").map_or(*pattern, |(what, _)| what);
        let wanted: Vec<&str> = pattern.split('/').collect();
        let (wanted, open) = match wanted.split_last() {
            Some((&"**", wanted)) => (wanted, true),
            _ => (wanted.as_slice(), false),
        };
        let long_enough = if open { segments.len() > wanted.len() } else { segments.len() == wanted.len() };
        long_enough && wanted.iter().zip(&segments).all(|(wanted, segment)| *wanted == "*" || wanted == segment)
    })
}

/// A component that does nothing, in a folder of its own.
fn folder() -> &'static TempDir {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["echo", "carts"] {
            fs::write(folder.path().join(name).with_extension("wasm"), quiet()).expect("it is written");
        }
        fs::create_dir(folder.path().join("files")).expect("it is made");
        folder
    })
}

/// A component that does nothing.
fn quiet() -> &'static [u8] {
    static QUIET: OnceLock<Vec<u8>> = OnceLock::new();
    QUIET.get_or_init(|| made::dummy("package a:b; world it { export run: func(); }"))
}

/// An `airssys.toml`: it is refused with an error, or what is written of it is read as the same.
pub fn topology(data: &[u8]) {
    let read = |text: &str| Topology::parse(text, folder().path());
    let topology = match read(&String::from_utf8_lossy(data)) {
        Ok(topology) => topology,
        Err(error) => return told(&error),
    };
    // What only memory has, such as a folder's handle, may have no text.
    let Ok(text) = topology.to_text() else { return };
    let again = read(&text).unwrap_or_else(|error| panic!("{error}: what was written is refused:\n{text}"));
    assert_eq!(again.to_text().expect("it was written before"), text);
}

/// A `Component.toml`: it is refused with an error, or is that of a release whose name and version go into a name.
pub fn manifest(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let file = folder().path().join("Component.toml");
    fs::write(&file, &text).expect("it is written");
    match Manifest::read(&file) {
        Ok(Manifest { name, version, .. }) => {
            let version = version.to_string();
            assert!(!name.is_empty() && !name.contains(['/', '@', '\0']) && !version.contains(['/', '@', '\0']));
        }
        Err(error) => told(&error),
    }
    if let Err(error) = Draft::new(quiet().to_vec(), text) {
        told(&error);
    }
}

/// The bytes of a component, or of a core module: refused with an error, or looked at.
pub fn component(data: &[u8]) {
    if let Ok(adapted) = adapt(data) {
        let _read = wasmparser::validate(&adapted).expect("what is made of a core module is valid");
    }
    let draft = Draft::new(data.to_vec(), "name = \"any\"\nversion = \"1.0.0\"\n".to_owned());
    let file = folder().path().join(format!("any-{:?}.wasm", std::thread::current().id()));
    fs::write(&file, data).expect("it is written");
    let found = Release::find(&file).map(|release| release.inspect());
    match (draft, found) {
        (Err(error), _) => told(&error),
        (Ok(_), Ok(Ok(_))) => {}
        (Ok(_), found) => panic!("a draft was made of what cannot be inspected: {found:?}"),
    }
}

/// The types that values are tried of; each is that of a function `same-N`, which gives back what it gets.
const TYPES: [&str; 12] = [
    "string",
    "list<string>",
    "list<u8>",
    "list<list<tuple<u16, string>>>",
    "option<option<s8>>",
    "result<list<s64>, string>",
    "point",
    "shape",
    "rights",
    "colour",
    "tuple<f64, f32, char, bool>",
    "list<shape>",
];

/// Those with names.
const NAMED: &str = "record point { x: s32, y: option<u64>, name: string }
    variant shape { none, at(point), all(list<point>), text(string) }
    flags rights { read, write, list-all }
    enum colour { red, green, blue }";

/// So many parameters that they and the result lie in memory.
const PAD: usize = 16;

/// A service with them.
fn echo() -> &'static (Tokio, Arc<Runtime>, TempDir) {
    static ECHO: OnceLock<(Tokio, Arc<Runtime>, TempDir)> = OnceLock::new();
    ECHO.get_or_init(|| {
        let pad = vec!["u64"; PAD].join(", ");
        let (mut functions, mut code) = (String::new(), String::new());
        for (at, ty) in TYPES.iter().enumerate() {
            functions += &format!("same-{at}: func(v: {ty}, p: u8, pad: tuple<{pad}>) -> tuple<{ty}, u8>;\n");
            code += &format!(
                "(func (export \"a:b/echo#same-{at}\") (param i32) (result i32) (local.get 0))
                 (export \"cabi_post_a:b/echo#same-{at}\" (func $again))\n"
            );
        }
        let wit = format!("package a:b; interface echo {{ {NAMED} {functions} }} world it {{ export echo; }}");
        let core = format!(
            r#"(module (memory (export "memory") 32) (global $free (mut i32) (i32.const 1024))
                (func (export "cabi_realloc") (param $old i32) (param i32) (param $align i32) (param $size i32)
                    (result i32) (local $at i32)
                    (local.set $at (i32.and
                        (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
                        (i32.sub (i32.const 0) (local.get $align))))
                    (global.set $free (i32.add (local.get $at) (local.get $size)))
                    (local.get $at))
                (func $again (param i32) (global.set $free (i32.const 1024)))
                {code})"#
        );
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("echo.wasm"), made::component(&wit, &core)).expect("it is written");
        let text = "name = \"m\"\n[[service]]\nname = \"echo\"\nrelease = \"echo.wasm\"\n";
        let topology = Topology::parse(text, folder.path()).expect("a topology");
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("tokio");
        let runtime = tokio.block_on(Runtime::builder().start(&topology)).expect("it starts");
        (tokio, Arc::new(runtime), folder)
    })
}

/// The first byte names a type, and the rest is a value of it in JSON, or in WAVE after a bit of that byte.
///
/// What is taken comes back in a text that is taken again and comes back as it is. What is not is refused by its text,
/// before a guest is asked.
pub fn values(data: &[u8]) {
    let Some((first, text)) = data.split_first() else { return };
    let (at, json) = (usize::from(*first) % 16 % TYPES.len(), first & 16 == 0);
    let text = String::from_utf8_lossy(text);
    let Some(back) = sent(at, json, &text) else { return };
    // A pair of what was sent, and the byte.
    let value = if json {
        back.strip_prefix('[').and_then(|back| back.strip_suffix(",7]"))
    } else {
        back.strip_prefix('(').and_then(|back| back.strip_suffix(", 7)"))
    };
    let value = value.unwrap_or_else(|| panic!("{back:?} is no pair with the byte"));
    assert_eq!(sent(at, json, value).as_deref(), Some(back.as_str()), "{}: {text:?}", TYPES[at]);
}

/// What comes back of a value that is written so; none where it is refused.
fn sent(at: usize, json: bool, text: &str) -> Option<String> {
    const PATIENCE: Duration = Duration::from_secs(30);
    let (tokio, runtime, _folder) = echo();
    let pad = vec!["0"; PAD].join(", ");
    let (function, arguments) = (format!("same-{at}"), format!("[{text}, 7, [{pad}]]"));
    let call = format!("{function}({text}, 7, ({pad}))");
    let call =
        if json { Written::Json { function: &function, arguments: &arguments } } else { Written::from(call.as_str()) };
    match tokio.block_on(runtime.invoke("echo", call, PATIENCE)) {
        Ok(back) => Some(back.expect("it has a result")),
        Err(InvokeError::NoCall(no_call)) => {
            assert!(!no_call.to_string().trim().is_empty());
            None
        }
        Err(InvokeError::NoJson { line, column, detail }) => {
            assert!(line > 0 && column > 0 && !detail.is_empty());
            None
        }
        Err(InvokeError::Misfit(misfit)) => {
            assert!(!misfit.to_string().is_empty());
            None
        }
        Err(other) => panic!("{}: {text:?}: {other}", TYPES[at]),
    }
}

/// The data folder of a host that was stopped, and the bytes of its file of states.
fn states() -> &'static (TempDir, PathBuf, Vec<u8>) {
    static STATES: OnceLock<(TempDir, PathBuf, Vec<u8>)> = OnceLock::new();
    STATES.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let file = StateFile::open(folder.path()).expect("a new file");
        for service in ["carts", "ledger", "blobs"] {
            let value = |at: usize| (format!("key-{at}").into(), vec![b'v'; at * 40].into());
            let kept = |commits| KeptState { values: (0..20).map(value).collect(), commits, schema: 1 };
            let actors: BTreeMap<Box<str>, KeptState> =
                (1..=5).map(|at| (format!("actor-{at}").into(), kept(at))).collect();
            file.replace(service, &actors).expect("it is written");
        }
        drop(file);
        let path = StateFile::path(folder.path());
        let bytes = fs::read(&path).expect("it was written");
        (folder, path, bytes)
    })
}

/// Edits of the file of durable states: five bytes each, where (of which the last names a place within that page) and
/// what. What is read of it is what was written, or it is said what is damaged.
pub fn durable(data: &[u8]) {
    let (folder, path, whole) = states();
    let mut bytes = whole.clone();
    let (edits, _) = data.as_chunks::<5>();
    for [high, middle, low, what, how] in edits.iter().take(64) {
        let at = (usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low)) % whole.len();
        match how % 4 {
            0 => bytes[at] ^= what,
            1 => bytes[at] = *what,
            // A sector that was not written.
            2 => bytes[at / 512 * 512..(at / 512 + 1) * 512].fill(*what),
            // One that was written to another's place.
            _ => {
                bytes.copy_within(at / 512 * 512..(at / 512 + 1) * 512, usize::from(*what) * 512 % (whole.len() - 512))
            }
        }
    }
    fs::write(path, &bytes).expect("it is written");
    let wrote = |kept: &KeptState| {
        kept.values.iter().all(|(key, value)| {
            key.strip_prefix("key-").and_then(|at| at.parse::<usize>().ok()).is_some_and(|at| value.len() == at * 40)
                && value.iter().all(|byte| *byte == b'v')
        })
    };
    match StateFile::survey(folder.path()) {
        Ok(survey) if survey.damage.is_empty() => {
            for (service, actors) in &survey.states {
                let well = actors.values().all(|kept| kept.values.len() == 20 && wrote(kept));
                assert!(well, "{service} is not what was written, and nobody says so");
            }
            assert_eq!(survey.states.len(), 3, "a service is gone, and nobody says so");
        }
        Ok(survey) => {
            let named = survey.damage.iter().all(|damage| !damage.says.is_empty());
            assert!(named && survey.states.values().flat_map(BTreeMap::values).all(wrote));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Ok(file) = StateFile::open(folder.path()) {
        for service in file.services().unwrap_or_default() {
            if let Ok(states) = file.read(&service) {
                assert!(states.values().all(wrote), "{service} was read as what was not written");
            }
        }
    }
}
