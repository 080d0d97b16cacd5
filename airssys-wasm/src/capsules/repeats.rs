//! Equal crashes are one capsule, and how often there was one stands beside it.
//!
//! ```text
//! DATA/capsules/TIME-SERVICE-NUMBER.seen    of the capsule of that name: as JSON
//! ```

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::folder::{UNFINISHED, files};

/// What the names end with.
const ENDING: &str = "seen";

/// How often there was the crash of a capsule: the same release, function, crash and message.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::Repeats;
///
/// # let folder = tempfile::tempdir()?;
/// let capsule = folder.path().join("a.capsule");
/// assert!(Repeats::of(&capsule).is_none());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Repeats {
    /// How often.
    pub count: u64,
    /// When it was first.
    pub first: String,
    /// When it was last.
    pub last: String,
    /// What is the same.
    same: String,
}

impl Repeats {
    /// Those of a capsule; none where nothing is known of that.
    #[must_use]
    pub fn of(capsule: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(capsule.with_extension(ENDING)).ok()?).ok()
    }

    fn write(&self, folder: &Path, capsule: &Path) -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.persist(capsule.with_extension(ENDING)).map(drop).map_err(|error| error.error)
    }
}

/// The capsules that there are, by what is the same.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// None where the folder was not looked at yet.
    by: Option<HashMap<String, PathBuf>>,
}

impl Known {
    fn by(&mut self, folder: &Path) -> &mut HashMap<String, PathBuf> {
        self.by.get_or_insert_with(|| {
            let all = files(folder).unwrap_or_default().into_iter();
            all.filter_map(|path| Some((Repeats::of(&path)?.same, path))).collect()
        })
    }

    /// Counts a crash that has a capsule; which one that is, and none where it has none.
    pub(super) fn again(&mut self, folder: &Path, same: &str, at: &str) -> Option<PathBuf> {
        let path = self.by(folder).get(same).filter(|path| path.is_file())?.clone();
        let mut repeats = Repeats::of(&path)?;
        (repeats.count, repeats.last) = (repeats.count.saturating_add(1), at.to_owned());
        repeats.write(folder, &path).ok()?;
        Some(path)
    }

    /// A capsule was written of a crash.
    pub(super) fn first(&mut self, folder: &Path, same: &str, at: &str, path: &Path) -> io::Result<()> {
        self.by(folder).insert(same.to_owned(), path.to_owned());
        Repeats { count: 1, first: at.to_owned(), last: at.to_owned(), same: same.to_owned() }.write(folder, path)
    }

    /// A capsule goes, with what stands beside it.
    pub(super) fn forget(path: &Path) {
        let _there_may_be_none = fs::remove_file(path.with_extension(ENDING));
    }
}
