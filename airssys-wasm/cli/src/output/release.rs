//! A published release, as it is printed.

use std::time::{Duration, UNIX_EPOCH};

use airssys_wasm::command::Part;
use airssys_wasm::registry::{Digest, PublicKey, Record};
use bytesize::ByteSize;
use serde::Serialize;

/// Digits of an id that are shown to people.
const SHORT: usize = 12;

/// What is printed of a release.
#[derive(Debug, Serialize)]
pub(crate) struct ReleaseLine {
    release: String,
    name: String,
    version: semver::Version,
    id: Digest,
    binary_sha256: Digest,
    manifest_sha256: Digest,
    size_bytes: u64,
    published: String,
    signed_by: Vec<PublicKey>,
    /// What it was fused of; nothing where it was not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<Part>,
}

impl ReleaseLine {
    pub(crate) fn new(record: &Record) -> Self {
        let published = UNIX_EPOCH + Duration::from_millis(record.published_ms);
        Self {
            release: record.to_string(),
            name: record.name.clone(),
            version: record.version.clone(),
            id: record.id(),
            binary_sha256: record.binary,
            manifest_sha256: record.manifest,
            size_bytes: record.size_bytes,
            published: humantime::format_rfc3339_seconds(published).to_string(),
            signed_by: record.signatures.iter().map(|signature| signature.key).collect(),
            parts: record.parts.clone(),
        }
    }

    /// The parts of a fused one, but for the one that has its name.
    fn fused(&self) -> String {
        let others: Vec<String> = self
            .parts
            .iter()
            .skip(1)
            .map(|part| match &part.version {
                Some(version) => format!("{} {version}", part.name),
                None => part.name.clone(),
            })
            .collect();
        if others.is_empty() { String::new() } else { format!("fused with {}", others.join(", ")) }
    }

    /// Its cells in a table for people.
    pub(crate) fn row(&self) -> Vec<String> {
        let signed = match self.signed_by.as_slice() {
            [] => "not signed".to_owned(),
            keys => format!("signed by {}", keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        };
        vec![
            self.release.clone(),
            format!("id {:.SHORT$}", self.id.to_string()),
            ByteSize(self.size_bytes).to_string(),
            self.published.clone(),
            signed,
            self.fused(),
        ]
    }
}
