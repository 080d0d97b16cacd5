//! The folder of capsules: which of its files are some.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// What their names end with.
pub(super) const ENDING: &str = ".capsule";
/// What the names begin with of those that are not whole yet.
pub(super) const UNFINISHED: &str = ".unfinished-";

/// The capsules that are there, the oldest first; none where there is no folder.
pub(super) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with(ENDING)) {
            files.push(path);
        }
    }
    // Their names begin with the time.
    files.sort_unstable();
    Ok(files)
}
