//! Components in other languages than Rust: for each a driver, which is found by the program that a folder holds.
//!
//! A driver runs the tools of its language and installs none: what is missing is told, with what to do.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::BuildError;
use super::manifest::{self, Manifest};
use crate::explain;

/// How components in a language are built.
#[derive(Debug)]
pub(super) struct Driver {
    /// As people write it.
    pub(super) language: &'static str,
    /// What the program is called: the first that is there.
    pub(super) programs: &'static [&'static str],
    /// Whether what it is built with is there.
    pub(super) check: fn(&Source) -> Result<(), BuildError>,
    /// Writes the component to a file, with more arguments for the tool.
    pub(super) build: fn(&Source, &Path, &[String]) -> Result<(), BuildError>,
}

/// A folder that holds a component.
#[derive(Debug)]
pub(super) struct Source {
    /// Absolute.
    pub(super) dir: PathBuf,
    /// The name of the program's file.
    pub(super) program: &'static str,
    pub(super) manifest: Manifest,
    pub(super) driver: &'static Driver,
}

/// The component in a folder, where it holds one for a driver. A `Cargo.toml` is Rust, whatever lies beside it.
pub(super) fn find(dir: &Path, drivers: &[&'static Driver]) -> Result<Option<Source>, BuildError> {
    let Ok(dir) = dir.canonicalize() else { return Ok(None) };
    if dir.join("Cargo.toml").is_file() {
        return Ok(None);
    }
    let there = |driver: &Driver| driver.programs.iter().copied().find(|program| dir.join(program).is_file());
    let mut found = drivers.iter().filter_map(|driver| there(driver).map(|program| (driver, program)));
    let Some((driver, program)) = found.next() else { return Ok(None) };
    if let Some((_, second)) = found.next() {
        return Err(BuildError::TwoPrograms { dir, first: program, second });
    }
    let file = dir.join("Component.toml");
    if !file.is_file() {
        return Err(BuildError::NoManifest { dir, program });
    }
    Ok(Some(Source { manifest: manifest::read(&file)?, dir, program, driver }))
}

impl Source {
    /// Where its component is written, where nobody names another file.
    pub(super) fn file(&self) -> PathBuf {
        self.dir.join("target").join("airssys").join(format!("{}.wasm", self.manifest.name))
    }

    /// The bytes of the component.
    pub(super) fn build(&self, more: &[String]) -> Result<Vec<u8>, BuildError> {
        let between = self.between()?;
        let component = between.path().join("component.wasm");
        (self.driver.build)(self, &component, more)?;
        std::fs::read(&component).map_err(|source| BuildError::Unreadable { file: component, source })
    }

    /// A folder for what is made on the way.
    pub(super) fn between(&self) -> Result<tempfile::TempDir, BuildError> {
        tempfile::tempdir().map_err(|source| BuildError::Unwritable { file: std::env::temp_dir(), source })
    }

    /// An empty folder below `target`, for what is left there for editors.
    pub(super) fn emptied(&self, name: &str) -> Result<PathBuf, BuildError> {
        let folder = self.dir.join("target").join(name);
        let emptied = match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => std::fs::create_dir_all(&folder),
        };
        emptied.map_err(|source| BuildError::Unwritable { file: folder.clone(), source })?;
        Ok(folder)
    }

    /// Runs a tool in the folder of the component, to its end; what it printed.
    pub(super) fn run(&self, tool: &mut Command) -> Result<String, BuildError> {
        let program = tool.get_program().to_string_lossy().into_owned();
        let output = tool.current_dir(&self.dir).stdin(Stdio::null()).output();
        let output = output.map_err(|source| BuildError::NotStarted { program: program.clone(), source })?;
        let said = String::from_utf8_lossy(&[output.stderr, output.stdout].concat()).trim().to_owned();
        if output.status.success() {
            return Ok(said);
        }
        // By itself, since it has lines: what compilers say is read with them.
        explain::note_lines(&said);
        let dir = self.dir.clone();
        Err(BuildError::ToolFailed { program, dir, status: output.status, output: String::new() })
    }

    /// A tool that is not there, or does not run.
    pub(super) fn missing(&self, missing: String, remedy: String) -> BuildError {
        BuildError::NoToolchain { wanted: self.driver.language, missing, remedy }
    }
}

/// What a program says to an argument, such as `--version`; none where it is not there, or does not run.
pub(super) fn says(program: &[impl AsRef<OsStr>], argument: &str) -> Option<String> {
    let [program, arguments @ ..] = program else { return None };
    let output = Command::new(program).args(arguments).arg(argument).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    const SNAKE: Driver = driver(&["app.py"]);
    const CUP: Driver = driver(&["app.ts", "app.js"]);

    const fn driver(programs: &'static [&'static str]) -> Driver {
        Driver { language: "a language", programs, check: |_| Ok(()), build: |_, _, _| Ok(()) }
    }

    fn find(dir: &Path) -> Result<Option<Source>, BuildError> {
        super::find(dir, &[&SNAKE, &CUP])
    }

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            std::fs::write(folder.path().join(file), "name = \"a\"\nversion = \"0.1.0\"\n").unwrap();
        }
        folder
    }

    #[test]
    fn the_language_is_that_of_the_program_in_the_folder() {
        let of = |files: &[&str]| {
            find(folder(&[files, &["Component.toml"]].concat()).path()).unwrap().map(|source| source.program)
        };
        assert_eq!(of(&["app.py"]), Some("app.py"));
        assert_eq!(of(&["package.json", "app.js"]), Some("app.js"));
        // What a compiler has left there is not the source.
        assert_eq!(of(&["app.js", "app.ts"]), Some("app.ts"));
        assert_eq!(of(&["Cargo.toml", "app.py"]), None);
        assert_eq!(of(&["README.md"]), None);
    }

    #[test]
    fn a_folder_that_leaves_it_open_is_refused() {
        let two = folder(&["app.py", "app.js", "Component.toml"]);
        assert!(matches!(find(two.path()), Err(BuildError::TwoPrograms { first: "app.py", second: "app.js", .. })));
        let none = folder(&["app.py"]);
        assert!(matches!(find(none.path()), Err(BuildError::NoManifest { program: "app.py", .. })));
    }
}
