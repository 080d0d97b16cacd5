//! Rows `typed/*`: functions that are called by their own types, one call at a time.
//!
//! `typed/call`: from the host, a record of eight numbers and a text, there and back. Floor: a plain ractor actor that
//! owns the same component with wasmtime's own bindings, by rpc. `typed/wire`: the same record from one component to
//! another and back. Floor: the host's rpc through two such actors. `typed/bytes`: 64 KiB from one component to another
//! and back. Floor: two calls of wasmtime's own bindings with that, without actors.

pub(crate) mod bindings {
    #![allow(missing_docs, unused_qualifications, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated")]
    wasmtime::component::bindgen!({
        path: "../tests/guests/pricing/wit",
        world: "acme:shop/shop",
        exports: { default: async },
        additional_derives: [serde::Serialize, serde::Deserialize],
    });
}

airssys_wasm::flags!(bindings::exports::acme::shop::pricing::Extras { GIFT, EXPRESS, INSURED });

use std::sync::Arc;
use std::time::Instant;

use airssys_wasm::command::{Lane, plain_engine};
use airssys_wasm::{Function, Runtime};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use wasmtime::Store;
use wasmtime::component::{Component, Linker};

use self::bindings::Shop;
use self::bindings::exports::acme::shop::pricing::Line;
use crate::ask::latency_rows;
use crate::host::{self, PATIENCE};
use crate::measure::{Latencies, interleaved};
use crate::report::Row;
use crate::{Bench, times};

const CALLS: usize = times(20_000);
const LONG_CALLS: usize = times(1_000);
const LONG: u32 = 64 << 10;

pub(crate) async fn rows(bench: &Bench) -> Vec<Row> {
    let till =
        host::service(bench, "till", "till", Lane::Async).with("wires = { \"acme:shop/pricing\" = \"pricing\" }");
    let mesh = host::start(bench, vec![host::service(bench, "pricing", "pricing", Lane::Async), till]).await;
    let same = mesh.function("pricing", "same").expect("a function");
    let passed = mesh.function("till", "same").expect("a function");
    let carried = mesh.function("till", "carry").expect("a function");
    let (_clock, engine) = plain_engine(bench.max_instances, None).expect("an engine");
    let component = Component::from_file(&engine, bench.guest("pricing")).expect("a component");
    let second = Plain::start(&component, None).await;
    let first = Plain::start(&component, Some(second.clone())).await;

    let ours = |function: &Function<(Line,), Line>| call(Arc::clone(&mesh), function.clone());
    let rounds = interleaved(bench, || ours(&same), || rpc(second.clone())).await;
    let mut rows = latency_rows("typed/call", 1.3, &rounds);
    let rounds = interleaved(bench, || ours(&passed), || rpc(first.clone())).await;
    rows.extend(latency_rows("typed/wire", 1.0, &rounds));
    let rounds = interleaved(bench, || carry(Arc::clone(&mesh), carried.clone()), || raw(component.clone())).await;
    rows.extend(latency_rows("typed/bytes", 2.0, &rounds));
    for plain in [first, second] {
        plain.stop_and_wait(None, None).await.expect("stopped");
    }
    host::stop(&mesh).await;
    rows
}

pub(crate) fn line() -> Line {
    Line { a: true, b: 2, c: -3, d: 4, e: -5, f: 0.5, g: 0.25, h: 'x', name: "a line of an order".to_owned() }
}

pub(crate) async fn call(mesh: Arc<Runtime>, function: Function<(Line,), Line>) -> Latencies {
    let mut latencies = Latencies::with_capacity(CALLS);
    for _ in 0..CALLS {
        let begun = Instant::now();
        let result = mesh.call_typed(&function, None, &(line(),), PATIENCE).await.expect("a result");
        latencies.since(begun);
        assert_eq!(result.b, 2);
    }
    latencies.sorted()
}

async fn carry(mesh: Arc<Runtime>, function: Function<(u32,), u32>) -> Latencies {
    let mut latencies = Latencies::with_capacity(LONG_CALLS);
    for _ in 0..LONG_CALLS {
        let begun = Instant::now();
        let result = mesh.call_typed(&function, None, &(LONG,), PATIENCE).await.expect("a result");
        latencies.since(begun);
        assert_eq!(result, LONG);
    }
    latencies.sorted()
}

async fn rpc(plain: ActorRef<Msg>) -> Latencies {
    let mut latencies = Latencies::with_capacity(CALLS);
    for _ in 0..CALLS {
        let begun = Instant::now();
        let back = ractor::call!(plain, Msg, line()).expect("answered");
        latencies.since(begun);
        assert_eq!(back.b, 2);
    }
    latencies.sorted()
}

async fn raw(component: Component) -> Latencies {
    let (mut store, shop) = instance(&component).await;
    let mut latencies = Latencies::with_capacity(LONG_CALLS);
    for _ in 0..LONG_CALLS {
        let begun = Instant::now();
        for _ in 0..2 {
            let bytes = vec![7; LONG as usize];
            let back = shop.acme_shop_pricing().call_carry(&mut store, &bytes).await.expect("carried");
            assert_eq!(back.len(), bytes.len());
        }
        latencies.since(begun);
    }
    latencies.sorted()
}

async fn instance(component: &Component) -> (Store<()>, Shop) {
    let mut store = Store::new(component.engine(), ());
    store.epoch_deadline_async_yield_and_update(1);
    let linker = Linker::new(component.engine());
    let shop = Shop::instantiate_async(&mut store, component, &linker).await.expect("an instance");
    (store, shop)
}

/// A line to pass on, and who waits for it.
struct Msg(Line, RpcReplyPort<Line>);

/// A plain actor over the component, who may ask another one after its own call.
struct Plain;

struct State {
    store: Store<()>,
    shop: Shop,
    next: Option<ActorRef<Msg>>,
}

impl Plain {
    async fn start(component: &Component, next: Option<ActorRef<Msg>>) -> ActorRef<Msg> {
        let (store, shop) = instance(component).await;
        Actor::spawn(None, Self, State { store, shop, next }).await.expect("a plain actor").0
    }
}

impl Actor for Plain {
    type Msg = Msg;
    type State = State;
    type Arguments = State;

    async fn pre_start(&self, _: ActorRef<Msg>, state: State) -> Result<State, ActorProcessingErr> {
        Ok(state)
    }

    async fn handle(&self, _: ActorRef<Msg>, message: Msg, state: &mut State) -> Result<(), ActorProcessingErr> {
        let Msg(line, reply) = message;
        let mut back = state.shop.acme_shop_pricing().call_same(&mut state.store, &line).await?;
        if let Some(next) = &state.next {
            back = ractor::call!(next, Msg, back)?;
        }
        reply.send(back)?;
        Ok(())
    }
}
