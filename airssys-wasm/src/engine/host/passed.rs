//! What a guest did with a file, as the layers are told it, and what they say of it, as the guest is told that.

use std::io;

use bytes::Bytes;
use wasmtime::component::Resource;
use wasmtime_wasi::TrappableError;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorStat, DirectoryEntryStream, ErrorCode, MetadataHashValue,
};

use crate::error::{CallError, SendError};
use crate::message::Answer;
use crate::turn::passing::{Passing, Question};

/// An error of files, in any version of WASI.
pub(in crate::engine) trait Code: std::error::Error + Send + Sync + Sized + 'static {
    /// Its name in WASI.
    fn word(&self) -> String;

    /// What this error of a layer is to a guest that works with files.
    fn of(error: &CallError) -> Self;
}

/// What comes of working with a file.
pub(in crate::engine) trait Told: Sized {
    /// Takes what of it layers are told, which [`Told::put_back`] puts back.
    fn take(&mut self) -> Option<Bytes> {
        None
    }

    fn put_back(&mut self, _taken: Option<Bytes>) {}

    /// What a guest is told where there was no error, and a layer answers this, of so many bytes to be written; none
    /// where a layer has no answer to that.
    fn answered(_body: Option<Bytes>, _length: u64) -> Option<Self> {
        None
    }
}

impl Told for () {
    fn answered(_: Option<Bytes>, _: u64) -> Option<Self> {
        Some(())
    }
}

/// How many bytes were written.
impl Told for u64 {
    fn answered(_: Option<Bytes>, length: u64) -> Option<Self> {
        Some(length)
    }
}

/// What was read, and whether that was the end.
impl Told for (Vec<u8>, bool) {
    fn take(&mut self) -> Option<Bytes> {
        Some(std::mem::take(&mut self.0).into())
    }

    fn put_back(&mut self, taken: Option<Bytes>) {
        self.0 = taken.map(Vec::from).unwrap_or_default();
    }

    fn answered(body: Option<Bytes>, _: u64) -> Option<Self> {
        Some((body.map(Vec::from).unwrap_or_default(), true))
    }
}

impl Told for Resource<Descriptor> {}
impl Told for Resource<DirectoryEntryStream> {}
impl Told for DescriptorStat {}
impl Told for MetadataHashValue {}

/// Where a link leads.
impl Told for String {}

/// Tells the layers what came of it, and gives what the guest is told.
///
/// # Errors
///
/// A layer wants it to be done again: this is to be asked then.
pub(in crate::engine) async fn settle<T: Told, E: Code>(
    passing: Passing,
    done: Result<T, TrappableError<E>>,
    length: u64,
) -> Result<Result<T, TrappableError<E>>, Question> {
    match done {
        Ok(mut done) => {
            let taken = done.take();
            passing.settle(Ok(taken.clone())).map(drop)?;
            done.put_back(taken);
            Ok(Ok(done))
        }
        Err(error) => match error.downcast() {
            Ok(code) => {
                let failed = CallError::Failed { code: code.word() };
                Ok(match passing.settle_waiting(Err(failed.clone())).await? {
                    Ok(body) => T::answered(body, length).ok_or_else(|| code.into()),
                    Err(error) if error == failed => Err(code.into()),
                    Err(error) => Err(E::of(&error).into()),
                })
            }
            // The instance ends with it, and what was let on is told that it is discarded.
            Err(trap) => Ok(Err(TrappableError::trap(trap))),
        },
    }
}

/// What a guest is told where it did not go on.
pub(in crate::engine) fn answered<T: Told, E: Code>(answer: Answer, length: u64) -> Result<T, TrappableError<E>> {
    let handled = || CallError::Failed { code: NOT_PERMITTED.to_owned() };
    match answer {
        Ok(body) => T::answered(body, length).ok_or_else(|| E::of(&handled()).into()),
        Err(error) => Err(E::of(&error).into()),
    }
}

const NOT_PERMITTED: &str = "not-permitted";

/// Makes a table of the errors that a layer can name in [`CallError::Failed`], for each version of WASI.
macro_rules! codes {
    ($($word:literal $name:ident $os:ident;)*) => {
        impl Code for ErrorCode {
            fn word(&self) -> String {
                self.name().to_owned()
            }

            fn of(error: &CallError) -> Self {
                match word(error) {
                    $($word => Self::$name,)*
                    _ => Self::Io,
                }
            }
        }

        #[cfg(feature = "wasi-0-3")]
        impl Code for wasmtime_wasi::p3::bindings::filesystem::types::ErrorCode {
            fn word(&self) -> String {
                crate::engine::http::response::words(&format!("{self:?}"))
            }

            fn of(error: &CallError) -> Self {
                match word(error) {
                    $($word => Self::$name,)*
                    _ => Self::Io,
                }
            }
        }

        /// The same as an error of the system, of which streams make that of their version of WASI.
        pub(in crate::engine) fn io_error(error: &CallError) -> io::Error {
            let code = match word(error) {
                $($word => rustix::io::Errno::$os,)*
                _ => rustix::io::Errno::IO,
            };
            code.into()
        }
    };
}

codes! {
    "not-permitted" NotPermitted PERM;
    "access" Access ACCESS;
    "busy" Busy BUSY;
    "exist" Exist EXIST;
    "interrupted" Interrupted INTR;
    "invalid" Invalid INVAL;
    "no-entry" NoEntry NOENT;
    "not-directory" NotDirectory NOTDIR;
    "is-directory" IsDirectory ISDIR;
    "insufficient-space" InsufficientSpace NOSPC;
    "insufficient-memory" InsufficientMemory NOMEM;
    "unsupported" Unsupported NOTSUP;
}

/// The name of the error of WASI that says this.
fn word(error: &CallError) -> &str {
    match error {
        CallError::Failed { code } => code,
        CallError::NotSent(SendError::Overloaded { .. }) => "busy",
        CallError::NotSent(_) => NOT_PERMITTED,
        _ => "io",
    }
}

/// What layers are told of an error of a stream of files.
pub(in crate::engine) fn failed(error: &io::Error) -> CallError {
    CallError::Failed { code: ErrorCode::from(error).word() }
}
