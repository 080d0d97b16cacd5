//! Programs that nobody here wrote, which tests publish as they are: WebAssembly in packages of Python's index, which
//! are core modules of WASI 0.1; and the examples of a crate, which are components of WASI 0.3, built from the source
//! that the registry has. They are installed as the tool of a language is, and no guest is built with them.

use std::path::Path;
use std::process::Command;

use crate::error::Error;
use crate::javascript::copy;
use crate::language::{Language, write};
use crate::progress;
use crate::tool::{LIMIT, Tool};

pub(crate) const LANGUAGE: Language = Language {
    name: "packages of others",
    module: "programs",
    tool: Tool { name: "packages", version: "2", lock: LOCK, install },
    remedy: "install python3 with its venv, and let pip and cargo reach their indices",
    guests: &[],
    recipe: "",
    build: |_, _| Ok(()),
};

/// A renderer of SVG, which is a program in Rust; a library in Go, which says nothing of its functions; and what makes
/// the drawings of circuit boards, in C++, which works with files.
const PACKAGES: &str = include_str!("../packages/requirements.txt");
/// A crate of bindings, which is taken for its examples.
const CRATE: &str = "wasip3";
const CRATES: [(&str, &str); 2] =
    [("Cargo.toml", include_str!("../packages/crates.toml")), ("Cargo.lock", include_str!("../packages/crates.lock"))];
const LOCK: &str = concat!(
    include_str!("../packages/requirements.txt"),
    include_str!("../packages/crates.toml"),
    include_str!("../packages/crates.lock"),
);
/// Those of its examples that are built, and what cargo is told for them.
const EXAMPLES: [&str; 2] = ["cli-command", "http-proxy-compat"];
const WITH: [&str; 3] = ["--locked", "--features", "http-compat"];

fn install(_: &Tool, folder: &Path) -> Result<(), Error> {
    let (python, requirements) = (folder.join("python"), folder.join("requirements.txt"));
    write(&requirements, PACKAGES)?;
    progress::run("python3 -m venv", Command::new("python3").args(["-m", "venv"]).arg(&python), Some(LIMIT))?;
    let mut pip = Command::new(python.join("bin").join("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--no-deps"]);
    pip.arg("--require-hashes").arg("--target").arg(folder.join("packages")).arg("--requirement").arg(requirements);
    progress::run("pip install", &mut pip, Some(LIMIT))?;
    crates(folder)
}

/// Fetches the crate, and puts it down once for each example: a component has a folder of its own.
fn crates(folder: &Path) -> Result<(), Error> {
    let fetched = folder.join("fetched");
    let source = fetched.join("src");
    std::fs::create_dir_all(&source).map_err(Error::unreadable(&source))?;
    write(&source.join("lib.rs"), "")?;
    for (name, text) in CRATES {
        write(&fetched.join(name), text)?;
    }
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["vendor", "--locked", "--quiet", "crates"]).current_dir(&fetched);
    progress::run("cargo vendor", &mut cargo, Some(LIMIT))?;
    for example in EXAMPLES {
        let of_example = folder.join(example);
        copy(&fetched.join("crates").join(CRATE), &of_example)?;
        // The folder lies in that of another workspace.
        let manifest = of_example.join("Cargo.toml");
        let text = std::fs::read_to_string(&manifest).map_err(Error::unreadable(&manifest))?;
        write(&manifest, format!("{text}\n[workspace]\n"))?;
        write(&of_example.join("Component.toml"), format!("name = \"{example}\"\nversion = \"0.10.0\"\n"))?;
    }
    Ok(())
}

/// Builds the components of the examples, which are in `target/airssys` of their folders then.
pub(crate) fn build(airssys: &Path, root: &Path, target: &Path) -> Result<(), Error> {
    let folder = LANGUAGE.tool.installed(root, &target.join(LANGUAGE.module))?;
    for example in EXAMPLES {
        let mut building = Command::new(airssys);
        building.arg("build").arg(folder.join(example)).arg("--").args(WITH).args(["--example", example]);
        progress::run(&format!("building {CRATE}'s {example}"), building.env("CARGO_TARGET_DIR", target), None)?;
    }
    Ok(())
}
