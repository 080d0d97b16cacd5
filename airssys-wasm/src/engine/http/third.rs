//! The same by `wasi:http/handler` of WASI 0.3: the function takes a request and gives a response, whose body it may
//! write after that.

use std::sync::Arc;

use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime::component::types::{ComponentFunc, Type};
use wasmtime::component::{Resource, TypedFunc};
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode as ErrorCodeOfTheSecond;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{WasiHttpCtxView, p3 as wasi};

use super::request::Incoming;
use super::response::{Collected, words};
use crate::engine::guest::Guest;
use crate::engine::p3;
use crate::engine::signature::Resources;
use crate::http::{Request, Streams};

/// The interface of those that handle HTTP, in any version of this generation.
pub(super) const HANDLER: &str = "wasi:http/handler@0.3.0";

/// The function by which a guest handles requests.
pub(in crate::engine) type Handle =
    TypedFunc<(Resource<wasi::Request>,), (Result<Resource<wasi::Response>, ErrorCode>,)>;

/// Where a response goes when the guest has handed it over.
type HandOver = oneshot::Sender<Result<http::Response<HyperOutgoingBody>, ErrorCodeOfTheSecond>>;

/// What a guest is called with.
pub(in crate::engine) struct Begun {
    request: Resource<wasi::Request>,
    hand_over: HandOver,
}

/// See [`super::is_handle`].
pub(super) fn is_handle(function: &ComponentFunc, imported: &Resources) -> bool {
    let is = |ty: Type, resource: &str| match ty {
        Type::Own(own) => imported.get(&own).is_some_and(|(_, name)| name == resource),
        _ => false,
    };
    let mut params = function.params().map(|(_, ty)| ty);
    let takes = params.next().is_some_and(|ty| is(ty, "wasi:http/types@0.3#request")) && params.next().is_none();
    let gives = match function.results().next() {
        Some(Type::Result(result)) => result.ok().is_some_and(|ok| is(ok, "wasi:http/types@0.3#response")),
        _ => false,
    };
    takes && gives
}

/// See [`super::begin`].
///
/// # Errors
///
/// The guest has as many resources as it may.
pub(in crate::engine) fn begin(
    view: WasiHttpCtxView<'_>,
    request: Request,
    streams: Option<&Arc<Streams>>,
    most: usize,
) -> wasmtime::Result<(Begun, Collected)> {
    let has_no_body = request.method() == http::Method::HEAD;
    let request = request.map(|body| Incoming::new(body, streams));
    // Whether it has read the request is nobody's to know.
    let (request, _) = wasi::Request::from_http(view.hooks, request);
    let request = view.table.push(request)?;
    let (hand_over, handed_over) = oneshot::channel();
    Ok((Begun { request, hand_over }, Collected::new(handed_over, has_no_body, most, streams.cloned())))
}

/// Calls the guest, and waits until it has written its response; the error that it answered with, in words.
pub(in crate::engine) async fn call(
    store: &mut Store<Guest>,
    handle: Handle,
    Begun { request, hand_over }: Begun,
) -> wasmtime::Result<Option<String>> {
    let (answer,) = handle.call_async(&mut *store, (request,)).await?;
    let error = match answer {
        Ok(response) => {
            let response = store.data_mut().table.delete(response)?;
            let response = response.into_http(&mut *store, std::future::ready(Ok(())))?;
            // Whoever collects it is there as long as this runs.
            let _is_taken = hand_over.send(Ok(response));
            None
        }
        Err(ErrorCode::InternalError(Some(text))) => Some(format!("internal-error: {text}")),
        Err(error) => Some(words(&format!("{error:?}"))),
    };
    p3::settle(store).await?;
    Ok(error)
}
