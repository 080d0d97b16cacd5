//! The response that a guest gives, put together while it runs: a guest that writes a long body waits for somebody who
//! takes it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::response::Parts;
use http::{HeaderMap, StatusCode};
use hyper::body::Body as _;
use tokio::sync::oneshot;
use tokio::task::unconstrained;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use crate::http::Response;

type Given = Result<http::Response<HyperOutgoingBody>, ErrorCode>;

/// What there is of it.
pub(in crate::engine) struct Collected {
    handed_over: oneshot::Receiver<Given>,
    head: Option<Result<Parts, ErrorCode>>,
    /// What is still to come of the body; none before the head, and where it is at its end.
    rest: Option<HyperOutgoingBody>,
    chunks: Vec<Bytes>,
    bytes: usize,
    most: usize,
    /// It says how long a body is that it does not have.
    has_no_body: bool,
    /// Why it cannot be answered with.
    broken: Option<String>,
}

impl Collected {
    pub(super) fn new(handed_over: oneshot::Receiver<Given>, has_no_body: bool, most: usize) -> Self {
        Self { handed_over, head: None, rest: None, chunks: Vec::new(), bytes: 0, most, has_no_body, broken: None }
    }

    /// Runs the guest, and takes what it writes.
    pub(in crate::engine) async fn of<T>(&mut self, guest: impl Future<Output = T>) -> T {
        let mut guest = pin!(guest);
        poll_fn(|context| {
            let ran = guest.as_mut().poll(context);
            // Where the guest has returned there is no second chance: all that is there is taken, whatever this task
            // has done already.
            let mut taken = pin!(unconstrained(poll_fn(|context| {
                self.take(context);
                Poll::Ready(())
            })));
            let _it_does_not_wait = taken.as_mut().poll(context);
            ran
        })
        .await
    }

    fn take(&mut self, context: &mut Context<'_>) {
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
        while let Some(body) = &mut self.rest {
            match Pin::new(body).poll_frame(context) {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers have no place in a message.
                    if let Ok(chunk) = frame.into_data() {
                        self.bytes += chunk.len();
                        self.chunks.push(chunk);
                    }
                    if self.bytes > self.most {
                        // What else the guest writes meets a stream that is closed.
                        let most = self.most;
                        self.end(Some(format!("response-too-long: a message has {most} bytes at most")));
                    }
                }
                Poll::Ready(Some(Err(_))) => {
                    self.end(Some("unfinished: its body was not written to its end".to_owned()))
                }
                Poll::Ready(None) => self.end(None),
            }
        }
    }

    fn end(&mut self, broken: Option<String>) {
        self.rest = None;
        self.broken = broken;
    }

    /// The whole response, when the guest has returned. A body that is still open ends there: nobody will write to it
    /// any more.
    pub(in crate::engine) fn whole(self) -> Response {
        let head = match self.head {
            None => return Err("no-response: it returned, and had set none".to_owned()),
            Some(Err(error)) => return Err(words(&error)),
            Some(Ok(head)) => head,
        };
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        let says_more = self.has_no_body || head.status == StatusCode::NOT_MODIFIED;
        if let Some(length) = length(&head.headers).filter(|length| !says_more && *length != self.bytes as u64) {
            return Err(format!("unfinished: it says that its body has {length} bytes, and it has {}", self.bytes));
        }
        let body = match <[Bytes; 1]>::try_from(self.chunks) {
            Ok([whole]) => whole,
            Err(chunks) => chunks.concat().into(),
        };
        Ok(http::Response::from_parts(head, body))
    }
}

/// How long the body is, as the head says. wasmtime lets no other value in.
fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The error as it is called in WIT, and what it says.
fn words(error: &ErrorCode) -> String {
    if let ErrorCode::InternalError(Some(text)) = error {
        return format!("internal-error: {text}");
    }
    let name = format!("{error:?}");
    let name = name.strip_prefix("ErrorCode::").unwrap_or(&name);
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
