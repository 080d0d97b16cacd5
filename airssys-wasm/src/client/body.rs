//! The body of a response, which is there as it comes.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep};

use super::ClientError;

/// A body of which more has to come in time.
pub(crate) struct ResponseBody {
    body: Incoming,
    between_bytes: Duration,
    /// From when on it is too late: armed where somebody waits.
    late: Option<Pin<Box<Sleep>>>,
}

impl ResponseBody {
    pub(super) fn new(body: Incoming, between_bytes: Duration) -> Self {
        Self { body, between_bytes, late: None }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = ClientError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            this.late = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(ClientError::of_hyper)));
        }
        let between = this.between_bytes;
        let late = this.late.get_or_insert_with(|| Box::pin(sleep(between)));
        late.as_mut().poll(context).map(|()| Some(Err(ClientError::BetweenBytesTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
