//! The response that a guest gives, put together while it runs: a guest that writes a long body waits for somebody who
//! takes it.
//!
//! Where somebody listens, one that is long, or whose guest waits for something with a part of it written, leaves as it
//! comes; see `http/streams.rs`. So does one with trailers, which have no place in a message, when the guest is done.
//! Everything else is held back until the turn is over.
//!
//! A guest of WASI 0.3 may hand over a body that others write, such as that of its request, and be done. Its turn is
//! over when that body is at its end: see [`Collected::ends`].

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRAILER};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame};
use tokio::sync::oneshot;
use tokio::task::unconstrained;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use crate::http::{Broken, HELD_BYTES, Response, Streams};

type Given = Result<http::Response<HyperOutgoingBody>, ErrorCode>;

/// What is told of a body at its end: why it is not whole, or none. Nothing is told where nobody wants the rest of it.
type Ends = oneshot::Sender<Option<String>>;

/// The body of a response that has left. It may be taken back: it ends with its turn then, whoever holds it.
type Shared = Arc<Mutex<Option<HyperOutgoingBody>>>;

const UNFINISHED: &str = "unfinished: its body was not written to its end";

/// What there is of it.
pub(in crate::engine) struct Collected {
    handed_over: oneshot::Receiver<Given>,
    head: Option<Result<Parts, ErrorCode>>,
    /// What is still to come of the body; none before the head, and where it is at its end, or left.
    rest: Option<HyperOutgoingBody>,
    chunks: VecDeque<Bytes>,
    bytes: usize,
    trailers: Option<HeaderMap>,
    most: usize,
    /// It says how long a body is that it does not have.
    has_no_body: bool,
    /// Why it cannot be answered with.
    broken: Option<String>,
    /// Where it may leave before the guest is done.
    streams: Option<Attached>,
    has_left: bool,
    /// Whom its end is told; none where nobody waits for it, and when it was told.
    ends: Option<Ends>,
    /// What has left, where the turn waits for its end.
    left: Option<Left>,
}

impl Collected {
    /// With so many bytes at most, unless it may leave.
    pub(in crate::engine) fn new(
        handed_over: oneshot::Receiver<Given>,
        has_no_body: bool,
        most: usize,
        streams: Option<Arc<Streams>>,
    ) -> Self {
        Self {
            handed_over,
            head: None,
            rest: None,
            chunks: VecDeque::new(),
            bytes: 0,
            trailers: None,
            most,
            has_no_body,
            broken: None,
            streams: streams.map(Attached),
            has_left: false,
            ends: None,
            left: None,
        }
    }

    /// The turn is over when this is: it resolves when the body is at its end, and says why that is not whole. It fails
    /// where nobody takes the rest, as when a client has gone away. When the turn ends before that, so does the body.
    #[cfg(feature = "wasi-0-3")]
    pub(in crate::engine) fn ends(&mut self) -> oneshot::Receiver<Option<String>> {
        let (ends, ended) = oneshot::channel();
        self.ends = Some(ends);
        ended
    }

    /// Runs the guest, and takes what it writes.
    pub(in crate::engine) async fn of<T>(&mut self, mut guest: Pin<&mut impl Future<Output = T>>) -> T {
        let streams = self.streams.as_ref().map(|Attached(streams)| Arc::clone(streams));
        poll_fn(|context| {
            let Some(streams) = &streams else { return self.poll(guest.as_mut(), context) };
            let ran = streams.polling(context, |context| self.poll(guest.as_mut(), context));
            let is_longer_than = if ran.is_pending() { HELD_BYTES } else { self.most };
            let leaves = match ran {
                Poll::Pending => self.rest.is_some() && streams.waits(),
                Poll::Ready(_) => self.trailers.is_some(),
            };
            if leaves || self.bytes > is_longer_than {
                self.leave(streams);
            }
            ran
        })
        .await
    }

    fn poll<T>(&mut self, mut guest: Pin<&mut impl Future<Output = T>>, context: &mut Context<'_>) -> Poll<T> {
        let ran = guest.as_mut().poll(context);
        // Where the guest has returned there is no second chance: all that is there is taken, whatever this task has
        // done already. Before that, what is more than is held back stays with whoever writes it, until it leaves.
        let most = if ran.is_pending() && self.streams.is_some() { HELD_BYTES } else { usize::MAX };
        let waits_for_the_end = self.ends.is_some();
        let mut taken = pin!(unconstrained(poll_fn(|context| {
            self.take(most, context);
            Poll::Ready(())
        })));
        let _it_does_not_wait = taken.as_mut().poll(context);
        // Mostly that is all that it has waited for.
        if ran.is_pending() && waits_for_the_end && self.ends.is_none() { guest.poll(context) } else { ran }
    }

    /// Takes what there is, until it has more than so many bytes.
    fn take(&mut self, most: usize, context: &mut Context<'_>) {
        if self.head.is_none() {
            match self.handed_over.try_recv() {
                Ok(Ok(response)) => {
                    let (head, body) = response.into_parts();
                    (self.head, self.rest) = (Some(Ok(head)), Some(body));
                }
                Ok(Err(error)) => self.head = Some(Err(error)),
                Err(_) => return,
            }
        }
        while let Some(body) = self.rest.as_mut().filter(|_| self.bytes <= most) {
            match Pin::new(body).poll_frame(context) {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(frame))) => {
                    match frame.into_data() {
                        Ok(chunk) => {
                            self.bytes += chunk.len();
                            self.chunks.push_back(chunk);
                        }
                        Err(other) => self.trailers = other.into_trailers().ok(),
                    }
                    if self.bytes > self.most && self.streams.is_none() {
                        // What else the guest writes meets a stream that is closed.
                        let most = self.most;
                        self.end(Some(format!("response-too-long: a message has {most} bytes at most")));
                    }
                }
                // How long a body would be that nobody asks for need not be true.
                Poll::Ready(Some(Err(_))) => self.end((!self.has_no_body).then(|| UNFINISHED.to_owned())),
                Poll::Ready(None) => self.end(None),
            }
        }
    }

    fn end(&mut self, broken: Option<String>) {
        self.rest = None;
        if let Some(ends) = self.ends.take() {
            let _nobody_waits = ends.send(broken.clone());
        }
        self.broken = broken;
    }

    /// Lets it go to whoever waits for it, with what is still to come.
    fn leave(&mut self, streams: &Streams) {
        let Some(Ok(head)) = &self.head else { return };
        if self.has_left || self.broken.is_some() {
            return;
        }
        self.has_left = true;
        let trailers = self.trailers.take();
        let names = trailers.iter().flat_map(HeaderMap::keys).map(HeaderName::as_str).collect::<Vec<_>>().join(", ");
        let rest = self.rest.take().map(|rest| Shared::new(Mutex::new(Some(rest))));
        let ends = self.ends.take();
        self.left = rest.as_ref().filter(|_| ends.is_some()).map(|rest| Left(Arc::downgrade(rest)));
        let body = Leaving { written: std::mem::take(&mut self.chunks), rest, trailers, ends };
        let mut response = http::Response::new(body.boxed_unsync());
        (*response.status_mut(), *response.headers_mut()) = (head.status, head.headers.clone());
        // HTTP/1.1 gives away those that are announced.
        if let Some(names) = HeaderValue::try_from(names).ok().filter(|names| !names.is_empty()) {
            response.headers_mut().insert(TRAILER, names);
        }
        self.bytes = 0;
        streams.leave(response);
    }

    /// The whole response, when the guest has returned; of one that has left the head alone. A body that is still open
    /// ends there: nobody will write to it any more.
    pub(in crate::engine) fn whole(self) -> Response {
        let head = match self.head {
            None => return Err("no-response: it returned, and had set none".to_owned()),
            Some(Err(ErrorCode::InternalError(Some(text)))) => return Err(format!("internal-error: {text}")),
            Some(Err(error)) => return Err(words(&format!("{error:?}"))),
            Some(Ok(head)) => head,
        };
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        let says_more = self.has_left || self.has_no_body || head.status == StatusCode::NOT_MODIFIED;
        if let Some(length) = length(&head.headers).filter(|length| !says_more && *length != self.bytes as u64) {
            return Err(format!("unfinished: it says that its body has {length} bytes, and it has {}", self.bytes));
        }
        let mut chunks = Vec::from(self.chunks);
        let body = match chunks.len() {
            1 => chunks.remove(0),
            _ => chunks.concat().into(),
        };
        Ok(http::Response::from_parts(head, body))
    }
}

/// The streams of a turn. However that ends, what it has read of goes with it: the rest would wake a task that is gone.
struct Attached(Arc<Streams>);

impl Drop for Attached {
    fn drop(&mut self) {
        if self.0.is_used() {
            self.0.close();
        }
    }
}

/// A body that has left, and whose turn is not over before it is at its end. A turn that ends all the same takes it
/// back: what it is read from, such as a connection, is not kept by a client that takes nothing.
struct Left(Weak<Mutex<Option<HyperOutgoingBody>>>);

impl Drop for Left {
    fn drop(&mut self) {
        if let Some(rest) = self.0.upgrade() {
            let _rest = rest.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }
}

/// The body of a response that leaves: what was written of it, and what is still to come.
struct Leaving {
    written: VecDeque<Bytes>,
    /// None where it is at its end.
    rest: Option<Shared>,
    trailers: Option<HeaderMap>,
    ends: Option<Ends>,
}

impl Body for Leaving {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(chunk) = self.written.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        let Some(rest) = &self.rest else {
            return Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
        };
        let next = match &mut *rest.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(rest) => ready!(Pin::new(rest).poll_frame(context)).map(|next| next.map_err(|_| Broken::Cut)),
            None => Some(Err(Broken::Cut)),
        };
        if !matches!(&next, Some(Ok(frame)) if frame.is_data()) {
            // Also behind trailers there is nothing more.
            self.rest = None;
            if let Some(ends) = self.ends.take() {
                let _nobody_waits = ends.send(matches!(next, Some(Err(_))).then(|| UNFINISHED.to_owned()));
            }
        }
        Poll::Ready(next)
    }
}

/// How long the body is, as the head says. wasmtime lets no other value in.
fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The error as it is called in WIT, of what it is called in Rust.
pub(in crate::engine) fn words(name: &str) -> String {
    let name = name.strip_prefix("ErrorCode::").unwrap_or(name);
    let name = name.split('(').next().unwrap_or_default();
    let mut word = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !word.is_empty() {
            word.push('-');
        }
        word.push(letter.to_ascii_lowercase());
    }
    word
}

#[cfg(all(test, feature = "wasi-0-3"))]
mod handed_on;
#[cfg(test)]
mod tests;
