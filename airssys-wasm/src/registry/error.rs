//! Why the store of releases does not do what it was asked to.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{Digest, Reference, reference};
use crate::config_file::ConfigError;
use crate::engine::TemplateError;
use crate::hint::{Act, Coded, Hint};

/// Why a release is not published, found or removed.
///
/// # Example
///
/// ```
/// use airssys_wasm::hint::Coded;
/// use airssys_wasm::registry::{Store, StoreError};
///
/// # let folder = tempfile::tempdir()?;
/// # let data = folder.path();
/// let error = Store::open(data)?.resolve("pricing@1.2.0").unwrap_err();
/// assert!(matches!(error, StoreError::NoSuchRelease { .. }) && error.hint().is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A text names no release.
    #[error("{text:?} names no release: {why}")]
    Reference {
        /// What was there.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// The manifest of what should be published is wrong, or there is nothing to publish.
    #[error(transparent)]
    Manifest(#[from] ConfigError),
    /// The binary of what should be published is no component that its world allows.
    #[error(transparent)]
    Component(#[from] TemplateError),
    /// There is no such release.
    #[error("there is no release {release} in {}", .folder.display())]
    NoSuchRelease {
        /// What was asked for.
        release: Box<Reference>,
        /// Where it was looked for.
        folder: PathBuf,
        /// What there is instead: versions of this name, or names.
        known: Vec<String>,
    },
    /// The version is there already, with another binary or another manifest.
    #[error("{release} is published already, with {what} sha256 {published}, and this one has {offered}")]
    Differs {
        /// Its name and version.
        release: Box<Reference>,
        /// `the binary` or `the manifest`.
        what: &'static str,
        /// The digest of the one that is published.
        published: Digest,
        /// The digest of the one that was to be.
        offered: Digest,
    },
    /// A file of the store is not what was written. What it belongs to is not used.
    #[error("{release} is damaged: {} {detail}", .path.display())]
    Damaged {
        /// Its name and version.
        release: Box<Reference>,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
        /// What to do.
        hint: Hint,
    },
    /// A file of the store was written by a later version of this program.
    #[error(
        "{} has the format {found}, and this airssys knows {known} at most",
        .path.display()
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The latest that is known.
        known: u32,
    },
    /// Something live needs the release, or a rollback would.
    #[error("{release} is in use: it is live, or a rollback needs it")]
    InUse {
        /// Its name and version.
        release: Box<Reference>,
    },
    /// Somebody else changes the store, and did not come to an end in time.
    #[error("{} is locked: somebody else changes the releases", .path.display())]
    Busy {
        /// The lock.
        path: PathBuf,
    },
    /// A file that the data folder keeps of a release is not what was kept, and the same bytes are not where they came
    /// from.
    #[error(
        "{} is damaged: {}, and should have that of its name",
        .file.display(), Has(.found)
    )]
    KeptDamaged {
        /// The file, which has the SHA-256 of what was kept for its name.
        file: PathBuf,
        /// That of what is there; none where nothing can be read.
        found: Option<Digest>,
        /// Where the release came from.
        from: PathBuf,
    },
    /// What is at a path is not what was compiled from there.
    #[error("{} was written over while it was compiled: {}", .path.display(), Has(.found))]
    Rebuilt {
        /// The component.
        path: PathBuf,
        /// The SHA-256 of what is there.
        found: Option<Digest>,
    },
    /// The file system refused.
    #[error("cannot {action} {}: {source}", .path.display())]
    File {
        /// `read`, `write`, `make`, `lock` or `remove`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

struct Has<'a>(&'a Option<Digest>);

impl std::fmt::Display for Has<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(found) => write!(f, "it has the SHA-256 {found}"),
            None => f.write_str("it cannot be read"),
        }
    }
}

fn io_hint(error: &io::Error) -> Hint {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            "make room, or raise the limit, and try again; the releases that were there are whole".into()
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            Hint::from(Act::DataFolder).words(" that you may write to")
        }
        ErrorKind::NotADirectory => Hint::from(Act::DataFolder).words(", not a file"),
        _ => "look at the path and its permissions".into(),
    }
}

impl StoreError {
    /// For [`Result::map_err`]: what was done, to which file.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }
}

impl FromStr for Reference {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let (name, version) = text.split_once('@').map_or((text, None), |(name, version)| (name, Some(version)));
        match reference::check(name, version) {
            Ok(version) => Ok(Self { name: name.to_owned(), version }),
            Err(why) => Err(StoreError::Reference { text: text.to_owned(), why }),
        }
    }
}

impl Coded for StoreError {
    fn code(&self) -> &'static str {
        match self {
            Self::Reference { .. } => "bad-reference",
            Self::Manifest(_) => "manifest",
            Self::Component(error) => error.code(),
            Self::NoSuchRelease { .. } => "no-such-release",
            Self::Differs { .. } => "differs",
            Self::Damaged { .. } | Self::KeptDamaged { .. } => "damaged",
            Self::NewerFormat { .. } => "newer-format",
            Self::InUse { .. } => "in-use",
            Self::Busy { .. } => "busy",
            Self::Rebuilt { .. } => "rebuilt",
            Self::File { .. } => "file",
        }
    }

    fn hint(&self) -> Option<Hint> {
        let hint = match self {
            Self::Reference { .. } => "write NAME@VERSION, such as pricing@1.2.0".into(),
            Self::Manifest(error) => return error.hint(),
            Self::Component(error) => return error.hint(),
            Self::NoSuchRelease { known, .. } if known.is_empty() => Hint::from("there are none; ").act(Act::Publish),
            Self::NoSuchRelease { known, .. } => format!("there is {}", known.join(", ")).into(),
            Self::Differs { .. } => {
                Hint::from("what is published never changes: raise the version, or while developing ")
                    .act(Act::DeployFile)
            }
            Self::Damaged { hint, .. } => hint.clone(),
            Self::NewerFormat { .. } => "use the airssys that wrote it, or a later one".into(),
            Self::InUse { .. } => "deploy another release first, or stop the mesh that runs it".into(),
            Self::Busy { .. } => "wait until that has ended, and try again".into(),
            Self::KeptDamaged { from, .. } => {
                Hint::from(format!("put the file with that SHA-256 back there, or to {}, or ", from.display()))
                    .act(Act::StartAsWritten)
            }
            Self::Rebuilt { .. } => "try again when it is built".into(),
            Self::File { source, .. } => io_hint(source),
        };
        Some(hint)
    }
}
