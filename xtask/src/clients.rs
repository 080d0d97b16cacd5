//! Clients of HTTP that nobody here wrote, with which tests ask: curl, as Debian has it, and what generates load, a
//! package of npm's. They are installed as the tool of a language is, and no guest is built with them.

use std::path::Path;
use std::process::Command;

use crate::debian::CURL;
use crate::error::Error;
use crate::language::{Language, write};
use crate::progress;
use crate::tool::{LIMIT, Tool};
use crate::toolchain;

const PACKAGE: &str = include_str!("../../tests/http_listener/clients/package.json");
/// All versions are pinned in it.
const LOCK: &str = include_str!("../../tests/http_listener/clients/package-lock.json");

pub(crate) const LANGUAGE: Language = Language {
    name: "clients of others",
    module: "clients",
    tool: Tool { name: "autocannon", version: "9.0.0", lock: LOCK, install },
    remedy: "install curl, node (20.19 or newer) and npm, and let npm reach its registry",
    guests: &[],
    recipe: "",
    build: |_, _| Ok(()),
};

fn install(_: &Tool, folder: &Path) -> Result<(), Error> {
    CURL.ensure()?;
    toolchain::ensure_node()?;
    write(&folder.join("package.json"), PACKAGE)?;
    write(&folder.join("package-lock.json"), LOCK)?;
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(folder);
    progress::run("npm ci", &mut npm, Some(LIMIT))
}
