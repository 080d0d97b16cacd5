//! What becomes of a stream that a guest was given and hands on as the body of its response.

#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::sync::oneshot;
use wasmtime_wasi_http::Error;

use super::HyperOutgoingBody;
use super::tests::collected;
use crate::http::{Broken, HELD_BYTES};

/// A body that others write, without end, and how much of it was taken: so many bytes at a time.
fn endless(bytes: usize) -> (Arc<AtomicUsize>, http::Response<HyperOutgoingBody>) {
    let taken = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&taken);
    let chunks = stream::repeat_with(move || {
        counted.fetch_add(bytes, Ordering::Relaxed);
        Ok(Frame::data(vec![b'x'; bytes].into()))
    });
    (taken, http::Response::new(StreamBody::new(chunks).boxed_unsync()))
}

#[tokio::test]
async fn a_stream_that_is_handed_on_is_taken_as_far_as_it_is_read() {
    let (hand_over, mut response, mut left) = collected(1 << 20);
    let mut ended = response.ends();
    let (taken, given) = endless(1 << 12);
    hand_over.send(Ok(given)).unwrap();
    let mut running = Box::pin(response.of(Pin::new(&mut ended)));
    assert!((&mut running).now_or_never().is_none(), "its turn is not over");
    let taken = || taken.load(Ordering::Relaxed);
    assert_eq!(taken(), HELD_BYTES + (1 << 12));
    let mut body = left.try_recv().unwrap().into_body();
    for _ in 0..100 {
        body.frame().await.unwrap().unwrap();
    }
    assert_eq!(taken(), 100 << 12);
    // Whoever goes away ends it, and that is no error.
    drop(body);
    assert!(running.await.is_err());
    assert!(response.whole().is_ok());
}

#[tokio::test]
async fn a_stream_that_is_handed_on_ends_with_its_turn_whoever_holds_it() {
    let (hand_over, mut response, mut left) = collected(1 << 20);
    let mut ended = response.ends();
    let (taken, given) = endless(HELD_BYTES + 1);
    hand_over.send(Ok(given)).unwrap();
    assert!(response.of(Pin::new(&mut ended)).now_or_never().is_none());
    let mut body = left.try_recv().unwrap().into_body();
    drop(response);
    assert_eq!(Arc::strong_count(&taken), 1, "what it is read from is let go");
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().len(), HELD_BYTES + 1);
    assert_eq!(body.frame().await.unwrap().unwrap_err(), Broken::Cut);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn why_a_stream_is_not_whole_is_known_when_it_was_handed_on() {
    for (breaks, has_left) in [(false, false), (true, false), (false, true), (true, true)] {
        let (hand_over, mut response, mut left) = collected(1 << 20);
        let mut ended = response.ends();
        let (goes_on, waits) = oneshot::channel::<()>();
        let last = async move {
            let _it_goes_on = if has_left { waits.await } else { Ok(()) };
            if breaks { Err(Error::ConnectionTerminated) } else { Ok(Frame::data(Bytes::from_static(b"two"))) }
        };
        let first = stream::iter([Ok(Frame::data(Bytes::from_static(b"one")))]);
        let body = StreamBody::new(first.chain(Box::pin(last).into_stream())).boxed_unsync();
        hand_over.send(Ok(http::Response::new(body))).unwrap();
        let mut running = Box::pin(response.of(Pin::new(&mut ended)));
        let told = if has_left {
            assert!((&mut running).now_or_never().is_none());
            goes_on.send(()).unwrap();
            let read = left.try_recv().unwrap().into_body().collect().await;
            assert_eq!(read.is_err(), breaks);
            running.await.unwrap()
        } else {
            running.now_or_never().unwrap().unwrap()
        };
        assert_eq!(told.is_some(), breaks, "{told:?}");
        // What was not whole before it could leave is no response.
        assert_eq!(response.whole().is_err(), breaks && !has_left);
    }
}
