//! Rows `languages/*`: a component in a language that brings its interpreter along, of those that are built.
//!
//! `call`: a function with a record of eight numbers and a text, there and back, of an actor that is warm. Floor: the
//! same component by wasmtime's own bindings, without an actor. `spawn`: a supervised actor, from the wish to start it
//! until its supervisor says that it is ready. Floor: a new instance of it in a store with WASI.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use airssys_wasm::Runtime;
use airssys_wasm::command::plain_engine;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};
use wasmtime_wasi::WasiCtx;

use crate::ask::latency_rows;
use crate::floor::Wasi;
use crate::measure::{Latencies, interleaved, nanos_each, series};
use crate::report::Row;
use crate::typed::bindings::{Shop, ShopPre};
use crate::{Bench, SMOKE, Side, host, spawn, times, typed};

/// Each with the memory that an instance needs, in bytes: what JavaScript leaves is collected when there is more of it
/// than the default holds.
const LANGUAGES: [(&str, u64); 2] = [("python", 32 << 20), ("javascript", 128 << 20)];
const CALLS: usize = times(5_000);
const ACTORS: usize = times(40);

pub(crate) async fn rows(bench: &Bench) -> Vec<Row> {
    // To compile an interpreter takes longer than all other rows together do when each is done once, and the floor's
    // would be found in no cache.
    let bench = &Bench { only: if SMOKE { Some(Side::Ours) } else { bench.only }, ..bench.clone() };
    let mut rows = Vec::new();
    for (language, memory_bytes) in LANGUAGES {
        let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../tests/guests-{language}/target/airssys"));
        let component = guests.join("pricing.wasm");
        if component.is_file() {
            rows.extend(of(bench, language, &component, memory_bytes).await);
        } else {
            eprintln!("no rows for {language}: there is no {}", component.display());
        }
    }
    rows
}

async fn of(bench: &Bench, language: &str, component: &Path, memory_bytes: u64) -> Vec<Row> {
    let limits = format!("limits = {{ memory = \"{memory_bytes}B\" }}");
    let services = (0..ACTORS).map(|at| host::service_at(&host::name(at), component).with(&limits)).collect();
    let cache: PathBuf = bench.guests.join("../code");
    let mesh = host::start_with(bench, services, Runtime::builder().code_cache(cache)).await;
    let same = mesh.function("s0", "same").expect("a function");
    let floor = (bench.only != Some(Side::Ours)).then(|| Arc::new(Floor::new(bench, component, memory_bytes)));
    let floor = || floor.clone().expect("it is measured only where it is there");
    let name = |row: &str| format!("languages/{language}/{row}");

    let rounds = interleaved(bench, || typed::call(Arc::clone(&mesh), same.clone()), || floor().calls()).await;
    let mut rows = latency_rows(&name("call"), 1.2, &rounds);
    let rounds = interleaved(bench, || spawn::start_children(Arc::clone(&mesh), ACTORS), || floor().instances()).await;
    rows.push(Row::new(name("spawn"), "ns", 1.5, series(&rounds, |nanos| *nanos)));
    host::stop(&mesh).await;
    rows
}

/// The component, compiled and linked to WASI.
struct Floor {
    /// Holds the clock that ticks the engine.
    _clock: Box<dyn Send + Sync>,
    engine: Engine,
    pre: ShopPre<Wasi>,
}

impl Floor {
    fn new(bench: &Bench, component: &Path, memory_bytes: u64) -> Self {
        let (clock, engine) = plain_engine(bench.max_instances, Some(memory_bytes)).expect("an engine");
        let component = Component::from_file(&engine, component).expect("a component");
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("linked");
        let pre = ShopPre::new(linker.instantiate_pre(&component).expect("all imports are there")).expect("a shop");
        Self { _clock: Box::new(clock), engine, pre }
    }

    async fn instance(&self) -> (Store<Wasi>, Shop) {
        let wasi = Wasi::new(WasiCtx::builder().build());
        let mut store = Store::new(&self.engine, wasi);
        store.epoch_deadline_async_yield_and_update(1);
        let shop = self.pre.instantiate_async(&mut store).await.expect("an instance");
        (store, shop)
    }

    async fn calls(self: Arc<Self>) -> Latencies {
        let (mut store, shop) = self.instance().await;
        let mut latencies = Latencies::with_capacity(CALLS);
        for _ in 0..CALLS {
            let begun = Instant::now();
            let back = shop.acme_shop_pricing().call_same(&mut store, &typed::line()).await.expect("a line");
            latencies.since(begun);
            assert_eq!(back.b, 2);
        }
        latencies.sorted()
    }

    async fn instances(self: Arc<Self>) -> f64 {
        let mut held = Vec::with_capacity(ACTORS);
        let begun = Instant::now();
        for _ in 0..ACTORS {
            held.push(self.instance().await);
        }
        nanos_each(begun.elapsed(), ACTORS)
    }
}
