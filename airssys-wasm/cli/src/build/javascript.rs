//! Components in JavaScript and TypeScript: `app.js` or `app.ts` of a folder, by the command `airssys-js` of the SDK's
//! package. That is what npm has installed in the folder or around it, or else the one on PATH.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::contract;
use super::driver::{self, Driver, Source};
use super::error::BuildError;

pub(super) const DRIVER: Driver = Driver { language: "JavaScript", programs: &["app.ts", "app.js"], check, build };

const TOOL: &str = "airssys-js";

/// As node looks for packages: in the folder and in those around it.
fn tool(dir: &Path) -> PathBuf {
    let installed = dir.ancestors().map(|folder| folder.join("node_modules").join(".bin").join(TOOL));
    installed.into_iter().find(|tool| tool.is_file()).unwrap_or_else(|| PathBuf::from(TOOL))
}

fn check(source: &Source) -> Result<(), BuildError> {
    if driver::says(&["node"], "--version").is_none() {
        let remedy = "install node, 20.19 or newer, and npm: https://nodejs.org";
        return Err(source.missing("`node` is not on PATH, or does not run".to_owned(), remedy.to_owned()));
    }
    let tool = tool(&source.dir);
    match driver::says(&[&tool], "--version") {
        Some(_) => Ok(()),
        None => Err(source.missing(
            format!("`{}` is not there, or does not run", tool.display()),
            format!("let npm install it, as package.json names it: npm install --prefix {}", source.dir.display()),
        )),
    }
}

fn build(source: &Source, component: &Path, more: &[String]) -> Result<(), BuildError> {
    let between = source.between()?;
    let contract = between.path().join("contract");
    contract::write(&contract).map_err(|error| BuildError::Unwritable { file: contract.clone(), source: error })?;
    let mut building = Command::new(tool(&source.dir));
    building.arg(source.program).arg("--output").arg(component).arg("--contract").arg(&contract);
    if source.dir.join("wit").is_dir() {
        building.args(["--wit", "wit"]);
        // Left there for editors, which find them by the `tsconfig.json` of a new project.
        if source.program.ends_with(".ts") {
            building.args(["--types", "target/types"]);
        }
    }
    if let Some(world) = &source.manifest.build.world {
        building.args(["--world", world]);
    }
    source.run(building.args(more)).map(drop)
}
