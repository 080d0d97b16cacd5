//! Row `serve/large`: from a new component file of 12 MB, of which no code is kept, to serving with it. `serve/cached`:
//! from a published release, of which it is, to serving.
//!
//! Floor of the first: the baseline compiler alone. Of the second, by hand: the file read and digested, the code
//! mapped, an instance made, and one synced write.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use airssys_wasm::command::{Lane, Tier};
use airssys_wasm::deploy::{DeployOptions, Progress};
use airssys_wasm::registry::{Draft, Release, Store};
use airssys_wasm::{Runtime, ServiceStatus};
use wasm_encoder::{CodeSection, Function, FunctionSection, Instruction, Module, TypeSection, ValType};
use wasmtime::component::Component;
use wasmtime::{Config, Engine};

use crate::floor::Floor;
use crate::host;
use crate::measure::{Latencies, interleaved, series};
use crate::report::Row;
use crate::{Bench, times};

const LARGE: usize = times(12 << 20);
/// Deployments of `serve/cached` a round.
const DEPLOYMENTS: usize = 2 * times(25);

pub(crate) async fn rows(bench: &Bench) -> Vec<Row> {
    let large = large(bench).await;
    let mut rows = vec![Row::new("serve/large", "ns", 1.2, series(&large, |took| took.percentile(50)))];
    rows.extend(crate::ask::latency_rows("serve/cached", 1.5, &cached(bench).await));
    rows
}

fn options() -> DeployOptions {
    let mut options = DeployOptions::default();
    options.probation = Duration::ZERO;
    options.allow_downgrade = true;
    options
}

/// Until a release serves.
async fn serve(mesh: &Runtime, release: Release) -> Duration {
    let begun = Instant::now();
    let deployment = mesh.deploy("echo", release, options()).await.expect("it can be deployed");
    let reached = deployment.switched().await;
    let took = begun.elapsed();
    assert!(matches!(reached, Progress::Probation | Progress::Live), "{reached:?}");
    assert_eq!(deployment.ended().await, Progress::Live);
    took
}

async fn large(bench: &Bench) -> Vec<(Latencies, Latencies)> {
    let folder = tempfile::tempdir().expect("a folder");
    let service = host::service(bench, "echo", "echo", Lane::Async);
    let small = std::fs::read(service.release().component).expect("the guest");
    let mesh = host::start(bench, vec![service]).await;
    let number = Arc::<AtomicUsize>::default();
    // Each is another one.
    let next = move || {
        let number = number.fetch_add(1, Ordering::Relaxed);
        let path = folder.path().join(format!("large{number}.wasm"));
        std::fs::write(&path, bulky(&small, number)).expect("written");
        path
    };
    let next = Arc::new(next);
    let (ours, floors) = (Arc::clone(&next), next);
    let serves = Arc::clone(&mesh);
    let rounds = interleaved(
        bench,
        move || {
            let (mesh, path) = (Arc::clone(&serves), ours());
            async move {
                let took = serve(&mesh, Release::find(&path).expect("a release")).await;
                // The other compiler works on it still, and would be measured next.
                while tier(&mesh) == Some(Tier::Baseline) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                one(took)
            }
        },
        move || {
            let path = floors();
            async move { one(tokio::task::spawn_blocking(move || compile(&path)).await.expect("compiled")) }
        },
    );
    let rounds = rounds.await;
    mesh.shutdown().await;
    rounds
}

fn one(took: Duration) -> Latencies {
    let mut latencies = Latencies::with_capacity(1);
    latencies.push(took);
    latencies
}

fn tier(mesh: &Runtime) -> Option<Tier> {
    mesh.services().first().map(|ServiceStatus { tier, .. }| *tier)
}

fn compile(path: &Path) -> Duration {
    let bytes = std::fs::read(path).expect("the file");
    let mut config = Config::new();
    config.strategy(wasmtime::Strategy::Winch).epoch_interruption(true);
    let engine = Engine::new(&config).expect("an engine");
    let begun = Instant::now();
    let _compiled = Component::new(&engine, &bytes).expect("a component");
    begun.elapsed()
}

/// The component with a module in it that nobody instantiates, and everybody compiles.
fn bulky(component: &[u8], number: usize) -> Vec<u8> {
    let (mut types, mut functions, mut code) = (TypeSection::new(), FunctionSection::new(), CodeSection::new());
    types.ty().function([ValType::I32, ValType::I32], [ValType::I32]);
    let mut index = 0_u32;
    while code.byte_len() < LARGE {
        functions.function(0);
        let mut function = Function::new([]);
        for step in 0..100 {
            function.instruction(&Instruction::LocalGet(0));
            function.instruction(&Instruction::I32Const(i32::try_from(number).unwrap_or(0) + step * 7_919));
            function.instruction(&Instruction::I32Mul);
            function.instruction(&Instruction::LocalGet(1));
            function.instruction(&Instruction::I32Xor);
            function.instruction(&Instruction::LocalSet(step.unsigned_abs() % 2));
        }
        if let Some(before) = index.checked_sub(1) {
            function.instruction(&Instruction::LocalGet(0));
            function.instruction(&Instruction::LocalGet(1));
            function.instruction(&Instruction::Call(before));
        } else {
            function.instruction(&Instruction::LocalGet(0));
        }
        function.instruction(&Instruction::End);
        code.function(&function);
        index += 1;
    }
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&code);
    let module = module.finish();
    let mut bytes = component.to_vec();
    // A section of kind 1: a core module.
    bytes.push(1);
    let mut length = module.len();
    while length >= 0x80 {
        bytes.push(u8::try_from(length & 0x7f).unwrap_or(0) | 0x80);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).unwrap_or(0));
    bytes.extend(module);
    bytes
}

async fn cached(bench: &Bench) -> Vec<(Latencies, Latencies)> {
    let data = tempfile::tempdir().expect("a folder");
    let service = host::service(bench, "echo", "echo", Lane::Async);
    let component = service.release().component;
    let binary = std::fs::read(&component).expect("the guest");
    let store = Store::open(data.path()).expect("a store");
    let versions = ["1.0.0", "1.1.0"].map(|version| {
        let manifest = format!("name = \"echo\"\nversion = \"{version}\"\n");
        let _published = store.publish(&Draft::new(binary.clone(), manifest).expect("a draft")).expect("published");
        store.resolve(&format!("echo@{version}")).expect("found")
    });
    let builder = Runtime::builder().data_folder(data.path()).code_cache(data.path().join("code"));
    let mesh = host::start_with(bench, vec![service], builder).await;
    let floor = Arc::new(Floor::new(bench, "echo", Lane::Async));
    let code: Arc<Path> = data.path().join("floor.cwasm").into();
    floor.keep(&component, &code);
    let note: Arc<Path> = data.path().join("note").into();
    let serves = Arc::clone(&mesh);
    let rounds = interleaved(
        bench,
        move || {
            let (mesh, versions) = (Arc::clone(&serves), versions.clone());
            async move {
                let mut latencies = Latencies::with_capacity(DEPLOYMENTS);
                for release in versions.iter().cycle().take(DEPLOYMENTS) {
                    // The binary is the same, and a release that is live already is refused: there and back by
                    // versions.
                    latencies.push(serve(&mesh, release.clone()).await);
                }
                latencies.sorted()
            }
        },
        move || {
            let (floor, code, note) = (Arc::clone(&floor), Arc::clone(&code), Arc::clone(&note));
            let component: PathBuf = component.clone();
            async move {
                let mut latencies = Latencies::with_capacity(DEPLOYMENTS);
                for _ in 0..DEPLOYMENTS {
                    let begun = Instant::now();
                    let instance = floor.kept(&component, &code).await;
                    let mut written = std::fs::File::create(&note).expect("a file");
                    written.write_all(&[b'x'; 400]).and_then(|()| written.sync_all()).expect("written");
                    latencies.since(begun);
                    drop(instance);
                }
                latencies.sorted()
            }
        },
    );
    let rounds = rounds.await;
    mesh.shutdown().await;
    rounds
}
