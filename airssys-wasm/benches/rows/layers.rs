//! Rows `layer/component` and `layers/built-in`: what layers cost a message.
//!
//! `layer/component`: 64 bytes asked, where a layer that is a component is asked before, and is not shown them. Floor:
//! the same without the layer, and then one call of the layer's function with wasmtime's own bindings, by one who has
//! the instance. `layer/component/bodies` is told beside it: there the layer is shown the bytes.
//!
//! `layers/built-in`: 64 bytes told to one actor. Floor: the same in a mesh whose stack is empty.

mod bindings {
    #![allow(missing_docs, unused_qualifications, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated")]
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "airssys:actor/with-layer",
        exports: { default: async },
    });
}

use std::sync::Arc;
use std::time::Instant;

use airssys_wasm::Runtime;
use airssys_wasm::command::{Lane, plain_engine};
use tokio::sync::Mutex;
use wasmtime::Store;
use wasmtime::component::{Component, Linker};

use self::bindings::WithLayer;
use self::bindings::exports::airssys::actor::layer::{Operation, Verdict};
use crate::ask::{ask, latency_rows};
use crate::host::{self, body};
use crate::measure::{Latencies, interleaved, series};
use crate::report::Row;
use crate::tell::tell;
use crate::{Bench, times};

const QUESTIONS: usize = times(20_000);

/// The rows of a layer that is a component.
pub(crate) async fn component(bench: &Bench) -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, at_most, bodies) in [("layer/component", Some(1.5), false), ("layer/component/bodies", None, true)] {
        let layer = format!("[[layer]]\nservice = \"sieve\"\nguards = [\"echo\"]\nbodies = {bodies}\n");
        let services = || vec![host::service(bench, "echo", "echo", Lane::Async)];
        let with = host::service(bench, "sieve", "sieve", Lane::Async).with(&layer);
        let guarded = host::start(bench, vec![with].into_iter().chain(services()).collect()).await;
        let plain = host::start(bench, services()).await;
        let (_clock, engine) = plain_engine(bench.max_instances, None).expect("an engine");
        let component = Component::from_file(&engine, bench.guest("sieve")).expect("a component");
        let mut store = Store::new(component.engine(), ());
        store.epoch_deadline_async_yield_and_update(1);
        let linker = Linker::new(component.engine());
        let sieve = WithLayer::instantiate_async(&mut store, &component, &linker).await.expect("an instance");
        let raw = Arc::new(Mutex::new((store, sieve)));
        let floor = || asked_and_called(Arc::clone(&plain), Arc::clone(&raw), bodies);
        let rounds = interleaved(bench, || ask(Arc::clone(&guarded), "echo"), floor).await;
        rows.extend(latency_rows(name, at_most, &rounds));
        host::stop(&guarded).await;
        host::stop(&plain).await;
    }
    rows
}

/// Asks a service that nobody guards, and calls the function of the layer, many times.
async fn asked_and_called(mesh: Arc<Runtime>, raw: Arc<Mutex<(Store<()>, WithLayer)>>, bodies: bool) -> Latencies {
    let mut raw = raw.lock().await;
    let (store, sieve) = &mut *raw;
    let mut latencies = Latencies::with_capacity(QUESTIONS);
    for _ in 0..QUESTIONS {
        let begun = Instant::now();
        host::ask(&mesh, "echo").await;
        let body = body();
        let what = Operation {
            kind: "call".to_owned(),
            needs: Vec::new(),
            sender: None,
            target: "echo".to_owned(),
            also: None,
            function: None,
            size: body.len() as u64,
            body: bodies.then(|| body.to_vec()),
        };
        let verdict = sieve.airssys_actor_layer().call_before(&mut *store, &what).await.expect("a verdict");
        latencies.since(begun);
        assert!(matches!(verdict, Verdict::Pass));
    }
    latencies.sorted()
}

/// The row of the built-in layers.
pub(crate) async fn built_in(bench: &Bench) -> Vec<Row> {
    let echo = || vec![host::service(bench, "echo", "echo", Lane::Async)];
    let with = host::start(bench, echo()).await;
    let bare = host::start_with(bench, echo(), Runtime::builder().only_layers(&[])).await;
    let rounds = interleaved(bench, || tell(Arc::clone(&with)), || tell(Arc::clone(&bare))).await;
    let mut rows = vec![Row::new("layers/built-in", "ns/message", 1.1, series(&rounds, |nanos| *nanos))];
    let rounds = interleaved(bench, || ask(Arc::clone(&with), "echo"), || ask(Arc::clone(&bare), "echo")).await;
    rows.extend(latency_rows("layers/built-in/ask", None, &rounds));
    host::stop(&with).await;
    host::stop(&bare).await;
    rows
}
