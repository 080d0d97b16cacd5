//! The number of the last commit that was acknowledged, in a file of its own beside the states.
//!
//! What the file of states says fits together also where all of its head, or all of the file, is an older copy. This
//! tells. It is written after each commit and synced when the file is closed only, so it costs no sync, and is right
//! after a host was killed. After a power cut it may be older than the states, and is then worth less; it is never
//! newer. The id says which file it is about: for one that was put in its place it does not count.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

const WORD: &str = "airssys state 1";
/// Where what it says ends, and all of it with the sum and the end of the line.
const SAID: usize = WORD.len() + 2 * (1 + 16);
const LENGTH: usize = SAID + 1 + 16 + 1;

/// The file, open.
#[derive(Debug)]
pub(super) struct Mark {
    file: File,
}

/// What it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marked {
    /// Which file of states.
    pub(super) id: u64,
    /// The commit.
    pub(super) number: u64,
}

impl Mark {
    /// Where it is, beside a file of states.
    pub(super) fn path(states: &Path) -> PathBuf {
        states.with_extension("mark")
    }

    pub(super) fn open(states: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        Ok(Self { file: options.open(Self::path(states))? })
    }

    /// There is no file of states any more that it could be about.
    pub(super) fn remove(states: &Path) -> io::Result<()> {
        match std::fs::remove_file(Self::path(states)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// What stands beside a file of states; none where nothing does, or it is damaged.
    pub(super) fn beside(states: &Path) -> Option<Marked> {
        let text = std::fs::read_to_string(Self::path(states)).ok()?;
        let (said, sum) = text.trim_end().strip_prefix(WORD)?.trim_start().rsplit_once(' ')?;
        let (id, number) = said.split_once(' ')?;
        let read = |text| u64::from_str_radix(text, 16).ok();
        (read(sum)? == xxh3_64(said.as_bytes())).then_some(Marked { id: read(id)?, number: read(number)? })
    }

    /// Always of the same length, so a write that is cut off leaves a text with a wrong sum, and takes no room.
    pub(super) fn write(&self, Marked { id, number }: Marked) -> io::Result<()> {
        let mut text = [0; LENGTH];
        write!(&mut text[..], "{WORD} {id:016x} {number:016x}")?;
        let sum = xxh3_64(&text[WORD.len() + 1..SAID]);
        writeln!(&mut text[SAID..], " {sum:016x}")?;
        self.file.write_all_at(&text, 0)
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}
