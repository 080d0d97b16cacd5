//! Row `command`: 64 bytes to a program on its stdin, until what it wrote to its stdout is the answer. Floor: the same
//! component by plain wasmtime with WASI, an instance a run, with the same stdin and stdout in memory.

use std::sync::Arc;
use std::time::Instant;

use airssys_wasm::command::{Lane, plain_engine};
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};

use crate::ask::latency_rows;
use crate::floor::Wasi;
use crate::measure::{Latencies, interleaved};
use crate::report::Row;
use crate::{Bench, host, times};

const RUNS: usize = times(5_000);
/// The most that the floor keeps of stdout, in bytes: as much as an answer may have by default.
const MOST: usize = 4 << 20;

pub(crate) async fn rows(bench: &Bench) -> Vec<Row> {
    let mesh = host::start(bench, vec![host::service(bench, "filter", "filter", Lane::Async)]).await;
    let floor = Arc::new(Floor::new(bench));
    let ours = || {
        let mesh = Arc::clone(&mesh);
        async move {
            let mut latencies = Latencies::with_capacity(RUNS);
            for _ in 0..RUNS {
                let body = host::body();
                let begun = Instant::now();
                let answer = mesh.call("filter", body, host::PATIENCE).await.expect("an answer");
                latencies.since(begun);
                assert_eq!(answer.map(|answer| answer.len()), Some(64));
            }
            latencies.sorted()
        }
    };
    let rounds = interleaved(bench, ours, || Arc::clone(&floor).runs()).await;
    host::stop(&mesh).await;
    latency_rows("command", 1.1, &rounds)
}

/// The component, compiled and linked to WASI.
struct Floor {
    /// Holds the clock that ticks the engine.
    _clock: Box<dyn Send + Sync>,
    engine: Engine,
    pre: CommandPre<Wasi>,
}

impl Floor {
    fn new(bench: &Bench) -> Self {
        let (clock, engine) = plain_engine(bench.max_instances, None).expect("an engine");
        let component = Component::from_file(&engine, bench.guest("filter")).expect("a component");
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("linked");
        let pre =
            CommandPre::new(linker.instantiate_pre(&component).expect("all imports are there")).expect("a command");
        Self { _clock: Box::new(clock), engine, pre }
    }

    async fn runs(self: Arc<Self>) -> Latencies {
        let mut latencies = Latencies::with_capacity(RUNS);
        for _ in 0..RUNS {
            let body = host::body();
            let begun = Instant::now();
            let stdout = self.run(body).await;
            latencies.since(begun);
            assert_eq!(stdout.len(), 64);
        }
        latencies.sorted()
    }

    async fn run(&self, stdin: Vec<u8>) -> Vec<u8> {
        let stdout = MemoryOutputPipe::new(MOST);
        let ctx = WasiCtx::builder().stdin(MemoryInputPipe::new(stdin)).stdout(stdout.clone()).build();
        let mut store = Store::new(&self.engine, Wasi::new(ctx));
        store.epoch_deadline_async_yield_and_update(1);
        let command = self.pre.instantiate_async(&mut store).await.expect("an instance");
        command.wasi_cli_run().call_run(&mut store).await.expect("no trap").expect("status 0");
        stdout.contents().into()
    }
}
