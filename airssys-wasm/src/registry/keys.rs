//! Who vouches for a release: signatures, and the question whether somebody who is trusted has signed.
//!
//! What is signed is a text of a kind of its own, over the digests of the binary and of the manifest. So a signature is
//! for exactly one release, and no signature that was given for something else can stand for it.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Digest, Release};
use crate::hex;
use crate::hint::{Act, Coded, Hint};
use crate::keys::{PublicKey, SecretKey};

/// What stands before the digests in what is signed.
const DOMAIN: &[u8] = b"airssys release signature, version 1\0";

/// What stands before the digests in what a release's id is the digest of.
const ID_DOMAIN: &[u8] = b"airssys release, version 1\0";

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
        self.key.has_signed(&message(seal), &self.signature)
    }
}

impl SecretKey {
    /// Signs the release that has these digests.
    pub(super) fn sign(&self, seal: &Seal) -> Signature {
        Signature { key: self.public(), signature: self.signature(&message(seal)) }
    }
}

fn message(seal: &Seal) -> Vec<u8> {
    [DOMAIN, seal.binary.as_bytes(), seal.manifest.as_bytes()].concat()
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

    use std::path::PathBuf;

    use super::{SecretKey, Untrusted, verify};
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
}
