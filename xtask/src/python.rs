//! Guests in Python: the module `app` of each. Libraries of Python's index that one needs are in its
//! `requirements.txt`, with their sums.

use std::path::Path;
use std::process::Command;

use crate::error::Error;
use crate::language::{Building, Guest, Language, files};
use crate::tool::{self, LIMIT, Tool};
use crate::{progress, root};

/// Our SDK.
pub(crate) const SDK: &str = "airssys-wasm/sdk/python";
/// In place of a world: the SDK finds out which one a program needs.
pub(crate) const FOUND_OUT: &str = "found out by the SDK";

pub(crate) const LANGUAGE: Language = Language {
    name: "Python",
    module: "python",
    tool: Tool { name: "componentize-py", version: "0.25.1", lock: CHECKER, install },
    remedy: "install python3 with its venv, and let pip reach its index",
    guests: &[
        Guest { name: "pricing", wit: "tests/guests/pricing/wit", world: "shop", with: &[] },
        Guest { name: "markdown", wit: "tests/guests-python/markdown/wit", world: "docs", with: &[] },
        Guest { name: "conformance", wit: "wit", world: FOUND_OUT, with: &[SDK] },
    ],
    recipe: include_str!("python.rs"),
    build,
};

/// What looks at types, for the tests: with all that it needs, in these versions.
const CHECKER: &str = "mypy==2.4.1 ast_serialize==0.13.1 librt==0.17.0 mypy_extensions==1.2.0 pathspec==1.1.1 \
                       typing_extensions==4.16.0";

fn install(tool: &Tool, folder: &Path) -> Result<(), Error> {
    tool.by_pip(folder)?;
    let mut pip = Command::new(folder.join("bin").join("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    progress::run("pip install mypy", pip.args(CHECKER.split(' ')), Some(LIMIT))
}

fn build(tool: &Path, guest: &Building) -> Result<(), Error> {
    // Of a copy, since what it compiles it leaves beside the sources.
    for file in files(&guest.source)? {
        std::fs::copy(&file, guest.between.join(file.file_name().unwrap_or_default()))
            .map_err(Error::unreadable(&file))?;
    }
    let libraries = guest.between.join("libraries");
    self::libraries(tool, guest, &libraries)?;
    let programs = tool.join("bin");
    let mut building;
    if guest.world == FOUND_OUT {
        building = Command::new(programs.join("python"));
        building.args(["-m", "airssys", "build"]).arg(&guest.between).env("PYTHONPATH", root().join(SDK));
    } else {
        building = Command::new(programs.join("componentize-py"));
        building.arg("--quiet").arg("--wit-path").arg(&guest.wit).args(["--world", guest.world]);
        building.args(["componentize", "app", "--python-path"]).arg(&guest.between);
    }
    building.arg("--python-path").arg(&libraries).arg("--output").arg(&guest.component);
    progress::run(&guest.label, &mut building, None)
}

/// Installs what a guest needs: those versions, with those sums.
fn libraries(tool: &Path, guest: &Building, libraries: &Path) -> Result<(), Error> {
    tool::empty(libraries)?;
    let requirements = guest.source.join("requirements.txt");
    if !requirements.is_file() {
        return Ok(());
    }
    let mut pip = Command::new(tool.join("bin").join("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--no-deps"]);
    pip.arg("--require-hashes").arg("--target").arg(libraries).arg("--requirement").arg(requirements);
    progress::run("pip install", &mut pip, Some(LIMIT))
}
