//! The body of a request: what lies in its message, and then the rest, where that is streamed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use wasmtime_wasi_http::Error;

use crate::http::{Broken, Streams};

/// It is read as far as the guest reads it.
pub(in crate::engine) struct Incoming {
    begin: Option<Bytes>,
    rest: Option<Arc<Streams>>,
}

impl Incoming {
    pub(in crate::engine) fn new(begin: Bytes, streams: Option<&Arc<Streams>>) -> Self {
        let begin = Some(begin).filter(|begin| !begin.is_empty());
        Self { begin, rest: streams.filter(|streams| streams.has_rest()).cloned() }
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match (self.begin.take(), &self.rest) {
            (Some(begin), _) => Poll::Ready(Some(Ok(Frame::data(begin)))),
            (None, None) => Poll::Ready(None),
            (None, Some(rest)) => rest.poll_rest(context).map_err(|broken| match broken {
                Broken::Cut => Error::ConnectionTerminated,
                Broken::TooLong => Error::HttpRequestBodySize(None),
            }),
        }
    }
}
