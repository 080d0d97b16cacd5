//! What of a request and its response does not lie in messages: the rest of a long request, and a response that leaves
//! before its turn is over. Whoever listens attaches it to the call of a request:
//!
//! ```text
//! // The request that the message was made of, and what of its body is not in there, if there is more.
//! let (streams, left) = Streams::new(Some((request, &body)), rest);
//! let answer = mesh.call(.., Said { function: Some(function()), body, streams: Some(&streams) }, until);
//! // Whichever is there first: the answer, whose block has the whole response, or `left`, a response that leaves.
//! // The body of one that left is whole when the call is answered with a response: until_answered(body, answered).
//! ```
//!
//! The turn takes the request from here. It reads the message only where that is another one by now, which a layer has
//! changed, and where it is not the first turn. The response comes back by the same way, beside its block.
//!
//! A turn that has read of the rest, or whose response has left, is not tried again. Without streams everything lies in
//! messages, bounded as these are.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use futures_util::{future, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Body as _, Frame};
use tokio::sync::oneshot;
use tokio::task::unconstrained;

use super::block::{NotHttp, read_response};
use super::{Request, Response};

/// A body that comes bit by bit.
pub(crate) type Body = UnsyncBoxBody<Bytes, Broken>;

/// How much of a response is held back until its turn has committed, in bytes.
pub(crate) const HELD_BYTES: usize = 64 << 10;

/// Why a body ends before it is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    /// Whoever sends it is gone.
    #[error("it was cut off")]
    Cut,
    /// It is longer than it may be.
    #[error("it is too long")]
    TooLong,
}

/// Both ways of one request.
pub(crate) struct Streams {
    request: Mutex<Option<Written>>,
    /// A response, and its block, which is kept so that no other one lies where it did.
    response: Mutex<Option<(::http::Response<Bytes>, Bytes)>>,
    /// Whether there is, or was, more of the request than its message has.
    has_rest: bool,
    rest: Mutex<Option<Body>>,
    leaves: Mutex<Option<oneshot::Sender<::http::Response<Body>>>>,
    is_used: AtomicBool,
    /// The task that runs the guest, and whether something woke it since it was polled.
    task: AtomicWaker,
    is_woken: AtomicBool,
}

/// A request, and where its block lies.
struct Written {
    request: Request,
    block: (usize, usize),
}

impl Streams {
    /// With a request and its block, where that was written here; and with what of its body is not in there. Also where
    /// a response comes out that leaves early.
    pub(crate) fn new(
        written: Option<(Request, &Bytes)>,
        rest: Option<Body>,
    ) -> (Arc<Self>, oneshot::Receiver<::http::Response<Body>>) {
        let (leaves, left) = oneshot::channel();
        let written = written.map(|(request, block)| Written { request, block: place(block) });
        let streams = Self {
            request: Mutex::new(written),
            response: Mutex::new(None),
            has_rest: rest.is_some(),
            rest: Mutex::new(rest),
            leaves: Mutex::new(Some(leaves)),
            is_used: AtomicBool::new(false),
            task: AtomicWaker::new(),
            is_woken: AtomicBool::new(false),
        };
        (Arc::new(streams), left)
    }

    /// The request that this block was written of: once, and not where it is another block.
    pub(crate) fn request(&self, block: &Bytes) -> Option<Request> {
        let written = self.request.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        (written.block == place(block)).then_some(written.request)
    }

    /// Hands over a response beside its block.
    pub(crate) fn respond(&self, response: ::http::Response<Bytes>, block: &Bytes) {
        *self.response.lock().unwrap_or_else(PoisonError::into_inner) = Some((response, block.clone()));
    }

    /// The response whose block this is: the one that was handed over, or read of a block that a layer has written.
    ///
    /// # Errors
    ///
    /// [`NotHttp`].
    pub(crate) fn response(&self, block: &Bytes) -> Result<Response, NotHttp> {
        match self.response.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some((response, written)) if place(&written) == place(block) => Ok(Ok(response)),
            _ => read_response(block),
        }
    }

    /// Whether something was read or has left, so that another turn cannot begin from the begin.
    pub(crate) fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
    }

    /// Whether there is more of the request than its message has.
    pub(crate) fn has_rest(&self) -> bool {
        self.has_rest
    }

    /// Reads of the rest. It stays here, so that it ends with the turn, whatever a guest keeps.
    pub(crate) fn poll_rest(&self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.is_used.store(true, Ordering::Relaxed);
        match &mut *self.rest.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(rest) => Pin::new(rest).poll_frame(context),
            None => Poll::Ready(Some(Err(Broken::Cut))),
        }
    }

    /// Lets a response leave before its turn is over.
    pub(crate) fn leave(&self, response: ::http::Response<Body>) {
        self.is_used.store(true, Ordering::Relaxed);
        let leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Where nobody waits any more, its body is dropped, and the guest meets a stream that is closed.
        if let Some(leaves) = leaves {
            let _nobody_waits = leaves.send(response);
        }
    }

    /// The turn is over, and reads no more.
    pub(crate) fn close(&self) {
        let _rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Polls something in the place of a task, so that [`Streams::waits`] is known afterwards.
    pub(crate) fn polling<T>(self: &Arc<Self>, context: &Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> T) -> T {
        self.task.register(context.waker());
        self.is_woken.store(false, Ordering::Relaxed);
        poll(&mut Context::from_waker(&Waker::from(Arc::clone(self))))
    }

    /// Whether what was polled waits for something else: nothing has woken it yet, as a guest is at once that only gave
    /// way to others.
    pub(crate) fn waits(&self) -> bool {
        !self.is_woken.load(Ordering::Relaxed)
    }
}

/// Where bytes lie. A layer that writes others has them elsewhere: those that it was shown are kept meanwhile, for it
/// might want the message to be sent again.
fn place(bytes: &Bytes) -> (usize, usize) {
    (bytes.as_ptr().addr(), bytes.len())
}

impl Wake for Streams {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Relaxed);
        self.task.wake();
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").field("is_used", &self.is_used()).finish_non_exhaustive()
    }
}

/// The body of a response that left early: whole where its call is answered with a response, and broken otherwise. Its
/// end is not told before, nor are its trailers, with which it ends.
pub(crate) fn until_answered(mut body: Body, answered: impl Future<Output = bool> + Send + 'static) -> Body {
    let mut answered = Box::pin(answered);
    let (mut answer, mut is_at_end, mut trailers) = (None, false, None);
    let frames = stream::poll_fn(move |context| {
        if answer.is_none()
            && let Poll::Ready(is_well) = answered.as_mut().poll(context)
        {
            answer = Some(is_well);
        }
        if !is_at_end {
            // All that the guest wrote is there when its call is answered, so it is taken whatever this task has done.
            let mut next = pin!(unconstrained(future::poll_fn(|context| Pin::new(&mut body).poll_frame(context))));
            match next.as_mut().poll(context) {
                Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => (trailers, is_at_end) = (Some(frame), true),
                Poll::Ready(Some(frame)) => return Poll::Ready(Some(frame)),
                Poll::Ready(None) => is_at_end = true,
                // A body that nobody ended ends with the turn.
                Poll::Pending => {}
            }
        }
        match answer {
            None => Poll::Pending,
            Some(true) => Poll::Ready(trailers.take().map(Ok)),
            Some(false) => {
                trailers = None;
                (answer, is_at_end) = (Some(true), true);
                Poll::Ready(Some(Err(Broken::Cut)))
            }
        }
    });
    StreamBody::new(frames).boxed_unsync()
}

#[cfg(test)]
mod tests;
