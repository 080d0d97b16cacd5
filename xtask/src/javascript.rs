//! Guests in JavaScript: the module `app.js` of each.
//!
//! The tool is a package of npm's that names what builds components, and the script that runs it.

use std::path::Path;
use std::process::Command;

use crate::error::Error;
use crate::language::{Building, Guest, Language, files};
use crate::tool::{LIMIT, Tool};
use crate::{progress, root, toolchain};

/// The package: the SDK, and the script that makes components. All versions are pinned in its lock file.
const PACKAGE: &str = "airssys-wasm/sdk/js";
const LOCK: &str = include_str!("../../airssys-wasm/sdk/js/package-lock.json");

pub(crate) const LANGUAGE: Language = Language {
    name: "JavaScript",
    module: "javascript",
    tool: Tool { name: "componentize-js", version: "0.23.0", lock: LOCK, install },
    remedy: "install node (20 or newer) and npm, and let npm reach its registry",
    guests: &[Guest { name: "pricing", wit: "tests/guests/pricing/wit", world: "shop", with: &[PACKAGE] }],
    build,
};

fn install(_: &Tool, folder: &Path) -> Result<(), Error> {
    toolchain::ensure_node()?;
    copy_package(folder)?;
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(folder);
    progress::run("npm ci", &mut npm, Some(LIMIT))
}

fn build(tool: &Path, guest: &Building) -> Result<(), Error> {
    copy_package(tool)?;
    let mut building = Command::new("node");
    building.arg(tool.join("build.mjs")).arg(guest.source.join("app.js"));
    building.arg("--wit").arg(&guest.wit).args(["--world", guest.world]).arg("--output").arg(&guest.component);
    progress::run(&guest.label, &mut building, None)
}

/// Node looks for packages beside the script that needs them, and the checkout is to stay as it is.
fn copy_package(folder: &Path) -> Result<(), Error> {
    for file in files(&root().join(PACKAGE))? {
        std::fs::copy(&file, folder.join(file.file_name().unwrap_or_default())).map_err(Error::unreadable(&file))?;
    }
    Ok(())
}
