//! Guests in Python: what builds them is installed by pip, in one version, into a folder of its own under the target
//! folder. Nothing else of the machine is changed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::error::Error;
use crate::left_out::LeftOut;
use crate::progress;

/// What builds them, and in which version: another one would make other binaries.
const TOOL: &str = "componentize-py";
const VERSION: &str = "0.25.1";
/// How long pip may take: 60 MB.
const PIP_LIMIT: Duration = Duration::from_secs(300);

/// Where they are, and where they are built to.
const FOLDER: &str = "tests/guests-python";

/// The name of a guest, which is that of its folder; the folder of its interface; and its world. The program is the
/// module `app`.
const GUESTS: [(&str, &str, &str); 1] = [("pricing", "tests/guests/pricing/wit", "shop")];

/// The tests that need them.
const LEFT_OUT: LeftOut = LeftOut { name: "Python", tests: &["languages::", "::python::"] };

/// Builds those whose sources have changed. Where the tool is missing and cannot be installed, they are left out.
///
/// # Errors
///
/// A source is wrong; or the tool is missing where `CI` is set, where nothing is left out.
pub(crate) fn build(root: &Path, target: &Path) -> Result<Option<LeftOut>, Error> {
    let mut tool = None;
    let mut missing = Vec::new();
    for (name, wit, world) in GUESTS {
        let guest = Guest::of(root, name, wit, world);
        let inputs = guest.inputs()?;
        if guest.is_built_from(&inputs) {
            continue;
        }
        match tool.get_or_insert_with(|| installed(root, target)) {
            Ok(program) => guest.build(program, &inputs)?,
            Err(_) => {
                // A test is not to run with what was built of other sources.
                guest.forget()?;
                missing.push(name);
            }
        }
    }
    let Some(Err(error)) = tool else { return Ok(None) };
    let reason = error.to_string();
    let error =
        Error::NoToolchain { reason, remedy: "install python3 with its venv, and let pip reach its index".to_owned() };
    if std::env::var_os("CI").is_some() {
        return Err(error);
    }
    let told = error.told();
    let told = told.strip_prefix("error: ").unwrap_or(&told);
    progress::line(&format!("not built in {FOLDER}, and tests are left out: {}: {told}", missing.join(", ")));
    Ok(Some(LEFT_OUT))
}

/// The tool, in a folder of the target folder. Installed where it is missing.
fn installed(root: &Path, target: &Path) -> Result<PathBuf, Error> {
    let folder = target.join("python").join(format!("{TOOL}-{VERSION}"));
    let program = folder.join("bin").join(TOOL);
    // Written last, so that an installation that was cut off is done again.
    let complete = folder.join("complete");
    if complete.is_file() {
        return Ok(program);
    }
    let shown = folder.strip_prefix(root).unwrap_or(&folder).display().to_string();
    progress::line(&format!("installing {TOOL} {VERSION} for guests in Python into {shown}"));
    progress::run("python3 -m venv", Command::new("python3").args(["-m", "venv"]).arg(&folder), Some(PIP_LIMIT))?;
    let mut pip = Command::new(folder.join("bin").join("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).arg(format!("{TOOL}=={VERSION}"));
    progress::run("pip install", &mut pip, Some(PIP_LIMIT))?;
    write(&complete, VERSION)?;
    Ok(program)
}

/// One guest.
struct Guest {
    source: PathBuf,
    wit: PathBuf,
    world: &'static str,
    component: PathBuf,
    /// What the component was built from. A copy of it: that is small, and says what it is.
    built_from: PathBuf,
}

impl Guest {
    fn of(root: &Path, name: &str, wit: &str, world: &'static str) -> Self {
        let folder = root.join(FOLDER);
        let built = folder.join("target").join("airssys");
        Self {
            source: folder.join(name),
            wit: root.join(wit),
            world,
            component: built.join(format!("{name}.wasm")),
            built_from: built.join(format!("{name}.built-from")),
        }
    }

    /// All that the component depends on, as one text.
    fn inputs(&self) -> Result<String, Error> {
        let mut all = format!("{TOOL} {VERSION}, world {}\n", self.world);
        for (folder, ending) in [(&self.source, "py"), (&self.wit, "wit")] {
            for file in files(folder, ending)? {
                let text = std::fs::read_to_string(&file).map_err(unreadable(&file))?;
                all.push_str(&format!("=== {}\n{text}", file.file_name().unwrap_or_default().display()));
            }
        }
        Ok(all)
    }

    fn is_built_from(&self, inputs: &str) -> bool {
        self.component.is_file() && std::fs::read_to_string(&self.built_from).is_ok_and(|found| found == inputs)
    }

    fn build(&self, program: &Path, inputs: &str) -> Result<(), Error> {
        self.forget()?;
        let folder = self.component.parent().unwrap_or(&self.source);
        std::fs::create_dir_all(folder).map_err(unreadable(folder))?;
        // Of a copy, since what it compiles it leaves beside the sources.
        let copied = self.component.with_extension("sources");
        if copied.is_dir() {
            std::fs::remove_dir_all(&copied).map_err(unreadable(&copied))?;
        }
        std::fs::create_dir_all(&copied).map_err(unreadable(&copied))?;
        for file in files(&self.source, "py")? {
            std::fs::copy(&file, copied.join(file.file_name().unwrap_or_default())).map_err(unreadable(&file))?;
        }
        let mut building = Command::new(program);
        building.arg("--quiet").arg("--wit-path").arg(&self.wit).args(["--world", self.world]);
        building.args(["componentize", "app", "--output"]).arg(&self.component).arg("--python-path").arg(&copied);
        let label = format!("building {FOLDER}/{}", self.source.file_name().unwrap_or_default().display());
        progress::run(&label, &mut building, None)?;
        write(&self.built_from, inputs)
    }

    /// Removes what says that it is built, and with that what was built.
    fn forget(&self) -> Result<(), Error> {
        for file in [&self.built_from, &self.component] {
            match std::fs::remove_file(file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unreadable(file)(error)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The files of a folder whose names end so, in order.
fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable(folder))? {
        files.push(entry.map_err(unreadable(folder))?.path());
    }
    files.retain(|file| file.extension().is_some_and(|found| found == ending));
    files.sort();
    Ok(files)
}

fn write(file: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(file, text).map_err(unreadable(file))
}

fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let path = path.display().to_string();
    move |source| Error::Unreadable { path, source }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn a_guest_is_built_again_only_when_its_sources_have_changed() {
        let root = std::env::temp_dir().join(format!("airssys-python-{}", std::process::id()));
        let guest = Guest::of(&root, "pricing", "wit", "shop");
        std::fs::create_dir_all(&guest.source).unwrap();
        std::fs::create_dir_all(&guest.wit).unwrap();
        std::fs::create_dir_all(guest.component.parent().unwrap()).unwrap();
        write(&guest.source.join("app.py"), "pass").unwrap();
        write(&guest.component, "built").unwrap();
        let inputs = guest.inputs().unwrap();
        assert!(!guest.is_built_from(&inputs), "nothing says from what it was built");
        write(&guest.built_from, &inputs).unwrap();
        assert!(guest.is_built_from(&guest.inputs().unwrap()));
        write(&guest.wit.join("a.wit"), "package a:b;").unwrap();
        assert!(!guest.is_built_from(&guest.inputs().unwrap()), "another interface");
        guest.forget().unwrap();
        assert!(!guest.is_built_from(&inputs), "what is not there is not built");
        std::fs::remove_dir_all(&root).unwrap();
    }
}
