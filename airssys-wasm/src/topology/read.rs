//! From an `airssys.toml` to a topology.

use std::path::Path;

use super::Topology;
use super::validate::{self, Releases};
use crate::config_file::{ConfigError, Source};

impl Topology {
    /// Reads an `airssys.toml` whose releases are all found by a path. Paths in it are taken from its own folder.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::topology::Topology;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # std::fs::write(folder.path().join("echo.wasm"), b"")?;
    /// let file = folder.path().join("airssys.toml");
    /// std::fs::write(&file, "name = \"shop\"\n[[service]]\nname = \"echo\"\nrelease = \"echo.wasm\"\n")?;
    /// assert_eq!(Topology::read(&file)?.name(), "shop");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with its place: unknown keys, names and values, two owners of one name,
    /// supervisors in a circle, a release that is not there.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::read_with(path, None)
    }

    /// Reads the text of an `airssys.toml` that is in no file; paths in it are taken from this folder.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::topology::Topology;
    ///
    /// let error = Topology::parse("name = \"shop\"\n[[service]]\nname = \"echo\"\n", ".".as_ref()).unwrap_err();
    /// assert_eq!(error.at, Some((2, 1)), "a service names its release: {error}");
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Topology::read`].
    pub fn parse(text: impl Into<String>, folder: &Path) -> Result<Self, ConfigError> {
        let source = Source { path: folder.join("airssys.toml"), text: text.into() };
        validate::topology(&source, Releases { data_folder: None, may_be_gone: false })
    }

    /// [`Topology::read`], where releases may also be named `NAME@VERSION`: those are looked up in the store of this
    /// data folder.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::registry::{Draft, Store};
    /// use airssys_wasm::topology::Topology;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let data = folder.path();
    /// # let binary = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
    /// # let draft = Draft::new(binary, "name = \"echo\"\nversion = \"1.2.0\"\n".to_owned())?;
    /// # let file = data.join("airssys.toml");
    /// Store::open(data)?.publish(&draft)?;
    /// std::fs::write(&file, "name = \"shop\"\n[[service]]\nname = \"echo\"\nrelease = \"echo@1.2.0\"\n")?;
    /// assert_eq!(Topology::read_with(&file, Some(data))?.declared()[0].release.manifest.name, "echo");
    /// assert!(Topology::read(&file).is_err(), "without a data folder there are only files");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Topology::read`]; a release that is not in the store, or is damaged there.
    pub fn read_with(path: &Path, data_folder: Option<&Path>) -> Result<Self, ConfigError> {
        let source = Source::read(path, "name the topology file, such as airssys.toml")?;
        validate::topology(&source, Releases { data_folder, may_be_gone: false })
    }

    /// [`Topology::read_with`], where a release that is not there is no error yet: what serves its service may be
    /// another one that was deployed, or the data folder may keep what it was. [`crate::RuntimeBuilder::start`] and
    /// [`crate::Runtime::apply`] refuse where that is not so.
    ///
    /// # Errors
    ///
    /// As [`Topology::read`], but for that.
    #[doc(hidden)]
    pub fn read_to_start(path: &Path, data_folder: &Path) -> Result<Self, ConfigError> {
        let source = Source::read(path, "name the topology file, such as airssys.toml")?;
        validate::topology(&source, Releases { data_folder: Some(data_folder), may_be_gone: true })
    }

    /// [`Topology::read_to_start`] from a text that came from elsewhere; `path` is what errors call it.
    pub(crate) fn of_text_to_start(path: &Path, text: &str, data_folder: &Path) -> Result<Self, ConfigError> {
        let source = Source { path: path.to_owned(), text: text.to_owned() };
        validate::topology(&source, Releases { data_folder: Some(data_folder), may_be_gone: true })
    }
}
