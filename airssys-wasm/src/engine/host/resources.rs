//! The functions of WASI that open a socket, in front of wasmtime's own: where an instance has as many resources as it
//! may, they answer with an error.
//!
//! The table has a bound of its own, at which wasmtime's functions trap. That would end an instance for a file too
//! many; so those that have an error to answer with look for room before, those of files as well, and leave a little
//! for those that have none, such as `subscribe`. Past that, these trap.

use std::sync::atomic::Ordering;

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
            if !guest.has_room(1) {
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
                if !guest.has_room(1) {
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
            if !guest.has_room(2) {
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
                if !guest.has_room(2) {
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

/// Whether so many more may be opened.
pub(in crate::engine) fn has_room(table: &mut ResourceTable, needed: usize) -> bool {
    room(table, needed) == needed
}

/// How many more may be opened, of so many. The table says how many it may hold, and not how many it does; so it is
/// asked to hold them.
fn room(table: &mut ResourceTable, of: usize) -> usize {
    let held: Vec<Resource<()>> = (0..of + SPARE).map_while(|_| table.push(()).ok()).collect();
    let room = held.len().saturating_sub(SPARE);
    for placeholder in held {
        let _it_was_just_put_in = table.delete(placeholder);
    }
    room
}

impl Guest {
    /// Whether so many more may be opened, beside what functions that run now are about to make.
    pub(in crate::engine) fn has_room(&mut self, needed: usize) -> bool {
        let expected = self.expected.load(Ordering::Relaxed);
        has_room(&mut self.table, needed.saturating_add(expected))
    }
}

/// Whether the turns of a guest leave resources behind, so that it will have as many as it may before long.
///
/// What a guest keeps for good is no reason: it is near its limit after each turn, and never nearer. So it is one only
/// where a turn has left less room than there was after the one before, and after that one there was little already.
pub(in crate::engine) struct Wear {
    turns: u32,
    room: usize,
    is_short: bool,
}

/// Room of which a turn can leave half behind, and the next one has enough all the same.
const LITTLE: usize = 32;
/// How many turns it takes at least, of those that leave less than that behind, until there is little. An instance that
/// has had fewer is not looked at: its table would grow by that.
const UNSEEN: u32 = 8;

impl Wear {
    pub(in crate::engine) fn new() -> Self {
        Self { turns: 0, room: usize::MAX, is_short: false }
    }

    /// A turn is over.
    pub(in crate::engine) fn look(&mut self, table: &mut ResourceTable) {
        self.turns = self.turns.saturating_add(1);
        if self.turns < UNSEEN {
            return;
        }
        // Of as many as it may have, an eighth.
        let little = (table.max_capacity().saturating_sub(SPARE) / 8).clamp(2, LITTLE);
        let room = room(table, little);
        self.is_short |= room < self.room && self.room < little;
        self.room = room;
    }

    pub(in crate::engine) fn is_short(&self) -> bool {
        self.is_short
    }

    /// Nothing can be done about it until another turn leaves something behind.
    pub(in crate::engine) fn forget(&mut self) {
        self.is_short = false;
    }
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    /// How many turns there are until it is short, each of which leaves so many behind, of as many as it may have.
    fn turns(most: usize, kept: usize, left_behind: usize) -> Option<usize> {
        let (mut table, mut wear) = (table(most), Wear::new());
        (0..kept).for_each(|_| drop(table.push(()).unwrap()));
        (1..1_000).find(|_| {
            // What the turn needs for itself.
            assert!(has_room(&mut table, 1), "there was no room for a turn");
            (0..left_behind).for_each(|_| drop(table.push(()).unwrap()));
            wear.look(&mut table);
            wear.is_short()
        })
    }

    #[test]
    fn who_leaves_something_behind_is_short_before_there_is_no_room() {
        assert_eq!(turns(256, 0, 1), Some(226));
        assert_eq!(turns(256, 200, 1), Some(26));
        assert_eq!(turns(256, 0, 15), Some(16));
        assert_eq!(turns(100_000, 99_900, 1), Some(70));
        assert_eq!(turns(16, 0, 1), Some(16));
    }

    #[test]
    fn who_keeps_what_it_has_is_never_short() {
        for kept in [0, 100, 225, 240, 255] {
            assert_eq!(turns(256, kept, 0), None, "{kept}");
        }
    }

    #[test]
    fn what_cannot_be_helped_is_told_again_when_it_has_become_worse() {
        let (mut table, mut wear) = (table(256), Wear::new());
        (0..250).for_each(|_| drop(table.push(()).unwrap()));
        for _ in 0..20 {
            wear.look(&mut table);
        }
        drop(table.push(()).unwrap());
        wear.look(&mut table);
        assert!(wear.is_short());
        wear.forget();
        wear.look(&mut table);
        assert!(!wear.is_short());
        drop(table.push(()).unwrap());
        wear.look(&mut table);
        assert!(wear.is_short());
    }
}
