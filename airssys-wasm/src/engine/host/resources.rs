//! The functions of WASI that open a socket, in front of wasmtime's own: where an instance has as many resources as it
//! may, they answer with an error.
//!
//! The table has a bound of its own, at which wasmtime's functions trap. That would end an instance for a file too
//! many; so those that have an error to answer with look for room before, those of files as well, and leave a little
//! for those that have none, such as `subscribe`. Past that, these trap.

use wasmtime::component::{Linker, Resource, ResourceTable};
use wasmtime_wasi::TrappableError;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode as SocketError, IpAddressFamily, IpSocketAddress};
use wasmtime_wasi::p2::bindings::sockets::tcp::HostTcpSocket as _;
use wasmtime_wasi::p2::bindings::sockets::tcp_create_socket::Host as _;
use wasmtime_wasi::p2::bindings::sockets::udp::{HostUdpSocket as _, IncomingDatagramStream, OutgoingDatagramStream};
use wasmtime_wasi::p2::bindings::sockets::udp_create_socket::Host as _;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, TcpSocket, UdpSocket};
use wasmtime_wasi::sockets::WasiSocketsView as _;

use crate::engine::guest::Guest;

pub(in crate::engine) type Answer<T, E> = wasmtime::Result<(Result<T, E>,)>;

/// Puts these functions in front of those that are linked.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    type Streams = (Resource<DynInputStream>, Resource<DynOutputStream>);
    type Datagrams = (Resource<IncomingDatagramStream>, Resource<OutgoingDatagramStream>);
    linker.instance("wasi:sockets/tcp-create-socket@0.2.12")?.func_wrap(
        "create-tcp-socket",
        |mut store, (family,): (IpAddressFamily,)| {
            let guest: &mut Guest = store.data_mut();
            if !has_room(&mut guest.table, 1) {
                return Ok((Err(SocketError::NewSocketLimit),));
            }
            answer::<Resource<TcpSocket>, _>(guest.sockets().create_tcp_socket(family))
        },
    )?;
    linker.instance("wasi:sockets/udp-create-socket@0.2.12")?.func_wrap_async(
        "create-udp-socket",
        |mut store, (family,): (IpAddressFamily,)| {
            Box::new(async move {
                let guest: &mut Guest = store.data_mut();
                if !has_room(&mut guest.table, 1) {
                    return Ok((Err(SocketError::NewSocketLimit),));
                }
                answer::<Resource<UdpSocket>, _>(guest.sockets().create_udp_socket(family).await)
            })
        },
    )?;
    linker.instance("wasi:sockets/tcp@0.2.12")?.func_wrap(
        "[method]tcp-socket.finish-connect",
        |mut store, (socket,): (Resource<TcpSocket>,)| {
            let guest: &mut Guest = store.data_mut();
            if !has_room(&mut guest.table, 2) {
                return Ok((Err(SocketError::OutOfMemory),));
            }
            answer::<Streams, _>(guest.sockets().finish_connect(socket))
        },
    )?;
    linker.instance("wasi:sockets/udp@0.2.12")?.func_wrap_async(
        "[method]udp-socket.stream",
        |mut store, (socket, remote): (Resource<UdpSocket>, Option<IpSocketAddress>)| {
            Box::new(async move {
                let guest: &mut Guest = store.data_mut();
                if !has_room(&mut guest.table, 2) {
                    return Ok((Err(SocketError::OutOfMemory),));
                }
                answer::<Datagrams, _>(guest.sockets().stream(socket, remote).await)
            })
        },
    )
}

/// What is left where nothing more may be opened: to wait for what is open, and to write to standard output.
const SPARE: usize = 8;

/// A table for an instance that may have so many resources.
pub(crate) fn table(most: usize) -> ResourceTable {
    let mut table = ResourceTable::new();
    table.set_max_capacity(most.saturating_add(SPARE));
    table
}

/// Whether so many more may be opened. The table says how many it may hold, and not how many it does; so it is asked to
/// hold them.
pub(in crate::engine) fn has_room(table: &mut ResourceTable, needed: usize) -> bool {
    let held: Vec<Resource<()>> = (0..needed + SPARE).map_while(|_| table.push(()).ok()).collect();
    let has_room = held.len() == needed + SPARE;
    for placeholder in held {
        let _it_was_just_put_in = table.delete(placeholder);
    }
    has_room
}

/// What a function of WASI answers, or how it traps.
pub(in crate::engine) fn answer<T, E>(result: Result<T, TrappableError<E>>) -> Answer<T, E>
where
    E: std::error::Error + Send + Sync + 'static,
{
    match result {
        Ok(opened) => Ok((Ok(opened),)),
        Err(error) => error.downcast().map(|error| (Err(error),)),
    }
}
