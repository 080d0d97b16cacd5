//! What guests write to stdout and stderr, as lines of the log.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::limits::{REASON_BYTES, cut};
use crate::turn::{Identity, Level, write_line};

/// A guest's stdout or stderr: whole lines become log lines. What is left without an end of line is written when the
/// instance goes.
pub(super) struct GuestOutput {
    pub(super) lines: Arc<Lines>,
}

pub(super) struct Lines {
    identity: Arc<Identity>,
    level: Level,
    /// The line that is not whole yet.
    partial: Mutex<Vec<u8>>,
    /// The last line that was whole and had anything in it, where somebody is to be told.
    last: Option<Mutex<String>>,
}

impl Lines {
    pub(super) fn new(identity: &Arc<Identity>, level: Level) -> Arc<Self> {
        Arc::new(Self { identity: Arc::clone(identity), level, partial: Mutex::default(), last: None })
    }

    /// Those of a command's stderr.
    pub(super) fn of_command(identity: &Arc<Identity>) -> Arc<Self> {
        let (identity, level, last) = (Arc::clone(identity), Level::Warn, Some(Mutex::default()));
        Arc::new(Self { identity, level, partial: Mutex::default(), last })
    }

    /// Writes what is left without an end of line.
    pub(super) fn end(&self) {
        let mut partial = self.partial.lock().unwrap_or_else(PoisonError::into_inner);
        if !partial.is_empty() {
            self.flush(&mut partial);
        }
    }

    /// The last line of all; nothing where there is none.
    pub(super) fn last(&self) -> String {
        self.end();
        let last = self.last.as_ref().map(|last| last.lock().unwrap_or_else(PoisonError::into_inner).clone());
        last.unwrap_or_default()
    }

    fn write(&self, bytes: &[u8]) {
        // What is over the limit is cut, not kept; one byte more says that it was.
        let most = self.identity.terms.limits.log_line_bytes.saturating_add(1);
        let mut partial = self.partial.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = most.saturating_sub(partial.len());
            let (text, whole) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            partial.extend_from_slice(&text[..text.len().min(room)]);
            if whole {
                self.flush(&mut partial);
            }
        }
    }

    fn flush(&self, partial: &mut Vec<u8>) {
        let line = String::from_utf8_lossy(partial);
        let line = line.trim_end_matches('\r');
        if let Some(last) = self.last.as_ref().filter(|_| !line.trim().is_empty()) {
            let kept = cut(line.to_owned(), REASON_BYTES);
            *last.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        }
        if !self.identity.terms.silent {
            write_line(&self.identity, self.level, line);
        }
        partial.clear();
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let mut partial = std::mem::take(self.partial.get_mut().unwrap_or_else(PoisonError::into_inner));
        if !partial.is_empty() {
            self.flush(&mut partial);
        }
    }
}

impl IsTerminal for GuestOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestOutput {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Writer(Arc::clone(&self.lines)))
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Writer(Arc::clone(&self.lines)))
    }
}

/// Never waits: a line goes to the log at once.
struct Writer(Arc<Lines>);

impl AsyncWrite for Writer {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.0.write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.write(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(1 << 16)
    }
}
