//! `wasi:io/poll`, which passes the door: which of those that a guest waits for are ready is no choice of its own.
//!
//! It stands in front of wasmtime's own, which does the waiting.

use wasmtime::component::Resource;
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi_io::bindings::wasi::io::poll::{self, HostPollable};

use crate::engine::guest::Guest;
use crate::turn::{HostCall, Reply};

impl poll::Host for Guest {
    async fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        let call = HostCall::Poll { of: u32::try_from(pollables.len())? };
        let Self { turn, table, .. } = self;
        let waiting = async { poll::Host::poll(table, pollables).await.map(Reply::Ready) };
        Ok(turn.perform_elsewhere(call, waiting).await?.ready()?)
    }
}

impl HostPollable for Guest {
    async fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        let Self { turn, table, .. } = self;
        let waiting = async { table.block(pollable).await.map(Reply::Nothing) };
        Ok(turn.perform_elsewhere(HostCall::Block, waiting).await?.nothing()?)
    }

    async fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        let Self { turn, table, .. } = self;
        let asking = async { table.ready(pollable).await.map(Reply::Readiness) };
        Ok(turn.perform_elsewhere(HostCall::IsReady, asking).await?.readiness()?)
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        HostPollable::drop(&mut self.table, pollable)
    }
}
