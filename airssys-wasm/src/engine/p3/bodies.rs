//! Bodies that a guest is given, of its request and of responses to its own requests: streams that it reads, or hands
//! on as the body of what it makes.
//!
//! One that is handed on is not copied through the guest, and an error of it stays one: whoever reads it further learns
//! that it broke off. wasmtime does so as well, but what a guest has not read yet of the piece that it is in is lost
//! there. Here it is kept, and nothing else is different.

use std::any::{Any, TypeId};
use std::future::ready;
use std::pin::Pin;
use std::task::{Context, Poll, ready as when_ready};

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method};
use hyper::body::{Body, Frame};
use tokio::sync::oneshot;
use wasmtime::component::{
    Access, Destination, FutureReader, Linker, Resource, StreamProducer, StreamReader, StreamResult,
};
use wasmtime::{AsContextMut as _, StoreContextMut};
use wasmtime_wasi_http::p3::bindings::http::types::{
    ErrorCode, Fields, HostRequestWithStore, HostResponseWithStore, RequestOptions, Trailers,
};
use wasmtime_wasi_http::p3::{Request, Response};
use wasmtime_wasi_http::{Error, FieldMap, WasiBody, WasiHttp, WasiHttpView as _};

use crate::engine::guest::Guest;

type Store<'a> = StoreContextMut<'a, Guest>;
/// What a request is made of.
type NewRequest =
    (Resource<Fields>, Option<StreamReader<u8>>, FutureReader<TrailersRead>, Option<Resource<RequestOptions>>);
type Done = FutureReader<Result<(), ErrorCode>>;
type TrailersRead = Result<Option<Resource<Trailers>>, ErrorCode>;

/// Links the functions by which a guest takes a body, and makes something with one.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut types = linker.instance("wasi:http/types@0.3.0")?;
    types.func_wrap("[static]request.consume-body", |mut store, (request, done): (Resource<Request>, Done)| {
        let mut request = delete(&mut store, request)?;
        // Of the head nothing is asked any more; the body must not be measured by it once more.
        (request.scheme, request.authority) = (Some(Scheme::HTTP), Some(Authority::from_static("body")));
        request.path_with_query = Some(PathAndQuery::from_static("/"));
        request.headers = FieldMap::new_immutable(store.data_mut().http().hooks, HeaderMap::new());
        let request = request.into_http(&mut store, ready(Ok(())));
        let (request, _) = request.map_err(|error| match error.downcast() {
            Ok(code) => wasmtime::Error::from(code),
            Err(trap) => trap,
        })?;
        read(store, request.into_body(), done)
    })?;
    types.func_wrap("[static]response.consume-body", |mut store, (response, done): (Resource<Response>, Done)| {
        let mut response = delete(&mut store, response)?;
        response.headers = FieldMap::new_immutable(store.data_mut().http().hooks, HeaderMap::new());
        let response = response.into_http(&mut store, ready(Ok(())))?;
        read(store, response.into_body(), done)
    })?;
    types.func_wrap("[static]request.new", |mut store, (headers, body, trailers, options): NewRequest| {
        let body = match taken(&mut store, body) {
            Ok(given) => given,
            Err(body) => {
                return Ok((HostRequestWithStore::new(http(&mut store), headers, body, trailers, options)?,));
            }
        };
        close(&mut store, trailers)?;
        let headers = delete(&mut store, headers)?;
        let options = options.map(|options| delete(&mut store, options)).transpose()?.map(Into::into);
        let headers = FieldMap::new_immutable(store.data_mut().http().hooks, headers.into());
        let (request, ended) = Request::new(Method::GET, None, None, None, headers, options, body);
        let request = store.data_mut().table.push(request)?;
        Ok(((request, told(&mut store, ended)?),))
    })?;
    types.func_wrap(
        "[static]response.new",
        |mut store,
         (headers, body, trailers): (Resource<Fields>, Option<StreamReader<u8>>, FutureReader<TrailersRead>)| {
            let body = match taken(&mut store, body) {
                Ok(given) => given,
                Err(body) => return Ok((HostResponseWithStore::new(http(&mut store), headers, body, trailers)?,)),
            };
            close(&mut store, trailers)?;
            let headers = delete(&mut store, headers)?;
            let mut response = http::Response::new(body);
            *response.headers_mut() = headers.into();
            let view = store.data_mut().http();
            let (response, ended) = Response::from_http(view.hooks, response);
            let response = view.table.push(response)?;
            Ok(((response, told(&mut store, ended)?),))
        },
    )
}

fn http<'a>(store: &'a mut Store<'_>) -> Access<'a, Guest, WasiHttp> {
    Access::new(store.as_context_mut(), |guest| guest.http())
}

fn delete<T: 'static>(store: &mut Store<'_>, of: Resource<T>) -> wasmtime::Result<T> {
    Ok(store.data_mut().table.delete(of)?)
}

/// Those that a guest gives with a body that it hands on are not looked at: that has its own.
fn close(store: &mut Store<'_>, mut trailers: FutureReader<TrailersRead>) -> wasmtime::Result<()> {
    trailers.close(store)
}

/// How something went that was made of a body, for the guest that made it.
fn told(
    store: &mut Store<'_>,
    ended: impl Future<Output = Result<(), Error>> + Send + 'static,
) -> wasmtime::Result<Done> {
    FutureReader::new(store, async move { wasmtime::error::Ok(ended.await.map_err(|error| code(&error))) })
}

/// A body as a guest reads it.
#[allow(clippy::type_complexity, reason = "it is what the function of WASI returns")]
fn read(
    mut store: Store<'_>,
    body: WasiBody,
    mut done: Done,
) -> wasmtime::Result<((StreamReader<u8>, FutureReader<TrailersRead>),)> {
    // Nobody asks whether the guest was content with it.
    done.close(&mut store)?;
    let (end, ended) = oneshot::channel();
    let reading = Reading { rest: Rest { piece: Bytes::new(), body }, end: End(Some(end)) };
    let trailers = FutureReader::new(&mut store, ended)?;
    Ok(((StreamReader::new(&mut store, reading)?, trailers),))
}

/// A body that is handed on; what it was given as where it is none that the host reads.
fn taken(store: &mut Store<'_>, body: Option<StreamReader<u8>>) -> Result<Rest, Option<StreamReader<u8>>> {
    match body.map(|body| body.try_into::<Reading>(store)) {
        Some(Ok(reading)) => Ok(reading.rest),
        Some(Err(body)) => Err(Some(body)),
        None => Err(None),
    }
}

/// What is still to be read of a body.
struct Rest {
    /// What there is already.
    piece: Bytes,
    body: WasiBody,
}

impl Body for Rest {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.piece.is_empty() {
            return Pin::new(&mut self.body).poll_frame(context);
        }
        Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.piece)))))
    }
}

/// Tells how a body ended: without trailers, unless something else is said before it is dropped.
struct End(Option<oneshot::Sender<TrailersRead>>);

impl End {
    fn is(&mut self, how: TrailersRead) {
        if let Some(tell) = self.0.take() {
            let _nobody_waits = tell.send(how);
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.is(Ok(None));
    }
}

/// A body that a guest reads.
struct Reading {
    rest: Rest,
    end: End,
}

impl Reading {
    /// Waits until there is something to read; false at its end.
    fn poll_piece(&mut self, context: &mut Context<'_>, store: &mut Store<'_>) -> Poll<wasmtime::Result<bool>> {
        while self.rest.piece.is_empty() {
            let how = match when_ready!(Pin::new(&mut self.rest.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) => {
                        self.rest.piece = piece;
                        continue;
                    }
                    Err(other) => match other.into_trailers() {
                        Ok(trailers) => {
                            let view = store.data_mut().http();
                            let trailers = FieldMap::new_immutable(view.hooks, trailers);
                            Ok(Some(view.table.push(trailers)?))
                        }
                        Err(_) => continue,
                    },
                },
                Some(Err(error)) => Err(code(&error)),
                None => Ok(None),
            };
            self.end.is(how);
            return Poll::Ready(Ok(false));
        }
        Poll::Ready(Ok(true))
    }
}

impl StreamProducer<Guest> for Reading {
    type Item = u8;
    type Buffer = Bytes;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut store: StoreContextMut<'a, Guest>,
        mut to: Destination<'a, u8, Bytes>,
        is_cancelled: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let this = self.get_mut();
        match this.poll_piece(context, &mut store) {
            Poll::Pending if is_cancelled => return Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => return Poll::Pending,
            Poll::Ready(more) => {
                if !more? {
                    return Poll::Ready(Ok(StreamResult::Dropped));
                }
            }
        }
        let piece = &mut this.rest.piece;
        match to.remaining(&mut store) {
            // The guest reads no more than it has room for, and the rest stays here.
            Some(room) => {
                let part = piece.split_to(room.min(piece.len()));
                let mut to = to.as_direct(store, part.len());
                if let Some(room) = to.remaining().get_mut(..part.len()) {
                    room.copy_from_slice(&part);
                }
                to.mark_written(part.len());
            }
            None => to.set_buffer(std::mem::take(piece)),
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }

    fn try_into(me: Pin<Box<Self>>, ty: TypeId) -> Result<Box<dyn Any>, Pin<Box<Self>>> {
        if ty != TypeId::of::<Self>() {
            return Err(me);
        }
        let reading: Box<Self> = Pin::into_inner(me);
        Ok(reading)
    }
}

/// Why a body broke off, in the words of WASI. Of the errors that there are, these become of a body.
fn code(error: &Error) -> ErrorCode {
    match error {
        Error::ConnectionTerminated => ErrorCode::ConnectionTerminated,
        Error::ConnectionReadTimeout => ErrorCode::ConnectionReadTimeout,
        Error::HttpRequestBodySize(size) => ErrorCode::HttpRequestBodySize(*size),
        Error::HttpResponseBodySize(size) => ErrorCode::HttpResponseBodySize(*size),
        Error::HttpResponseIncomplete => ErrorCode::HttpResponseIncomplete,
        Error::InternalError(text) => ErrorCode::InternalError(text.clone()),
        _ => ErrorCode::HttpProtocolError,
    }
}
