//! Sends the lines of an input, so many at a time, in their order.
//!
//! Order: a line is begun when the message of the line before is in its mailbox, or will never be. Only the waiting for
//! answers is side by side.

use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use airssys_wasm::Runtime;
use airssys_wasm::error::{CallError, SendError};
use airssys_wasm::message::Answer;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::Notify;

use super::answer::Sink;
use super::input::{Input, InputError};
use super::lines::{Line, Lines};
use super::signals::Signals;

/// How a feed, or a mesh that serves, ended.
pub(super) enum End {
    /// All lines were answered.
    Done,
    /// A signal came.
    Interrupted,
    /// The tree ended by itself.
    TreeEnded { reason: String, normal: bool },
    /// Nobody reads the answers any more.
    NobodyReads,
    /// The answers cannot be written.
    OutputFailed(io::Error),
    /// The input broke off. What was sent was answered.
    InputFailed(InputError),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        if error.kind() == ErrorKind::BrokenPipe { Self::NobodyReads } else { Self::OutputFailed(error) }
    }
}

/// A line under way: its number, and what it will be answered.
type Call = Pin<Box<dyn Future<Output = (u64, Answer)> + Send>>;

/// The lines under way.
pub(super) struct Feed<'a> {
    runtime: &'a Arc<Runtime>,
    target: Arc<str>,
    lines: Lines,
    limit_bytes: u64,
    patience: Duration,
    concurrency: usize,
    calls: FuturesUnordered<Call>,
    /// The number of the last line.
    at: u64,
    /// Whether its message is still on its way into the mailbox.
    posting: bool,
    /// Told when it is there.
    posted: Arc<Notify>,
}

impl<'a> Feed<'a> {
    pub(super) fn new(runtime: &'a Arc<Runtime>, input: Input, patience: Duration, concurrency: usize) -> Self {
        let (target, limit_bytes) = (input.target.as_ref().into(), input.limit_bytes);
        let (lines, calls) = (Lines::of(input), FuturesUnordered::new());
        let (at, posting, posted) = (0, false, Arc::default());
        Self { runtime, target, lines, limit_bytes, patience, concurrency, calls, at, posting, posted }
    }

    /// Sends all lines and waits for their answers, unless something ends it before.
    pub(super) async fn run(&mut self, sink: &mut Sink, signals: &mut Signals) -> End {
        match self.work(sink, signals).await {
            Ok(end) => end,
            Err(error) => error.into(),
        }
    }

    async fn work(&mut self, sink: &mut Sink, signals: &mut Signals) -> io::Result<End> {
        let mut ended = pin!(self.runtime.ended());
        let mut end = None;
        loop {
            while !sink.to.is_full()
                && let Some(Some((at, answer))) = self.calls.next().now_or_never()
            {
                self.answered(at, &answer, sink);
            }
            if self.calls.is_empty()
                && let Some(end) = end.take()
            {
                return Ok(end);
            }
            // Answers that nobody reads hold up the lines, and nothing else.
            let room = !sink.to.is_full();
            let free = room && end.is_none() && !self.posting && self.calls.len() < self.concurrency;
            tokio::select! {
                biased;
                () = signals.first() => return Ok(End::Interrupted),
                reason = &mut ended => {
                    return Ok(End::TreeEnded { reason: reason.to_string(), normal: reason.is_normal() });
                }
                sent = sink.to.send(), if sink.to.waits() => sent?,
                Some((at, answer)) = self.calls.next(), if room => self.answered(at, &answer, sink),
                () = self.posted.notified(), if self.posting => self.posting = false,
                line = self.lines.next(), if free => match line {
                    Some(Ok(line)) => self.launch(line, sink),
                    Some(Err(error)) => end = Some(End::InputFailed(error)),
                    None => end = Some(End::Done),
                },
            }
        }
    }

    fn answered(&mut self, at: u64, answer: &Answer, sink: &mut Sink) {
        if at == self.at && self.posting {
            // It never got there, or was faster than the word of it.
            self.posting = false;
        }
        sink.answer(at, answer);
    }

    /// Waits for those under way, and begins none.
    pub(super) async fn finish(&mut self, sink: &mut Sink) {
        while let Some((at, answer)) = self.calls.next().await {
            sink.answer(at, &answer);
        }
    }

    fn launch(&mut self, line: Line, sink: &mut Sink) {
        self.at += 1;
        let at = self.at;
        let body = match line {
            Line::Body(body) => body,
            Line::TooLong { size_bytes } => {
                let limit_bytes = self.limit_bytes;
                return sink.answer(at, &Err(CallError::NotSent(SendError::TooLarge { size_bytes, limit_bytes })));
            }
        };
        let (runtime, target, patience) = (Arc::clone(self.runtime), Arc::clone(&self.target), self.patience);
        // One a line, so that what is told of another is never taken for this one's.
        let posted = Arc::new(Notify::new());
        (self.posting, self.posted) = (true, Arc::clone(&posted));
        self.calls.push(Box::pin(async move {
            (at, runtime.call_in_order(&target, body, patience, || posted.notify_one()).await)
        }));
    }
}
