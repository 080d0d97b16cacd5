//! The functions of WASI that open something, in front of wasmtime's own: where an instance has as many resources as it may, they answer with an error.
//!
//! And what is neither a file nor a folder is not opened: see `is_special`.
//!
//! The table has a bound of its own, at which wasmtime's functions trap. That would end an instance for a file too many; so those that have an error to
//! answer with look for room before, and leave a little for those that have none, such as `subscribe`. Past that, these trap.

use wasmtime::component::{Linker, Resource, ResourceTable};
use wasmtime_wasi::TrappableError;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorType, DirectoryEntryStream, ErrorCode as FileError, HostDescriptor as _, OpenFlags,
    PathFlags,
};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode as SocketError, IpAddressFamily, IpSocketAddress};
use wasmtime_wasi::p2::bindings::sockets::tcp::HostTcpSocket as _;
use wasmtime_wasi::p2::bindings::sockets::tcp_create_socket::Host as _;
use wasmtime_wasi::p2::bindings::sockets::udp::{HostUdpSocket as _, IncomingDatagramStream, OutgoingDatagramStream};
use wasmtime_wasi::p2::bindings::sockets::udp_create_socket::Host as _;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, TcpSocket, UdpSocket};
use wasmtime_wasi::sockets::WasiSocketsView as _;

use crate::engine::guest::Guest;

type Answer<T, E> = wasmtime::Result<(Result<T, E>,)>;

/// Puts these functions in front of those that are linked.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    files(linker)?;
    sockets(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}

fn files(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    const FULL: FileError = FileError::InsufficientMemory;
    let mut files = linker.instance("wasi:filesystem/types@0.2.12")?;
    files.func_wrap_async(
        "[method]descriptor.open-at",
        |mut store,
         (at, flags, path, open, with): (Resource<Descriptor>, PathFlags, String, OpenFlags, DescriptorFlags)| {
            Box::new(async move {
                let guest: &mut Guest = store.data_mut();
                if !has_room(&mut guest.table, 1) {
                    return Ok((Err(FULL),));
                }
                if is_special(guest, &at, flags, &path).await {
                    return Ok((Err(FileError::Unsupported),));
                }
                answer::<Resource<Descriptor>, _>(guest.filesystem().open_at(at, flags, path, open, with).await)
            })
        },
    )?;
    files.func_wrap_async("[method]descriptor.read-directory", |mut store, (folder,): (Resource<Descriptor>,)| {
        Box::new(async move {
            let guest: &mut Guest = store.data_mut();
            if !has_room(&mut guest.table, 1) {
                return Ok((Err(FULL),));
            }
            answer::<Resource<DirectoryEntryStream>, _>(guest.filesystem().read_directory(folder).await)
        })
    })?;
    files.func_wrap("[method]descriptor.read-via-stream", |mut store, (file, offset): (_, u64)| {
        let guest: &mut Guest = store.data_mut();
        if !has_room(&mut guest.table, 1) {
            return Ok((Err(FULL),));
        }
        answer::<Resource<DynInputStream>, _>(guest.filesystem().read_via_stream(file, offset))
    })?;
    files.func_wrap("[method]descriptor.write-via-stream", |mut store, (file, offset): (_, u64)| {
        let guest: &mut Guest = store.data_mut();
        if !has_room(&mut guest.table, 1) {
            return Ok((Err(FULL),));
        }
        answer::<Resource<DynOutputStream>, _>(guest.filesystem().write_via_stream(file, offset))
    })?;
    files.func_wrap("[method]descriptor.append-via-stream", |mut store, (file,): (Resource<Descriptor>,)| {
        let guest: &mut Guest = store.data_mut();
        if !has_room(&mut guest.table, 1) {
            return Ok((Err(FULL),));
        }
        answer::<Resource<DynOutputStream>, _>(guest.filesystem().append_via_stream(file))
    })
}

/// Whether there is a pipe, a device or a socket at a path. To open one may block for good, and a thread of the host with it. What cannot be looked at cannot
/// be opened either, and opening it says why.
async fn is_special(guest: &mut Guest, at: &Resource<Descriptor>, flags: PathFlags, path: &str) -> bool {
    use DescriptorType::{Directory, RegularFile, SymbolicLink};
    let found = guest.filesystem().stat_at(Resource::new_borrow(at.rep()), flags, path.to_owned()).await;
    found.is_ok_and(|found| !matches!(found.type_, Directory | RegularFile | SymbolicLink))
}

fn sockets(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
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

/// Whether so many more may be opened. The table says how many it may hold, and not how many it does; so it is asked to hold them.
fn has_room(table: &mut ResourceTable, needed: usize) -> bool {
    let held: Vec<Resource<()>> = (0..needed + SPARE).map_while(|_| table.push(()).ok()).collect();
    let has_room = held.len() == needed + SPARE;
    for placeholder in held {
        let _it_was_just_put_in = table.delete(placeholder);
    }
    has_room
}

/// What a function of WASI answers, or how it traps.
fn answer<T, E>(result: Result<T, TrappableError<E>>) -> Answer<T, E>
where
    E: std::error::Error + Send + Sync + 'static,
{
    match result {
        Ok(opened) => Ok((Ok(opened),)),
        Err(error) => error.downcast().map(|error| (Err(error),)),
    }
}
