//! Guests in other languages than Rust: for each language one tool, and guests that are built again only where what
//! they are made of has changed.
//!
//! Where a tool is missing and cannot be installed, the guests of its language are left out, and said so; where `CI` is
//! set, nothing is left out.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::progress;
use crate::tool::{self, Tool};

/// A language, and the guests that are written in it.
pub(crate) struct Language {
    /// As people write it.
    pub(crate) name: &'static str,
    /// As files are called: the guests of the tests are in `tests/guests-NAME`, and tests that need any in modules of
    /// this name.
    pub(crate) module: &'static str,
    pub(crate) tool: Tool,
    /// What to do where the tool cannot be installed.
    pub(crate) remedy: &'static str,
    /// Those of the tests.
    pub(crate) guests: &'static [Guest],
    /// How one is built, as text: the source of `build`.
    pub(crate) recipe: &'static str,
    /// Builds one with the tool, whose folder is given.
    pub(crate) build: fn(&Path, &Building) -> Result<(), Error>,
}

/// Where guests stand.
pub(crate) struct Place {
    /// The folder in whose `target/airssys` their components are, and the one in it in which their folders are.
    pub(crate) folder: String,
    pub(crate) sources: &'static str,
    /// What the folder is called in which they are kept below the target folder.
    pub(crate) kept: &'static str,
}

/// A guest.
pub(crate) struct Guest {
    /// The name of its folder, and of its component.
    pub(crate) name: &'static str,
    /// The folder of its interface, and which world of it.
    pub(crate) wit: &'static str,
    pub(crate) world: &'static str,
    /// Folders that it is made of besides its own.
    pub(crate) with: &'static [&'static str],
}

/// A guest that is built.
pub(crate) struct Building {
    pub(crate) source: PathBuf,
    pub(crate) wit: PathBuf,
    pub(crate) world: &'static str,
    pub(crate) with: Vec<PathBuf>,
    /// A folder for what is made on the way; empty at first.
    pub(crate) between: PathBuf,
    pub(crate) component: PathBuf,
    here: Built,
    /// The same once more in the target folder, which may be older than the checkout and outlive it.
    kept: Built,
    /// What is said while it is built.
    pub(crate) label: String,
}

/// A component, and what it was built from. A copy of that: it is small, and says what it is.
struct Built {
    component: PathBuf,
    from: PathBuf,
}

impl Language {
    /// What the names of all tests have in them that need its guests.
    pub(crate) fn tests(&self) -> String {
        format!("::{}::", self.module)
    }

    /// Where the guests of the tests are.
    pub(crate) fn tested(&self) -> Place {
        Place { folder: format!("tests/guests-{}", self.module), sources: "", kept: "guests" }
    }

    /// Builds those guests whose sources have changed; whether all are there now.
    ///
    /// # Errors
    ///
    /// A source is wrong; or the tool is missing where `CI` is set.
    pub(crate) fn build(&self, root: &Path, target: &Path, place: &Place, guests: &[Guest]) -> Result<bool, Error> {
        // Also where no guest is to be built: tests of the command build new components with it.
        let tool = self.tool.installed(root, &target.join(self.module));
        let mut missing = Vec::new();
        for guest in guests {
            let building = Building::of(root, &target.join(self.module), place, guest);
            let inputs = building.inputs(&self.tool, self.recipe)?;
            if building.here.is_from(&inputs) {
                continue;
            }
            if building.kept.is_from(&inputs) {
                building.kept.copy_to(&building.here)?;
                continue;
            }
            match &tool {
                Ok(folder) => {
                    building.here.forget()?;
                    tool::empty(&building.between)?;
                    (self.build)(folder, &building)?;
                    write(&building.here.from, &inputs)?;
                    building.here.copy_to(&building.kept)?;
                }
                Err(_) => {
                    // A test is not to run with what was built of other sources.
                    building.here.forget()?;
                    missing.push(guest.name);
                }
            }
        }
        let Err(error) = tool else { return Ok(true) };
        let error = match error {
            Error::NoToolchain { .. } => error,
            other => Error::NoToolchain { reason: other.to_string(), remedy: self.remedy.to_owned() },
        };
        if std::env::var_os("CI").is_some() {
            return Err(error);
        }
        let told = error.told();
        let told = told.strip_prefix("error: ").unwrap_or(&told);
        let names = if missing.is_empty() { String::new() } else { format!(", and not built: {}", missing.join(", ")) };
        progress::line(&format!("tests in {} are left out{names}: {told}", self.name));
        Ok(false)
    }
}

impl Building {
    /// `kept` is the folder of its language below the target folder.
    fn of(root: &Path, kept: &Path, place: &Place, guest: &Guest) -> Self {
        let folder = root.join(&place.folder);
        let built = folder.join("target").join("airssys");
        let here = Built::of(&built, guest.name);
        let source = folder.join(place.sources).join(guest.name);
        Self {
            label: format!("building {}", source.strip_prefix(root).unwrap_or(&source).display()),
            source,
            wit: root.join(guest.wit),
            world: guest.world,
            with: guest.with.iter().map(|folder| root.join(folder)).collect(),
            between: built.join(format!("{}.between", guest.name)),
            component: here.component.clone(),
            here,
            kept: Built::of(&kept.join(place.kept), guest.name),
        }
    }

    /// All that the component depends on, as one text.
    fn inputs(&self, tool: &Tool, recipe: &str) -> Result<String, Error> {
        let mut all = format!("{} {}, world {}\n{recipe}", tool.name, tool.version, self.world);
        for folder in [&self.source, &self.wit].into_iter().chain(&self.with) {
            for file in files(folder)? {
                let bytes = std::fs::read(&file).map_err(Error::unreadable(&file))?;
                let name = file.strip_prefix(folder).unwrap_or(&file).display();
                all.push_str(&format!("=== {name}\n{}", String::from_utf8_lossy(&bytes)));
            }
        }
        Ok(all)
    }
}

impl Built {
    fn of(folder: &Path, name: &str) -> Self {
        let file = |ending: &str| folder.join(format!("{name}.{ending}"));
        Self { component: file("wasm"), from: file("built-from") }
    }

    fn is_from(&self, inputs: &str) -> bool {
        self.component.is_file() && std::fs::read_to_string(&self.from).is_ok_and(|found| found == inputs)
    }

    /// What says that it is built comes last: a copy that was cut off is none.
    fn copy_to(&self, to: &Self) -> Result<(), Error> {
        to.forget()?;
        let folder = to.component.parent().unwrap_or(&to.component);
        std::fs::create_dir_all(folder).map_err(Error::unreadable(folder))?;
        for (from, to) in [(&self.component, &to.component), (&self.from, &to.from)] {
            std::fs::copy(from, to).map_err(Error::unreadable(from))?;
        }
        Ok(())
    }

    /// Removes what says that it is built, and with that what was built.
    fn forget(&self) -> Result<(), Error> {
        for file in [&self.from, &self.component] {
            match std::fs::remove_file(file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::unreadable(file)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The files of a folder and of those in it, in order. Not what tools leave there.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::unreadable(folder))? {
        let path = entry.map_err(Error::unreadable(folder))?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_file() {
            files.push(path);
        } else if !["node_modules", "__pycache__", "target"].iter().any(|left| name == *left) {
            files.extend(self::files(&path)?);
        }
    }
    files.sort();
    Ok(files)
}

pub(crate) fn write(file: &Path, bytes: impl AsRef<[u8]>) -> Result<(), Error> {
    std::fs::write(file, bytes).map_err(Error::unreadable(file))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    const GUEST: Guest = Guest { name: "pricing", wit: "wit", world: "shop", with: &["sdk"] };
    const TOOL: Tool = Tool { name: "hammer", version: "1.0.0", lock: "", install: |_, _| Ok(()) };

    #[test]
    fn a_guest_is_built_again_only_when_what_it_is_made_of_has_changed() {
        let root = std::env::temp_dir().join(format!("airssys-language-{}", std::process::id()));
        let place = Place { folder: "tests/guests-python".to_owned(), sources: "", kept: "guests" };
        let guest = Building::of(&root, &root.join("target/python"), &place, &GUEST);
        for folder in [guest.source.clone(), guest.wit.clone(), root.join("sdk/deep"), guest.between.clone()] {
            std::fs::create_dir_all(folder).unwrap();
        }
        write(&guest.source.join("app.py"), "pass").unwrap();
        write(&guest.component, "built").unwrap();
        let inputs = guest.inputs(&TOOL, "hit it").unwrap();
        assert!(!guest.here.is_from(&inputs), "nothing says from what it was built");
        write(&guest.here.from, &inputs).unwrap();
        assert!(guest.here.is_from(&guest.inputs(&TOOL, "hit it").unwrap()));
        for changed in [guest.wit.join("a.wit"), root.join("sdk/deep/a.py"), guest.source.join("b.py")] {
            write(&changed, "another").unwrap();
            assert!(!guest.here.is_from(&guest.inputs(&TOOL, "hit it").unwrap()), "{}", changed.display());
            std::fs::remove_file(changed).unwrap();
        }
        let newer = Tool { version: "1.0.1", ..TOOL };
        assert!(!guest.here.is_from(&guest.inputs(&newer, "hit it").unwrap()), "another tool");
        assert!(!guest.here.is_from(&guest.inputs(&TOOL, "hit it twice").unwrap()), "another way to build it");
        guest.here.copy_to(&guest.kept).unwrap();
        guest.here.forget().unwrap();
        assert!(!guest.here.is_from(&inputs), "what is not there is not built");
        guest.kept.copy_to(&guest.here).unwrap();
        assert!(guest.here.is_from(&inputs), "a new clone over the same target folder builds nothing");
        std::fs::remove_dir_all(&root).unwrap();
    }
}
