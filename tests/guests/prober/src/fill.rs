//! Fills a folder, in the ways that there are, and empties it.

use std::fs::{self, File, OpenOptions};
use std::io;

use prober_protocol::Held;
use serde_json::{Value, json};
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags, filesystem_error_code};
use wasip2::io::streams::StreamError;

use crate::Told;
use crate::hold::folder;
use crate::refusal::{Name, named};

/// By WASI 0.2 itself: with Rust's own, each error of a stream is an "I/O error".
pub(crate) fn append(path: &str, bytes: u64) -> Told {
    let refused = |code: ErrorCode| match code {
        ErrorCode::InsufficientSpace => named("io/StorageFull", code),
        code => named(code.name(), code.message()),
    };
    let (folder, name) = folder(path)?;
    let file = folder.open_at(PathFlags::empty(), &name, OpenFlags::CREATE, DescriptorFlags::WRITE).map_err(refused)?;
    write(&file, bytes).map_err(refused).map(|()| Value::Null)
}

fn write(file: &Descriptor, mut bytes: u64) -> Result<(), ErrorCode> {
    const PIECE: [u8; 4096] = [b'x'; 4096];
    let stream = file.append_via_stream()?;
    while bytes > 0 {
        let piece = usize::try_from(bytes).map_or(PIECE.len(), |bytes| bytes.min(PIECE.len()));
        stream.blocking_write_and_flush(&PIECE[..piece]).map_err(|error| match error {
            StreamError::LastOperationFailed(error) => filesystem_error_code(&error).unwrap_or(ErrorCode::Io),
            StreamError::Closed => ErrorCode::Pipe,
        })?;
        bytes -= piece as u64;
    }
    Ok(())
}

pub(crate) fn set_size(path: &str, bytes: u64) -> io::Result<()> {
    OpenOptions::new().create(true).truncate(false).write(true).open(path)?.set_len(bytes)
}

pub(crate) fn make_files(folder: &str, count: usize) -> Value {
    many(count, |number| File::create(format!("{folder}/file-{number}")).map(drop))
}

pub(crate) fn nest(folder: &str, count: usize) -> Value {
    let mut path = folder.to_owned();
    many(count, |_| {
        path.push_str("/d");
        fs::create_dir(&path)
    })
}

/// Open files without a name.
pub(crate) fn nameless(files: &mut Vec<File>, path: &str, bytes: u64) -> Value {
    many(usize::MAX, |_| {
        let file = File::create(path)?;
        let grown = file.set_len(bytes);
        fs::remove_file(path)?;
        grown.map(|()| files.push(file))
    })
}

fn many(most: usize, mut make: impl FnMut(usize) -> io::Result<()>) -> Value {
    for held in 0..most {
        if let Err(refused) = make(held).name() {
            return json!(Held { held, refused: refused.name });
        }
    }
    json!(Held { held: most, refused: String::new() })
}

pub(crate) fn remove(path: &str) -> io::Result<()> {
    if fs::metadata(path)?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}
