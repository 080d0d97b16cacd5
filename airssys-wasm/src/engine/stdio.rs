//! What a command reads and writes while it runs over one message: its stdin is the body, its stdout the answer.
//!
//! Nothing here waits: all of the input is there before the run, and the output is kept until its end. Invariant: never
//! more is kept than an answer may have; a run that writes more ends there.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

use super::output::Lines;

/// Of one instance.
pub(super) struct Stdio {
    run: Mutex<Run>,
    /// The most that it may write to its stdout, in bytes.
    most: usize,
    pub(super) stderr: Arc<Lines>,
}

#[derive(Default)]
struct Run {
    input: Bytes,
    output: Vec<u8>,
    /// Whether it wrote more than it may.
    is_too_much: bool,
}

/// It wrote more to its stdout than an answer may have.
#[derive(Debug, thiserror::Error)]
#[error("more on stdout than an answer may have")]
struct TooMuch;

impl Stdio {
    pub(super) fn new(stderr: Arc<Lines>, most: usize) -> Arc<Self> {
        Arc::new(Self { run: Mutex::default(), most, stderr })
    }

    fn run(&self) -> MutexGuard<'_, Run> {
        // Nobody panics with it.
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self, input: Bytes) {
        *self.run() = Run { input, ..Run::default() };
    }

    /// What it wrote, of a run that is over; or the most that it might have written.
    pub(super) fn end(&self) -> Result<Bytes, usize> {
        let Run { output, is_too_much, .. } = std::mem::take(&mut *self.run());
        if is_too_much { Err(self.most) } else { Ok(output.into()) }
    }

    fn read(&self, most: usize) -> Bytes {
        let input = &mut self.run().input;
        input.split_to(most.min(input.len()))
    }

    fn write(&self, bytes: &[u8]) -> Result<(), TooMuch> {
        let most = self.most;
        let mut run = self.run();
        if bytes.len() > most.saturating_sub(run.output.len()) {
            run.is_too_much = true;
            return Err(TooMuch);
        }
        run.output.extend_from_slice(bytes);
        Ok(())
    }
}

/// Its stdin.
pub(super) struct Input(pub(super) Arc<Stdio>);

/// Its stdout.
pub(super) struct Output(pub(super) Arc<Stdio>);

impl IsTerminal for Input {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for Input {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(Self(Arc::clone(&self.0)))
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(Self(Arc::clone(&self.0)))
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Self(Arc::clone(&self.0)))
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Self(Arc::clone(&self.0)))
    }
}

impl AsyncRead for Input {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        to.put_slice(&self.0.read(to.remaining()));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(self.0.write(bytes).map(|()| bytes.len()).map_err(std::io::Error::other))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Input {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl InputStream for Input {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        match self.0.read(size) {
            nothing if nothing.is_empty() && size > 0 => Err(StreamError::Closed),
            some => Ok(some),
        }
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        // The end of the run: who writes for ever is not to go on until its time is over.
        self.0.write(&bytes).map_err(|error| StreamError::Trap(error.into()))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(1 << 16)
    }
}
