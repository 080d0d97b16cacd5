//! Releases: a component's binary and its `Component.toml`. For now found by a path.

mod manifest;

pub(crate) use manifest::WrittenLimits;
pub use manifest::{LimitsPatch, Manifest};

use std::path::{Path, PathBuf};

use crate::config_file::ConfigError;

/// The file that describes a component.
pub const MANIFEST: &str = "Component.toml";
/// Where `airssys build` puts components, from the project's folder.
pub const BUILT: &str = "target/airssys";
/// How many folders above a component's own the built file may be: a workspace has one target for all its members.
const LEVELS_UP: usize = 4;

/// A release on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The component's binary.
    pub component: PathBuf,
    /// What its `Component.toml` says; the defaults where it has none.
    pub manifest: Manifest,
}

impl Release {
    /// Finds a release: a folder with a `Component.toml`, or a `.wasm` file, whose description is then `NAME.toml` beside it, if there is one.
    ///
    /// # Errors
    ///
    /// Nothing is there, or what is there is wrong.
    pub fn find(path: &Path) -> Result<Self, ConfigError> {
        if path.is_dir() {
            return Self::in_folder(path);
        }
        let error = |what: &str, hint: &str| ConfigError {
            path: path.to_owned(),
            at: None,
            what: what.to_owned(),
            hint: hint.to_owned(),
        };
        if !path.is_file() {
            return Err(error("is not there", "a release is a folder with a Component.toml, or a .wasm file"));
        }
        let beside = path.with_extension("toml");
        let manifest = if beside.is_file() { Manifest::read(&beside)? } else { Manifest::of_bare_file(path) };
        Ok(Self { component: path.to_owned(), manifest })
    }

    fn in_folder(folder: &Path) -> Result<Self, ConfigError> {
        let manifest = Manifest::read(&folder.join(MANIFEST))?;
        if let Some(component) = &manifest.component {
            return Ok(Self { component: folder.join(component), manifest });
        }
        let name = format!("{}.wasm", manifest.name);
        let absolute = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let found =
            absolute.ancestors().take(LEVELS_UP).map(|above| above.join(BUILT).join(&name)).find(|file| file.is_file());
        match found {
            Some(component) => Ok(Self { component, manifest }),
            None => Err(ConfigError {
                path: folder.to_owned(),
                at: None,
                what: format!("is not built: there is no {BUILT}/{name} here or above"),
                hint: format!("run `airssys build {}`", folder.display()),
            }),
        }
    }
}
