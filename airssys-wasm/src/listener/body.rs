//! Bodies: those of requests are read, those of answers are given away.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// What ends with the answer of a request.
pub(super) type UntilAnswered = Box<dyn Send + Sync>;

/// The body of an answer.
pub(super) struct Outgoing {
    bytes: Option<Bytes>,
    /// Ends when hyper has taken all of it, or the client is gone.
    _until: UntilAnswered,
}

impl Outgoing {
    pub(super) fn new(bytes: Bytes, until: UntilAnswered) -> Self {
        Self { bytes: Some(bytes).filter(|bytes| !bytes.is_empty()), _until: until }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// Why a body was not read.
pub(super) enum NotRead {
    /// It has more bytes than it may.
    TooLarge,
    /// The client broke off, or what it sent is no body.
    Broken(hyper::Error),
}

/// Reads a body to its end; trailers are left out.
pub(super) async fn whole(mut body: Incoming, most: u64) -> Result<Bytes, NotRead> {
    // Told before anything of it has come: a client that waits for leave is spared to send it.
    if body.size_hint().lower() > most {
        return Err(NotRead::TooLarge);
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(bytes) = frame.map_err(NotRead::Broken)?.into_data() else { continue };
        if (first.len() + all.len() + bytes.len()) as u64 > most {
            return Err(NotRead::TooLarge);
        }
        // A body that came at once, as most do, is not copied.
        if first.is_empty() && all.is_empty() {
            first = bytes;
            continue;
        }
        all.extend_from_slice(&std::mem::take(&mut first));
        all.extend_from_slice(&bytes);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}
