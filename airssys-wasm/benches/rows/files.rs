//! Row `file/read`: 4 KiB read of a file of a granted folder, by a program that opens it once and reads it again and
//! again. Floor: the same component by plain wasmtime with its WASI alone, with the same folder.
//!
//! No layer applies to files here, so it shows what the door costs where nobody stands in it, and the threads of the
//! service, which the floor does not have.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use airssys_wasm::Runtime;
use airssys_wasm::command::plain_engine;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use wasmtime_wasi::{FsPerms, WasiCtx};

use crate::floor::Wasi;
use crate::measure::{interleaved, nanos_each, series};
use crate::report::Row;
use crate::{Bench, host, times};

/// Reads of a run, so that its start does not count.
const READS: usize = times(1_000);
const RUNS: usize = times(20);
const BLOCK: usize = 4 << 10;

pub(crate) async fn rows(bench: &Bench) -> Vec<Row> {
    let folder = bench.releases.path().join("files");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("block"), [b'x'; BLOCK]).expect("written");
    let keys = format!("[service.grants.files]\n\"/in\" = {{ host = {folder:?}, access = \"read\" }}");
    let service = host::service_at("filter", &release(bench)).with(&keys);
    let mesh = host::start(bench, vec![service]).await;
    let floor = Arc::new(Floor::new(bench, &folder));
    let rounds = interleaved(bench, || ours(Arc::clone(&mesh)), || Arc::clone(&floor).reads()).await;
    host::stop(&mesh).await;
    vec![Row::new("file/read 4 KiB", "ns/read", 1.2, series(&rounds, |nanos| *nanos))]
}

/// The program, as one that asks for the folder.
fn release(bench: &Bench) -> PathBuf {
    let release = bench.releases.path().join("filter-files.wasm");
    let manifest = "name = \"filter\"\nversion = \"0.1.0\"\n[requests]\nfiles = { \"/in\" = \"read\" }\n";
    fs::write(release.with_extension("toml"), manifest).expect("written");
    fs::copy(bench.guest("filter"), &release).expect("copied");
    release
}

fn order() -> String {
    format!("reread {READS} /in/block\n")
}

fn told() -> String {
    (READS * BLOCK).to_string()
}

async fn ours(mesh: Arc<Runtime>) -> f64 {
    let begun = Instant::now();
    for _ in 0..RUNS {
        let answer = mesh.call("filter", order(), host::PATIENCE).await.expect("an answer");
        assert_eq!(answer.as_deref(), Some(told().as_bytes()));
    }
    nanos_each(begun.elapsed(), RUNS * READS)
}

/// The component, compiled and linked to WASI.
struct Floor {
    /// Holds the clock that ticks the engine.
    _clock: Box<dyn Send + Sync>,
    engine: Engine,
    pre: CommandPre<Wasi>,
    folder: PathBuf,
}

impl Floor {
    fn new(bench: &Bench, folder: &Path) -> Self {
        let (clock, engine) = plain_engine(bench.max_instances, None).expect("an engine");
        let component = Component::from_file(&engine, bench.guest("filter")).expect("a component");
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("linked");
        let pre =
            CommandPre::new(linker.instantiate_pre(&component).expect("all imports are there")).expect("a command");
        Self { _clock: Box::new(clock), engine, pre, folder: folder.to_owned() }
    }

    async fn reads(self: Arc<Self>) -> f64 {
        let begun = Instant::now();
        for _ in 0..RUNS {
            assert_eq!(self.run().await, told().as_bytes());
        }
        nanos_each(begun.elapsed(), RUNS * READS)
    }

    async fn run(&self) -> Vec<u8> {
        let stdout = MemoryOutputPipe::new(BLOCK);
        let mut ctx = WasiCtx::builder();
        ctx.stdin(MemoryInputPipe::new(order())).stdout(stdout.clone());
        ctx.preopened_dir(&self.folder, "/in", FsPerms::ReadOnly).expect("the folder");
        let mut store = Store::new(&self.engine, Wasi::new(ctx.build()));
        store.epoch_deadline_async_yield_and_update(1);
        let command = self.pre.instantiate_async(&mut store).await.expect("an instance");
        command.wasi_cli_run().call_run(&mut store).await.expect("no trap").expect("status 0");
        stdout.contents().into()
    }
}
