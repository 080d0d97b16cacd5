//! Releases: a component's binary and its `Component.toml`, found by a path, or published in a store under their
//! digests.
//!
//! # Example
//!
//! A release is signed, published, and found again:
//!
//! ```
//! use airssys_wasm::registry::{Draft, Published, Record, SecretKey, Store};
//!
//! # let folder = tempfile::tempdir()?;
//! # let data = folder.path();
//! # let binary = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
//! let manifest = "name = \"echo\"\nversion = \"1.2.0\"\n".to_owned();
//! let mut draft = Draft::new(binary, manifest)?;
//! let key = SecretKey::generate()?;
//! draft.sign(&key);
//!
//! let store = Store::open(data)?;
//! let (record, published): (Record, Published) = store.publish(&draft)?;
//! assert_eq!(published, Published::New);
//! assert_eq!(record.to_string(), "echo@1.2.0");
//! assert_eq!(record.signatures[0].key, key.public());
//!
//! let release = store.resolve("echo@1.2.0")?;
//! assert_eq!(release.manifest.version, record.version);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub(crate) mod adapt;
mod digest;
mod draft;
mod error;
pub(crate) mod files;
pub(crate) mod fuse;
pub(crate) mod inspected;
mod keep;
pub(crate) mod keys;
pub(crate) mod log;
pub(crate) mod manifest;
mod record;
pub(crate) mod reference;
pub(crate) mod sealed;
mod store;

pub use digest::Digest;
pub use draft::Draft;
pub use error::StoreError;
pub(crate) use files::Hold;
pub(crate) use fuse::Part;
pub(crate) use keep::{Description, Keep, KeptFiles};
pub use keys::Signature;
pub(crate) use keys::{Seal, Untrusted, verify};
pub use manifest::Manifest;
pub(crate) use manifest::{LimitsPatch, Memory};
pub use record::Record;
pub(crate) use reference::Reference;
pub use store::{Published, Store};

pub use crate::keys::{KeyError, PublicKey, SecretKey};

use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::adapt::Adapted;
use self::fuse::Loose;
use crate::config_file::{ConfigError, Source};
use crate::hint::Act;

/// The file that describes a component.
pub(crate) const MANIFEST: &str = "Component.toml";
/// Where `airssys build` puts components, from the project's folder.
pub(crate) const BUILT: &str = "target/airssys";
/// How many folders above a component's own the built file may be: a workspace has one target for all its members.
const LEVELS_UP: usize = 4;

/// How deep parts may have parts of their own, which they are fused with before.
const MAX_FUSED: usize = 8;

/// A release on disk.
///
/// # Example
///
/// ```
/// use airssys_wasm::registry::Release;
///
/// # let folder = tempfile::tempdir()?;
/// # let echo = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
/// # std::fs::write(folder.path().join("echo.wasm"), echo)?;
/// let release = Release::find(&folder.path().join("echo.wasm"))?;
/// assert_eq!(release.manifest.name, "echo");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The component's binary.
    pub component: PathBuf,
    /// What its `Component.toml` says; the defaults where it has none.
    pub manifest: Manifest,
    /// The digests and signatures that it was published with; none where it was found by a path.
    #[doc(hidden)]
    pub seal: Option<Seal>,
    /// The text of its `Component.toml`, where it was found by a path and has one.
    pub(crate) description: Option<Arc<str>>,
    /// The same bytes in the data folder, where they are kept; then the component is only where they came from.
    pub(crate) kept: Option<KeptFiles>,
    /// Why there is none; see [`Release::gone`].
    pub(crate) gone: Option<Box<ConfigError>>,
}

impl Release {
    /// Finds a release: a folder with a `Component.toml`, or a `.wasm` file, whose description is then `NAME.toml`
    /// beside it, if there is one.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::registry::Release;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path();
    /// # let binary = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
    /// std::fs::write(folder.join("echo.wasm"), binary)?;
    /// std::fs::write(folder.join("echo.toml"), "name = \"echo\"\nversion = \"1.2.0\"\n")?;
    /// let release = Release::find(&folder.join("echo.wasm"))?;
    /// assert_eq!(release.manifest.version.to_string(), "1.2.0");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Nothing is there, or what is there is wrong.
    pub fn find(path: &Path) -> Result<Self, ConfigError> {
        let Found { component, manifest, source } = Found::at(path)?;
        Ok(Self { description: source.map(|source| source.text.into()), ..Self::of(component, manifest) })
    }

    pub(crate) fn of(component: PathBuf, manifest: Manifest) -> Self {
        Self { component, manifest, seal: None, description: None, kept: None, gone: None }
    }

    /// In the place of one that is not there, which is no error where what was live is known: see
    /// [`crate::topology::Topology::read_to_start`].
    pub(crate) fn missing(path: PathBuf, why: ConfigError) -> Self {
        let manifest = Manifest::of_bare_file(&path);
        Self { gone: Some(Box::new(why)), ..Self::of(path, manifest) }
    }

    /// Why there is no such release, where it stands for one that was not found.
    pub(crate) fn gone(&self) -> Option<&ConfigError> {
        self.gone.as_deref()
    }

    /// The file that its bytes are read from: its component, or the one that the data folder keeps of it.
    pub(crate) fn binary(&self) -> &Path {
        self.kept.as_ref().map_or(&self.component, |kept| &kept.binary)
    }

    /// The digest that its binary must have, where it is held to one.
    pub(crate) fn expected(&self) -> Option<Digest> {
        self.seal.as_ref().map(|seal| seal.binary).or_else(|| self.kept.as_ref().map(|kept| kept.digest))
    }

    /// Says to all processes that this release is needed for as long as the answer lives: [`Store::remove`] and
    /// [`Store::retention`] then spare it, and so does the host that keeps it.
    ///
    /// # Errors
    ///
    /// Its component cannot be read.
    pub(crate) fn hold(&self) -> Result<Hold, StoreError> {
        match &self.kept {
            Some(kept) => kept.hold(),
            None => Hold::on([&self.component]),
        }
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
        Self::inside(path, 0)
    }

    /// What stands at a path, adapted where that is a core module, and fused with its parts. It is a part itself of so
    /// many that are fused.
    fn inside(path: &Path, depth: usize) -> Result<Self, ConfigError> {
        let mut found = if path.is_dir() { Self::in_folder(path)? } else { Self::of_file(path)? };
        found.component = Adapted::beside(found.component)?;
        let fuse = &found.manifest.fuse;
        let Some(source) = found.source.as_ref().filter(|_| !fuse.is_empty()) else { return Ok(found) };
        if depth == MAX_FUSED {
            let what = format!("is a part of a part, more than {MAX_FUSED} deep");
            return Err(ConfigError::whole(&source.path, what, "are two fused with each other?"));
        }
        let find = |path: &Path| Self::inside(path, depth + 1).map(|found| found.loose());
        let component = fuse.fuse(&found.loose(), source, find)?;
        Ok(Self { component, ..found })
    }

    fn loose(&self) -> Loose {
        let version = self.manifest.has_version().then(|| self.manifest.version.clone());
        Loose { name: self.manifest.name.clone(), version, component: self.component.clone() }
    }

    fn of_file(path: &Path) -> Result<Self, ConfigError> {
        if !path.is_file() {
            let hint = "a release is a folder with a Component.toml, or a .wasm file";
            return Err(ConfigError::whole(path, "is not there", hint));
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
            None => {
                let what = format!("is not built: there is no {BUILT}/{name} here or above");
                Err(ConfigError::whole(folder, what, Act::Build { folder: folder.display().to_string() }))
            }
        }
    }
}
