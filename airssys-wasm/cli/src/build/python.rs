//! Components in Python: the module `app` of a folder, by componentize-py, for the world in its folder `wit`.
//!
//! Without such a folder it is a service by the contract, and the SDK finds out which world its program needs.

use std::path::Path;
use std::process::Command;

use super::driver::{self, Driver, Source};
use super::error::BuildError;

pub(super) const DRIVER: Driver = Driver { language: "Python", programs: &["app.py"], check, build };

const TOOL: &str = "componentize-py";
const SDK: [&str; 3] = ["python3", "-m", "airssys"];

fn check(source: &Source) -> Result<(), BuildError> {
    if driver::says(&[TOOL], "--version").is_none() {
        let missing = format!("`{TOOL}` is not on PATH, or does not run");
        return Err(source.missing(missing, format!("install it: pip install {TOOL}")));
    }
    if !has_world(source) && driver::says(&SDK, "--help").is_none() {
        let missing = "there is no folder `wit` for componentize-py alone, and python3 has no module `airssys`";
        let remedy = "install the SDK: pip install PATH/airssys-wasm/sdk/python, of a checkout of airssys";
        return Err(source.missing(missing.to_owned(), remedy.to_owned()));
    }
    Ok(())
}

fn has_world(source: &Source) -> bool {
    source.dir.join("wit").is_dir()
}

fn build(source: &Source, component: &Path, more: &[String]) -> Result<(), BuildError> {
    if !has_world(source) {
        let mut building = Command::new(SDK[0]);
        building.args(&SDK[1..]).args(["build", ".", "--output"]).arg(component);
        return run(source, building.args(more));
    }
    // What type checkers and editors look at; what it makes for itself it leaves nowhere.
    let bindings = source.emptied("bindings")?;
    run(source, by_world(source).arg("bindings").arg(bindings))?;
    let mut building = by_world(source);
    building.args(["componentize", "app", "--output"]).arg(component).arg("--python-path").arg(&source.dir);
    run(source, building.args(more))
}

fn by_world(source: &Source) -> Command {
    let mut tool = Command::new(TOOL);
    tool.args(["--quiet", "--wit-path"]).arg(source.dir.join("wit"));
    if let Some(world) = &source.manifest.build.world {
        tool.args(["--world", world]);
    }
    tool
}

fn run(source: &Source, tool: &mut Command) -> Result<(), BuildError> {
    // What it compiles it would leave beside the sources.
    source.run(tool.env("PYTHONDONTWRITEBYTECODE", "1")).map(drop)
}
