//! Why the store of releases does not do what it was asked to.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::{Digest, Reference, ReferenceError};
use crate::config_file::ConfigError;
use crate::engine::TemplateError;

/// Why a release is not published, found or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A text names no release.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The manifest of what should be published is wrong, or there is nothing to publish.
    #[error(transparent)]
    Manifest(#[from] ConfigError),
    /// The binary of what should be published is no component that its world allows.
    #[error(transparent)]
    Component(#[from] TemplateError),
    /// There is no such release.
    #[error("there is no release {release} in {}{}", .folder.display(), Known(.known))]
    NoSuchRelease {
        /// What was asked for.
        release: Box<Reference>,
        /// Where it was looked for.
        folder: PathBuf,
        /// What there is instead: versions of this name, or names.
        known: Vec<String>,
    },
    /// The version is there already, with another binary or another manifest.
    #[error(
        "{release} is published already, with {what} sha256 {published}, and this one has {offered}; hint: what is published never changes: raise the version, or while developing deploy the file as it is: `airssys deploy SERVICE FILE --same-version`"
    )]
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
    #[error("{release} is damaged: {} {detail}; hint: {hint}", .path.display())]
    Damaged {
        /// Its name and version.
        release: Box<Reference>,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
        /// What to do.
        hint: String,
    },
    /// A file of the store was written by a later version of this program.
    #[error(
        "{} has the format {found}, and this airssys knows {known} at most; hint: use the airssys that wrote it, or a later one",
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
    #[error(
        "{release} is in use: it is live, or a rollback needs it; hint: deploy another release first, or stop the mesh that runs it"
    )]
    InUse {
        /// Its name and version.
        release: Box<Reference>,
    },
    /// Somebody else changes the store, and did not come to an end in time.
    #[error("{} is locked: somebody else changes the releases; hint: wait until that has ended, and try again", .path.display())]
    Busy {
        /// The lock.
        path: PathBuf,
    },
    /// A file that the data folder keeps of a release is not what was kept, and the same bytes are not where they came from.
    #[error(
        "{} is damaged: {}, and should have that of its name; hint: put the file with that SHA-256 back there, or to {}, or start with what the topology says: `airssys run --as-written`",
        .file.display(), Has(.found), .from.display()
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
    #[error("{} was written over while it was compiled: {}; hint: try again when it is built", .path.display(), Has(.found))]
    Rebuilt {
        /// The component.
        path: PathBuf,
        /// The SHA-256 of what is there.
        found: Option<Digest>,
    },
    /// The file system refused.
    #[error("cannot {action} {}: {source}; hint: {}", .path.display(), io_hint(.source))]
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

struct Known<'a>(&'a [String]);

impl std::fmt::Display for Known<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            [] => {
                f.write_str("; hint: there are none; `airssys publish` makes one, and --data names another data folder")
            }
            known => write!(f, "; hint: there is {}", known.join(", ")),
        }
    }
}

fn io_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            "make room, or raise the limit, and try again; the releases that were there are whole"
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "name a data folder that you may write to with --data"
        }
        ErrorKind::NotADirectory => "name a folder with --data, not a file",
        _ => "look at the path and its permissions",
    }
}

impl StoreError {
    /// For [`Result::map_err`]: what was done, to which file.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }
}
