//! What crosses where a guest handles HTTP: a request becomes the resources of WASI that `wasi:http/incoming-handler`
//! takes, and what the guest hands over becomes a response again. The types and their functions are those of
//! `wasmtime-wasi-http`.

mod outgoing;
pub(super) mod request;
pub(super) mod response;
mod third;

use std::sync::Arc;

use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime::component::types::{ComponentFunc, Type};
use wasmtime::component::{Func, Resource, TypedFunc};
use wasmtime_wasi_http::WasiHttpCtxView;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p2::types::{HostIncomingRequest, HostResponseOutparam};

use self::request::Incoming;
pub(super) use self::response::Collected;
use super::guest::Guest;
use super::p3;
use super::signature::Resources;
use crate::http::{INCOMING_HANDLER, Request, Streams};
use crate::typed::compatible;

const HANDLE: &str = "func(request: own<wasi:http/types@0.2#incoming-request>, \
    response-out: own<wasi:http/types@0.2#response-outparam>)";

/// What a guest is called with.
pub(super) type Arguments = (Resource<HostIncomingRequest>, Resource<HostResponseOutparam>);

/// The function by which a guest handles requests.
#[derive(Clone, Copy)]
pub(super) enum Handle {
    Second(TypedFunc<Arguments, ()>),
    /// Of WASI 0.3.
    Third(p3::http::Handle),
}

impl Handle {
    /// None where it is another function.
    pub(super) fn of(function: Func, store: &Store<Guest>) -> Option<Self> {
        match function.typed(store) {
            Ok(second) => Some(Self::Second(second)),
            Err(_) => p3::http::Handle::of(function, store).map(Self::Third),
        }
    }
}

/// Whether an export is the interface of those that handle HTTP, in a version that this host calls.
pub(super) fn is_handler(export: &str) -> bool {
    handle_of(export).is_some()
}

/// How this host calls the function of that interface, as `exports.rs` writes a type; none of another interface.
pub(super) fn handle_of(export: &str) -> Option<&'static str> {
    match () {
        () if compatible(export, INCOMING_HANDLER) => Some(HANDLE),
        () if compatible(export, third::HANDLER) => Some(third::HANDLE),
        () => None,
    }
}

/// Whether a function of that interface is the one that this host calls.
pub(super) fn is_handle(name: &str, function: &ComponentFunc, imported: &Resources) -> bool {
    if function.async_() {
        return name == "handle" && third::is_handle(function, imported);
    }
    let takes = |ty: Option<Type>, resource: &str| match ty {
        Some(Type::Own(own)) => imported.get(&own).is_some_and(|(_, name)| name == resource),
        _ => false,
    };
    let mut params = function.params().map(|(_, ty)| ty);
    name == "handle"
        && takes(params.next(), "wasi:http/types@0.2#incoming-request")
        && takes(params.next(), "wasi:http/types@0.2#response-outparam")
        && params.next().is_none()
        && function.results().next().is_none()
}

/// What a guest is called with, and where its response is put together, whose body has so many bytes at most where it
/// has to be in a message.
///
/// # Errors
///
/// The guest has as many resources as it may.
pub(super) fn begin(
    mut view: WasiHttpCtxView<'_>,
    request: Request,
    streams: Option<&Arc<Streams>>,
    most: usize,
) -> wasmtime::Result<(Arguments, Collected)> {
    let scheme = match request.uri().scheme_str() {
        Some("https") => Scheme::Https,
        Some("http") | None => Scheme::Http,
        Some(other) => Scheme::Other(other.to_owned()),
    };
    let has_no_body = request.method() == http::Method::HEAD;
    let request = request.map(|body| Incoming::new(body, streams));
    let incoming = view.new_incoming_request(scheme, request)?;
    let (hand_over, handed_over) = oneshot::channel();
    let out = match view.new_response_outparam(hand_over) {
        Ok(out) => out,
        Err(error) => {
            // The guest never had it.
            view.table.delete(incoming)?;
            return Err(error);
        }
    };
    Ok(((incoming, out), Collected::new(handed_over, has_no_body, most, streams.cloned())))
}
