//! `cargo xtask guests`: every guest of the repository, built from source.
//!
//! Builds the `airssys` command first and lets it do the work; what has not changed costs cargo's look at it and no
//! more.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::language::Language;
use crate::{c, clients, javascript, mesh, policy, programs, progress, python, root, toolchain, web};

/// The languages besides Rust, and what needs no building.
const LANGUAGES: [&Language; 5] =
    [&python::LANGUAGE, &javascript::LANGUAGE, &c::LANGUAGE, &programs::LANGUAGE, &clients::LANGUAGE];

/// Builds the guests of the tests, and of the examples that there are; the languages of which none can be built here.
pub(crate) fn build(profile: &str) -> Result<Vec<&'static Language>, Error> {
    let airssys = command(profile)?;
    let folders = folders(&root())?;
    for folder in &folders {
        toolchain::ensure(&airssys, folder)?;
    }
    for folder in &folders {
        let label = format!("building the guests of {}", folder.strip_prefix(root()).unwrap_or(folder).display());
        build_in(&airssys, folder, &label)?;
    }
    let (root, target) = (root(), target_dir()?);
    let mut without = Vec::new();
    for language in LANGUAGES {
        let tested = language.build(&root, &target, &language.tested(), language.guests)?;
        let of_examples = [mesh::build(language, &root, &target)?, web::build(language, &root, &target)?];
        if !(tested && of_examples.iter().all(|built| *built)) {
            without.push(language);
        }
    }
    if !without.iter().any(|language| language.module == programs::LANGUAGE.module) {
        programs::build(&airssys, &root, &target)?;
    }
    policy::build(&root, &target)?;
    Ok(without)
}

/// Builds the guests of one workspace.
pub(crate) fn build_in(airssys: &Path, folder: &Path, label: &str) -> Result<(), Error> {
    let mut building = Command::new(airssys);
    // One target folder for the guests of all workspaces: the standard library is compiled once.
    building.arg("build").arg(folder).env("CARGO_TARGET_DIR", target_dir()?);
    progress::run(label, &mut building, None)
}

/// Builds the `airssys` command; where it is.
pub(crate) fn command(profile: &str) -> Result<PathBuf, Error> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // In development it is chosen together with a test: other choices give what we depend on other features, and the
    // engine would be compiled once for the command and once more for the tests.
    let chosen: &[&str] = if profile == "dev" {
        &["--workspace", "--exclude", "airssys-rt-shim", "--bin", "airssys", "--test", "layers"]
    } else {
        &["--package", "airssys-cli"]
    };
    cargo.args(["build", "--profile", profile]).args(chosen).current_dir(root());
    let target = target_dir()?;
    // Cargo and we must mean the same folder, also where none of the usual variables names it.
    cargo.arg("--target-dir").arg(&target);
    progress::run("building the airssys command", &mut cargo, None)?;
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(target.join(folder).join(format!("airssys{}", std::env::consts::EXE_SUFFIX)))
}

/// The target folder that we were built into ourselves: `TARGET/debug/xtask`.
pub(crate) fn target_dir() -> Result<PathBuf, Error> {
    let unreadable = |source| Error::Unreadable { path: "our own program file".to_owned(), source };
    let own = std::env::current_exe().map_err(unreadable)?;
    Ok(own.parent().and_then(Path::parent).unwrap_or(Path::new("target")).to_owned())
}

/// The cargo workspaces that hold guests.
fn folders(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut folders = vec![root.join("tests").join("guests")];
    let examples = root.join("examples");
    if examples.is_dir() {
        let unreadable = |source| Error::Unreadable { path: examples.display().to_string(), source };
        for entry in std::fs::read_dir(&examples).map_err(unreadable)? {
            folders.push(entry.map_err(unreadable)?.path());
        }
    }
    folders.retain(|folder| folder.join("Cargo.toml").is_file());
    folders.sort();
    Ok(folders)
}
