//! `wasi:sockets/ip-name-lookup`, in the place of wasmtime's own: the host resolves the names that are granted, and a
//! guest is told where it may go.

use std::net::IpAddr;
use std::sync::Arc;
use std::vec;

use tokio::task::{JoinError, JoinSet};
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime_wasi::p2::Pollable;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddress, Network};

use crate::engine::guest::Guest;
use crate::turn::names::NoLookup;

type Found = Result<Vec<IpAddr>, NoLookup>;

/// A name that is looked up, and what of its addresses a guest has not read yet. The host stops looking where it is
/// dropped.
pub(in crate::engine) struct Lookup {
    task: JoinSet<Found>,
    found: Option<Result<vec::IntoIter<IpAddr>, ErrorCode>>,
}

impl Lookup {
    fn take(&mut self, found: Option<Result<Found, JoinError>>) {
        let found = match found {
            Some(Ok(found)) => found.map(Vec::into_iter).map_err(code),
            None | Some(Err(_)) => Err(ErrorCode::TemporaryResolverFailure),
        };
        self.found = Some(found);
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Lookup {
    async fn ready(&mut self) {
        if self.found.is_none() {
            let found = self.task.join_next().await;
            self.take(found);
        }
    }
}

fn code(why: NoLookup) -> ErrorCode {
    match why {
        NoLookup::Denied => ErrorCode::AccessDenied,
        NoLookup::Unresolvable => ErrorCode::NameUnresolvable,
    }
}

/// Puts these functions in front of those that are linked; what is waited for is that of `poll.rs`.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut lookup = linker.instance("wasi:sockets/ip-name-lookup@0.2.12")?;
    lookup.resource("resolve-address-stream", ResourceType::host::<Lookup>(), |mut store, rep| {
        let guest: &mut Guest = store.data_mut();
        guest.table.delete::<Lookup>(Resource::new_own(rep))?;
        Ok(())
    })?;
    lookup.func_wrap("resolve-addresses", |mut store, (network, name): (Resource<Network>, String)| {
        let guest: &mut Guest = store.data_mut();
        // The network is the guest's way to show that it may ask at all.
        let _it_is_one = guest.table.get(&network)?;
        if !guest.has_room(1) {
            return Ok((Err(ErrorCode::OutOfMemory),));
        }
        let (identity, trace) = (Arc::clone(&guest.turn.identity), guest.turn.trace);
        match identity.may_look_up(&name) {
            Err(why) => Ok((Err(code(why)),)),
            Ok(asked) => {
                guest.is_unrecorded("the address of a name");
                let mut task = JoinSet::new();
                task.spawn(identity.look_up(asked, trace));
                Ok((Ok(guest.table.push(Lookup { task, found: None })?),))
            }
        }
    })?;
    lookup.func_wrap(
        "[method]resolve-address-stream.resolve-next-address",
        |mut store, (stream,): (Resource<Lookup>,)| {
            let guest: &mut Guest = store.data_mut();
            let lookup = guest.table.get_mut(&stream)?;
            if lookup.found.is_none()
                && let Some(found) = lookup.task.try_join_next()
            {
                lookup.take(Some(found));
            }
            let next: Result<Option<IpAddress>, ErrorCode> = match &mut lookup.found {
                None => Err(ErrorCode::WouldBlock),
                Some(Ok(rest)) => Ok(rest.next().map(IpAddress::from)),
                Some(Err(code)) => Err(*code),
            };
            Ok((next,))
        },
    )
}
