//! Functions of `wasi:http` in front of wasmtime's own, which are made for instances that serve one request: a request
//! is refused where an instance has as many resources as it may, what is handed over does not stay, and an error of a
//! body has its name.

use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Host as _, IoError};
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostOutgoingRequest};
use wasmtime_wasi_http::{Error, RequestOptions, WasiHttpView as _};

use super::http_tape;
use crate::engine::guest::Guest;

type Arguments = (Resource<HostOutgoingRequest>, Option<Resource<RequestOptions>>);

/// What it takes to read a response: what is to come, the response, its body, the stream of that.
const RESPONSE: usize = 4;

pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.instance("wasi:http/outgoing-handler@0.2.12")?.func_wrap(
        "handle",
        |mut store, (request, options): Arguments| {
            let guest: &mut Guest = store.data_mut();
            let called = http_tape::called(guest, &request);
            let given = options.as_ref().map(|options| Resource::<RequestOptions>::new_own(options.rep()));
            let answered = if guest.has_room(RESPONSE) {
                outgoing_handler::Host::handle(&mut guest.http(), request, options)
            } else {
                guest.table.delete(request)?;
                Err(ErrorCode::ConnectionLimitReached.into())
            };
            // wasmtime's function keeps them, so an instance that lives on would have as many as it makes requests.
            given.map_or(Ok(()), |given| guest.table.delete(given).map(drop))?;
            match answered {
                Ok(coming) => {
                    guest.requested(called, &coming)?;
                    Ok((Ok::<Resource<HostFutureIncomingResponse>, ErrorCode>(coming),))
                }
                Err(error) => error.downcast().map(|error| (Err(error),)),
            }
        },
    )?;
    linker.instance("wasi:http/types@0.2.12")?.func_wrap(
        "http-error-code",
        |mut store, (error,): (Resource<IoError>,)| {
            let guest: &mut Guest = store.data_mut();
            // wasmtime's function looks for an error of another type than its streams have.
            if let Some(error) = guest.table.get(&error)?.downcast_ref::<Error>() {
                return Ok((Some(of_body(error)),));
            }
            guest.http().http_error_code(error).map(|error| (error,))
        },
    )
}

/// Why a body ends before its end, as the client and the listener say it.
fn of_body(error: &Error) -> ErrorCode {
    match error {
        Error::HttpRequestBodySize(size) => ErrorCode::HttpRequestBodySize(*size),
        Error::ConnectionReadTimeout => ErrorCode::ConnectionReadTimeout,
        Error::ConnectionTerminated => ErrorCode::ConnectionTerminated,
        Error::HttpResponseIncomplete => ErrorCode::HttpResponseIncomplete,
        Error::HttpResponseHeaderSectionSize(size) => ErrorCode::HttpResponseHeaderSectionSize(*size),
        Error::HttpProtocolError => ErrorCode::HttpProtocolError,
        other => ErrorCode::InternalError(Some(other.to_string())),
    }
}
