//! WASI 0.3 is linked beside 0.2: components import both. What the host does to 0.2 beyond wasmtime it does here as
//! well.

use std::sync::Arc;

use wasmtime::AsContextMut as _;
use wasmtime::component::{Access, HasSelf, Linker, Resource};
use wasmtime_wasi::p3::bindings::cli::environment;
use wasmtime_wasi::p3::bindings::clocks::{monotonic_clock, system_clock};
use wasmtime_wasi::p3::bindings::filesystem;
use wasmtime_wasi::p3::bindings::random::{insecure, insecure_seed, random};
use wasmtime_wasi::p3::bindings::sockets::ip_name_lookup::{ErrorCode as LookupError, IpAddress};
use wasmtime_wasi::p3::bindings::sockets::types::{ErrorCode, HostTcpSocket, HostUdpSocket, IpAddressFamily};
use wasmtime_wasi::sockets::{TcpSocket, UdpSocket, WasiSocketsView as _};
use wasmtime_wasi_http::p3::bindings::http::client::HostWithStore as _;
use wasmtime_wasi_http::p3::bindings::http::types::{ErrorCode as HttpError, HostRequestWithStore};
use wasmtime_wasi_http::p3::{Request, Response};
use wasmtime_wasi_http::{WasiHttp, WasiHttpView as _};

use super::bodies;
use super::file_door::FileDoors;
use crate::engine::guest::Guest;
use crate::engine::host::file_door::at_the_door;
use crate::engine::host::resources::answer;
use crate::turn::names::NoLookup;

fn same(guest: &mut Guest) -> &mut Guest {
    guest
}

/// Links WASI 0.3: wasmtime's, with the door for time, chance and environment in front.
pub(in crate::engine) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi::p3::add_to_linker(linker)?;
    wasmtime_wasi_http::p3::add_to_linker(linker)?;
    linker.allow_shadowing(true);
    system_clock::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    monotonic_clock::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    environment::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    random::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    insecure::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    insecure_seed::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    filesystem::preopens::add_to_linker::<_, HasSelf<Guest>>(linker, same)?;
    filesystem::types::add_to_linker::<_, FileDoors>(linker, at_the_door)?;
    sockets(linker)?;
    client(linker)?;
    bodies::add_to_linker(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// The functions that make a socket: where an instance has as many resources as it may, they answer with an error; see
/// [`crate::engine::host::resources`].
fn sockets(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut types = linker.instance("wasi:sockets/types@0.3.0")?;
    types.func_wrap("[static]tcp-socket.create", |mut store, (family,): (IpAddressFamily,)| {
        let guest: &mut Guest = store.data_mut();
        if !guest.has_room(1) {
            return Ok((Err(ErrorCode::OutOfMemory),));
        }
        guest.tell_of_no_sockets("a TCP socket");
        answer::<Resource<TcpSocket>, _>(HostTcpSocket::create(&mut guest.sockets(), family))
    })?;
    types.func_wrap_async("[static]udp-socket.create", |mut store, (family,): (IpAddressFamily,)| {
        Box::new(async move {
            let guest: &mut Guest = store.data_mut();
            if !guest.has_room(1) {
                return Ok((Err(ErrorCode::OutOfMemory),));
            }
            guest.tell_of_no_sockets("a UDP socket");
            answer::<Resource<UdpSocket>, _>(HostUdpSocket::create(&mut guest.sockets(), family).await)
        })
    })?;
    let mut lookup = linker.instance("wasi:sockets/ip-name-lookup@0.3.0")?;
    lookup.func_wrap_concurrent("resolve-addresses", |tasks, (name,): (String,)| {
        Box::pin(async move {
            let (asked, identity, trace) = tasks.with(|mut store| {
                let turn = &store.get().turn;
                (turn.identity.may_look_up(&name), Arc::clone(&turn.identity), turn.trace)
            });
            let found = match asked {
                Ok(asked) => identity.look_up(asked, trace).await,
                Err(why) => Err(why),
            };
            let told = found.map(|all| all.into_iter().map(IpAddress::from).collect::<Vec<_>>());
            Ok((told.map_err(|why| match why {
                NoLookup::Denied => LookupError::AccessDenied,
                NoLookup::Unresolvable => LookupError::NameUnresolvable,
            }),))
        })
    })
}

/// A request is refused where an instance has as many resources as it may: room for the response is looked for before
/// there is one.
fn client(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.instance("wasi:http/client@0.3.0")?.func_wrap_concurrent(
        "send",
        |tasks, (request,): (Resource<Request>,)| {
            Box::pin(async move {
                let expected = tasks.with(|mut store| {
                    let expected = store.get().expect(1);
                    if expected.is_none() {
                        // With its body, which somebody may be writing.
                        let http: Access<'_, Guest, WasiHttp> =
                            Access::new(store.as_context_mut(), |guest| guest.http());
                        HostRequestWithStore::drop(http, Resource::new_own(request.rep()))?;
                    }
                    wasmtime::error::Ok(expected)
                })?;
                let Some(_expected) = expected else { return Ok((Err(HttpError::ConnectionLimitReached),)) };
                let http = tasks.with_getter::<WasiHttp>(|guest| guest.http());
                answer::<Resource<Response>, _>(WasiHttp::send(&http, request).await)
            })
        },
    )
}
