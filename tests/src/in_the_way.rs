//! A data folder in which nothing can be written down.

use std::fs;
use std::path::{Path, PathBuf};

/// What stands in the way of what is to run: no file can take the place of a folder with something in it.
#[derive(Debug)]
pub struct InTheWay {
    file: PathBuf,
    aside: PathBuf,
    folder: PathBuf,
}

impl InTheWay {
    /// It is at hand, and nothing is in the way yet.
    ///
    /// # Panics
    ///
    /// There is no room for it.
    #[must_use]
    pub fn ready(data: &Path) -> Self {
        let of = |name: &str| data.join("desired").join(name);
        let found = Self { file: of("records"), aside: of("aside"), folder: of("folder") };
        fs::create_dir_all(found.folder.join("something")).unwrap();
        found
    }

    /// Puts it there. False where something was written down at that very moment, and nothing is in the way.
    ///
    /// # Panics
    ///
    /// Nothing was written down ever.
    #[must_use]
    pub fn put(&self) -> bool {
        fs::rename(&self.file, &self.aside).unwrap();
        let is_there = fs::rename(&self.folder, &self.file).is_ok();
        if !is_there {
            fs::remove_file(&self.aside).unwrap();
        }
        is_there
    }

    /// Takes it away.
    ///
    /// # Panics
    ///
    /// It is not there.
    pub fn remove(&self) {
        fs::rename(&self.file, &self.folder).unwrap();
        fs::rename(&self.aside, &self.file).unwrap();
    }
}
