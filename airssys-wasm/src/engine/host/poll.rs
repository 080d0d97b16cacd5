//! `wasi:io/poll`, which passes the door: which of those that a guest waits for are ready is no choice of its own.
//!
//! It stands in front of wasmtime's own, which does the waiting; and so do the functions that make what is waited for,
//! so that a turn which is compared can name it.
//!
//! What reads and writes a stream is in `stream_tape.rs`. A turn that a shadow is shown never waits there: files and
//! sockets keep a release out of it; what is left is an input that is at its end, and an output that takes all at once.

use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::p2::bindings::sockets::udp::{IncomingDatagramStream, OutgoingDatagramStream};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, Pollable, TcpSocket, UdpSocket, subscribe};
use wasmtime_wasi_http::p2::body::HostFutureTrailers;
use wasmtime_wasi_http::p2::types::HostFutureIncomingResponse;
use wasmtime_wasi_io::bindings::wasi::io::poll::{self, HostPollable};

use super::lookups::Lookup;
use crate::engine::guest::Guest;
use crate::turn::{HostCall, Maker, Reply, Scripted};

impl poll::Host for Guest {
    async fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        let asked = self.turn.ask_elsewhere(|names| {
            let of = pollables.iter().map(|pollable| names.of(pollable.rep())).collect();
            HostCall::Poll { of }
        });
        if let Scripted::Instead(told) = asked {
            return Ok(told.ready()?);
        }
        let ready = poll::Host::poll(&mut self.table, pollables).await?;
        Ok(self.turn.told_elsewhere(asked, Reply::Ready(ready)).ready()?)
    }
}

impl HostPollable for Guest {
    async fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        let asked = self.turn.ask_elsewhere(|names| HostCall::Block { on: names.of(pollable.rep()) });
        if let Scripted::Instead(told) = asked {
            return Ok(told.nothing()?);
        }
        self.table.block(pollable).await?;
        Ok(self.turn.told_elsewhere(asked, Reply::Nothing(())).nothing()?)
    }

    async fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        let asked = self.turn.ask_elsewhere(|names| HostCall::IsReady { is: names.of(pollable.rep()) });
        if let Scripted::Instead(told) = asked {
            return Ok(told.readiness()?);
        }
        let is_ready = self.table.ready(pollable).await?;
        Ok(self.turn.told_elsewhere(asked, Reply::Readiness(is_ready)).readiness()?)
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.turn.forget_pollable(pollable.rep());
        HostPollable::drop(&mut self.table, pollable)
    }
}

/// Puts the functions that make pollables, but for those of clocks, in front of those that are linked.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let (streams, tcp, udp) = ("wasi:io/streams@0.2.12", "wasi:sockets/tcp@0.2.12", "wasi:sockets/udp@0.2.12");
    let (lookup, http) = ("wasi:sockets/ip-name-lookup@0.2.12", "wasi:http/types@0.2.12");
    named::<DynInputStream>(linker, streams, "input-stream", Maker::InputStream)?;
    named::<DynOutputStream>(linker, streams, "output-stream", Maker::OutputStream)?;
    named::<TcpSocket>(linker, tcp, "tcp-socket", Maker::TcpSocket)?;
    named::<UdpSocket>(linker, udp, "udp-socket", Maker::UdpSocket)?;
    named::<IncomingDatagramStream>(linker, udp, "incoming-datagram-stream", Maker::IncomingDatagrams)?;
    named::<OutgoingDatagramStream>(linker, udp, "outgoing-datagram-stream", Maker::OutgoingDatagrams)?;
    named::<Lookup>(linker, lookup, "resolve-address-stream", Maker::AddressLookup)?;
    named::<HostFutureIncomingResponse>(linker, http, "future-incoming-response", Maker::Response)?;
    named::<HostFutureTrailers>(linker, http, "future-trailers", Maker::Trailers)
}

fn named<T: Pollable>(
    linker: &mut Linker<Guest>,
    interface: &str,
    resource: &str,
    maker: Maker,
) -> wasmtime::Result<()> {
    let function = format!("[method]{resource}.subscribe");
    linker.instance(interface)?.func_wrap(&function, move |mut store, (of,): (Resource<T>,)| {
        let guest: &mut Guest = store.data_mut();
        let pollable = subscribe(&mut guest.table, of)?;
        guest.turn.name_pollable(pollable.rep(), maker);
        Ok((pollable,))
    })
}
