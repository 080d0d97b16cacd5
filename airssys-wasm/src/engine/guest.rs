//! What a store holds besides the instance: the turn that runs now, and what the guest has of the engine.

use std::collections::HashMap;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtxView, WasiView};

use super::handles::Handles;
use super::limiter::Limiter;
use super::mappings::InstancePermit;
use super::wasi::Wasi;
use crate::quota::Quota;
use crate::turn::Turn;

/// The data of a store.
pub(crate) struct Guest {
    pub(super) turn: Turn,
    pub(super) limiter: Limiter,
    /// Busy ticks that the turn has left.
    pub(super) ticks: u64,
    pub(super) wasi: Wasi,
    pub(super) table: ResourceTable,
    /// The resources that others have handles of.
    pub(super) handles: Handles,
    /// The listings of folders that are open, with what each of them has, in bytes.
    pub(super) listings: Vec<(u32, usize)>,
    /// The bounds of the granted folders that files and folders which are open lie in, where these may be written to.
    pub(super) quotas: HashMap<u32, Quota>,
    pub(super) _permit: InstancePermit,
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: self.wasi.context(), table: &mut self.table }
    }
}
