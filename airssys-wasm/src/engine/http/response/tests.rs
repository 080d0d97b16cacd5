//! What becomes of a response while its guest writes it.

#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body_util::{BodyExt, Empty};
use tokio::sync::oneshot;
use wasmtime_wasi::p2::OutputStream;
use wasmtime_wasi_http::p2::body::{HostOutgoingBody, StreamContext};

use super::{Collected, Given};
use crate::http::{Broken, Response, Streams};

pub(super) type Left = oneshot::Receiver<http::Response<crate::http::Body>>;

/// A guest that has set a response and writes its body.
struct Writer {
    body: HostOutgoingBody,
    stream: Box<dyn OutputStream>,
}

impl Writer {
    fn of(hand_over: oneshot::Sender<Given>) -> Self {
        let (mut body, rest) = HostOutgoingBody::new(StreamContext::Response, None, 1, 1 << 16);
        let _somebody_waits = hand_over.send(Ok(http::Response::new(rest)));
        Self { stream: body.take_output_stream().unwrap(), body }
    }

    async fn write(&mut self, bytes: Bytes) {
        self.stream.ready().await;
        self.stream.write(bytes).unwrap();
    }

    fn finish(self) {
        drop(self.stream);
        self.body.finish(None).unwrap();
    }
}

pub(super) fn collected(most: usize) -> (oneshot::Sender<Given>, Collected, Left) {
    let (hand_over, handed_over) = oneshot::channel();
    let (streams, left) = Streams::new(None, None);
    (hand_over, Collected::new(handed_over, false, most, Some(streams)), left)
}

/// Gives way to others, as the engine lets a busy guest do.
async fn give_way() {
    let mut gave_way = false;
    poll_fn(|context| {
        if std::mem::replace(&mut gave_way, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn body(response: Response) -> Bytes {
    response.unwrap().into_body()
}

#[tokio::test]
async fn a_short_response_is_held_back_whatever_its_guest_computes() {
    let (hand_over, mut response, mut left) = collected(1 << 20);
    let guest = async {
        let mut writer = Writer::of(hand_over);
        for _ in 0..100 {
            writer.write(Bytes::from_static(b"busy ")).await;
            give_way().await;
        }
        writer.finish();
    };
    response.of(pin!(guest)).await;
    assert!(left.try_recv().is_err(), "nothing has left");
    assert_eq!(body(response.whole()), Bytes::from("busy ".repeat(100)));
}

#[tokio::test]
async fn a_response_leaves_when_its_guest_waits_with_a_part_of_it_written() {
    let (hand_over, mut response, left) = collected(1 << 20);
    let (happens, event) = oneshot::channel();
    let guest = async {
        let mut writer = Writer::of(hand_over);
        writer.write(Bytes::from_static(b"one")).await;
        event.await.unwrap();
        writer.write(Bytes::from_static(b"two")).await;
        writer.finish();
    };
    let client = async {
        let mut body = left.await.unwrap().into_body();
        let mut next = async || body.frame().await.map(|frame| frame.unwrap().into_data().unwrap());
        assert_eq!(next().await.as_deref(), Some(&b"one"[..]));
        assert_eq!(next().now_or_never(), None);
        happens.send(()).unwrap();
        assert_eq!(next().await.as_deref(), Some(&b"two"[..]));
        assert_eq!(next().await, None);
    };
    let guest = pin!(guest);
    tokio::join!(response.of(guest), client);
    assert!(body(response.whole()).is_empty(), "what has left is not answered once more");
}

#[tokio::test]
async fn a_long_response_leaves_as_it_comes_and_its_guest_waits_for_who_reads_it() {
    const CHUNKS: usize = 1_000;
    let (hand_over, mut response, left) = collected(1 << 20);
    let written = Cell::new(0);
    let guest = async {
        let mut writer = Writer::of(hand_over);
        for _ in 0..CHUNKS {
            writer.write(vec![b'x'; 1 << 12].into()).await;
            written.set(written.get() + 1);
        }
        writer.finish();
    };
    let guest = pin!(guest);
    let mut running = Box::pin(response.of(guest));
    assert!((&mut running).now_or_never().is_none(), "nobody reads it");
    let client = async { left.await.unwrap().into_body().collect().await.unwrap().to_bytes().len() };
    let ((), read) = tokio::join!(running, client);
    assert_eq!((read, written.get()), (CHUNKS << 12, CHUNKS));
}

#[tokio::test]
async fn a_response_for_a_message_has_its_bound() {
    let (hand_over, handed_over) = oneshot::channel();
    let mut response = Collected::new(handed_over, false, 10, None);
    let guest = async {
        let mut writer = Writer::of(hand_over);
        writer.write(Bytes::from_static(b"ten bytes!")).await;
        writer.write(Bytes::from_static(b"and more")).await;
        give_way().await;
        assert!(writer.stream.write(Bytes::new()).is_err(), "nobody takes more");
    };
    response.of(pin!(guest)).await;
    assert_eq!(response.whole().unwrap_err(), "response-too-long: a message has 10 bytes at most");
}

#[tokio::test]
async fn what_a_turn_has_read_of_a_request_ends_with_it_however_that_ends() {
    let (streams, _left) = Streams::new(None, Some(Empty::new().map_err(|never| match never {}).boxed_unsync()));
    let turn = || Collected::new(oneshot::channel().1, false, 10, Some(Arc::clone(&streams)));
    drop(turn());
    let of_the_rest = || poll_fn(|context| streams.poll_rest(context));
    assert!(of_the_rest().await.is_none(), "nothing was read, so another turn reads it to its end");
    drop(turn());
    assert_eq!(of_the_rest().await.unwrap().unwrap_err(), Broken::Cut);
}
