//! Who vouches for a release: Ed25519 keys, signatures, and the question whether somebody who is trusted has signed.
//!
//! What is signed is a text of a kind of its own, over the digests of the binary and of the manifest. So a signature is
//! for exactly one release, and no signature that was given for something else can stand for it.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Digest, Release};
use crate::hex;
use crate::hint::{Act, Coded, Hint};

/// What stands before the digests in what is signed.
const DOMAIN: &[u8] = b"airssys release signature, version 1\0";
/// What stands before a public key's digits.
const PUBLIC: &str = "ed25519:";
/// What stands before a private key's digits, so that nobody takes it for a public one.
const SECRET: &str = "airssys-secret-key:ed25519:";
/// More than any key file has, in bytes.
const MAX_KEY_FILE: u64 = 1024;

/// What stands before the digests in what a release's id is the digest of.
const ID_DOMAIN: &[u8] = b"airssys release, version 1\0";

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

/// A signature of a release, and whose it is.
///
/// # Example
///
/// ```
/// use airssys_wasm::registry::{PublicKey, Signature};
///
/// /// Who signed, of those who are trusted.
/// fn trusted<'a>(signatures: &'a [Signature], keys: &[PublicKey]) -> Option<&'a Signature> {
///     signatures.iter().find(|signature| keys.contains(&signature.key))
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// Who signed.
    pub key: PublicKey,
    #[serde(with = "digits")]
    signature: [u8; 64],
}

/// The digests of a published release, and who vouches for them.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::Seal;
/// use airssys_wasm::registry::{Draft, Store};
///
/// # let folder = tempfile::tempdir()?;
/// # let data = folder.path();
/// # let binary = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
/// let store = Store::open(data)?;
/// let (record, _new) = store.publish(&Draft::new(binary, "name = \"echo\"\nversion = \"1.2.0\"\n".to_owned())?)?;
/// let seal: Seal = store.resolve("echo@1.2.0")?.seal.ok_or("it was published")?;
/// assert_eq!(seal.id(), record.id());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// The SHA-256 of the binary.
    pub binary: Digest,
    /// The SHA-256 of the manifest.
    pub manifest: Digest,
    /// The signatures of both digests.
    pub signatures: Vec<Signature>,
}

impl Seal {
    /// The release's id: a digest over both digests. Signatures are no part of it.
    #[must_use]
    pub fn id(&self) -> Digest {
        Digest::of(&[ID_DOMAIN, self.binary.as_bytes(), self.manifest.as_bytes()].concat())
    }
}

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

/// Why a release may not be used where only some keys are trusted.
///
/// # Example
///
/// ```
/// use airssys_wasm::RuntimeError;
/// use airssys_wasm::command::Untrusted;
///
/// /// Whether a signature would help.
/// fn needs_a_signature(error: &RuntimeError) -> bool {
///     matches!(error, RuntimeError::Untrusted { source: Untrusted::Unsigned { .. }, .. })
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Untrusted {
    /// It was found by a path, and so has no signature that could be looked at.
    #[error("{release} is no published release, and only those that a trusted key signed may be used")]
    NotPublished {
        /// The component's file.
        release: String,
    },
    /// Nobody signed it.
    #[error("{release} is not signed, and only what a trusted key signed may be used")]
    Unsigned {
        /// Its name and version.
        release: String,
    },
    /// Others signed it.
    #[error("{release} is signed by {}, and none of these keys is trusted", list(.signers))]
    OtherKeys {
        /// Its name and version.
        release: String,
        /// Who signed.
        signers: Vec<PublicKey>,
    },
}

impl Coded for Untrusted {
    fn code(&self) -> &'static str {
        match self {
            Self::NotPublished { .. } => "not-published",
            Self::Unsigned { .. } => "unsigned",
            Self::OtherKeys { .. } => "other-keys",
        }
    }

    fn hint(&self) -> Option<Hint> {
        Some(match self {
            Self::NotPublished { .. } => Act::PublishSigned.into(),
            Self::Unsigned { .. } => Act::Sign.into(),
            Self::OtherKeys { .. } => "sign it with a trusted key, or add its key to `trusted_keys`".into(),
        })
    }
}

fn list(keys: &[PublicKey]) -> String {
    keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Answers with the trusted key that signed a release. Where several did, with the first of them in the list.
///
/// It holds for what the release's digests stand for: whoever reads the binary compares it with them.
///
/// # Errors
///
/// [`Untrusted`].
pub(crate) fn verify(release: &Release, trusted: &[PublicKey]) -> Result<PublicKey, Untrusted> {
    let Some(seal) = &release.seal else {
        return Err(Untrusted::NotPublished { release: release.component.display().to_string() });
    };
    let signers = || seal.signatures.iter().filter(|signature| signature.is_of(seal)).map(|signature| signature.key);
    if let Some(key) = trusted.iter().find(|key| signers().any(|signer| signer == **key)) {
        return Ok(*key);
    }
    let name = format!("{}@{}", release.manifest.name, release.manifest.version);
    match signers().collect::<Vec<_>>() {
        none if none.is_empty() => Err(Untrusted::Unsigned { release: name }),
        signers => Err(Untrusted::OtherKeys { release: name, signers }),
    }
}

impl Signature {
    /// Whether it is one of this release.
    pub(super) fn is_of(&self, seal: &Seal) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&self.signature);
        VerifyingKey::from_bytes(&self.key.0).is_ok_and(|key| key.verify_strict(&message(seal), &signature).is_ok())
    }
}

fn message(seal: &Seal) -> Vec<u8> {
    [DOMAIN, seal.binary.as_bytes(), seal.manifest.as_bytes()].concat()
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

    /// Signs the release that has these digests.
    pub(super) fn sign(&self, seal: &Seal) -> Signature {
        Signature { key: self.public(), signature: self.0.sign(&message(seal)).to_bytes() }
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

/// A signature's bytes as digits.
mod digits {
    use super::{Deserialize, Deserializer, Serializer, de, hex};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 64], D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(&text).ok_or_else(|| de::Error::custom("a signature has 128 hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::{KeyError, PublicKey, SecretKey, Untrusted, verify};
    use crate::config_file::Source;
    use crate::registry::{Digest, Manifest, Release, Seal};

    fn release(binary: &[u8], manifest: &str) -> Release {
        let source = Source::of_text("Component.toml", manifest);
        let seal =
            Seal { binary: Digest::of(binary), manifest: Digest::of(manifest.as_bytes()), signatures: Vec::new() };
        Release { seal: Some(seal), ..Release::of(PathBuf::from("a.wasm"), Manifest::of_source(&source).unwrap()) }
    }

    const MANIFEST: &str = "name = \"a\"\nversion = \"1.0.0\"\n";

    #[test]
    fn only_the_signature_of_a_trusted_key_over_this_very_release_counts() {
        let (ours, theirs) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        let mut release = release(b"binary", MANIFEST);
        assert!(matches!(verify(&release, &[ours.public()]), Err(Untrusted::Unsigned { .. })));

        let seal = release.seal.clone().unwrap();
        release.seal.as_mut().unwrap().signatures = vec![theirs.sign(&seal), ours.sign(&seal)];
        assert_eq!(verify(&release, &[ours.public()]), Ok(ours.public()));
        let nobody = verify(&release, &[SecretKey::generate().unwrap().public()]);
        assert!(matches!(nobody, Err(Untrusted::OtherKeys { signers, .. }) if signers.len() == 2));
        assert!(verify(&release, &[]).is_err(), "an empty list trusts nobody");

        // The same signatures under another binary, and under another manifest.
        for other in [Seal { binary: Digest::of(b"other"), ..seal.clone() }, Seal { manifest: Digest::of(b""), ..seal }]
        {
            let signatures = release.seal.as_ref().unwrap().signatures.clone();
            let forged = Release { seal: Some(Seal { signatures, ..other }), ..release.clone() };
            assert!(matches!(verify(&forged, &[ours.public()]), Err(Untrusted::Unsigned { .. })));
        }
        release.seal = None;
        assert!(matches!(verify(&release, &[ours.public()]), Err(Untrusted::NotPublished { .. })));
    }

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
