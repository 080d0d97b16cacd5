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

/// What a stream has begun on the threads and may not be over.
struct Begun {
    threads: Arc<FileThreads>,
    place: Option<Place>,
}

impl Begun {
    fn new(threads: Arc<FileThreads>) -> Self {
        Self { threads, place: None }
    }

    /// Waits for a place, where there is none yet.
    async fn place(&mut self) {
        if self.place.is_none() {
            self.place = Some(self.threads.place().await);
        }
    }

    /// Takes a place, where one is free or there is one already; whether there is one.
    fn place_now(&mut self) -> bool {
        if self.place.is_none() {
            self.place = self.threads.place_now();
        }
        self.place.is_some()
    }

    fn over(&mut self) {
        if let Some(place) = self.place.take() {
            place.done();
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
        self.begun.place().await;
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
        if !self.begun.place_now() {
            // Nothing is there yet. Whoever waits for it waits for a place first.
            return Ok(Bytes::new());
        }
        let read = self.begun.threads.begin(|| self.file.read(size));
        if !matches!(&read, Ok(bytes) if bytes.is_empty()) {
            self.begun.over();
        }
        read
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.begun.place().await;
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
    /// What is to be written when there is a place.
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
            self.begun.place().await;
            if let Some(bytes) = self.waiting.take() {
                // It was ready to be written to when this came, and says with the next question what went wrong.
                let _told_then = self.begun.threads.begin(|| self.file.write(bytes));
            }
        }
        if self.begun.place.is_some() {
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
        if !self.begun.place_now() {
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
        self.begun.place().await;
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
