//! The files of capsules: what is left of crashes, in a folder of the data folder, one file each.
//!
//! ```text
//! DATA/capsules/TIME-SERVICE-NUMBER.capsule    a line that says what it is and its SHA-256, then JSON
//! ```
//!
//! One crash that comes again and again has one file, which is the first one's, and is counted.
//!
//! It refuses to read what is not as it was written. Whoever leaves one never waits: it is made and written by a thread
//! of the host's own, and where too many wait for that, it is left out, which is told.
//!
//! Invariant: a file is there as a whole or not at all, and there are no more than [`MOST`] of them, of no more than
//! [`MOST_BYTES`] together; the oldest ones go.

mod folder;
mod repeats;

use std::fmt;
use std::fs;
use std::future::Future;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

pub use self::repeats::Repeats;

use self::folder::{ENDING, UNFINISHED, files};
use self::repeats::Known;
use crate::hex;
use crate::hint::{Coded, Hint};

/// Where they are in the data folder.
const FOLDER: &str = "capsules";
/// What they begin with; the number is that of the format.
const BEGINS: &str = "airssys capsule 1 ";
/// What a recording begins with.
const BEGINS_RECORDING: &str = "airssys recording 1 ";
/// How many there are at most.
const MOST: usize = 100;
/// What they have together at most, in bytes; one that is larger is there alone.
const MOST_BYTES: u64 = 256 << 20;
/// How many wait to be written at most.
const MOST_WAITING: usize = 8;
/// How long a capsule waits for what the supervisors say.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why a capsule is not read.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::{Capsule, CapsuleError};
///
/// let error = Capsule::read("nowhere.capsule".as_ref()).unwrap_err();
/// assert!(matches!(error, CapsuleError::Read { .. }));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CapsuleError {
    /// The file system refuses.
    #[error("{} cannot be read: {source}", .path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is something else, or a capsule of another version of airssys.
    #[error("{} is no {what}, or none that this version of airssys reads", .path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// What it was to be: a capsule, or a recording.
        what: &'static str,
    },
    /// It is not as it was written.
    #[error("{} is damaged: its content has the SHA-256 {found}, and it says {said}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What it says itself.
        said: String,
        /// What its content has.
        found: String,
    },
    /// It is as it was written, and there is something else in it.
    #[error("{} has something in it that this version of airssys does not know: {detail}", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What.
        detail: String,
    },
}

impl Coded for CapsuleError {
    fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "capsule-unread",
            Self::Other { .. } => "no-capsule",
            Self::Damaged { .. } => "capsule-damaged",
            Self::Content { .. } => "capsule-content",
        }
    }

    fn hint(&self) -> Option<Hint> {
        Some(match self {
            Self::Read { .. } => "look at the path and its permissions".into(),
            Self::Other { .. } | Self::Content { .. } => "read it with the version that wrote it".into(),
            Self::Damaged { .. } => "copy it again from where it was written".into(),
        })
    }
}

/// A file's bytes, of this content.
pub(crate) fn sealed(content: &[u8]) -> Vec<u8> {
    seal(BEGINS, content)
}

/// [`sealed`], of a recording.
pub(crate) fn sealed_recording(content: &[u8]) -> Vec<u8> {
    seal(BEGINS_RECORDING, content)
}

fn seal(begins: &str, content: &[u8]) -> Vec<u8> {
    let mut bytes = head(begins, content).into_bytes();
    bytes.extend_from_slice(content);
    bytes
}

fn head(begins: &str, content: &[u8]) -> String {
    format!("{begins}{}\n", hex::encode(&Sha256::digest(content)))
}

/// The content of a file.
///
/// # Errors
///
/// [`CapsuleError`].
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, CapsuleError> {
    read_sealed(path, BEGINS, "capsule")
}

/// [`read`], of a recording.
///
/// # Errors
///
/// [`CapsuleError`].
pub(crate) fn read_recording(path: &Path) -> Result<Vec<u8>, CapsuleError> {
    read_sealed(path, BEGINS_RECORDING, "recording")
}

fn read_sealed(path: &Path, begins: &str, what: &'static str) -> Result<Vec<u8>, CapsuleError> {
    let at = || path.to_owned();
    let mut bytes = fs::read(path).map_err(|source| CapsuleError::Read { path: at(), source })?;
    let end = bytes.iter().take(begins.len() + 65).position(|byte| *byte == b'\n');
    let Some(end) = end.filter(|_| bytes.starts_with(begins.as_bytes())) else {
        return Err(CapsuleError::Other { path: at(), what });
    };
    let content = bytes.split_off(end + 1);
    let (said, found) = (bytes, head(begins, &content));
    if said == found.as_bytes() {
        return Ok(content);
    }
    let told = |head: &str| head.trim_start_matches(begins).trim_end().to_owned();
    Err(CapsuleError::Damaged { path: at(), said: told(&String::from_utf8_lossy(&said)), found: told(&found) })
}

/// The capsules of a data folder, the oldest first; none where there is no folder for them.
///
/// # Example
///
/// ```
/// let folder = tempfile::tempdir()?;
/// assert!(airssys_wasm::command::capsules(folder.path())?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// The folder cannot be read.
pub fn capsules(data: &Path) -> Result<Vec<PathBuf>, CapsuleError> {
    let folder = data.join(FOLDER);
    files(&folder).map_err(|source| CapsuleError::Read { path: folder, source })
}

type Told = Pin<Box<dyn Future<Output = String> + Send>>;

/// Where the capsules of a host go.
pub(crate) struct Shelf {
    folder: PathBuf,
    /// What the supervisors say of their tree.
    tree: OnceLock<Box<dyn Fn() -> Told + Send + Sync>>,
    waiting: AtomicUsize,
    next: AtomicU64,
    /// Held by threads that wait for the disk only.
    known: Mutex<Known>,
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Shelf {
    pub(crate) fn new(data: &Path) -> Arc<Self> {
        let folder = data.join(FOLDER);
        // What a host left that was killed over it.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes()) {
                let _next_time = fs::remove_file(entry.path());
            }
        }
        Arc::new(Self {
            folder,
            tree: OnceLock::new(),
            waiting: AtomicUsize::new(0),
            next: AtomicU64::new(0),
            known: Mutex::default(),
        })
    }

    /// Says how the tree is told.
    pub(crate) fn tell_tree(&self, tell: impl Fn() -> Told + Send + Sync + 'static) {
        let _it_is_told_already = self.tree.set(Box::new(tell));
    }

    /// Puts one there, of what is made of what the supervisors say, or counts it where there is one of a crash that is
    /// the `same`. Never waits; to be called on a runtime.
    pub(crate) fn put(
        self: &Arc<Self>,
        service: &str,
        (at, same): (SystemTime, String),
        make: impl FnOnce(Option<String>) -> Result<Vec<u8>, String> + Send + 'static,
    ) {
        let more = |waiting| (waiting < MOST_WAITING).then_some(waiting + 1);
        if self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_err() {
            tracing::warn!(target: "airssys::capsule", service, "left out: too many crashes wait to be written down");
            return;
        }
        let (shelf, name) = (Arc::clone(self), self.name(service, at));
        let service = service.to_owned();
        tokio::spawn(async move {
            let tree = match shelf.tree.get() {
                Some(tell) => tokio::time::timeout(PATIENCE, tell()).await.ok(),
                None => None,
            };
            let own = Arc::clone(&shelf);
            let when = humantime::format_rfc3339_millis(at).to_string();
            let written = crate::blocking::spawn(move || {
                let mut known = own.known.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(path) = known.again(&own.folder, &same, &when) {
                    return Ok((path, true));
                }
                let path = own.write(&name, &make(tree)?)?;
                known
                    .first(&own.folder, &same, &when, &path)
                    .map_err(|error| format!("{}: {error}", path.display()))?;
                Ok((path, false))
            });
            match written.await.unwrap_or_else(|panic| Err(panic.to_string())) {
                Ok((path, true)) => {
                    tracing::debug!(target: "airssys::capsule", service, path = %path.display(), "counted");
                }
                Ok((path, false)) => {
                    tracing::info!(target: "airssys::capsule", service, path = %path.display(), "written")
                }
                Err(error) => tracing::warn!(target: "airssys::capsule", service, error, "not written"),
            }
            shelf.waiting.fetch_sub(1, Ordering::AcqRel);
        });
    }

    fn name(&self, service: &str, at: SystemTime) -> String {
        let time = humantime::format_rfc3339_millis(at).to_string().replace([':', '-'], "");
        let plain = |letter: char| if letter.is_ascii_alphanumeric() || "-_.".contains(letter) { letter } else { '_' };
        let service: String = service.chars().map(plain).take(64).collect();
        format!("{time}-{service}-{}{ENDING}", self.next.fetch_add(1, Ordering::Relaxed))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, String> {
        let (folder, path) = (&self.folder, self.folder.join(name));
        let written = || {
            // What guests said is for the owner only.
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder)?;
            file.write_all(bytes)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            fs::File::open(folder)?.sync_all()?;
            self.clear()
        };
        written().map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }

    /// Removes the oldest ones where there are too many.
    fn clear(&self) -> io::Result<()> {
        let files = files(&self.folder)?;
        let (mut count, mut bytes) = (0, 0_u64);
        for (path, size) in files.iter().rev().map(|path| (path, fs::metadata(path).map_or(0, |file| file.len()))) {
            (count, bytes) = (count + 1, bytes.saturating_add(size));
            if count > 1 && (count > MOST || bytes > MOST_BYTES) {
                fs::remove_file(path)?;
                Known::forget(path);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use super::*;

    #[test]
    fn each_flipped_bit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.capsule");
        let whole = sealed(b"{\"a\": 1}");
        fs::write(&path, &whole).unwrap();
        assert_eq!(read(&path).unwrap(), b"{\"a\": 1}");
        for at in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[at / 8] ^= 1 << (at % 8);
            fs::write(&path, &bytes).unwrap();
            assert!(read(&path).is_err(), "bit {at}");
        }
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(matches!(read(&path), Err(CapsuleError::Damaged { .. })), "cut off");
    }

    #[test]
    fn the_oldest_ones_go() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(folder.path());
        let at = |number: u64| std::time::UNIX_EPOCH + Duration::from_secs(number);
        for number in 0..MOST as u64 + 3 {
            shelf.write(&shelf.name("a/b", at(number)), b"x").unwrap();
        }
        let left = capsules(folder.path()).unwrap();
        assert_eq!(left.len(), MOST);
        assert!(left[0].to_string_lossy().contains("19700101T000003"), "{:?}", left[0]);
    }
}
