//! What the store knows of a release: a file a version, small, and written last.

use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use semver::Version;
use serde::{Deserialize, Serialize};

use super::{Digest, Part, Reference, Seal, Signature, StoreError};
use crate::hint::{Act, Hint};

/// The format of these files. It rises when an older program would misread one.
pub(super) const FORMAT: u32 = 2;
/// The format of the record of a release without parts, which a program can read that has never heard of them.
const WITHOUT_PARTS: u32 = 1;

/// A release of the store, as its index has it. As text it is its name and version.
///
/// # Example
///
/// ```
/// use airssys_wasm::registry::{Draft, Record, Store};
///
/// # let folder = tempfile::tempdir()?;
/// # let data = folder.path();
/// # let binary = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
/// # let draft = Draft::new(binary, "name = \"echo\"\nversion = \"1.2.0\"\n".to_owned())?;
/// let (record, _new) = Store::open(data)?.publish(&draft)?;
/// let Record { name, size_bytes, signatures, .. } = &record;
/// assert_eq!((name.as_str(), signatures.len()), ("echo", 0), "{size_bytes} bytes");
/// assert_eq!(record.to_string(), "echo@1.2.0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Record {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// The SHA-256 of its binary.
    pub binary: Digest,
    /// The size of its binary, in bytes.
    pub size_bytes: u64,
    /// The SHA-256 of its manifest.
    pub manifest: Digest,
    /// Who signed it.
    pub signatures: Vec<Signature>,
    /// When it was published, in milliseconds since 1970.
    pub published_ms: u64,
    /// What it was fused of; nothing where it was not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[doc(hidden)]
    pub parts: Vec<Part>,
}

/// The file. `sum` is the digest of `record`, so that damage to any part of it is found.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Filed {
    format: u32,
    sum: Digest,
    record: Record,
}

/// The part that every format has.
#[derive(Deserialize)]
struct Marked {
    format: u32,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

impl Record {
    /// When it was published.
    pub(super) fn published(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.published_ms)
    }

    /// Its name and version.
    pub(super) fn reference(&self) -> Reference {
        Reference::of(&self.name, &self.version)
    }

    /// The release's id: a digest of the digests of its binary and its manifest.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::registry::{Draft, Store};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let data = folder.path();
    /// # let binary = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
    /// # let draft = Draft::new(binary, "name = \"echo\"\nversion = \"1.2.0\"\n".to_owned())?;
    /// // The same bytes have the same id, wherever they are published.
    /// let (record, _new) = Store::open(data)?.publish(&draft)?;
    /// let (again, _already) = Store::open(data)?.publish(&draft)?;
    /// assert_eq!(record.id(), again.id());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn id(&self) -> Digest {
        self.seal().id()
    }

    /// What the release is held to.
    pub(super) fn seal(&self) -> Seal {
        Seal { binary: self.binary, manifest: self.manifest, signatures: self.signatures.clone() }
    }

    /// Now, as a record has it. A clock before 1970 is wrong, and no reason to fail.
    pub(super) fn now_ms() -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let format = if self.parts.is_empty() { WITHOUT_PARTS } else { FORMAT };
        let filed = Filed { format, sum: self.sum()?, record: self.clone() };
        let mut bytes = serde_json::to_vec(&filed)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    fn sum(&self) -> Result<Digest, serde_json::Error> {
        serde_json::to_vec(self).map(|bytes| Digest::of(&bytes))
    }

    /// Reads the record of a release from the bytes of its file.
    pub(super) fn of_bytes(bytes: &[u8], release: &Reference, path: &Path) -> Result<Self, StoreError> {
        let damaged = |detail: String| StoreError::Damaged {
            release: Box::new(release.clone()),
            path: path.to_owned(),
            detail,
            hint: Hint::from(Act::Remove { release: release.to_string() })
                .words(", then publish it again from the same files"),
        };
        let marked: Marked =
            serde_json::from_slice(bytes).map_err(|error| damaged(format!("is no record of a release: {error}")))?;
        if marked.format > FORMAT {
            return Err(StoreError::NewerFormat { path: path.to_owned(), found: marked.format, known: FORMAT });
        }
        let filed: Filed =
            serde_json::from_slice(bytes).map_err(|error| damaged(format!("is no record of a release: {error}")))?;
        let record = filed.record;
        if record.sum().ok() != Some(filed.sum) {
            return Err(damaged(format!("does not have the digest {}", filed.sum)));
        }
        if record.reference() != *release {
            return Err(damaged(format!("is the record of {}", record.reference())));
        }
        Ok(record)
    }
}
