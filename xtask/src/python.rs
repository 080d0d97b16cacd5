//! Guests in Python: the module `app` of each.

use std::path::Path;
use std::process::Command;

use crate::error::Error;
use crate::language::{Building, Guest, Language, files};
use crate::progress;
use crate::tool::Tool;

pub(crate) const LANGUAGE: Language = Language {
    name: "Python",
    module: "python",
    tool: Tool { name: "componentize-py", version: "0.25.1", lock: "", install: Tool::by_pip },
    remedy: "install python3 with its venv, and let pip reach its index",
    guests: &[Guest { name: "pricing", wit: "tests/guests/pricing/wit", world: "shop", with: &[] }],
    recipe: include_str!("python.rs"),
    build,
};

fn build(tool: &Path, guest: &Building) -> Result<(), Error> {
    // Of a copy, since what it compiles it leaves beside the sources.
    for file in files(&guest.source)? {
        std::fs::copy(&file, guest.between.join(file.file_name().unwrap_or_default()))
            .map_err(Error::unreadable(&file))?;
    }
    let mut building = Command::new(tool.join("bin").join("componentize-py"));
    building.arg("--quiet").arg("--wit-path").arg(&guest.wit).args(["--world", guest.world]);
    building.args(["componentize", "app", "--output"]).arg(&guest.component).arg("--python-path").arg(&guest.between);
    progress::run(&guest.label, &mut building, None)
}
