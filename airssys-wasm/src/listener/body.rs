//! Bodies: those of requests are read, those of answers are given away.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::stream::{iter, try_unfold};
use http::{HeaderMap, Method};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::inner::UnderWay;
use crate::http::{self as messages, Broken};

/// The body of an answer.
pub(super) struct Outgoing {
    content: Content,
    /// Its head is all that the client has asked for.
    is_kept: bool,
    /// Ends when hyper has taken all of it, or the client is gone.
    _until: UnderWay,
}

/// What is given away.
enum Content {
    /// All of it; none where it is nothing, or gone.
    Whole(Option<Bytes>),
    /// What a service is still writing.
    Left(messages::Body),
}

impl Outgoing {
    pub(super) fn new(bytes: Bytes, method: &Method, until: UnderWay) -> Self {
        Self::of(Content::Whole(Some(bytes).filter(|bytes| !bytes.is_empty())), method, until)
    }

    pub(super) fn left(body: messages::Body, method: &Method, until: UnderWay) -> Self {
        Self::of(Content::Left(body), method, until)
    }

    fn of(content: Content, method: &Method, until: UnderWay) -> Self {
        Self { content, is_kept: *method == Method::HEAD, _until: until }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            let next = match &mut self.content {
                Content::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
                Content::Left(body) => Pin::new(body).poll_frame(cx),
            };
            // hyper leaves it out of HTTP/1.1, and of HTTP/2 it does not.
            if !(self.is_kept && matches!(next, Poll::Ready(Some(Ok(_))))) {
                return next;
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_none(),
            Content::Left(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Content::Left(body) => body.size_hint(),
        }
    }
}

/// Why a body was not read.
pub(super) enum NotRead {
    /// It has more bytes than it may.
    TooLarge,
    /// The client broke off, or what it sent is no body.
    Broken(hyper::Error),
}

/// What was read of a body.
pub(super) struct Read {
    /// The begin of it, or all.
    pub(super) first: Bytes,
    /// The rest, where there may be more.
    pub(super) rest: Option<Rest>,
}

/// The rest of a body.
pub(super) struct Rest {
    pub(super) body: messages::Body,
    /// Whether it has turned out to be larger than it may be.
    pub(super) is_too_large: Arc<AtomicBool>,
}

/// Reads a body to its end, or until there is more than `buffer` of it, or trailers: these do not lie in a message.
pub(super) async fn begin(mut body: Incoming, buffer: usize, most: u64) -> Result<Read, NotRead> {
    // Told before anything of it has come: a client that waits for leave is spared to send it.
    if body.size_hint().lower() > most {
        return Err(NotRead::TooLarge);
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let bytes = match frame.map_err(NotRead::Broken)?.into_data() {
            Ok(bytes) => bytes,
            Err(other) => match other.into_trailers() {
                Ok(trailers) => {
                    let first = if all.is_empty() { first } else { all.freeze() };
                    return Ok(Read { first, rest: Some(rest_of_trailers(trailers)) });
                }
                Err(_) => continue,
            },
        };
        // A body that came at once, as most do, is not copied.
        if first.is_empty() && all.is_empty() {
            first = bytes;
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&bytes);
        }
        let read = first.len() + all.len();
        if read as u64 > most {
            return Err(NotRead::TooLarge);
        }
        if read > buffer && !body.is_end_stream() {
            let first = if all.is_empty() { first } else { all.freeze() };
            return Ok(Read { first, rest: Some(rest(body, most - read as u64)) });
        }
    }
    Ok(Read { first: if all.is_empty() { first } else { all.freeze() }, rest: None })
}

/// The rest of a body of which all has come.
fn rest_of_trailers(trailers: HeaderMap) -> Rest {
    let frames = iter([Ok(Frame::trailers(trailers))]);
    Rest { body: StreamBody::new(frames).boxed_unsync(), is_too_large: Arc::default() }
}

/// The rest of a body, which breaks where it has more than this.
fn rest(body: Incoming, most: u64) -> Rest {
    let is_too_large = Arc::<AtomicBool>::default();
    let tell = Arc::clone(&is_too_large);
    let frames = try_unfold((body, most), move |(mut body, most)| {
        let tell = Arc::clone(&tell);
        async move {
            let Some(frame) = body.frame().await else { return Ok(None) };
            let frame = frame.map_err(|_| Broken::Cut)?;
            let bytes = frame.data_ref().map_or(0, |bytes| bytes.len() as u64);
            let Some(most) = most.checked_sub(bytes) else {
                tell.store(true, Ordering::Relaxed);
                return Err(Broken::TooLong);
            };
            Ok(Some((frame, (body, most))))
        }
    });
    Rest { body: StreamBody::new(frames).boxed_unsync(), is_too_large }
}
