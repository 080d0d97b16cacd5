//! What the standard library has no word for in the folders that a service is granted: records at the end of a file,
//! files that are replaced as a whole, and who is told what changes.
//!
//! Paths begin with those of the granted folders: `files = { "/data" = "read-write" }` under `[requests]` of its
//! `Component.toml`, and `/data/log` here. All else that is done with files is the standard library's, `std::fs`.

use std::fmt;

use crate::bindings::os_files::airssys::os::files as host;
use crate::fault::Fault;

/// Writes a record behind all that is in a file, whoever else does so at the same time: all of it or nothing. A file
/// that is not there is made.
///
/// # Errors
///
/// [`FileError`].
///
/// # Example
///
/// ```no_run
/// use airssys_sdk::files;
/// use airssys_sdk::prelude::*;
///
/// #[component]
/// fn note(line: String) -> Result<()> {
///     files::append("/data/notes", format!("{line}\n"))?;
///     Ok(())
/// }
/// ```
pub fn append(path: &str, record: impl AsRef<[u8]>) -> Result<(), FileError> {
    Ok(host::append(path, record.as_ref(), false)?)
}

/// [`append`], and it is on the disk then.
///
/// # Errors
///
/// [`FileError`].
pub fn append_synced(path: &str, record: impl AsRef<[u8]>) -> Result<(), FileError> {
    Ok(host::append(path, record.as_ref(), true)?)
}

/// Gives a file this content in one step: who opens it has all of the old or all of the new, also where the host is
/// killed. A file that is not there is made. It is on the disk then.
///
/// # Errors
///
/// [`FileError`].
pub fn replace(path: &str, content: impl AsRef<[u8]>) -> Result<(), FileError> {
    Ok(host::replace(path, content.as_ref())?)
}

/// A folder or a file that is watched. Dropped, it is not any more.
#[derive(Debug)]
pub struct Watch(host::Watch);

impl Watch {
    /// Begins to watch what is in a folder, or one file by its name.
    ///
    /// # Errors
    ///
    /// [`FileError`].
    pub fn start(path: &str) -> Result<Self, FileError> {
        Ok(Self(host::Watch::start(path)?))
    }

    /// What has changed since this was asked last. Waits for nothing.
    ///
    /// # Errors
    ///
    /// [`FileError::Denied`].
    pub fn take(&self) -> Result<Changes, FileError> {
        let host::Changes { all, lost, is_over } = self.0.take()?;
        let all = all.into_iter().map(|one| Change { what: one.what.into(), name: one.name }).collect();
        Ok(Changes { all, lost, is_over })
    }

    /// The same, where something has changed: it waits for that, within the deadline of the turn.
    ///
    /// # Errors
    ///
    /// [`FileError::Denied`].
    pub fn wait(&self) -> Result<Changes, FileError> {
        self.0.subscribe().block();
        self.take()
    }
}

/// What has changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// The first ones, in their order.
    pub all: Vec<Change>,
    /// How many there were besides, at least.
    pub lost: u64,
    /// Nothing more comes: the folder is gone.
    pub is_over: bool,
}

/// A change of something in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What changed.
    pub what: What,
    /// Its name in the folder.
    pub name: String,
}

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It is new.
    Made,
    /// Its content has changed.
    Written,
    /// It is there under a name that it did not have. So it is after a replacing.
    Arrived,
    /// It has another name now.
    Left,
    /// It was removed.
    Removed,
    /// Its rights or its times have changed.
    Touched,
}

impl From<host::What> for What {
    fn from(what: host::What) -> Self {
        match what {
            host::What::Made => Self::Made,
            host::What::Written => Self::Written,
            host::What::Arrived => Self::Arrived,
            host::What::Left => Self::Left,
            host::What::Removed => Self::Removed,
            host::What::Touched => Self::Touched,
        }
    }
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileError {
    /// It was not granted, or is not granted any more: the text names what is missing.
    Denied(String),
    /// As many are watched as may be.
    Overloaded(String),
    /// There is no room: in the folder by its grant, or on the disk.
    NoRoom(String),
    /// Nothing is there.
    NotFound(String),
    /// The system did not do it.
    Failed(String),
}

impl From<host::FileError> for FileError {
    fn from(error: host::FileError) -> Self {
        match error {
            host::FileError::Denied(why) => Self::Denied(why),
            host::FileError::Overloaded(why) => Self::Overloaded(why),
            host::FileError::NoRoom(why) => Self::NoRoom(why),
            host::FileError::NotFound(why) => Self::NotFound(why),
            host::FileError::Failed(why) => Self::Failed(why),
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Denied(why) | Self::Overloaded(why) | Self::NoRoom(why) | Self::NotFound(why) | Self::Failed(why)) =
            self;
        f.write_str(why)
    }
}

impl std::error::Error for FileError {}

/// What may be better later is [`Fault::Unavailable`]; the rest is [`Fault::Internal`].
impl From<FileError> for Fault {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Overloaded(_) | FileError::NoRoom(_) => Self::unavailable(error),
            _ => Self::internal(error),
        }
    }
}
