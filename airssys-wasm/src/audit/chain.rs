//! The files of the chain: who has the folder, where the chain goes on, and what is added to it.
//!
//! A file is never changed but at its end. What is not a whole line there, as a kill or a power cut leaves it, is cut
//! off when the next host begins, and that is on record.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::read::{files, path_of};
use super::record::{AuditLine, NOTHING, Record, hash};
use crate::hex;
use crate::hint::{Coded, Hint};
use crate::keys::{KeyError, SecretKey};

/// How large a file may become before the next one is begun, in bytes.
const FILE_BYTES: u64 = 16 << 20;
/// Files that are kept; the oldest one gives way then, and that is on record.
const MOST_FILES: usize = 64;

/// Why there is no audit.
///
/// # Example
///
/// ```
/// use airssys_wasm::RuntimeError;
/// use airssys_wasm::command::AuditError;
///
/// /// Whether another host is to be looked for.
/// fn is_taken(error: &RuntimeError) -> bool {
///     matches!(error, RuntimeError::Audit(AuditError::Taken { .. }))
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// It cannot be read or written.
    #[error("the audit cannot be kept in {}: {source}", .path.display())]
    Open {
        /// The folder or file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another host writes there.
    #[error("another host keeps its audit in {}", .folder.display())]
    Taken {
        /// The folder.
        folder: PathBuf,
    },
    /// There is no key to sign with.
    #[error("the audit has no key to sign with: {0}")]
    Key(#[from] KeyError),
    /// It is required, and there is no folder for it.
    #[error("the audit is required, and there is no folder for it")]
    NoFolder,
}

impl Coded for AuditError {
    fn code(&self) -> &'static str {
        "audit"
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Open { .. } => Some("look at the path, its permissions, and the room on its disk".into()),
            Self::Taken { .. } => Some("give each mesh a folder of its own".into()),
            Self::Key(error) => error.hint(),
            Self::NoFolder => Some("name a data folder, or `audit_folder` in the settings of the topology".into()),
        }
    }
}

/// Who signs heads.
pub(super) struct Signer(SecretKey);

impl Signer {
    /// The key of this file; without one that of the folder, which is made where it is not there.
    pub(super) fn open(folder: &Path, key: Option<&Path>) -> Result<Self, AuditError> {
        let own = folder.join("key");
        match key {
            Some(path) => Ok(Self(SecretKey::read(path)?)),
            None if own.exists() => Ok(Self(SecretKey::read(&own)?)),
            None => {
                let key = SecretKey::generate()?;
                key.write_new(&own)?;
                Ok(Self(key))
            }
        }
    }

    /// What others know it by.
    pub(super) fn name(&self) -> String {
        self.0.public().to_string()
    }

    /// Signs a head.
    pub(super) fn sign(&self, line: &mut AuditLine) {
        line.record.key = Some(self.name());
        line.record.signature = Some(hex::encode(&self.0.signature(&line.signed())));
    }
}

/// Where the chain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The number of the last line.
    pub(super) number: u64,
    /// Its hash.
    pub(super) head: [u8; 32],
}

impl Place {
    const START: Self = Self { number: 0, head: NOTHING };

    /// Adds a line to what is to be written, and goes behind it.
    pub(super) fn add(&mut self, at: std::time::SystemTime, record: Record, signer: Option<&Signer>, to: &mut Vec<u8>) {
        let mut line = AuditLine::new(self.number + 1, at, record, &self.head);
        if let Some(signer) = signer {
            signer.sign(&mut line);
        }
        let bytes = line.bytes();
        *self = Self { number: line.number, head: hash(&bytes) };
        to.extend_from_slice(&bytes);
        to.push(b'\n');
    }
}

/// The chain, as the one who writes it has it.
pub(super) struct Chain {
    folder: PathBuf,
    /// The number of the file.
    sequence: u64,
    file: File,
    bytes: u64,
    pub(super) place: Place,
    _lock: File,
}

impl Chain {
    /// Goes on behind the last line that is whole; what was cut off behind that, for people.
    pub(super) fn open(folder: &Path) -> Result<(Self, Option<String>), AuditError> {
        let failed = |source| AuditError::Open { path: folder.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let lock = open(&folder.join("lock"), true).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(AuditError::Taken { folder: folder.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let there = files(folder).map_err(failed)?;
        let sequence = there.last().copied().unwrap_or(1);
        let mut chain = Self {
            folder: folder.to_owned(),
            sequence,
            file: open(&path_of(folder, sequence), false).map_err(failed)?,
            bytes: 0,
            place: Place::START,
            _lock: lock,
        };
        sync_folder(folder).map_err(failed)?;
        let text = fs::read(path_of(folder, sequence)).map_err(failed)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        chain.bytes = whole as u64;
        chain.place = match there.len() {
            2.. if whole == 0 => {
                let before = there[there.len() - 2];
                last(&fs::read(path_of(folder, before)).map_err(failed)?)
            }
            _ => last(&text[..whole]),
        };
        if whole == text.len() {
            return Ok((chain, None));
        }
        let torn = &text[whole..];
        chain.file.set_len(chain.bytes).and_then(|()| chain.file.sync_data()).map_err(failed)?;
        let (bytes, sum) = (torn.len(), hex::encode(&hash(torn)));
        Ok((chain, Some(format!("{bytes} bytes that were no whole line were cut off; their SHA-256 is {sum}"))))
    }

    /// Adds lines, and makes sure that they outlive the machine where that is asked for. Where it fails, nothing is
    /// added.
    pub(super) fn append(&mut self, lines: &[u8], behind: Place, sync: bool) -> io::Result<()> {
        let written = self.file.write_all(lines).and_then(|()| if sync { self.file.sync_data() } else { Ok(()) });
        if let Err(error) = written {
            // Nobody is to find the half of a line, nor an act that was refused.
            let _as_far_as_can_be = self.file.set_len(self.bytes);
            return Err(error);
        }
        self.bytes += lines.len() as u64;
        self.place = behind;
        Ok(())
    }

    /// Makes sure that what was added outlives the machine.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Whether the file is still found where it was; somebody may have moved or removed it.
    pub(super) fn is_there(&self) -> bool {
        let own = self.file.metadata().map(|own| (own.dev(), own.ino()));
        let found = fs::metadata(path_of(&self.folder, self.sequence)).map(|found| (found.dev(), found.ino()));
        matches!((own, found), (Ok(own), Ok(found)) if own == found)
    }

    /// Whether the next file is to be begun.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= FILE_BYTES
    }

    /// Begins the next file. The chain goes on in it.
    pub(super) fn next_file(&mut self) -> io::Result<()> {
        let _synced_or_gone = self.file.sync_data();
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let next = files(&self.folder)?.last().copied().unwrap_or(0).max(self.sequence) + 1;
        let options = OpenOptions::new().append(true).create_new(true).mode(0o600).to_owned();
        self.file = options.open(path_of(&self.folder, next))?;
        (self.sequence, self.bytes) = (next, 0);
        sync_folder(&self.folder)
    }

    /// Removes the oldest file where there are too many; up to which line that was, and what it was, for the chain.
    pub(super) fn retire(&self) -> io::Result<Option<(u64, String)>> {
        let there = files(&self.folder)?;
        let Some(oldest) = there.first().filter(|_| there.len() > MOST_FILES) else { return Ok(None) };
        let path = path_of(&self.folder, *oldest);
        let last = last(&fs::read(&path)?);
        fs::remove_file(&path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let told = format!("{name}, to line {} with the SHA-256 {}", last.number, hex::encode(&last.head));
        Ok(Some((last.number, told)))
    }
}

fn open(path: &Path, truncate: bool) -> io::Result<File> {
    OpenOptions::new().append(!truncate).write(true).create(true).truncate(truncate).mode(0o600).open(path)
}

/// A file that is new is found after a power cut as well.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Where the chain is behind these whole lines. A line that is no record counts as one: what it was is for the one who
/// verifies.
fn last(text: &[u8]) -> Place {
    let lines = || text.split_inclusive(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line));
    let Some(end) = lines().next_back() else { return Place::START };
    let number = |line: &[u8]| serde_json::from_slice::<AuditLine>(line).ok().map(|line| line.number);
    let known = lines().rev().enumerate().find_map(|(behind, line)| Some(number(line)? + behind as u64));
    Place { number: known.unwrap_or_else(|| lines().count() as u64), head: hash(end) }
}
