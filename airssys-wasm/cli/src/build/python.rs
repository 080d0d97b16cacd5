//! Components in Python: the module `app` of a folder, with the world of its folder `wit`, by componentize-py. Installs
//! nothing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::BuildError;
use super::manifest::{self, Manifest};

const TOOL: &str = "componentize-py";

/// What a folder holds that is to be a component.
pub(super) struct PythonProject {
    dir: PathBuf,
    pub(super) manifest: Manifest,
}

/// The component in a folder, where it holds one in Python.
pub(super) fn find(dir: &Path) -> Result<Option<PythonProject>, BuildError> {
    let Ok(dir) = dir.canonicalize() else { return Ok(None) };
    if dir.join("Cargo.toml").is_file() || !dir.join("app.py").is_file() {
        return Ok(None);
    }
    let file = dir.join("Component.toml");
    if !file.is_file() {
        return Err(BuildError::NoManifest { dir });
    }
    Ok(Some(PythonProject { manifest: manifest::read(&file)?, dir }))
}

impl PythonProject {
    /// Whether what it is built with is there.
    pub(super) fn check(&self) -> Result<(), BuildError> {
        let there = Command::new(TOOL).arg("--version").stdin(Stdio::null()).output();
        match there {
            Ok(output) if output.status.success() => Ok(()),
            _ => Err(BuildError::NoToolchain {
                wanted: "Python",
                missing: format!("`{TOOL}` is not on PATH, or does not run"),
                remedy: format!("install it: pip install {TOOL}"),
            }),
        }
    }

    /// Where its component is written, where nobody names another file.
    pub(super) fn file(&self) -> PathBuf {
        self.dir.join("target").join("airssys").join(format!("{}.wasm", self.manifest.name))
    }

    /// The bytes of the component.
    pub(super) fn build(&self, more: &[String]) -> Result<Vec<u8>, BuildError> {
        let unreadable = |source| BuildError::Unreadable { file: self.dir.clone(), source };
        let between = tempfile::tempdir().map_err(unreadable)?;
        let component = between.path().join("component.wasm");
        let mut building = Command::new(TOOL);
        building.args(["--quiet", "--wit-path"]).arg(self.dir.join("wit")).args(["componentize", "app", "--output"]);
        building.arg(&component).arg("--python-path").arg(&self.dir).args(more);
        // What it compiles it would leave beside the sources.
        building.env("PYTHONDONTWRITEBYTECODE", OsString::from("1")).current_dir(&self.dir).stdin(Stdio::null());
        let output = building.output();
        let output = output.map_err(|source| BuildError::NotStarted { program: TOOL.to_owned(), source })?;
        if !output.status.success() {
            let said = [output.stderr, output.stdout].concat();
            return Err(BuildError::CargoFailed {
                program: TOOL.to_owned(),
                dir: self.dir.clone(),
                status: output.status,
                output: String::from_utf8_lossy(&said).trim().to_owned(),
            });
        }
        std::fs::read(&component).map_err(|source| BuildError::Unreadable { file: component.clone(), source })
    }
}
