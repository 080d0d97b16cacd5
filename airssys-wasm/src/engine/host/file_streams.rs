//! Streams of files, around wasmtime's own: what they begin is on the threads of the guest's service.
//!
//! A stream holds a place on these threads as long as something that it has begun may not be over. That is so also where nobody waits for it.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, InputStream, OutputStream, Pollable, StreamError, StreamResult,
};

use crate::file_threads::{FileThreads, Place};

/// Something to put in the place of a stream while it moves.
struct Nothing;

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

/// Reads a file.
pub(super) struct Reader {
    file: DynInputStream,
    threads: Arc<FileThreads>,
    begun: Option<Place>,
}

impl Reader {
    pub(super) fn put_around(stream: &mut DynInputStream, threads: Arc<FileThreads>) {
        let file = std::mem::replace(stream, Box::new(Nothing));
        *stream = Box::new(Self { file, threads, begun: None });
    }

    /// What it began is over.
    fn over(&mut self) {
        if let Some(place) = self.begun.take() {
            place.done();
        }
    }

    async fn place(&mut self) {
        if self.begun.is_none() {
            self.begun = Some(self.threads.place().await);
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Reader {
    async fn ready(&mut self) {
        self.place().await;
        self.threads.within(self.file.ready()).await;
        self.over();
    }
}

#[wasmtime_wasi::async_trait]
impl InputStream for Reader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            return self.file.read(0);
        }
        if self.begun.is_none() {
            self.begun = self.threads.place_now();
        }
        if self.begun.is_none() {
            // Nothing is there yet. Whoever waits for it waits for a place first.
            return Ok(Bytes::new());
        }
        let read = self.threads.begin(|| self.file.read(size));
        if !matches!(&read, Ok(bytes) if bytes.is_empty()) {
            self.over();
        }
        read
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.place().await;
        let read = self.threads.within(self.file.blocking_read(size)).await;
        self.over();
        read
    }

    async fn cancel(&mut self) {
        self.file.cancel().await;
        self.over();
    }
}

/// Writes a file.
pub(super) struct Writer {
    file: DynOutputStream,
    threads: Arc<FileThreads>,
    begun: Option<Place>,
    /// What is to be written when there is a place.
    waiting: Option<Bytes>,
}

impl Writer {
    pub(super) fn put_around(stream: &mut DynOutputStream, threads: Arc<FileThreads>) {
        let file = std::mem::replace(stream, Box::new(Nothing));
        *stream = Box::new(Self { file, threads, begun: None, waiting: None });
    }

    /// What it began is over.
    fn over(&mut self) {
        if let Some(place) = self.begun.take() {
            place.done();
        }
    }

    async fn place(&mut self) {
        if self.begun.is_none() {
            self.begun = Some(self.threads.place().await);
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {
        if self.waiting.is_some() {
            self.place().await;
            if let Some(bytes) = self.waiting.take() {
                // It was ready to be written to when this came, and says with the next question what went wrong.
                let _told_then = self.threads.begin(|| self.file.write(bytes));
            }
        }
        if self.begun.is_some() {
            self.threads.within(self.file.ready()).await;
            self.over();
        }
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if self.waiting.is_some() {
            return Err(StreamError::trap("write not permitted: check_write not called first"));
        }
        if self.begun.is_none() {
            self.begun = self.threads.place_now();
        }
        if self.begun.is_none() {
            self.waiting = Some(bytes);
            return Ok(());
        }
        let written = self.threads.begin(|| self.file.write(bytes));
        if written.is_err() {
            self.over();
        }
        written
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.ready().await;
        self.place().await;
        let written = self.threads.within(self.file.blocking_write_and_flush(bytes)).await;
        self.over();
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
        self.over();
    }
}
