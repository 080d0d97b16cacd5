//! What a store holds besides the instance: the turn that runs now, and what the guest has of the engine.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::foreign::{Foreign, Owned};
use super::handles::Handles;
use super::host::file_names::FileNames;
use super::host::listings::Listings;
use super::host::outside_names::Outside;
use super::limiter::Limiter;
use super::mappings::InstancePermit;
use super::wasi::Wasi;
use crate::error::Crash;
use crate::quota::Quota;
use crate::turn::{HostCall, Turn};

/// The data of a store.
pub(crate) struct Guest {
    pub(super) turn: Turn,
    pub(super) limiter: Limiter,
    /// Busy ticks that the turn has left.
    pub(super) ticks: u64,
    pub(super) wasi: Wasi,
    pub(super) http: WasiHttpCtx,
    pub(super) table: ResourceTable,
    /// The resources that others have handles of.
    pub(super) handles: Handles,
    /// The handles that it has of the resources of others.
    pub(super) foreign: Foreign,
    /// The listings of folders that are open.
    pub(super) listings: Listings,
    /// How many resources functions that run beside each other have room for, and have not made yet.
    pub(super) expected: Arc<AtomicUsize>,
    /// The bounds of the granted folders that files and folders which are open lie in, where these may be written to.
    pub(super) quotas: HashMap<u32, Quota>,
    /// What they are called.
    pub(super) names: FileNames,
    /// What it has open outside of the mesh, where a recorder is to know it.
    pub(super) outside: Outside,
    /// Taken where another instance comes in its place.
    pub(super) permit: Option<InstancePermit>,
    /// How it ends where it has no instructions left: none for the end of its budget. In a seeded host alone.
    pub(super) planned: Option<Box<Crash>>,
}

impl Guest {
    /// Tells who made a handle that it is dropped.
    pub(super) fn release(&mut self, Owned { handle, to, drop }: Owned) {
        let mut block = vec![0; drop.params.layout.size];
        if handle.append(&mut block, 0).is_some() {
            let to = to.to_string();
            let _nobody_waits = self.turn.perform_now(HostCall::Release { to, function: drop, body: block.into() });
        }
    }
}

impl Drop for Guest {
    /// What it has of others ends with it; what is only shown what another one does has nothing of its own.
    fn drop(&mut self) {
        let held = self.foreign.take_all();
        if !self.turn.identity.terms.silent {
            held.for_each(|owned| self.release(owned));
        }
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: self.wasi.context(), table: &mut self.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.turn, table: &mut self.table, ctx: &mut self.http }
    }
}
