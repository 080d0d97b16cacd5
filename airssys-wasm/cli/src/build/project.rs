//! Which guests a folder holds: what cargo says are its crates, and which of those have a `Component.toml`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::BuildError;
use super::manifest;

/// A folder to build.
#[derive(Debug)]
pub(super) struct Project {
    /// Absolute.
    pub(super) dir: PathBuf,
    /// At least one, by name; no two of one name.
    pub(super) guests: Vec<Guest>,
}

impl Project {
    /// With these guests alone; with all of them where none is named.
    pub(super) fn only(mut self, chosen: &[String]) -> Result<Self, BuildError> {
        let is_there = |name: &String| self.guests.iter().any(|guest| guest.name == *name);
        if let Some(name) = chosen.iter().find(|name| !is_there(name)) {
            let guests = names(self.guests.iter());
            return Err(BuildError::NoSuchGuest { name: name.clone(), dir: self.dir, guests });
        }
        self.guests.retain(|guest| chosen.is_empty() || chosen.contains(&guest.name));
        Ok(self)
    }
}

pub(super) fn names<'a>(guests: impl Iterator<Item = &'a Guest>) -> String {
    guests.map(|guest| guest.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// One guest crate.
#[derive(Debug)]
pub(super) struct Guest {
    /// Of the component, from `Component.toml`.
    pub(super) name: String,
    pub(super) version: semver::Version,
    pub(super) wasi: bool,
    /// Whether it is a program, and no library: a command.
    pub(super) is_program: bool,
    /// Of the crate, as cargo knows it.
    pub(super) package: String,
    pub(super) manifest: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<CrateTarget>,
}

#[derive(Debug, Deserialize)]
struct CrateTarget {
    kind: Vec<String>,
    crate_types: Vec<String>,
}

/// Finds the guests: the crate in `dir` itself where it is one, else the guests of the workspace in it.
pub(super) fn find(dir: &Path) -> Result<Project, BuildError> {
    let no_crate = |_| BuildError::NoCrate { dir: dir.into() };
    let dir = dir.canonicalize().map_err(no_crate)?;
    if !dir.join("Cargo.toml").is_file() {
        return Err(BuildError::NoCrate { dir });
    }
    let packages = metadata(&dir)?.packages;
    let alone = dir.join("Component.toml").is_file();
    let mut guests = Vec::new();
    let mut seen: HashMap<String, PathBuf> = HashMap::new();
    for package in packages {
        let Some(folder) = package.manifest_path.parent() else {
            continue;
        };
        let file = folder.join("Component.toml");
        if !file.is_file() || (alone && folder != dir) {
            continue;
        }
        let guest = guest(&file, package)?;
        if let Some(first) = seen.insert(guest.name.clone(), file.clone()) {
            return Err(BuildError::TwoOfOneName { name: guest.name, first, second: file });
        }
        guests.push(guest);
    }
    if guests.is_empty() {
        return Err(BuildError::NoGuest { dir });
    }
    guests.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Project { dir, guests })
}

fn guest(file: &Path, package: Package) -> Result<Guest, BuildError> {
    let manifest = manifest::read(file)?;
    let is_library = package.targets.iter().any(|target| target.crate_types.iter().any(|kind| kind == "cdylib"));
    let programs = package.targets.iter().filter(|target| target.kind.iter().any(|kind| kind == "bin")).count();
    // Which of several is meant nobody says.
    if !is_library && programs != 1 {
        return Err(BuildError::NotCdylib { manifest: package.manifest_path });
    }
    Ok(Guest {
        name: manifest.name,
        version: manifest.version,
        wasi: manifest.build.wasi,
        is_program: !is_library,
        package: package.name,
        manifest: package.manifest_path,
    })
}

fn metadata(dir: &Path) -> Result<Metadata, BuildError> {
    described(dir, &["--no-deps"])
}

/// What cargo says of a folder.
pub(super) fn described<T: DeserializeOwned>(dir: &Path, more: &[&str]) -> Result<T, BuildError> {
    let program = "cargo";
    let output = Command::new(program)
        .args(["metadata", "--format-version", "1"])
        .args(more)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| BuildError::NotStarted { program: program.to_owned(), source })?;
    if !output.status.success() {
        return Err(BuildError::ToolFailed {
            program: "cargo metadata".to_owned(),
            dir: dir.into(),
            status: output.status,
            output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    serde_json::from_slice(&output.stdout).map_err(|source| BuildError::CargoAnswer { dir: dir.into(), source })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        folder
    }

    fn crate_toml(name: &str, kind: &str) -> String {
        format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n[lib]\ncrate-type = [\"{kind}\"]\n")
    }

    const COMPONENT: &str = "name = \"one\"\nversion = \"0.1.0\"\n";

    #[test]
    fn a_folder_without_a_crate_is_refused() {
        let empty = folder(&[]);
        assert!(matches!(find(empty.path()), Err(BuildError::NoCrate { .. })));
        assert!(matches!(find(&empty.path().join("missing")), Err(BuildError::NoCrate { .. })));
    }

    #[test]
    fn a_crate_without_component_toml_is_no_guest() {
        let plain = folder(&[("Cargo.toml", &crate_toml("a", "cdylib")), ("src/lib.rs", "")]);
        assert!(matches!(find(plain.path()), Err(BuildError::NoGuest { .. })));
    }

    #[test]
    fn a_guest_must_be_a_cdylib() {
        let library =
            folder(&[("Cargo.toml", &crate_toml("a", "rlib")), ("src/lib.rs", ""), ("Component.toml", COMPONENT)]);
        assert!(matches!(find(library.path()), Err(BuildError::NotCdylib { .. })));
    }

    #[test]
    fn a_workspace_gives_its_guests_and_one_folder_gives_its_own() {
        let workspace = folder(&[
            ("Cargo.toml", "[workspace]\nmembers = [\"a\", \"b\", \"plain\"]\nresolver = \"3\"\n"),
            ("a/Cargo.toml", &crate_toml("a", "cdylib")),
            ("a/src/lib.rs", ""),
            ("a/Component.toml", COMPONENT),
            ("b/Cargo.toml", &crate_toml("b", "cdylib")),
            ("b/src/lib.rs", ""),
            ("b/Component.toml", "name = \"two\"\nversion = \"0.2.0\"\n[build]\nwasi = false\n"),
            ("plain/Cargo.toml", &crate_toml("plain", "rlib")),
            ("plain/src/lib.rs", ""),
        ]);
        let found = |dir: &Path| find(dir).unwrap().guests.into_iter().map(|g| (g.name, g.wasi)).collect::<Vec<_>>();
        assert_eq!(found(workspace.path()), [("one".to_owned(), true), ("two".to_owned(), false)]);
        assert_eq!(found(&workspace.path().join("b")), [("two".to_owned(), false)]);
        std::fs::write(workspace.path().join("b/Component.toml"), COMPONENT).unwrap();
        assert!(matches!(find(workspace.path()), Err(BuildError::TwoOfOneName { .. })));
    }
}
