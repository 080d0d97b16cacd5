//! Whether the standard packages in this repository are what their crates published.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;

/// The version of all these crates.
const VERSION: &str = "48.0.8";

/// A folder of ours, the crate it came from, and its folder there. Those of WASI 0.3 are the guests' that are built
/// for it: what builds guests in other languages reads all of `wit/`, and not all of them know its syntax.
const PACKAGES: [(&str, &str, &str); 4] = [
    ("wit/deps/keyvalue", "wasmtime-wasi-keyvalue", "wit/deps/keyvalue"),
    ("wit/deps/config", "wasmtime-wasi-config", "wit/deps/config"),
    ("wit/os/deps/io", "wasmtime-wasi-io", "wit/deps"),
    ("tests/guests/tasks/wit/deps", "wasmtime-wasi-http", "src/p3/wit/deps"),
];

/// Compares each package with the crate's own copy, byte for byte. The crates are fetched by cargo where they are not
/// there yet.
pub(crate) fn check(root: &Path) -> Result<(), Error> {
    for (ours, name, theirs) in PACKAGES {
        let ours = root.join(ours);
        let theirs = source(name, VERSION)?.join(theirs);
        for (from, other) in [(&theirs, &ours), (&ours, &theirs)] {
            for file in files(from)? {
                if read(&from.join(&file))? != read(&other.join(&file)).unwrap_or_default() {
                    let path = ours.join(&file).display().to_string();
                    return Err(Error::Differs { path, from: format!("{name} {VERSION}") });
                }
            }
        }
    }
    Ok(())
}

/// Where cargo keeps the sources of a crate. A package of our own that depends on it is the way to have cargo fetch it.
fn source(name: &str, version: &str) -> Result<PathBuf, Error> {
    let folder = std::env::temp_dir().join(format!("airssys-wit-{}-{name}", std::process::id()));
    let unwritable = |source| Error::Unreadable { path: folder.display().to_string(), source };
    std::fs::create_dir_all(folder.join("src")).map_err(unwritable)?;
    std::fs::write(folder.join("src/lib.rs"), "").map_err(unwritable)?;
    let manifest = format!(
        "[package]\nname = \"fetch\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n{name} = \"={version}\"\n"
    );
    std::fs::write(folder.join("Cargo.toml"), manifest).map_err(unwritable)?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let program = format!("cargo metadata for {name}");
    let output = cargo
        .args(["metadata", "--format-version", "1", "--quiet"])
        .current_dir(&folder)
        .output()
        .map_err(|source| Error::NotRun { program: program.clone(), source })?;
    let _a_left_folder_does_no_harm = std::fs::remove_dir_all(&folder);
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Error::Failed { program, status: output.status, output: said });
    }
    // The path of the crate's manifest, without a JSON reader: the text between two fixed marks.
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mark = format!("/{name}-{version}/Cargo.toml\"");
    let end = text.find(&mark).ok_or_else(|| Error::Differs { path: program.clone(), from: "cargo".to_owned() })?;
    let begin = text[..end].rfind('"').map_or(0, |at| at + 1);
    Ok(PathBuf::from(&text[begin..end]).join(format!("{name}-{version}")))
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let unreadable = |source| Error::Unreadable { path: folder.display().to_string(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        names.push(PathBuf::from(entry.map_err(unreadable)?.file_name()));
    }
    Ok(names)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Unreadable { path: path.display().to_string(), source })
}
