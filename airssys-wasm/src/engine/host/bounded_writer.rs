//! A stream into a file of a folder that has a bound. It looks at the file, takes room and writes in one go on a thread
//! for files, where nobody can cut it off between these.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use crate::blocking::on_entered;
use crate::quota::Quota;

/// How much is written at a time, as in wasmtime's own stream.
pub(in crate::engine) const CAPACITY: usize = 64 * 1024;

/// Where the next bytes go.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) enum Position {
    At(u64),
    End,
}

/// To be put in the place of wasmtime's own.
pub(super) struct BoundedWriter {
    file: Arc<File>,
    quota: Quota,
    position: Position,
    state: State,
}

enum State {
    Ready,
    /// It is being written; as many bytes.
    Writing(JoinHandle<io::Result<()>>, u64),
    Failed(io::Error),
    Closed,
}

impl BoundedWriter {
    pub(super) fn new(file: Arc<File>, quota: Quota, position: Position) -> Self {
        Self { file, quota, position, state: State::Ready }
    }

    /// Whether it may be written to; what went wrong is told once.
    fn look(&mut self) -> StreamResult<bool> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Failed(error) => Err(StreamError::LastOperationFailed(error.into())),
            State::Closed => Err(StreamError::Closed),
            other => {
                self.state = other;
                Ok(matches!(self.state, State::Ready))
            }
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for BoundedWriter {
    async fn ready(&mut self) {
        let State::Writing(task, bytes) = &mut self.state else { return };
        let written = task.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        if let (Ok(()), Position::At(at)) = (&written, &mut self.position) {
            *at = at.saturating_add(*bytes);
        }
        self.state = written.map_or_else(State::Failed, |()| State::Ready);
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for BoundedWriter {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        match self.state {
            State::Ready => {}
            State::Closed => return Err(StreamError::Closed),
            State::Writing(..) | State::Failed(_) => {
                return Err(StreamError::trap("write not permitted: check_write not called first"));
            }
        }
        let (file, quota, position) = (Arc::clone(&self.file), self.quota.clone(), self.position);
        let length = bytes.len() as u64;
        self.state = State::Writing(on_entered(move || write(&file, &quota, position, &bytes)), length);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.look().map(drop)
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(if self.look()? { CAPACITY } else { 0 })
    }

    async fn cancel(&mut self) {
        if let State::Writing(task, _) = std::mem::replace(&mut self.state, State::Closed) {
            // What has begun goes on; nobody hears of it.
            let _nobody_hears = task.await;
        }
    }
}

/// Writes so many bytes, where there is room for them. Blocks.
pub(in crate::engine) fn write(file: &File, quota: &Quota, position: Position, bytes: &[u8]) -> io::Result<()> {
    let length = bytes.len() as u64;
    match position {
        Position::At(at) => quota.grow(file, |_| at.saturating_add(length), || file.write_all_at(bytes, at)),
        Position::End => quota.grow(file, |size| size.saturating_add(length), || append(file, bytes)),
    }
}

fn append(file: &File, mut bytes: &[u8]) -> io::Result<()> {
    use rustix::io::{ReadWriteFlags, pwritev2};
    while !bytes.is_empty() {
        let written = match pwritev2(file, &[io::IoSlice::new(bytes)], 0, ReadWriteFlags::APPEND) {
            // A file system that cannot: the end as it is now.
            Err(rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {
                file.write_at(bytes, file.metadata()?.len())?
            }
            written => written?,
        };
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
    }
    Ok(())
}
