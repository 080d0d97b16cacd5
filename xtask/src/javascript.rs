//! Guests in JavaScript and TypeScript: the module `app.js` or `app.ts` of each.
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
const CONTRACT: &str = "wit";
const LOCK: &str = include_str!("../../airssys-wasm/sdk/js/package-lock.json");

pub(crate) const LANGUAGE: Language = Language {
    name: "JavaScript",
    module: "javascript",
    tool: Tool { name: "componentize-js", version: "0.23.0", lock: LOCK, install },
    remedy: toolchain::NODE_REMEDY,
    guests: &[
        Guest { name: "pricing", wit: "tests/guests/pricing/wit", world: "shop", with: &[PACKAGE] },
        Guest { name: "versions", wit: "tests/guests-javascript/versions/wit", world: "packages", with: &[PACKAGE] },
        Guest {
            name: "conformance",
            wit: "tests/guests-javascript/conformance/wit",
            world: "wasi",
            with: &[PACKAGE, CONTRACT],
        },
    ],
    recipe: include_str!("javascript.rs"),
    build,
};

fn install(_: &Tool, folder: &Path) -> Result<(), Error> {
    toolchain::ensure_node()?;
    copy(&root().join(PACKAGE), folder)?;
    npm(folder)
}

/// Installs what the lock file of a folder names.
fn npm(folder: &Path) -> Result<(), Error> {
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(folder);
    progress::run("npm ci", &mut npm, Some(LIMIT))
}

fn build(tool: &Path, guest: &Building) -> Result<(), Error> {
    copy(&root().join(PACKAGE), tool)?;
    // Of a copy, since npm leaves packages beside the sources.
    copy(&guest.source, &guest.between)?;
    if guest.between.join("package-lock.json").is_file() {
        npm(&guest.between)?;
    }
    let typed = guest.between.join("app.ts");
    let app = if typed.is_file() { typed } else { guest.between.join("app.js") };
    let mut building = Command::new("node");
    building.arg(tool.join("build.mjs")).arg(app).arg("--contract").arg(root().join(CONTRACT));
    building.arg("--wit").arg(&guest.wit).args(["--world", guest.world]).arg("--output").arg(&guest.component);
    progress::run(&guest.label, &mut building, None)
}

/// Copies the files of a folder: node looks for packages beside the module that needs them, and the checkout is to stay
/// as it is.
fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    for file in files(from)? {
        let copied = to.join(file.strip_prefix(from).unwrap_or(&file));
        let folder = copied.parent().unwrap_or(to);
        std::fs::create_dir_all(folder).map_err(Error::unreadable(folder))?;
        std::fs::copy(&file, copied).map_err(Error::unreadable(&file))?;
    }
    Ok(())
}
