//! A component that nobody would write, and one that is damaged, is refused or hosted, and never a panic of the host:
//! at whichever door it comes.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]
#![allow(clippy::print_stdout, reason = "what was tried must be seen")]

use std::fs;
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use airssys_tests::command::Desk;
use airssys_tests::random::Random;
use airssys_tests::{Mesh, guest};
use airssys_wasm::Runtime;
use airssys_wasm::deploy::DeployOptions;
use airssys_wasm::registry::{Draft, Release, Store};
use arbitrary::Unstructured;
use wit_component::{DecodedWasm, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, World, WorldItem};

/// How long a call of a function may take that does anything.
const CALL: Duration = Duration::from_secs(10);
/// A turn ends soon, whatever its guest does.
const LIMITS: &str = "limits = { turn_budget = \"40ms\", turn_deadline = \"200ms\" }\n";

/// The panics of the host, which are told as errors to those who ask: so nothing else would show them.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// From now on a panic in the host's own code is remembered.
fn listen() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let ours = info.location().is_some_and(|at| at.file().contains("airssys-"));
        if ours {
            PANICS.lock().unwrap_or_else(PoisonError::into_inner).push(info.to_string());
        }
        before(info);
    }));
}

fn no_panic(of: &Tried) {
    let told = std::mem::take(&mut *PANICS.lock().unwrap_or_else(PoisonError::into_inner));
    if !told.is_empty() {
        let kept = std::env::temp_dir().join("airssys-smith.wasm");
        fs::write(&kept, &of.bytes).unwrap();
        panic!("{told:?}: {}, kept as {}", of.what, kept.display());
    }
}

/// A component to try.
struct Tried {
    what: String,
    bytes: Vec<u8>,
}

fn bytes(random: &mut Random, most: u64) -> Vec<u8> {
    (0..random.below(most)).map(|_| random.below(256) as u8).collect()
}

/// One that wasm-smith makes: of modules, types and imports, and of components in components.
fn smithed(random: &mut Random) -> Option<Tried> {
    let raw = bytes(random, 4096);
    let component = wasm_smith::Component::new(wasm_smith::Config::default(), &mut Unstructured::new(&raw)).ok()?;
    Some(Tried { what: "by wasm-smith".to_owned(), bytes: component.to_bytes() })
}

/// One whose world wit-smith makes: resources, functions of them, interfaces that use each other's types.
fn of_a_random_world(random: &mut Random) -> Option<Tried> {
    let raw = bytes(random, 4096);
    let config = wit_smith::Config { max_packages: 2, max_type_size: 20, ..wit_smith::Config::default() };
    let document = panic::catch_unwind(|| wit_smith::smith(&config, &mut Unstructured::new(&raw))).ok()?.ok()?;
    let DecodedWasm::WitPackage(resolve, _) = wit_component::decode(&document).ok()? else { return None };
    // One that needs others is refused where nobody has them: mostly one that needs nobody.
    let others = random.below(4) == 0;
    let alone = |world: &World| world.imports.values().all(|item| matches!(item, WorldItem::Type { .. }));
    // Nor is there anything to call where nothing is exported.
    let worlds = resolve.worlds.iter().filter(|(_, world)| others || alone(world) && !world.exports.is_empty());
    let worlds: Vec<_> = worlds.map(|(id, _)| id).collect();
    let world = *worlds.get(random.below(worlds.len() as u64) as usize)?;
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).ok()?;
    let mut encoder = wit_component::ComponentEncoder::default().module(&module).ok()?;
    Some(Tried { what: format!("of the world {:?}", resolve.worlds[world].name), bytes: encoder.encode().ok()? })
}

/// One whose code is wasm-smith's, which answers whatever comes of that.
fn with_random_code(random: &mut Random) -> Option<Tried> {
    let shape = wat::parse_str(
        "(module (memory (export \"memory\") 1)
            (func (export \"run\") (param i32) (result i32) unreachable)
            (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) unreachable))",
    );
    let config = wasm_smith::Config {
        exports: shape.ok(),
        max_imports: 0,
        gc_enabled: false,
        exceptions_enabled: false,
        threads_enabled: false,
        memory64_enabled: false,
        // What the limits allow, or nothing of it would run.
        max_memory32_bytes: 16 << 20,
        max_table_elements: 1000,
        max_memories: 1,
        // Its references are those of garbage collection, which this host does not have.
        reference_types_enabled: random.below(8) == 0,
        ..wasm_smith::Config::default()
    };
    let raw = bytes(random, 2048);
    let mut module = wasm_smith::Module::new(config, &mut Unstructured::new(&raw)).ok()?.to_bytes();
    let wit = "package a:b; world it { export run: func(n: u32) -> list<tuple<string, option<list<string>>>>; }";
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_str("run.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some("it")).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).ok()?;
    let mut encoder = wit_component::ComponentEncoder::default().module(&module).ok()?;
    Some(Tried { what: "with code by wasm-smith".to_owned(), bytes: encoder.encode().ok()? })
}

fn real(name: &str) -> Vec<u8> {
    fs::read(guest(name).parent().unwrap().join(format!("target/airssys/{name}.wasm"))).unwrap()
}

/// One that somebody wrote, and then something happened to it.
fn damaged(random: &mut Random) -> Option<Tried> {
    let name = ["pricing", "pricing", "till", "echo", "relay"][random.below(5) as usize];
    let mut bytes = real(name);
    let place = |random: &mut Random, bytes: &[u8]| random.below(bytes.len() as u64) as usize;
    let mut what = format!("{name},");
    for _ in 0..=random.below(4) {
        let at = place(random, &bytes);
        match random.below(5) {
            0 => bytes.truncate(at.max(8)),
            1 => bytes.splice(at..at, (0..4).map(|_| random.below(256) as u8)).for_each(drop),
            2 => bytes.drain(at..(at + 3).min(bytes.len())).for_each(drop),
            // Many of what is near the begin are sizes and numbers.
            3 => bytes[at % 400.min(at.max(1))] = random.below(256) as u8,
            _ => bytes[at] ^= 1 << random.below(8),
        }
        what = format!("{what} {at}");
    }
    Some(Tried { what, bytes })
}

fn any(random: &mut Random) -> Tried {
    loop {
        let made = match random.below(6) {
            0 => smithed(random),
            1 | 2 => of_a_random_world(random),
            3 => with_random_code(random),
            _ => damaged(random),
        };
        if let Some(made) = made {
            return made;
        }
    }
}

/// How many are looked at, and how many of them are compiled: see `AIRSSYS_ROUNDS`.
fn rounds() -> (usize, usize) {
    let looked = std::env::var("AIRSSYS_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    (looked, looked / 2)
}

const TOML: &str = "name = \"it\"\nversion = \"1.0.0\"\n";

fn written(folder: &Path, of: &Tried) -> PathBuf {
    fs::write(folder.join("it.toml"), TOML).unwrap();
    let file = folder.join("it.wasm");
    fs::write(&file, &of.bytes).unwrap();
    file
}

#[test]
fn it_is_looked_at_and_published_or_refused() {
    listen();
    let mut random = Random::told();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("data")).unwrap();
    let (mut well, mut published) = (0, 0);
    for round in 0..rounds().0 {
        let tried = any(&mut random);
        let file = written(folder.path(), &tried);
        let release = Release::find(&file).unwrap();
        well += usize::from(release.inspect().is_ok_and(|inspected| inspected.check(&release).is_ok()));
        let toml = TOML.replace("1.0.0", &format!("1.0.{round}"));
        if let Ok(draft) = Draft::new(tried.bytes.clone(), toml) {
            let record = store.publish(&draft).unwrap().0;
            assert!(store.resolve(&record.to_string()).unwrap().inspect().is_ok());
            published += 1;
        }
        // As the whole, and as a part.
        fs::write(
            folder.path().join("whole.toml"),
            "name = \"it\"\nversion = \"1.0.0\"\n[fuse]\n\"a:b/c\" = \"it.wasm\"\n",
        )
        .unwrap();
        for whole in [&tried.bytes, &real("till")] {
            fs::write(folder.path().join("whole.wasm"), whole).unwrap();
            let _fused = Release::find(&folder.path().join("whole.wasm"));
        }
        no_panic(&tried);
    }
    println!("{well} could be hosted, {published} were published");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_started_called_and_deployed_or_refused() {
    listen();
    let mut random = Random::told();
    let (mut started, mut answered, mut deployed) = (0, 0, 0);
    for round in 0..rounds().1 {
        // The first one is as it should be, or nothing would tell that the others came so far.
        let whole = || Tried { what: "pricing".to_owned(), bytes: real("pricing") };
        let tried = if round == 0 { whole() } else { any(&mut random) };
        let folder = tempfile::tempdir().unwrap();
        let file = written(folder.path(), &tried);
        let alone = format!("name = \"m\"\n[[service]]\nname = \"it\"\nrelease = {file:?}\n{LIMITS}");
        if let Ok(mesh) = Mesh::try_start(&alone, Runtime::builder()).await {
            started += 1;
            for call in ["run(1)", "run(4294967295)", "run(2", "quote({sku: \"book\", qty: 2, extras: {}})", "f0()"] {
                answered += usize::from(mesh.runtime.invoke("it", call, CALL).await.is_ok());
            }
            let _answer = mesh.runtime.call("it", "hello", CALL).await;
            let _report = mesh.runtime.shutdown().await;
        }
        let other = format!("name = \"m\"\n[[service]]\nname = \"it\"\nrelease = \"@pricing\"\n{LIMITS}");
        let mesh = Mesh::start(&other).await;
        let mut options = DeployOptions::default();
        (options.allow_downgrade, options.same_version) = (true, true);
        if let Ok(deployment) = mesh.runtime.deploy("it", Release::find(&file).unwrap(), options).await {
            deployed += 1;
            let _progress = deployment.switched().await;
        }
        let _report = mesh.runtime.shutdown().await;
        no_panic(&tried);
    }
    println!("{started} started, {answered} calls were answered, {deployed} were deployed");
    assert!(started > 0 && answered > 0 && deployed > 0);
}

#[test]
fn the_command_says_what_is_wrong_with_it() {
    let mut random = Random::told();
    let desk = Desk::with("name = \"m\"\n[[service]]\nname = \"it\"\nrelease = \"it.wasm\"\n");
    for _ in 0..rounds().1 / 10 {
        let tried = any(&mut random);
        written(desk.path(), &tried);
        for command in [vec!["inspect", "it.wasm"], vec!["wit", "it.wasm"], vec!["check"], vec!["publish", "it.wasm"]] {
            let ran = desk.run(&command).no_panic();
            assert!(matches!(ran.exit, Some(0 | 2)), "{}: {command:?}: {ran:?}", tried.what);
        }
    }
}
