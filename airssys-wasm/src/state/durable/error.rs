//! What can be wrong with the file of durable states.

use std::io;
use std::path::{Path, PathBuf};

use crate::hint::{Act, Coded, Hint};

/// Why durable state cannot be read or written.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::{StateError, StateFile};
///
/// # let folder = tempfile::tempdir()?;
/// # let data = folder.path();
/// let _open = StateFile::open(data)?;
/// assert!(matches!(StateFile::survey(data), Err(StateError::InUse { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// Another process has it open, or another mesh of this one.
    #[error("the durable state `{}` is in use", .path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A newer airssys wrote it.
    #[error("the durable state `{}` has format {format}, and this airssys knows {known}", .path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u64,
        /// The newest that is known here.
        known: u64,
    },
    /// What is in it makes no sense.
    #[error("the durable state `{}` is damaged: {detail}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// It was replaced by an older copy, or a part of it was.
    #[error("the durable state `{}` is not what was written last: {detail}", .path.display())]
    OlderCopy {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The system refused to read or write it.
    #[error("cannot {what} the durable state `{}`: {source}", .path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl StateError {
    /// What went wrong while `what` was tried with the file `path`.
    pub(super) fn of<E: Into<redb::Error>>(what: &'static str, path: &Path) -> impl Fn(E) -> Self {
        move |error| {
            let path = path.to_owned();
            match error.into() {
                redb::Error::DatabaseAlreadyOpen => Self::InUse { path },
                // A file that is no store at all is told in this way.
                redb::Error::Io(source) if source.kind() == io::ErrorKind::InvalidData => {
                    Self::Damaged { path, detail: source.to_string() }
                }
                redb::Error::Io(source) => Self::File { what, path, source },
                other @ redb::Error::PreviousIo => Self::File { what, path, source: io::Error::other(other) },
                other => Self::Damaged { path, detail: other.to_string() },
            }
        }
    }
}

impl Coded for StateError {
    fn code(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "in-use",
            Self::NewerFormat { .. } => "newer-format",
            Self::Damaged { .. } => "damaged",
            Self::OlderCopy { .. } => "older-copy",
            Self::File { .. } => "file",
        }
    }

    fn hint(&self) -> Option<Hint> {
        Some(match self {
            Self::InUse { .. } => "one host at a time runs on a data folder; stop it, or name another folder".into(),
            Self::NewerFormat { .. } => "use the airssys that wrote it, or a newer one".into(),
            Self::Damaged { .. } => Hint::from(Act::VerifyState)
                .words("; or put a copy of it back, or move the file away to begin with empty state"),
            Self::OlderCopy { path, .. } => {
                let mark = path.with_extension("mark");
                format!(
                    "where a copy was put back on purpose, remove the file `{}`; otherwise put the newest copy back",
                    mark.display()
                )
                .into()
            }
            Self::File { .. } => "is the disk full, or is the folder another user's?".into(),
        })
    }
}
