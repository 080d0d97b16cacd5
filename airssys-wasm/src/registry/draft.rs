//! A release before it is published. One that exists could be: it was looked at.

use std::path::Path;

use super::adapt::Adapted;
use super::manifest::{Manifest, World};
use super::{Digest, Found, Part, Seal, SecretKey, StoreError, reference};
use crate::config_file::{ConfigError, Source};
use crate::engine::{check_component, read_component};

/// The largest manifest that is published, in bytes.
const MAX_MANIFEST: usize = 1 << 20;

/// A component and its `Component.toml` as they will be published, byte by byte.
///
/// # Example
///
/// ```
/// use airssys_wasm::registry::{Draft, StoreError};
///
/// let nothing = Draft::read("no-such-folder".as_ref());
/// assert!(matches!(nothing, Err(StoreError::Manifest(_))));
/// ```
#[derive(Debug, Clone)]
pub struct Draft {
    pub(super) binary: Vec<u8>,
    pub(super) text: String,
    pub(super) manifest: Manifest,
    pub(super) seal: Seal,
    pub(super) parts: Vec<Part>,
}

impl Draft {
    /// Reads one: a folder with a `Component.toml`, or a `.wasm` file with its `.toml` beside it.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::registry::Draft;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path();
    /// # let binary = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
    /// std::fs::write(folder.join("echo.wasm"), binary)?;
    /// std::fs::write(folder.join("echo.toml"), "name = \"echo\"\nversion = \"1.2.0\"\n")?;
    /// let _draft = Draft::read(&folder.join("echo.wasm"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// There is none; the manifest is wrong, or missing: a published release has a name and a version; the binary is no
    /// component, or none of the world that the manifest names.
    pub fn read(path: &Path) -> Result<Self, StoreError> {
        let Found { component, manifest, source } = Found::at(path)?;
        let Some(source) = source else {
            let what = "has no description, and a published release has a name and a version";
            let beside = path.with_extension("toml");
            let hint = format!("write {} with at least: name = \"echo\" and version = \"0.1.0\"", beside.display());
            return Err(StoreError::Manifest(ConfigError::whole(path, what, hint)));
        };
        Self::checked(read_component(&component)?, &component, manifest, source)
    }

    /// One of bytes that are in memory.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::hint::Coded;
    /// use airssys_wasm::registry::Draft;
    ///
    /// let manifest = || "name = \"echo\"\nversion = \"1.2.0\"\n".to_owned();
    /// # let binary = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
    /// let _draft = Draft::new(binary, manifest())?;
    /// let refused = Draft::new(b"no component".to_vec(), manifest()).unwrap_err();
    /// assert_eq!(refused.code(), "no-component");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Draft::read`].
    pub fn new(binary: Vec<u8>, manifest: String) -> Result<Self, StoreError> {
        let path = Path::new("the component");
        let binary = Adapted::instead(binary);
        check_component(&binary, path)?;
        let source = Source { path: super::MANIFEST.into(), text: manifest };
        let manifest = Manifest::of_source(&source)?;
        Self::checked(binary, path, manifest, source)
    }

    fn checked(binary: Vec<u8>, component: &Path, manifest: Manifest, source: Source) -> Result<Self, StoreError> {
        let refused = |what: String, hint: &str| StoreError::Manifest(ConfigError::whole(&source.path, what, hint));
        if source.text.len() > MAX_MANIFEST {
            let what = format!("has {} bytes; the most is {MAX_MANIFEST}", source.text.len());
            return Err(refused(what, "is it the right file?"));
        }
        reference::check(&manifest.name, Some(&manifest.version.to_string()))
            .map_err(|why| refused(why, "shorten the version"))?;
        match manifest.world {
            World::Actor => manifest.inspect(&binary, component)?.check(component)?,
        }
        let parts = Part::all_of(&binary, component)?;
        if !manifest.fuse.is_of(&parts) {
            let what = "has a [fuse], and the binary was not fused so";
            return Err(refused(what.to_owned(), "publish it by the path of its Component.toml"));
        }
        let seal =
            Seal { binary: Digest::of(&binary), manifest: Digest::of(source.text.as_bytes()), signatures: Vec::new() };
        Ok(Self { binary, text: source.text, manifest, seal, parts })
    }

    /// Signs it.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::registry::{Draft, SecretKey, Store};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let data = folder.path();
    /// # let binary = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
    /// # let mut draft = Draft::new(binary, "name = \"echo\"\nversion = \"1.2.0\"\n".to_owned())?;
    /// let key = SecretKey::generate()?;
    /// draft.sign(&key);
    /// let (record, _new) = Store::open(data)?.publish(&draft)?;
    /// assert_eq!(record.signatures[0].key, key.public());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sign(&mut self, key: &SecretKey) {
        let signature = key.sign(&self.seal);
        if !self.seal.signatures.iter().any(|other| other.key == signature.key) {
            self.seal.signatures.push(signature);
        }
    }
}
