//! A body that left is whole when its call is answered, and not before.

#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::sync::oneshot;

use super::{Body, Broken, Streams, until_answered};

/// These chunks, and then an end, or none.
fn body(chunks: &[&'static str], ends: bool) -> Body {
    let chunks: Vec<_> =
        chunks.iter().map(|chunk| Ok::<_, Infallible>(Frame::data(Bytes::from_static(chunk.as_bytes())))).collect();
    let open = if ends { stream::empty().left_stream() } else { stream::pending().right_stream() };
    StreamBody::new(stream::iter(chunks).chain(open)).map_err(|never| match never {}).boxed_unsync()
}

async fn next(body: &mut Body) -> Option<Result<Bytes, Broken>> {
    Some(body.frame().await?.map(|frame| frame.into_data().unwrap()))
}

#[tokio::test]
async fn it_ends_when_its_call_is_answered() {
    for ends in [true, false] {
        let (answer, answered) = oneshot::channel();
        let mut left = until_answered(body(&["a", "b"], ends), answered.map(Result::unwrap));
        assert_eq!(next(&mut left).await, Some(Ok("a".into())));
        assert_eq!(next(&mut left).await, Some(Ok("b".into())));
        assert_eq!(next(&mut left).now_or_never(), None, "its turn is not over");
        answer.send(true).unwrap();
        assert_eq!(next(&mut left).await, None);
    }
}

#[tokio::test]
async fn it_is_broken_where_its_turn_has_no_response() {
    let mut left = until_answered(body(&["a"], true), std::future::ready(false));
    assert_eq!(next(&mut left).await, Some(Ok("a".into())), "what was written goes first");
    assert_eq!(next(&mut left).await, Some(Err(Broken::Cut)));
    assert_eq!(next(&mut left).await, None);
}

#[tokio::test]
async fn what_is_read_of_a_request_ends_with_its_turn() {
    let (streams, _left) = Streams::new(None, Some(body(&["a", "b"], false)));
    let read = || std::future::poll_fn(|context| streams.poll_rest(context));
    assert!(streams.has_rest() && !streams.is_used());
    assert_eq!(read().await.unwrap().unwrap().into_data().unwrap(), "a");
    assert!(streams.is_used());
    streams.close();
    assert_eq!(read().await.unwrap().unwrap_err(), Broken::Cut);
}
