//! The floors: plain wasmtime and plain ractor, by hand. No mailbox, no middleware, no supervision, no limits, no turn.
//!
//! They stand on the host's own engine configuration, so that pool, slots, epochs and the price of a call are the same;
//! and on an engine of their own, so that neither warms the other's slots.

mod bindings;
mod imports;
mod plain;
mod wasi;

use std::path::Path;

use airssys_wasm::command::{Lane, plain_engine};
use sha2::{Digest, Sha256};
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};
use wasmtime::{Engine, Store};

use self::bindings::async_lane::airssys::actor::types::{Delivery, Message};
use self::bindings::{async_lane, sync_lane};
use self::imports::Data;
pub(crate) use self::plain::Plain;
pub(crate) use self::wasi::Wasi;
use crate::Bench;

/// More ticks than any bench has.
const NEVER: u64 = u64::MAX / 2;

/// A component, compiled and linked.
pub(crate) struct Floor {
    /// Holds the clock that ticks the engine.
    _clock: Box<dyn Send + Sync>,
    engine: Engine,
    pre: Pre,
}

enum Pre {
    Async(async_lane::PlainPre<Data>),
    Sync(sync_lane::PlainPre<Data>),
}

/// A store with an instance in it.
pub(crate) struct Owned {
    store: Store<Data>,
    guest: Guest,
}

enum Guest {
    Async(async_lane::Plain),
    Sync(sync_lane::Plain),
}

impl Floor {
    /// On the pool that the host would choose for this guest.
    pub(crate) fn new(bench: &Bench, guest: &str, lane: Lane) -> Self {
        let (clock, engine) = plain_engine(bench.max_instances, None).expect("an engine");
        let component = Component::from_file(&engine, bench.guest(guest)).expect("a component");
        let pre = match lane {
            Lane::Async => Pre::Async(async_lane::PlainPre::new(link(&engine, &component, true)).expect("a handler")),
            Lane::Sync => Pre::Sync(sync_lane::PlainPre::new(link(&engine, &component, false)).expect("a handler")),
        };
        Self { _clock: Box::new(clock), engine, pre }
    }

    /// A new instance in a store of its own.
    pub(crate) async fn instantiate(&self, callee: Option<Plain>) -> Owned {
        let mut store = Store::new(&self.engine, Data { callee });
        let guest = match &self.pre {
            Pre::Async(pre) => {
                store.epoch_deadline_async_yield_and_update(1);
                Guest::Async(pre.instantiate_async(&mut store).await.expect("an instance"))
            }
            Pre::Sync(pre) => {
                store.set_epoch_deadline(NEVER);
                Guest::Sync(pre.instantiate(&mut store).expect("an instance"))
            }
        };
        Owned { store, guest }
    }

    /// Keeps the compiled code of a component.
    pub(crate) fn keep(&self, component: &Path, code: &Path) {
        let compiled = Component::from_file(&self.engine, component).expect("a component");
        std::fs::write(code, compiled.serialize().expect("code")).expect("kept");
    }

    /// A new instance of a component that is read and digested, of whose code that is mapped which was kept.
    pub(crate) async fn kept(&self, component: &Path, code: &Path) -> Owned {
        let digest = Sha256::digest(std::fs::read(component).expect("the component"));
        std::hint::black_box(digest);
        // SAFETY: `keep` has just written it, into a folder of this bench alone.
        #[allow(unsafe_code, reason = "mapping compiled code is what is measured")]
        let component = unsafe { Component::deserialize_file(&self.engine, code) }.expect("its code");
        let pre = async_lane::PlainPre::new(link(&self.engine, &component, true)).expect("a handler");
        let mut store = Store::new(&self.engine, Data { callee: None });
        store.epoch_deadline_async_yield_and_update(1);
        let guest = Guest::Async(pre.instantiate_async(&mut store).await.expect("an instance"));
        Owned { store, guest }
    }

    /// A plain actor over a new instance.
    pub(crate) async fn spawn(&self) -> Plain {
        Plain::start(self.instantiate(None).await, None).await.0
    }
}

fn link(engine: &Engine, component: &Component, calls: bool) -> InstancePre<Data> {
    fn same(data: &mut Data) -> &mut Data {
        data
    }
    let mut linker = Linker::new(engine);
    if calls {
        async_lane::airssys::actor::messaging::add_to_linker::<_, HasSelf<Data>>(&mut linker, same).expect("linked");
    }
    async_lane::airssys::actor::types::add_to_linker::<_, HasSelf<Data>>(&mut linker, same).expect("linked");
    async_lane::airssys::actor::log::add_to_linker::<_, HasSelf<Data>>(&mut linker, same).expect("linked");
    async_lane::wasi::config::store::add_to_linker::<_, HasSelf<Data>>(&mut linker, same).expect("linked");
    linker.instantiate_pre(component).expect("all imports are there")
}

impl Owned {
    /// Hands the guest a message that nobody waits for.
    pub(crate) async fn tell(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        self.handle(Delivery::Send, body).await.expect("no trap")
    }

    /// Hands the guest a message, and returns its answer.
    pub(crate) async fn ask(&mut self, body: &[u8]) -> Vec<u8> {
        self.handle(Delivery::Call(5_000), body).await.expect("no trap").expect("an answer")
    }

    /// Calls the guest's export.
    pub(crate) async fn handle(&mut self, delivery: Delivery<'_>, body: &[u8]) -> wasmtime::Result<Option<Vec<u8>>> {
        let message = Message { id: 1, sender: None, key: None, delivery, attempt: 0, body };
        let handled = match &self.guest {
            Guest::Async(plain) => plain.airssys_actor_handler().call_handle(&mut self.store, message).await?,
            Guest::Sync(plain) => plain.airssys_actor_handler().call_handle(&mut self.store, message)?,
        };
        Ok(handled.expect("no fault"))
    }

    /// Hands the guest a message over which it traps.
    pub(crate) async fn trap(&mut self, body: &[u8]) {
        self.handle(Delivery::Send, body).await.expect_err("a trap");
    }
}
