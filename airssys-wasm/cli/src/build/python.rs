//! Components in Python: the module `app` of a folder, with the world of its folder `wit`, by componentize-py.

use std::path::Path;
use std::process::Command;

use super::driver::{self, Driver, Source};
use super::error::BuildError;

pub(super) const DRIVER: Driver = Driver { language: "Python", programs: &["app.py"], check, build };

const TOOL: &str = "componentize-py";

fn check(source: &Source) -> Result<(), BuildError> {
    match driver::version(Path::new(TOOL)) {
        Some(_) => Ok(()),
        None => Err(source
            .missing(format!("`{TOOL}` is not on PATH, or does not run"), format!("install it: pip install {TOOL}"))),
    }
}

fn build(source: &Source, component: &Path, more: &[String]) -> Result<(), BuildError> {
    let mut building = Command::new(TOOL);
    building.args(["--quiet", "--wit-path"]).arg(source.dir.join("wit")).args(["componentize", "app", "--output"]);
    building.arg(component).arg("--python-path").arg(&source.dir).args(more);
    // What it compiles it would leave beside the sources.
    source.run(building.env("PYTHONDONTWRITEBYTECODE", "1"))
}
