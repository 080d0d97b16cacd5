//! Handling of HTTP by `wasi:http/handler`: the function takes a request and gives a response, whose body it may write
//! after that. Or others write it: a guest may hand on a stream that it was given, and have nothing more to do. So a
//! turn is over when no task of the guest runs any more and the body is at its end, and not before; what has become of
//! the body counts as what the guest itself has done.

use std::sync::Arc;

use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime::component::{Func, Resource, TypedFunc};
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode as ErrorCodeOfTheSecond;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{WasiHttpCtxView, p3 as wasi};

use super::task::{settle, settle_after};
use crate::engine::guest::Guest;
use crate::engine::http::request::Incoming;
use crate::engine::http::response::{Collected, words};
use crate::http::{Request, Streams};

/// What a guest answers a request with.
type Responded = Result<Resource<wasi::Response>, ErrorCode>;

/// The function by which a guest handles requests.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Handle(TypedFunc<(Resource<wasi::Request>,), (Responded,)>);

/// Where a response goes when the guest has handed it over.
type HandOver = oneshot::Sender<Result<http::Response<HyperOutgoingBody>, ErrorCodeOfTheSecond>>;

/// What a guest is called with.
pub(in crate::engine) struct Begun {
    request: Resource<wasi::Request>,
    hand_over: HandOver,
    /// Resolves when the body of the response is at its end.
    ended: oneshot::Receiver<Option<String>>,
}

impl Handle {
    /// None where it is another function.
    pub(in crate::engine) fn of(function: Func, store: &Store<Guest>) -> Option<Self> {
        function.typed(store).ok().map(Self)
    }

    /// See [`crate::engine::http::begin`].
    ///
    /// # Errors
    ///
    /// The guest has as many resources as it may.
    pub(in crate::engine) fn begin(
        self,
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
        let mut response = Collected::new(handed_over, has_no_body, most, streams.cloned());
        let ended = response.ends();
        Ok((Begun { request, hand_over, ended }, response))
    }

    /// Calls the guest, and waits until its response is written; the error that it answered with, in words.
    pub(in crate::engine) async fn call(
        self,
        store: &mut Store<Guest>,
        Begun { request, hand_over, ended }: Begun,
    ) -> wasmtime::Result<Option<String>> {
        let (answer,) = self.0.call_async(&mut *store, (request,)).await?;
        let response = match answer {
            Ok(response) => store.data_mut().table.delete(response)?,
            Err(error) => {
                settle(store).await?;
                return Ok(Some(match error {
                    ErrorCode::InternalError(Some(text)) => format!("internal-error: {text}"),
                    error => words(&format!("{error:?}")),
                }));
            }
        };
        let response = response.into_http(&mut *store, std::future::ready(Ok(())))?;
        // Whoever collects it is there as long as this runs.
        let _is_taken = hand_over.send(Ok(response));
        // Where nobody wants the rest of it, such as a client that has gone away, the turn is not worse for it.
        Ok(settle_after(store, ended).await?.unwrap_or_default())
    }
}
