//! One run of cargo over the guests of one target.
//!
//! Where the modules lie is taken from what cargo says, never guessed. Guests have a target folder of their own, so
//! that a cargo that is at work on the host and this one never wait for each other, and every guest workspace shares
//! one compiled standard library.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;

use super::error::BuildError;
use super::project::{Guest, Project};
use super::toolchain::Plan;

/// One line of cargo's messages; those of other kinds have no `filenames`.
#[derive(Debug, Deserialize)]
struct Line {
    reason: String,
    manifest_path: Option<PathBuf>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    #[serde(default)]
    target: Made,
}

/// What of a crate was built.
#[derive(Debug, Default, Deserialize)]
struct Made {
    kind: Vec<String>,
}

/// Modules by the manifest of their crate, and whether each is its program.
type Modules = HashMap<(PathBuf, bool), PathBuf>;

/// Builds the guests; returns the bytes of their modules, in the order of `guests`.
pub(super) fn build(
    project: &Project,
    plan: &Plan,
    guests: &[&Guest],
    more: &[String],
) -> Result<Vec<Vec<u8>>, BuildError> {
    let mut cargo = plan.cargo(guests.iter().any(|guest| guest.is_program));
    cargo
        .args(["build", "--message-format", "json-render-diagnostics", "--target", plan.target.triple()])
        .arg("--target-dir")
        .arg(target_dir(&project.dir, plan, std::env::var_os("CARGO_TARGET_DIR")))
        .args(guests.iter().flat_map(|guest| ["--package", guest.package.as_str()]))
        .args(more)
        .current_dir(&project.dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let program = cargo.get_program().to_string_lossy().into_owned();
    let not_started = |source| BuildError::NotStarted { program: program.clone(), source };
    let mut child = cargo.spawn().map_err(not_started)?;
    let modules = match child.stdout.take() {
        Some(stdout) => modules(&project.dir, stdout)?,
        None => Modules::new(),
    };
    let status = child.wait().map_err(not_started)?;
    if !status.success() {
        return Err(BuildError::ToolFailed { program, dir: project.dir.clone(), status, output: String::new() });
    }
    guests.iter().map(|guest| read(guest, &modules)).collect()
}

/// The modules that cargo speaks of.
fn modules(dir: &Path, messages: impl Read) -> Result<Modules, BuildError> {
    let mut modules = Modules::new();
    for line in BufReader::new(messages).lines() {
        let line = line.map_err(|source| BuildError::Unreadable { file: dir.into(), source })?;
        // A build script may print a line of its own, which is no JSON.
        if !line.starts_with('{') {
            continue;
        }
        let message: Line =
            serde_json::from_str(&line).map_err(|source| BuildError::CargoAnswer { dir: dir.into(), source })?;
        let wasm = message.filenames.into_iter().find(|file| file.extension().is_some_and(|end| end == "wasm"));
        if let (Some(manifest), Some(wasm), "compiler-artifact") =
            (message.manifest_path, wasm, message.reason.as_str())
        {
            modules.insert((manifest, message.target.kind.iter().any(|kind| kind == "bin")), wasm);
        }
    }
    Ok(modules)
}

fn read(guest: &Guest, modules: &Modules) -> Result<Vec<u8>, BuildError> {
    let file = modules.get(&(guest.manifest.clone(), guest.is_program));
    let file = file.ok_or_else(|| BuildError::NoModule { name: guest.name.clone() })?;
    std::fs::read(file).map_err(|source| BuildError::Unreadable { file: file.clone(), source })
}

fn target_dir(dir: &Path, plan: &Plan, shared: Option<OsString>) -> PathBuf {
    let base = match shared {
        Some(shared) if !shared.is_empty() => dir.join(shared),
        _ => dir.join("target"),
    };
    base.join("guests").join(plan.toolchain.folder())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::super::toolchain::{Target, Toolchain};
    use super::*;

    #[test]
    fn modules_are_found_among_cargos_messages() {
        let said = concat!(
            "{\"reason\":\"build-script-executed\",\"package_id\":\"x\"}\n",
            "hello from a build script\n",
            "{\"reason\":\"compiler-artifact\",\"manifest_path\":\"/a/Cargo.toml\",\"filenames\":[\"/t/a.d\",\"/t/a.wasm\"]}\n",
            "{\"reason\":\"compiler-artifact\",\"manifest_path\":\"/b/Cargo.toml\",\"filenames\":[\"/t/b.rlib\"]}\n",
            "{\"reason\":\"build-finished\",\"success\":true}\n",
        );
        let found = modules(Path::new("/w"), said.as_bytes()).unwrap();
        let library = |manifest: &str| (manifest.into(), false);
        assert_eq!(found, HashMap::from([(library("/a/Cargo.toml"), "/t/a.wasm".into())]));
    }

    #[test]
    fn guests_build_apart_from_the_host() {
        let plan = Plan { toolchain: Toolchain::Rustup, target: Target::WasiP2 };
        let folder = |shared: Option<&str>| target_dir(Path::new("/w"), &plan, shared.map(Into::into));
        assert_eq!(folder(None), Path::new("/w/target/guests/rustup"));
        assert_eq!(folder(Some("")), Path::new("/w/target/guests/rustup"));
        assert_eq!(folder(Some("/cache")), Path::new("/cache/guests/rustup"));
        assert_eq!(folder(Some("there")), Path::new("/w/there/guests/rustup"));
    }
}
