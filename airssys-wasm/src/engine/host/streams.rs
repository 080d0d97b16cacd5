//! Reading of a stream, in front of wasmtime's own function: what is there already is handed over at once.
//!
//! Guests read a body to its end in many small steps; one of 1 KiB takes seven with Rust's standard library. Wasmtime's
//! function waits for the stream first, each time, which makes two futures.

use bytes::Bytes;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::p2::bindings::io::streams::{Host as _, StreamError};
use wasmtime_wasi::p2::{DynInputStream, StreamResult};

use super::outside::{Asked, said_of_stream, stream_read_back};
use crate::engine::guest::Guest;

pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.instance("wasi:io/streams@0.2.12")?.func_wrap_async(
        "[method]input-stream.blocking-read",
        |mut store, (stream, size): (Resource<DynInputStream>, u64)| {
            Box::new(async move {
                let guest: &mut Guest = store.data_mut();
                match blocking_read(guest, stream, size).await {
                    Ok(read) => Ok((Ok::<Vec<u8>, StreamError>(read.into()),)),
                    Err(error) => Ok((Err(guest.table.convert_stream_error(error)?),)),
                }
            })
        },
    )
}

/// Reads, and waits where nothing is there.
pub(super) async fn blocking_read(
    guest: &mut Guest,
    stream: Resource<DynInputStream>,
    size: u64,
) -> StreamResult<Bytes> {
    match guest.ask_to_read(&stream, size) {
        Asked::Nobody => read(guest.table.get_mut(&stream)?, size).await,
        // Boxed: where nothing is recorded, nobody carries it around.
        asked => Box::pin(taped(guest, asked, stream, size)).await,
    }
}

/// The same, of a stream that a recorder has to do with.
async fn taped(guest: &mut Guest, asked: Asked, stream: Resource<DynInputStream>, size: u64) -> StreamResult<Bytes> {
    let rep = stream.rep();
    let done = match asked {
        Asked::Told(told) => stream_read_back::<Vec<u8>>(told),
        Asked::Never => std::future::pending().await,
        Asked::Nobody => read(guest.table.get_mut(&stream)?, size).await.map(Vec::from),
        Asked::Noted(asked) => {
            let done = read(guest.table.get_mut(&stream)?, size).await.map(Vec::from);
            guest.note(asked, said_of_stream(&done));
            done
        }
    }?;
    guest.outside.advance(rep, done.len() as u64);
    Ok(done.into())
}

async fn read(stream: &mut DynInputStream, size: u64) -> StreamResult<Bytes> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let read = if size > 0 { stream.read(size)? } else { Bytes::new() };
    if read.is_empty() { stream.blocking_read(size).await } else { Ok(read) }
}
