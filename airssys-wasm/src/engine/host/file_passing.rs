//! Streams of files at the door: each piece that is read or written passes the layers.
//!
//! A layer that has to wait for its verdict keeps the stream waiting: there is nothing to read yet, or no room to
//! write. What a stream has let on and nobody looked after any more is told to the layers as discarded. Nothing of a
//! stream is done again: a layer that wants so is not heard.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, InputStream, OutputStream, Pollable, StreamError, StreamResult,
};

use super::file_streams::Nothing;
use super::passed::{failed, io_error};
use crate::error::CallError;
use crate::message::Answer;
use crate::turn::passing::{Passing, Question};

/// What the layers say, with the body as they leave it.
pub(in crate::engine) type Entering = Pin<Box<dyn Future<Output = Result<(Passing, Bytes), Answer>> + Send>>;

/// Asks about one piece.
pub(in crate::engine) fn enter(asked: &Question, wants_bytes: usize, mut body: Bytes) -> Entering {
    let mut asked = asked.clone();
    asked.wants_bytes = wants_bytes as u64;
    Box::pin(async move {
        let passing = asked.enter(&mut body).await?;
        Ok((passing, body))
    })
}

/// What came of it, which the layers are told; the error that they make of one, none where they make none of it.
pub(in crate::engine) fn end(passing: Passing, outcome: Result<Option<Bytes>, io::Error>) -> Result<(), io::Error> {
    match outcome {
        Ok(body) => {
            let _nothing_is_made_of_it = passing.end(Ok(body));
            Ok(())
        }
        Err(error) => {
            let told = failed(&error);
            match passing.end(Err(told.clone())) {
                Ok(_) => Ok(()),
                Err(same) if same == told => Err(error),
                Err(other) => Err(io_error(&other)),
            }
        }
    }
}

fn poll(entering: &mut Entering) -> Poll<Result<(Passing, Bytes), Answer>> {
    entering.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

fn stream_error(error: io::Error) -> StreamError {
    StreamError::LastOperationFailed(error.into())
}

/// The end of what was let on, of a stream's own error.
fn ended(passing: Passing, error: StreamError) -> Option<StreamError> {
    match error {
        StreamError::Closed => {
            let _at_its_end = passing.end(Ok(None));
            Some(StreamError::Closed)
        }
        StreamError::LastOperationFailed(error) => match error.downcast::<io::Error>() {
            Ok(error) => end(passing, Err(error)).err().map(stream_error),
            Err(error) => {
                let _told = passing.end(Err(CallError::Failed { code: error.to_string() }));
                Some(StreamError::LastOperationFailed(error))
            }
        },
        // The instance ends with it.
        StreamError::Trap(error) => Some(StreamError::Trap(error)),
    }
}

/// How much a guest that waits for something to read is said to want.
const PIECE: usize = 64 * 1024;

enum Reads {
    Nothing,
    Entering(Entering),
    Entered(Passing),
    /// What a layer has read in the place of the file, and then it is at its end.
    Handled(Bytes),
    Failed(io::Error),
    Closed,
}

/// Reads a file.
pub(super) struct PassingReader {
    file: DynInputStream,
    asked: Question,
    reads: Reads,
}

impl PassingReader {
    pub(super) fn put_around(stream: &mut DynInputStream, asked: Question) {
        let file = std::mem::replace(stream, Box::new(Nothing));
        *stream = Box::new(Self { file, asked, reads: Reads::Nothing });
    }

    fn entered(&mut self, said: Result<(Passing, Bytes), Answer>) {
        self.reads = match said {
            Ok((passing, _)) => Reads::Entered(passing),
            Err(Ok(body)) => Reads::Handled(body.unwrap_or_default()),
            Err(Err(error)) => Reads::Failed(io_error(&error)),
        };
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for PassingReader {
    async fn ready(&mut self) {
        if let Reads::Nothing = self.reads {
            self.reads = Reads::Entering(enter(&self.asked, PIECE, Bytes::new()));
        }
        if let Reads::Entering(entering) = &mut self.reads {
            let said = entering.await;
            self.entered(said);
        }
        if let Reads::Entered(_) = self.reads {
            self.file.ready().await;
        }
    }
}

#[wasmtime_wasi::async_trait]
impl InputStream for PassingReader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        if let Reads::Nothing = self.reads {
            self.reads = Reads::Entering(enter(&self.asked, size, Bytes::new()));
        }
        if let Reads::Entering(entering) = &mut self.reads {
            match poll(entering) {
                Poll::Pending => return Ok(Bytes::new()),
                Poll::Ready(said) => self.entered(said),
            }
        }
        match std::mem::replace(&mut self.reads, Reads::Closed) {
            Reads::Entered(passing) => match self.file.read(size) {
                Ok(bytes) if bytes.is_empty() => {
                    self.reads = Reads::Entered(passing);
                    Ok(bytes)
                }
                Ok(bytes) => {
                    self.reads = Reads::Nothing;
                    let _it_is_read = end(passing, Ok(Some(bytes.clone())));
                    Ok(bytes)
                }
                // Without an error there is nothing more to read.
                Err(error) => Err(ended(passing, error).unwrap_or(StreamError::Closed)),
            },
            Reads::Handled(mut bytes) if !bytes.is_empty() => {
                let piece = bytes.split_to(size.min(bytes.len()));
                self.reads = Reads::Handled(bytes);
                Ok(piece)
            }
            Reads::Failed(error) => Err(stream_error(error)),
            _ => Err(StreamError::Closed),
        }
    }

    /// Asks for as much as is read, and no more.
    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        loop {
            let read = self.read(size)?;
            if size == 0 || !read.is_empty() {
                return Ok(read);
            }
            self.ready().await;
        }
    }

    async fn cancel(&mut self) {
        self.reads = Reads::Closed;
        self.file.cancel().await;
    }
}

enum Writes {
    Nothing,
    Entering(Entering),
    Entered(Passing),
    Failed(StreamError),
    Closed,
}

/// Writes a file.
pub(super) struct PassingWriter {
    file: DynOutputStream,
    asked: Question,
    writes: Writes,
}

impl PassingWriter {
    pub(super) fn put_around(stream: &mut DynOutputStream, asked: Question) {
        let file = std::mem::replace(stream, Box::new(Nothing));
        *stream = Box::new(Self { file, asked, writes: Writes::Nothing });
    }

    /// Writes what was let on.
    fn entered(&mut self, said: Result<(Passing, Bytes), Answer>) {
        self.writes = match said {
            Ok((passing, body)) => match self.file.write(body) {
                Ok(()) => Writes::Entered(passing),
                Err(error) => ended(passing, error).map_or(Writes::Nothing, Writes::Failed),
            },
            Err(Ok(_)) => Writes::Nothing,
            Err(Err(error)) => Writes::Failed(stream_error(io_error(&error))),
        };
    }

    /// Looks what came of what was written; whether the stream may be written to or flushed.
    fn look(&mut self, ask: impl FnOnce(&mut DynOutputStream) -> StreamResult<usize>) -> StreamResult<usize> {
        match std::mem::replace(&mut self.writes, Writes::Closed) {
            Writes::Nothing => {
                self.writes = Writes::Nothing;
                ask(&mut self.file)
            }
            Writes::Entering(entering) => {
                self.writes = Writes::Entering(entering);
                Ok(0)
            }
            Writes::Entered(passing) => match ask(&mut self.file) {
                Ok(0) => {
                    self.writes = Writes::Entered(passing);
                    Ok(0)
                }
                Ok(room) => {
                    self.writes = Writes::Nothing;
                    let _it_is_written = end(passing, Ok(None));
                    Ok(room)
                }
                Err(error) => match ended(passing, error) {
                    Some(error) => Err(error),
                    // The file's own stream is closed by its error.
                    None => Err(StreamError::Closed),
                },
            },
            Writes::Failed(error) => Err(error),
            Writes::Closed => Err(StreamError::Closed),
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for PassingWriter {
    async fn ready(&mut self) {
        if let Writes::Entering(entering) = &mut self.writes {
            let said = entering.await;
            self.entered(said);
        }
        if let Writes::Entered(_) = self.writes {
            self.file.ready().await;
            if let Err(error) = self.look(|file| file.check_write())
                && !matches!(error, StreamError::Closed)
            {
                self.writes = Writes::Failed(error);
            }
        }
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for PassingWriter {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        match self.writes {
            Writes::Nothing => {}
            Writes::Closed => return Err(StreamError::Closed),
            _ => return Err(StreamError::trap("write not permitted: check_write not called first")),
        }
        let mut entering = enter(&self.asked, 0, bytes);
        match poll(&mut entering) {
            Poll::Pending => self.writes = Writes::Entering(entering),
            Poll::Ready(said) => self.entered(said),
        }
        match std::mem::replace(&mut self.writes, Writes::Closed) {
            Writes::Failed(error) => Err(error),
            other => {
                self.writes = other;
                Ok(())
            }
        }
    }

    fn flush(&mut self) -> StreamResult<()> {
        // What is asked here has no number: none that is zero, which would say that something is still written.
        match self.writes {
            Writes::Entered(_) => {
                let flushed = self.file.flush();
                self.look(|_| flushed.map(|()| 0)).map(drop)
            }
            _ => self.look(|file| file.flush().map(|()| 1)).map(drop),
        }
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.look(|file| file.check_write())
    }

    async fn cancel(&mut self) {
        self.writes = Writes::Closed;
        self.file.cancel().await;
    }
}
