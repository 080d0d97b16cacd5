//! Streams of files, around wasmtime's own: what they begin is on the threads of the guest's service.
//!
//! A stream holds a permit on these threads as long as something that it has begun may not be over. That is so also
//! where nobody waits for it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, InputStream, OutputStream, Pollable, StreamError, StreamResult,
};

use crate::blocking::is_in_place;
use crate::file_threads::{FilePermit, FileThreads};

/// Something to put in the place of a stream while it moves.
pub(super) struct Nothing;

#[wasmtime_wasi::async_trait]
impl Pollable for Nothing {
    async fn ready(&mut self) {}
}

impl InputStream for Nothing {
    fn read(&mut self, _: usize) -> StreamResult<Bytes> {
        Err(StreamError::Closed)
    }
}

impl OutputStream for Nothing {
    fn write(&mut self, _: Bytes) -> StreamResult<()> {
        Err(StreamError::Closed)
    }

    fn flush(&mut self) -> StreamResult<()> {
        Err(StreamError::Closed)
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Err(StreamError::Closed)
    }
}

/// What a stream has begun on the threads and may not be over.
struct Begun {
    threads: Arc<FileThreads>,
    permit: Option<FilePermit>,
}

impl Begun {
    fn new(threads: Arc<FileThreads>) -> Self {
        Self { threads, permit: None }
    }

    /// Waits for a permit, where there is none yet.
    async fn permit(&mut self) {
        if self.permit.is_none() {
            self.permit = Some(self.threads.permit().await);
        }
    }

    /// Takes a permit, where one is free or there is one already; whether there is one.
    fn try_permit(&mut self) -> bool {
        if self.permit.is_none() {
            self.permit = self.threads.try_permit();
        }
        self.permit.is_some()
    }

    fn over(&mut self) {
        if let Some(permit) = self.permit.take() {
            permit.done();
        }
    }
}

/// Reads a file.
pub(super) struct Reader {
    file: DynInputStream,
    begun: Begun,
}

impl Reader {
    pub(super) fn put_around(stream: &mut DynInputStream, threads: Arc<FileThreads>) {
        let file = std::mem::replace(stream, Box::new(Nothing));
        *stream = Box::new(Self { file, begun: Begun::new(threads) });
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Reader {
    async fn ready(&mut self) {
        if is_in_place() {
            // Whatever is read is there when it is asked for.
            return;
        }
        self.begun.permit().await;
        self.begun.threads.within(self.file.ready()).await;
        self.begun.over();
    }
}

#[wasmtime_wasi::async_trait]
impl InputStream for Reader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            return self.file.read(0);
        }
        if is_in_place() {
            // It waits for nobody, where files are read on the thread of whoever reads.
            return self.file.blocking_read(size).now_or_never().unwrap_or_else(|| Ok(Bytes::new()));
        }
        if !self.begun.try_permit() {
            // Nothing is there yet. Whoever waits for it waits for a permit first.
            return Ok(Bytes::new());
        }
        let read = self.begun.threads.begin(|| self.file.read(size));
        if !matches!(&read, Ok(bytes) if bytes.is_empty()) {
            self.begun.over();
        }
        read
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.begun.permit().await;
        let read = self.begun.threads.within(self.file.blocking_read(size)).await;
        self.begun.over();
        read
    }

    async fn cancel(&mut self) {
        self.file.cancel().await;
        self.begun.over();
    }
}

/// Writes a file.
pub(super) struct Writer {
    file: DynOutputStream,
    begun: Begun,
    /// What is to be written when there is a permit.
    waiting: Option<Bytes>,
}

impl Writer {
    pub(super) fn put_around(stream: &mut DynOutputStream, threads: Arc<FileThreads>) {
        let file = std::mem::replace(stream, Box::new(Nothing));
        *stream = Box::new(Self { file, begun: Begun::new(threads), waiting: None });
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {
        if self.waiting.is_some() {
            self.begun.permit().await;
            if let Some(bytes) = self.waiting.take() {
                // It was ready to be written to when this came, and says with the next question what went wrong.
                let _told_then = self.begun.threads.begin(|| self.file.write(bytes));
            }
        }
        if self.begun.permit.is_some() {
            self.begun.threads.within(self.file.ready()).await;
            self.begun.over();
        }
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if self.waiting.is_some() {
            return Err(StreamError::trap("write not permitted: check_write not called first"));
        }
        if !self.begun.try_permit() {
            self.waiting = Some(bytes);
            return Ok(());
        }
        let written = self.begun.threads.begin(|| self.file.write(bytes));
        if written.is_err() {
            self.begun.over();
        }
        written
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.ready().await;
        self.begun.permit().await;
        let written = self.begun.threads.within(self.file.blocking_write_and_flush(bytes)).await;
        self.begun.over();
        written
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.file.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        if self.waiting.is_some() { Ok(0) } else { self.file.check_write() }
    }

    async fn cancel(&mut self) {
        self.waiting = None;
        self.file.cancel().await;
        self.begun.over();
    }
}
