//! Ed25519 keys: who signs, and who is known to. What is signed is for those above to say, each with words of its own
//! before it.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::hex;
use crate::hint::{Act, Coded, Hint};

/// What stands before a public key's digits.
const PUBLIC: &str = "ed25519:";
/// What stands before a private key's digits, so that nobody takes it for a public one.
const SECRET: &str = "airssys-secret-key:ed25519:";
/// More than any key file has, in bytes.
const MAX_KEY_FILE: u64 = 1024;

/// A key that others know one by. Written as `ed25519:` and 64 hexadecimal digits.
///
/// # Example
///
/// ```
/// use airssys_wasm::registry::{PublicKey, SecretKey};
///
/// let public = SecretKey::generate()?.public();
/// let text = public.to_string();
/// assert!(text.starts_with("ed25519:"));
/// assert_eq!(text.parse::<PublicKey>()?, public);
/// # Ok::<_, airssys_wasm::registry::KeyError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey([u8; 32]);

/// A key that signs. It is never shown.
///
/// # Example
///
/// ```
/// use airssys_wasm::registry::{KeyError, SecretKey};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let file = folder.path().join("release.key");
/// let key = SecretKey::generate()?;
/// key.write_new(&file)?;
/// assert_eq!(SecretKey::read(&file)?.public(), key.public());
/// assert!(matches!(key.write_new(&file), Err(KeyError::Exists { .. })));
/// # Ok::<_, KeyError>(())
/// ```
pub struct SecretKey(SigningKey);

/// A text or a file that holds no key.
///
/// # Example
///
/// ```
/// use airssys_wasm::registry::{KeyError, PublicKey};
///
/// assert!(matches!("ed25519:12".parse::<PublicKey>(), Err(KeyError::Public { .. })));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A text is no public key.
    #[error("{text:?} is no public key, which is {PUBLIC} and 64 hexadecimal digits")]
    Public {
        /// What was there.
        text: String,
    },
    /// A file holds no private key. What it holds is not said.
    #[error("{} holds no private key", .path.display())]
    Secret {
        /// The file.
        path: PathBuf,
    },
    /// There is something already where the key should be written.
    #[error("{} is there already", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("cannot {action} {}: {source}", .path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system gives no random bytes.
    #[error("there is no randomness to make a key of: {0}")]
    Random(io::Error),
}

impl Coded for KeyError {
    fn code(&self) -> &'static str {
        match self {
            Self::Public { .. } => "bad-public-key",
            Self::Secret { .. } => "bad-secret-key",
            Self::Exists { .. } => "exists",
            Self::File { .. } => "file",
            Self::Random(_) => "random",
        }
    }

    fn hint(&self) -> Option<Hint> {
        Some(match self {
            Self::Public { .. } => Act::MakeKey.into(),
            Self::Secret { .. } => Act::NameKey.into(),
            Self::Exists { .. } => Hint::from("a key is never overwritten: ").act(Act::NewFile),
            Self::File { .. } => "look at the path and its permissions".into(),
            Self::Random(_) => "look at the system's /dev/urandom".into(),
        })
    }
}

impl SecretKey {
    /// Makes a new one.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::registry::SecretKey;
    ///
    /// assert_ne!(SecretKey::generate()?.public(), SecretKey::generate()?.public());
    /// # Ok::<_, airssys_wasm::registry::KeyError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`KeyError::Random`].
    pub fn generate() -> Result<Self, KeyError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| KeyError::Random(io::Error::other(error.to_string())))?;
        Ok(Self(SigningKey::from_bytes(&bytes)))
    }

    /// Reads one from a file that [`SecretKey::write_new`] wrote.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::registry::{KeyError, SecretKey};
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let file = folder.path().join("release.key");
    /// std::fs::write(&file, "no key").unwrap();
    /// assert!(matches!(SecretKey::read(&file), Err(KeyError::Secret { .. })));
    /// ```
    ///
    /// # Errors
    ///
    /// [`KeyError::File`], [`KeyError::Secret`].
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::File { action: "read", path: path.to_owned(), source };
        let mut bytes = Vec::new();
        let file = fs::File::open(path).map_err(failed)?;
        file.take(MAX_KEY_FILE).read_to_end(&mut bytes).map_err(failed)?;
        let text = String::from_utf8(bytes).unwrap_or_default();
        let key = text.trim_end().strip_prefix(SECRET).and_then(hex::decode);
        key.map(|bytes| Self(SigningKey::from_bytes(&bytes))).ok_or_else(|| KeyError::Secret { path: path.to_owned() })
    }

    /// Writes it to a new file that only its owner may read.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::registry::SecretKey;
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let file = folder.path().join("release.key");
    /// let key = SecretKey::generate()?;
    /// key.write_new(&file)?;
    /// assert_eq!(SecretKey::read(&file)?.public(), key.public());
    /// # Ok::<_, airssys_wasm::registry::KeyError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`KeyError::Exists`], [`KeyError::File`]. No file is there then that was not there before.
    pub fn write_new(&self, path: &Path) -> Result<(), KeyError> {
        let failed = |source| KeyError::File { action: "write", path: path.to_owned(), source };
        let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(KeyError::Exists { path: path.to_owned() });
            }
            Err(error) => return Err(failed(error)),
        };
        let text = format!("{SECRET}{}\n", hex::encode(self.0.as_bytes()));
        if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()) {
            // Half a key is none; that it cannot even be removed is the smaller trouble.
            let _half = fs::remove_file(path);
            return Err(failed(error));
        }
        Ok(())
    }

    /// The key that others know it by.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::registry::SecretKey;
    ///
    /// // What `trusted_keys` of a topology names.
    /// let key = SecretKey::generate()?;
    /// println!("trusted_keys = [\"{}\"]", key.public());
    /// # Ok::<_, airssys_wasm::registry::KeyError>(())
    /// ```
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs this. What is signed says first of which kind it is, so that no signature stands for another one.
    pub(crate) fn signature(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl PublicKey {
    /// Whether the one who has the secret key has signed this.
    pub(crate) fn has_signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        VerifyingKey::from_bytes(&self.0).is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the secret key of {}", self.public())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC}{}", hex::encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        // Of a weak key anybody can make signatures.
        let sound = |bytes: &[u8; 32]| VerifyingKey::from_bytes(bytes).is_ok_and(|key| !key.is_weak());
        let key = text.strip_prefix(PUBLIC).and_then(hex::decode).filter(sound);
        key.map(Self).ok_or_else(|| KeyError::Public { text: text.to_owned() })
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::{KeyError, PublicKey, SecretKey};

    #[test]
    fn a_key_is_written_once_for_its_owner_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let key = SecretKey::generate().unwrap();
        key.write_new(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(SecretKey::read(&path).unwrap().public(), key.public());
        assert!(matches!(key.write_new(&path), Err(KeyError::Exists { .. })));
        assert!(!format!("{key:?}").contains(&super::hex::encode(key.0.as_bytes())));

        fs::write(&path, key.public().to_string()).unwrap();
        let said = SecretKey::read(&path).unwrap_err();
        assert!(matches!(said, KeyError::Secret { .. }), "a public key does not sign");
    }

    #[test]
    fn a_text_that_is_no_key_is_refused() {
        let key = SecretKey::generate().unwrap().public();
        assert_eq!(key.to_string().parse::<PublicKey>().unwrap(), key);
        let weak = format!("ed25519:01{}", "0".repeat(62));
        for bad in ["", "ed25519:", "rsa:00", &key.to_string()[8..], &key.to_string().to_uppercase(), &weak] {
            assert!(bad.parse::<PublicKey>().is_err(), "{bad}");
        }
    }
}
