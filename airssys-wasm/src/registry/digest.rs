//! SHA-256 digests, which name what never changes.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

use crate::hex;

/// What is read of a file at a time, in bytes.
const BLOCK: usize = 1 << 16;

/// A SHA-256 digest. Shown as 64 lower-case hexadecimal digits.
///
/// # Example
///
/// ```
/// use airssys_wasm::registry::Digest;
///
/// let digest = Digest::of(b"abc");
/// assert!(digest.to_string().starts_with("ba7816bf"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    #[doc(hidden)]
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of what stands in a file, and its size in bytes. The file is never in memory as a whole.
    pub(crate) fn of_file(path: &Path) -> io::Result<(Self, u64)> {
        let mut file = File::open(path)?;
        let (mut hasher, mut block, mut size_bytes) = (Sha256::new(), vec![0; BLOCK], 0);
        loop {
            match file.read(&mut block)? {
                0 => return Ok((Self(hasher.finalize().into()), size_bytes)),
                read => {
                    hasher.update(&block[..read]);
                    size_bytes += read as u64;
                }
            }
        }
    }

    /// The one that is written so; none where it is not one.
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        hex::decode(text).map(Self)
    }

    /// Its bytes.
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{self}")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digest = Self::of_text(&String::deserialize(deserializer)?);
        digest.ok_or_else(|| de::Error::custom("a SHA-256 digest has 64 lower-case hexadecimal digits"))
    }
}
