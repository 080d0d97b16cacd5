//! Reading of a stream, in front of wasmtime's own function: what is there already is handed over at once.
//!
//! Guests read a body to its end in many small steps; one of 1 KiB takes seven with Rust's standard library. Wasmtime's
//! function waits for the stream first, each time, which makes two futures.

use bytes::Bytes;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::p2::bindings::io::streams::{Host as _, StreamError};
use wasmtime_wasi::p2::{DynInputStream, StreamResult};

use crate::engine::guest::Guest;

pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.instance("wasi:io/streams@0.2.12")?.func_wrap_async(
        "[method]input-stream.blocking-read",
        |mut store, (stream, size): (Resource<DynInputStream>, u64)| {
            Box::new(async move {
                let guest: &mut Guest = store.data_mut();
                let size = usize::try_from(size).unwrap_or(usize::MAX);
                let read = read(guest.table.get_mut(&stream)?, size).await;
                match read {
                    Ok(read) => Ok((Ok::<Vec<u8>, StreamError>(read.into()),)),
                    Err(error) => Ok((Err(guest.table.convert_stream_error(error)?),)),
                }
            })
        },
    )
}

async fn read(stream: &mut DynInputStream, size: usize) -> StreamResult<Bytes> {
    let read = if size > 0 { stream.read(size)? } else { Bytes::new() };
    if read.is_empty() { stream.blocking_read(size).await } else { Ok(read) }
}
