//! What `cargo xtask guests` has installed to build in other languages.

use std::path::PathBuf;

use crate::command::airssys;

/// The target folder that the tests were built into.
///
/// # Panics
///
/// The command is not built.
#[must_use]
pub fn target() -> PathBuf {
    airssys().ancestors().nth(2).expect("the command is in a folder of the target folder").to_owned()
}

/// The folder of the tool of a language, which has this file. Who asks is in a module of the language's name, which is
/// left out where the tool cannot be had.
///
/// # Panics
///
/// There is none.
#[must_use]
pub fn tool(language: &str, file: &str) -> PathBuf {
    let folder = target().join(language);
    let tools = std::fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok).map(|tool| tool.path());
    // An older version may be left there.
    let tool = tools.filter(|tool| tool.join(file).exists()).max();
    tool.unwrap_or_else(|| panic!("no tool with {file} in {}; run `cargo xtask guests`", folder.display()))
}
