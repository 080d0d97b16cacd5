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
use crate::operation::Operation;

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
            guest.tell_of_no_sockets("a TCP socket");
            let made = guest.sockets().create_tcp_socket(family);
            if made.is_ok() {
                guest.is_unrecorded("a TCP socket");
            }
            answer::<Resource<TcpSocket>, _>(made)
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
                guest.tell_of_no_sockets("a UDP socket");
                let made = guest.sockets().create_udp_socket(family).await;
                if made.is_ok() {
                    guest.is_unrecorded("a UDP socket");
                }
                answer::<Resource<UdpSocket>, _>(made)
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
    type Accepted = (Resource<TcpSocket>, Resource<DynInputStream>, Resource<DynOutputStream>);
    linker.instance("wasi:sockets/tcp@0.2.12")?.func_wrap(
        "[method]tcp-socket.accept",
        |mut store, (socket,): (Resource<TcpSocket>,)| {
            let guest: &mut Guest = store.data_mut();
            if !guest.has_room(3) {
                return Ok((Err(SocketError::NewSocketLimit),));
            }
            answer::<Accepted, _>(guest.sockets().accept(socket))
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

impl Guest {
    /// Tells that a socket is denied where none is granted: none is made then, so nothing is known of an address.
    pub(in crate::engine) fn tell_of_no_sockets(&self, socket: &str) {
        let identity = &self.turn.identity;
        if !identity.terms.policy.has_sockets() {
            identity.denied(Operation::SocketConnect, socket, NO_SOCKETS);
        }
    }
}

/// Why no socket is made.
const NO_SOCKETS: &str = "no sockets are granted";

/// What is left where nothing more may be opened: to wait for what is open, and to write to standard output.
const SPARE: usize = 8;

/// A table for an instance that may have so many resources.
pub(crate) fn table(most: usize) -> ResourceTable {
    let mut table = ResourceTable::new();
    table.set_max_capacity(most.saturating_add(SPARE));
    table
}

/// How many more may be opened.
pub(in crate::engine) fn room(table: &mut ResourceTable) -> usize {
    let most = table.max_capacity().saturating_sub(SPARE);
    most.saturating_sub(table.iter_mut().count())
}

impl Guest {
    /// Whether so many more may be opened, beside what functions that run now are about to make.
    pub(in crate::engine) fn has_room(&mut self, needed: usize) -> bool {
        let expected = self.expected.load(Ordering::Relaxed);
        room(&mut self.table) >= needed.saturating_add(expected)
    }
}

/// Whether the turns of a guest leave resources behind, so that it will have as many as it may before long.
///
/// What a guest keeps for good is no reason: it is near its limit after each turn, and never nearer. So it is one only
/// where a turn has left less room than there was after the one before, and after that one there was little already.
#[derive(Default)]
pub(in crate::engine) struct Wear {
    /// Turns until it is looked again.
    unseen: usize,
    /// What there was when it was looked last.
    room: Option<usize>,
    is_short: bool,
    /// Whether each turn is looked at for another reason.
    is_watched: bool,
}

/// Room of which a turn can leave half behind, and the next one has enough all the same.
const LITTLE: usize = 32;
/// As many as a turn may leave behind while there is more room than that: to look after each would be for nothing.
const MOST_LEFT: usize = 64;

impl Wear {
    /// A turn is over, after which there is `room` for so many more, of `most`.
    pub(in crate::engine) fn look(&mut self, most: usize, room: impl FnOnce() -> usize) {
        if self.unseen > 0 {
            self.unseen -= 1;
            return;
        }
        // Of as many as it may have, an eighth.
        let little = (most / 8).clamp(2, LITTLE);
        let room = room();
        self.is_short |= self.room.is_some_and(|before| room < before && before < little);
        self.room = Some(room);
        self.unseen = (room.saturating_sub(little) / MOST_LEFT).saturating_sub(1);
    }

    pub(in crate::engine) fn is_short(&self) -> bool {
        self.is_short
    }

    /// Has each turn looked at.
    pub(in crate::engine) fn watch(&mut self) {
        self.is_watched = true;
    }

    /// Whether the next turn is to be looked at: one test, of both.
    pub(in crate::engine) fn is_to_be_looked_at(&self) -> bool {
        self.is_short | self.is_watched
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

    const MOST: usize = 256;

    fn push(table: &mut ResourceTable, many: usize) {
        for _ in 0..many {
            let _it_stays = table.push(()).unwrap();
        }
    }

    /// How many turns there are until it is short, each of which leaves so many behind, of as many as it may have.
    fn turns(most: usize, kept: usize, left_behind: usize) -> Option<usize> {
        let (mut table, mut wear) = (table(most), Wear::default());
        push(&mut table, kept);
        (1..1_000).find(|_| {
            // What the turn needs for itself.
            assert!(room(&mut table) >= 1, "there was no room for a turn");
            push(&mut table, left_behind);
            wear.look(most, || room(&mut table));
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
        let (mut table, mut wear) = (table(MOST), Wear::default());
        push(&mut table, 250);
        for _ in 0..20 {
            wear.look(MOST, || room(&mut table));
        }
        push(&mut table, 1);
        wear.look(MOST, || room(&mut table));
        assert!(wear.is_short());
        wear.forget();
        wear.look(MOST, || room(&mut table));
        assert!(!wear.is_short());
        push(&mut table, 1);
        wear.look(MOST, || room(&mut table));
        assert!(wear.is_short());
    }
}
