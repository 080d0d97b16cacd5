//! Row `typed/fused`: a record of eight numbers and a text, to a component that was fused of two, from the one to the
//! other, and back. Floor: the same composed component, called with wasmtime's own bindings, without an actor.

mod bindings {
    #![allow(missing_docs, unused_qualifications, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated")]
    wasmtime::component::bindgen!({
        path: "../tests/guests/pricing/wit",
        world: "acme:shop/till",
        exports: { default: async },
    });
}

use std::sync::Arc;
use std::time::Instant;

use airssys_wasm::command::{Lane, plain_engine};
use airssys_wasm::registry::Release;
use wasmtime::Store;
use wasmtime::component::{Component, Linker};

use self::bindings::Till;
use self::bindings::acme::shop::pricing::Line;
use crate::ask::latency_rows;
use crate::host;
use crate::measure::{Latencies, interleaved};
use crate::report::Row;
use crate::{Bench, times, typed};

const CALLS: usize = times(20_000);

pub(crate) async fn rows(bench: &Bench) -> Vec<Row> {
    let folder = bench.releases.path().join("fused");
    std::fs::create_dir_all(&folder).expect("a folder");
    for guest in ["till", "pricing"] {
        std::fs::copy(bench.guest(guest), folder.join(guest).with_extension("wasm")).expect("copied");
    }
    let manifest = "name = \"till\"\nversion = \"0.1.0\"\n[fuse]\n\"acme:shop/pricing\" = \"pricing.wasm\"\n";
    std::fs::write(folder.join("till.toml"), manifest).expect("written");
    let whole = Release::find(&folder.join("till.wasm")).expect("a release").component;

    let mesh = host::start(bench, vec![host::service(bench, "till", "till", Lane::Async).by(folder.join("till.wasm"))]);
    let mesh = mesh.await;
    let same = mesh.function("till", "same").expect("a function");
    let (_clock, engine) = plain_engine(bench.max_instances, None).expect("an engine");
    let component = Component::from_file(&engine, whole).expect("a component");
    let rounds = interleaved(bench, || typed::call(Arc::clone(&mesh), same.clone()), || raw(component.clone())).await;
    host::stop(&mesh).await;
    latency_rows("typed/fused", 1.1, &rounds)
}

fn line() -> Line {
    Line { a: true, b: 2, c: -3, d: 4, e: -5, f: 0.5, g: 0.25, h: 'x', name: "a line of an order".to_owned() }
}

async fn raw(component: Component) -> Latencies {
    let mut store = Store::new(component.engine(), ());
    store.epoch_deadline_async_yield_and_update(1);
    let linker = Linker::new(component.engine());
    let till = Till::instantiate_async(&mut store, &component, &linker).await.expect("an instance");
    let mut latencies = Latencies::with_capacity(CALLS);
    for _ in 0..CALLS {
        let begun = Instant::now();
        let back = till.call_same(&mut store, &line()).await.expect("a line");
        latencies.since(begun);
        assert_eq!(back.b, 2);
    }
    latencies.sorted()
}
