//! A record at the end of a file: all of it, or nothing.
//!
//! The kernel puts what one call writes behind all that is there, whoever else does so. Where it writes less than all,
//! as on a disk that fills up, what was written is cut off again. For that, those of this host that append to one file
//! take turns: nobody is behind who failed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::fs::OFlags;

/// A file, whatever its path: device and inode.
type Id = (u64, u64);

/// Those of this process to which something is appended.
static TURNS: Mutex<BTreeMap<Id, Weak<Mutex<()>>>> = Mutex::new(BTreeMap::new());

/// Opens a file to append to it.
///
/// # Errors
///
/// It is not there and is not to be made, and what else the system says.
pub(crate) fn open_to_append(folder: impl AsFd, path: &str, makes: bool) -> io::Result<File> {
    let made = if makes { OFlags::CREATE } else { OFlags::empty() };
    super::file(folder, path, OFlags::WRONLY | OFlags::APPEND | made)
}

/// Writes a record behind all that is there. Blocks.
///
/// # Errors
///
/// What the system says. Nothing of it is there then, unless somebody else has written behind what was.
pub(crate) fn append(mut file: &File, record: &[u8]) -> io::Result<()> {
    let found = file.metadata()?;
    let turns = turns((found.dev(), found.ino()));
    let _alone = lock(&turns);
    let before = file.metadata()?.len();
    let mut written = 0;
    let failed = loop {
        match file.write(record.get(written..).unwrap_or_default()) {
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => break error,
        }
        if written >= record.len() {
            return Ok(());
        }
    };
    if written > 0 && file.metadata()?.len() == before.saturating_add(written as u64) {
        file.set_len(before)?;
    }
    Err(failed)
}

fn turns(id: Id) -> Arc<Mutex<()>> {
    let mut all = lock(&TURNS);
    if let Some(turns) = all.get(&id).and_then(Weak::upgrade) {
        return turns;
    }
    all.retain(|_, turns| turns.strong_count() > 0);
    let turns = Arc::default();
    all.insert(id, Arc::downgrade(&turns));
    turns
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use std::fs::File;
    use std::thread;

    use super::{append, open_to_append};

    #[test]
    fn records_of_many_are_whole_and_none_is_lost() {
        let disk = tempfile::tempdir().unwrap();
        let folder = File::open(disk.path()).unwrap();
        thread::scope(|scope| {
            for who in 0..8_u8 {
                let folder = &folder;
                scope.spawn(move || {
                    for _ in 0..100 {
                        let record = [vec![b'a' + who; 1000], b"\n".to_vec()].concat();
                        append(&open_to_append(folder, "log", true).unwrap(), &record).unwrap();
                    }
                });
            }
        });
        let text = std::fs::read_to_string(disk.path().join("log")).unwrap();
        assert_eq!(text.lines().count(), 800);
        let is_whole =
            |line: &str| line.len() == 1000 && line.bytes().all(|byte| line.as_bytes().first() == Some(&byte));
        assert!(text.lines().all(is_whole));
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let disk = tempfile::tempdir().unwrap();
        let folder = File::open(disk.path()).unwrap();
        std::fs::create_dir(disk.path().join("folder")).unwrap();
        std::os::unix::fs::symlink("/tmp", disk.path().join("out")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(disk.path().join("pipe")).status().unwrap();
        assert!(made.success());
        for (path, makes) in [("folder", true), ("none", false), ("pipe", true), ("out/x", true), ("../x", true)] {
            assert!(open_to_append(&folder, path, makes).is_err(), "{path}");
        }
        assert!(!disk.path().join("../x").exists());
    }

    /// A file that may be no longer than that stands in for a disk that is full.
    #[test]
    fn a_record_that_has_no_room_leaves_nothing() {
        let full = File::options().append(true).open("/dev/full");
        // Not a file: it says so at once.
        let Ok(full) = full else { return };
        assert!(append(&full, b"record").is_err());
    }
}
