//! Releases: a component's binary and its `Component.toml`, found by a path, or published in a store under their digests.

mod digest;
mod draft;
mod error;
pub(crate) mod files;
mod hex;
mod keys;
mod manifest;
mod record;
mod reference;
mod store;

pub use digest::{Digest, NoDigest};
pub use draft::Draft;
pub use error::StoreError;
pub use files::Hold;
pub use keys::{KeyError, PublicKey, SecretKey, Signature, Untrusted, verify};
pub(crate) use manifest::WrittenLimits;
pub use manifest::{LimitsPatch, Manifest, Memory, World};
pub use record::Record;
pub use reference::{Reference, ReferenceError};
pub use store::{Listing, Published, Store};

use std::path::{Path, PathBuf};

use crate::config_file::{ConfigError, Source};

/// The file that describes a component.
pub const MANIFEST: &str = "Component.toml";
/// Where `airssys build` puts components, from the project's folder.
pub const BUILT: &str = "target/airssys";
/// How many folders above a component's own the built file may be: a workspace has one target for all its members.
const LEVELS_UP: usize = 4;

/// What stands before the digests in what a release's id is the digest of.
const ID_DOMAIN: &[u8] = b"airssys release, version 1\0";

/// A release on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The component's binary.
    pub component: PathBuf,
    /// What its `Component.toml` says; the defaults where it has none.
    pub manifest: Manifest,
    /// What it is held to, where it was published; none where it was found by a path.
    pub seal: Option<Seal>,
}

/// The digests of a published release, and who vouches for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// Of the binary.
    pub binary: Digest,
    /// Of the manifest.
    pub manifest: Digest,
    /// Over both.
    pub signatures: Vec<Signature>,
}

impl Seal {
    /// The release's id: a digest over both digests. Signatures are no part of it.
    #[must_use]
    pub fn id(&self) -> Digest {
        Digest::of(&[ID_DOMAIN, self.binary.as_bytes(), self.manifest.as_bytes()].concat())
    }
}

impl Release {
    /// Finds a release: a folder with a `Component.toml`, or a `.wasm` file, whose description is then `NAME.toml` beside it, if there is one.
    ///
    /// # Errors
    ///
    /// Nothing is there, or what is there is wrong.
    pub fn find(path: &Path) -> Result<Self, ConfigError> {
        let Found { component, manifest, .. } = Found::at(path)?;
        Ok(Self { component, manifest, seal: None })
    }

    /// Says to all processes that this release is needed for as long as the answer lives: [`Store::remove`] and [`Store::retention`] then spare it.
    ///
    /// # Errors
    ///
    /// Its component cannot be read.
    pub fn hold(&self) -> Result<Hold, StoreError> {
        Hold::on(&self.component)
    }
}

/// What stands at a path.
struct Found {
    component: PathBuf,
    manifest: Manifest,
    /// The manifest's file, where there is one.
    source: Option<Source>,
}

impl Found {
    fn at(path: &Path) -> Result<Self, ConfigError> {
        if path.is_dir() {
            return Self::in_folder(path);
        }
        if !path.is_file() {
            return Err(ConfigError {
                path: path.to_owned(),
                at: None,
                what: "is not there".to_owned(),
                hint: "a release is a folder with a Component.toml, or a .wasm file".to_owned(),
            });
        }
        let beside = path.with_extension("toml");
        let component = path.to_owned();
        if !beside.is_file() {
            return Ok(Self { component, manifest: Manifest::of_bare_file(path), source: None });
        }
        let source = Manifest::source(&beside)?;
        Ok(Self { component, manifest: Manifest::of_source(&source)?, source: Some(source) })
    }

    fn in_folder(folder: &Path) -> Result<Self, ConfigError> {
        let source = Manifest::source(&folder.join(MANIFEST))?;
        let manifest = Manifest::of_source(&source)?;
        if let Some(component) = &manifest.component {
            return Ok(Self { component: folder.join(component), manifest, source: Some(source) });
        }
        let name = format!("{}.wasm", manifest.name);
        let absolute = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let found =
            absolute.ancestors().take(LEVELS_UP).map(|above| above.join(BUILT).join(&name)).find(|file| file.is_file());
        match found {
            Some(component) => Ok(Self { component, manifest, source: Some(source) }),
            None => Err(ConfigError {
                path: folder.to_owned(),
                at: None,
                what: format!("is not built: there is no {BUILT}/{name} here or above"),
                hint: format!("run `airssys build {}`", folder.display()),
            }),
        }
    }
}
