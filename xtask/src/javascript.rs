//! Guests in JavaScript and TypeScript: the module `app.js` or `app.ts` of each.
//!
//! The tool is a package of npm's that names what builds components, and the script that runs it. Some guests are
//! made without that script, by the commands of two tool chains alone: they have nothing of ours in them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::language::{Building, Guest, Language, files};
use crate::tool::{LIMIT, Tool};
use crate::{debian, progress, root, toolchain};

/// The package: the SDK, and the script that makes components. All versions are pinned in its lock file.
const PACKAGE: &str = "airssys-wasm/sdk/js";
const CONTRACT: &str = "wit";
/// The worlds of handlers of HTTP that have nothing of ours in them: by the event `fetch` and by the functions of WASI
/// 0.2, whose engine is StarlingMonkey, and by those of WASI 0.3, on QuickJS.
const INCOMING: &str = "incoming";
const HOARDER: &str = "hoarder";
const HANDLER: &str = "handler";
/// The interfaces of WASI as a tool chain has them, in folders that are called as their versions.
const WASI: &str = "node_modules/@bytecodealliance/jco/lib/wit/builtin";
const LOCK: &str = include_str!("../../airssys-wasm/sdk/js/package-lock.json");

pub(crate) const LANGUAGE: Language = Language {
    name: "JavaScript",
    module: "javascript",
    tool: Tool { name: "componentize-js", version: "0.23.0", lock: LOCK, install },
    remedy: debian::NODE.remedy,
    guests: &[
        Guest { name: "pricing", wit: "tests/guests/pricing/wit", world: "shop", with: &[PACKAGE] },
        Guest { name: "versions", wit: "tests/guests-javascript/versions/wit", world: "packages", with: &[PACKAGE] },
        Guest {
            name: "conformance",
            wit: "tests/guests-javascript/conformance/wit",
            world: "wasi",
            with: &[PACKAGE, CONTRACT],
        },
        Guest { name: "router", wit: "tests/guests-javascript/router/wit", world: INCOMING, with: &[] },
        Guest { name: "hoarder", wit: "tests/guests-javascript/hoarder/wit", world: HOARDER, with: &[] },
        Guest { name: "quick", wit: "tests/guests-javascript/quick/wit", world: HANDLER, with: &[] },
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
    match guest.world {
        INCOMING => return by_starlingmonkey(tool, guest, &bundled(tool, guest)?),
        HOARDER => {
            add_wasi(tool, guest, "0.2.12")?;
            return by_starlingmonkey(tool, guest, &guest.between.join("app.js"));
        }
        HANDLER => return by_quickjs(tool, guest),
        _ => {}
    }
    let typed = guest.between.join("app.ts");
    let app = if typed.is_file() { typed } else { guest.between.join("app.js") };
    let mut building = Command::new("node");
    building.arg(tool.join("build.mjs")).arg(app).arg("--contract").arg(root().join(CONTRACT));
    building.arg("--wit").arg(&guest.wit).args(["--world", guest.world]).arg("--output").arg(&guest.component);
    progress::run(&guest.label, &mut building, None)
}

/// One file of the module and all that it imports of npm's.
fn bundled(tool: &Path, guest: &Building) -> Result<PathBuf, Error> {
    let bundle = guest.between.join("bundle.js");
    let mut bundling = node(tool, "rolldown/bin/cli.mjs");
    bundling.arg(guest.between.join("app.js")).arg("--file").arg(&bundle);
    bundling.args(["--format", "esm", "--platform", "neutral"]);
    progress::run(&format!("bundling {}", guest.source.display()), &mut bundling, None)?;
    Ok(bundle)
}

/// Puts the interfaces of WASI beside the world of a guest, in the copy of its folder.
fn add_wasi(tool: &Path, guest: &Building, version: &str) -> Result<(), Error> {
    copy(&tool.join(WASI).join(version), &guest.between.join("wit").join("deps"))
}

fn by_starlingmonkey(tool: &Path, guest: &Building, module: &Path) -> Result<(), Error> {
    let mut building = node(tool, "@bytecodealliance/componentize-js/src/cli.js");
    building.arg(module).arg("--wit").arg(guest.between.join("wit")).args(["--world-name", guest.world, "--out"]);
    progress::run(&guest.label, building.arg(&guest.component), None)
}

fn by_quickjs(tool: &Path, guest: &Building) -> Result<(), Error> {
    add_wasi(tool, guest, "0.3.0")?;
    let mut building = node(tool, "componentize-qjs/bin/componentize-qjs");
    building.arg("--js").arg(guest.between.join("app.js")).arg("--wit").arg(guest.between.join("wit"));
    building.args(["--world", guest.world]).arg("--output").arg(&guest.component);
    progress::run(&guest.label, &mut building, None)
}

/// A command of a package.
fn node(tool: &Path, command: &str) -> Command {
    let mut node = Command::new("node");
    node.arg(tool.join("node_modules").join(command));
    node
}

/// Copies the files of a folder: node looks for packages beside the module that needs them, and the checkout is to stay
/// as it is.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    for file in files(from)? {
        let copied = to.join(file.strip_prefix(from).unwrap_or(&file));
        let folder = copied.parent().unwrap_or(to);
        std::fs::create_dir_all(folder).map_err(Error::unreadable(folder))?;
        std::fs::copy(&file, copied).map_err(Error::unreadable(&file))?;
    }
    Ok(())
}
