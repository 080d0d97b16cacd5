//! `wasi:io/streams` before a recorder: what is read of a file or of a body and what is written to one is written down,
//! or read back. Streams of the guest's own, such as its output, are in no recording.
//!
//! It stands in front of wasmtime's own, which does it; reading that waits is in [`super::streams`].

use bytes::Bytes;
use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::p2::bindings::io::streams::{
    Host, HostInputStream, HostOutputStream, StreamError as WitError, add_to_linker as add_streams,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, StreamError, StreamResult};

use super::outside::{Ask, Asked, said_of_stream, stream_read_back};
use super::outside_names::Handle;
use crate::engine::guest::Guest;
use crate::turn::outside::{Change, Look};

/// A guest before its recorder.
struct StreamTape<'a>(&'a mut Guest);

struct StreamTapes;

impl HasData for StreamTapes {
    type Data<'a> = StreamTape<'a>;
}

pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    add_streams::<_, StreamTapes>(linker, |guest| StreamTape(guest))
}

/// The longest piece that is written and waited for, as WASI has it.
const PIECE: u64 = 4096;

/// What is done with a stream; how many bytes it goes on by that.
macro_rules! taped {
    ($tape:ident, $of:expr, $asked:expr, $length:expr, $done:expr) => {{
        let rep = $of;
        let done = match $asked {
            Asked::Nobody => return $done,
            Asked::Told(told) => stream_read_back(told),
            Asked::Never => Err(never()),
            Asked::Noted(asked) => {
                let done = $done;
                $tape.0.note(asked, said_of_stream(&done));
                done
            }
        }?;
        $tape.0.outside.advance(rep, $length(&done));
        Ok(done)
    }};
}

/// Nobody was told what came of something that waits for nothing: the turn ended over it.
fn never() -> StreamError {
    StreamError::trap("the turn that was recorded ended here")
}

fn none<T>(_: &T) -> u64 {
    0
}

fn itself(bytes: &u64) -> u64 {
    *bytes
}

fn zeros(length: u64) -> Bytes {
    vec![0; usize::try_from(length).unwrap_or_default()].into()
}

/// What is written to it.
fn write(to: &Handle, bytes: impl FnOnce() -> Bytes, length: u64) -> Ask {
    match to.answers {
        true => Ask::Look(Look::Answer { bytes: length }),
        false => Ask::Change(Change::Write { from: to.from, bytes: bytes() }),
    }
}

impl Guest {
    /// Asks the script about what is to be read of a stream.
    #[inline]
    pub(super) fn ask_to_read(&mut self, stream: &Resource<DynInputStream>, most: u64) -> Asked {
        self.ask_of(stream.rep(), |handle| Look::Read { from: handle.from.unwrap_or_default(), most })
    }

    #[inline]
    fn ask_to_write(&mut self, stream: &Resource<DynOutputStream>, bytes: &[u8]) -> Asked {
        self.ask_of(stream.rep(), |handle| write(handle, || Bytes::copy_from_slice(bytes), bytes.len() as u64))
    }
}

impl StreamTape<'_> {
    /// Whether a recorder has to do with one of them.
    fn is_taped(&self, one: u32, other: u32) -> bool {
        self.0.outside.of(one).is_some() || self.0.outside.of(other).is_some()
    }
}

impl Host for StreamTape<'_> {
    fn convert_stream_error(&mut self, error: StreamError) -> wasmtime::Result<WitError> {
        self.0.table.convert_stream_error(error)
    }
}

impl HostInputStream for StreamTape<'_> {
    fn read(&mut self, stream: Resource<DynInputStream>, most: u64) -> StreamResult<Vec<u8>> {
        let (rep, asked) = (stream.rep(), self.0.ask_to_read(&stream, most));
        let length = |bytes: &Vec<u8>| bytes.len() as u64;
        taped!(self, rep, asked, length, HostInputStream::read(&mut self.0.table, stream, most))
    }

    async fn blocking_read(&mut self, stream: Resource<DynInputStream>, most: u64) -> StreamResult<Vec<u8>> {
        super::streams::blocking_read(self.0, stream, most).await.map(Vec::from)
    }

    fn skip(&mut self, stream: Resource<DynInputStream>, most: u64) -> StreamResult<u64> {
        let rep = stream.rep();
        let asked = self.0.ask_of(rep, |handle| Look::Skip { from: handle.from.unwrap_or_default(), most });
        taped!(self, rep, asked, itself, HostInputStream::skip(&mut self.0.table, stream, most))
    }

    async fn blocking_skip(&mut self, stream: Resource<DynInputStream>, most: u64) -> StreamResult<u64> {
        let rep = stream.rep();
        let asked = self.0.ask_of(rep, |handle| Look::Skip { from: handle.from.unwrap_or_default(), most });
        if let Asked::Never = asked {
            return std::future::pending().await;
        }
        taped!(self, rep, asked, itself, HostInputStream::blocking_skip(&mut self.0.table, stream, most).await)
    }

    fn subscribe(&mut self, stream: Resource<DynInputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        HostInputStream::subscribe(&mut self.0.table, stream)
    }

    async fn drop(&mut self, stream: Resource<DynInputStream>) -> wasmtime::Result<()> {
        self.0.outside.forget(stream.rep());
        HostInputStream::drop(&mut self.0.table, stream).await
    }
}

impl HostOutputStream for StreamTape<'_> {
    fn check_write(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<u64> {
        let (rep, asked) = (stream.rep(), self.0.ask_of(stream.rep(), |_| Look::Room));
        taped!(self, rep, asked, none, self.0.table.check_write(stream))
    }

    fn write(&mut self, stream: Resource<DynOutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        let (rep, asked, count) = (stream.rep(), self.0.ask_to_write(&stream, &bytes), bytes.len() as u64);
        let length = |&()| count;
        taped!(self, rep, asked, length, HostOutputStream::write(&mut self.0.table, stream, bytes))
    }

    async fn blocking_write_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        bytes: Vec<u8>,
    ) -> StreamResult<()> {
        let (rep, asked, count) = (stream.rep(), self.0.ask_to_write(&stream, &bytes), bytes.len() as u64);
        if let Asked::Never = asked {
            return std::future::pending().await;
        }
        let length = |&()| count;
        taped!(self, rep, asked, length, self.0.table.blocking_write_and_flush(stream, bytes).await)
    }

    async fn blocking_write_zeroes_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        length: u64,
    ) -> StreamResult<()> {
        if self.0.outside.of(stream.rep()).is_some() && length <= PIECE {
            return self.blocking_write_and_flush(stream, zeros(length).into()).await;
        }
        self.0.table.blocking_write_zeroes_and_flush(stream, length).await
    }

    fn write_zeroes(&mut self, stream: Resource<DynOutputStream>, length: u64) -> StreamResult<()> {
        let rep = stream.rep();
        let asked = self.0.ask_of(rep, |handle| write(handle, || zeros(length), length));
        let count = |&()| length;
        taped!(self, rep, asked, count, self.0.table.write_zeroes(stream, length))
    }

    fn flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        let (rep, asked) = (stream.rep(), self.0.ask_of(stream.rep(), |_| Look::Settle));
        taped!(self, rep, asked, none, HostOutputStream::flush(&mut self.0.table, stream))
    }

    async fn blocking_flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        let (rep, asked) = (stream.rep(), self.0.ask_of(stream.rep(), |_| Look::Settle));
        if let Asked::Never = asked {
            return std::future::pending().await;
        }
        taped!(self, rep, asked, none, self.0.table.blocking_flush(stream).await)
    }

    fn splice(
        &mut self,
        to: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        most: u64,
    ) -> StreamResult<u64> {
        if !self.is_taped(to.rep(), from.rep()) {
            return self.0.table.splice(to, from, most);
        }
        let most = most.min(self.check_write(Resource::new_borrow(to.rep()))?);
        let bytes = if most == 0 { Vec::new() } else { HostInputStream::read(self, from, most)? };
        let length = bytes.len() as u64;
        if length > 0 {
            HostOutputStream::write(self, to, bytes)?;
        }
        Ok(length)
    }

    async fn blocking_splice(
        &mut self,
        to: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        most: u64,
    ) -> StreamResult<u64> {
        if !self.is_taped(to.rep(), from.rep()) {
            return self.0.table.blocking_splice(to, from, most).await;
        }
        let bytes = self.blocking_read(from, most.min(PIECE)).await?;
        let length = bytes.len() as u64;
        self.blocking_write_and_flush(to, bytes).await?;
        Ok(length)
    }

    fn subscribe(&mut self, stream: Resource<DynOutputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        HostOutputStream::subscribe(&mut self.0.table, stream)
    }

    async fn drop(&mut self, stream: Resource<DynOutputStream>) -> wasmtime::Result<()> {
        self.0.outside.forget(stream.rep());
        HostOutputStream::drop(&mut self.0.table, stream).await
    }
}
