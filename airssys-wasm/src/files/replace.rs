//! A file that is replaced as a whole: who reads it has the old one or the new one, whenever the host is killed.
//!
//! The new one is written without a name, and synced. Where nothing has its name it gets that at once. Where something
//! has, it is given one of a few names that are kept for this, in the granted folder, and from there the name of the
//! old one, in one step. A host that is killed between these two leaves such a name behind: it is locked by whoever is
//! at it, so the next start finds those that nobody is at, and removes them. Where the file system knows no files
//! without a name, it has that other name from the beginning.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};

use rustix::fs::{
    AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, RenameFlags, fchmod, flock, fstat, linkat, openat, renameat,
    renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

use super::MODE;
use crate::beneath::{self, Links};

/// How many names are kept in a folder.
const NAMES: usize = 32;

/// The name of such a file.
fn kept_name(at: usize) -> String {
    format!("{PREFIX}{at}")
}

/// What such a name begins with.
pub(super) const PREFIX: &str = ".airssys-replace-";

/// What may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct May {
    /// It may be new.
    pub(crate) create: bool,
    /// It may take the place of what is there.
    pub(crate) write: bool,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    /// It is new.
    Made,
    /// It has taken the place of what was there.
    Replaced,
    /// Nothing is there, and it may not be new. Nothing was done.
    IsNew,
    /// Something is there, whose place it may not take. Nothing was done.
    IsThere,
}

/// Gives a file this content. Blocks.
///
/// # Errors
///
/// What the system says. What was there is there.
pub(crate) fn replace(folder: &OwnedFd, path: &str, content: &[u8], may: May) -> io::Result<Came> {
    let (parent, name) = beneath::parent(folder, path, Links::Refuse)?;
    let there = match statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(there) => Some(there),
        Err(Errno::NOENT) => None,
        Err(errno) => return Err(errno.into()),
    };
    let mode = match there.map(|there| (FileType::from_raw_mode(there.st_mode), there.st_mode)) {
        None | Some((FileType::Symlink, _)) => None,
        Some((FileType::RegularFile, mode)) => Some(Mode::from_raw_mode(mode)),
        Some((FileType::Directory, _)) => return Err(Errno::ISDIR.into()),
        Some(_) => return Err(Errno::NOTSUP.into()),
    };
    let mut new = New::write(folder, &parent, content)?;
    if let Some(mode) = mode {
        fchmod(&new.file, mode)?;
    }
    new.file.sync_all()?;
    let came = new.put(&parent, name, may)?;
    if matches!(came, Came::Made | Came::Replaced) {
        let listed = openat(&parent, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        File::from(listed).sync_all()?;
    }
    Ok(came)
}

/// The new file, before it has its name.
struct New<'a> {
    folder: &'a OwnedFd,
    file: File,
    /// The name that it has meanwhile, if any.
    name: Option<String>,
}

impl<'a> New<'a> {
    fn write(folder: &'a OwnedFd, parent: &OwnedFd, content: &[u8]) -> io::Result<Self> {
        let how = OFlags::WRONLY | OFlags::CLOEXEC;
        let mut new = match openat(parent, ".", how | OFlags::TMPFILE, MODE) {
            Ok(file) => Self { folder, file: file.into(), name: None },
            Err(Errno::NOTSUP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => Self::named(folder)?,
            Err(errno) => return Err(errno.into()),
        };
        // From here on nobody takes it for one that was left behind.
        flock(&new.file, FlockOperation::NonBlockingLockExclusive)?;
        new.file.write_all(content)?;
        Ok(new)
    }

    /// One that has a name from the beginning.
    fn named(folder: &'a OwnedFd) -> io::Result<Self> {
        let how = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let (file, name) = free_name(folder, |name| openat(folder, name, how, MODE))?;
        Ok(Self { folder, file: file.into(), name: Some(name) })
    }

    fn put(&mut self, parent: &OwnedFd, name: &str, may: May) -> io::Result<Came> {
        if may.create {
            let made = match self.name.take() {
                None => linkat(CWD, self.own_path(), parent, name, AtFlags::SYMLINK_FOLLOW),
                Some(kept) => {
                    let moved = renameat_with(self.folder, kept.as_str(), parent, name, RenameFlags::NOREPLACE);
                    self.name = moved.is_err().then_some(kept);
                    moved
                }
            };
            match made {
                Ok(()) => return Ok(Came::Made),
                Err(Errno::EXIST) if !may.write => return Ok(Came::IsThere),
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        let kept = self.kept()?;
        if may.create {
            renameat(self.folder, kept.as_str(), parent, name)?;
            self.name = None;
            return Ok(Came::Replaced);
        }
        // The two change their names: that needs both to be there. The old one goes with this.
        match renameat_with(self.folder, kept.as_str(), parent, name, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(Came::Replaced),
            Err(Errno::NOENT) => Ok(Came::IsNew),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The name that it has meanwhile.
    fn kept(&mut self) -> io::Result<String> {
        if let Some(name) = &self.name {
            return Ok(name.clone());
        }
        let own = self.own_path();
        let link = |name: &str| linkat(CWD, own.as_str(), self.folder, name, AtFlags::SYMLINK_FOLLOW);
        let ((), name) = free_name(self.folder, link)?;
        self.name = Some(name.clone());
        Ok(name)
    }

    fn own_path(&self) -> String {
        format!("/proc/self/fd/{}", self.file.as_raw_fd())
    }
}

impl Drop for New<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            let _gone = unlinkat(self.folder, name.as_str(), AtFlags::empty());
        }
    }
}

/// Takes a name that nobody has, by what makes it so. Where there is none, those go that were left behind.
fn free_name<T>(folder: &OwnedFd, take: impl Fn(&str) -> Result<T, Errno>) -> io::Result<(T, String)> {
    for _ in 0..2 {
        for at in 0..NAMES {
            let name = kept_name(at);
            match take(&name) {
                Ok(taken) => return Ok((taken, name)),
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        sweep(folder);
    }
    Err(Errno::BUSY.into())
}

/// Removes what hosts have left behind that were killed. Blocks for a moment.
pub(crate) fn sweep(folder: impl AsFd) {
    for at in 0..NAMES {
        let name = kept_name(at);
        let how = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(found) = openat(&folder, name.as_str(), how, Mode::empty()) else { continue };
        let same = |one: &OwnedFd| {
            let (one, now) = (fstat(one).ok()?, statat(&folder, name.as_str(), AtFlags::SYMLINK_NOFOLLOW).ok()?);
            let is_file = FileType::from_raw_mode(now.st_mode) == FileType::RegularFile;
            (is_file && one.st_ino == now.st_ino && one.st_dev == now.st_dev).then_some(())
        };
        if flock(&found, FlockOperation::NonBlockingLockExclusive).is_ok() && same(&found).is_some() {
            let _gone = unlinkat(&folder, name.as_str(), AtFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    const BOTH: May = May { create: true, write: true };

    fn names(disk: &tempfile::TempDir) -> Vec<String> {
        let mut all: Vec<String> =
            fs::read_dir(disk.path()).unwrap().map(|one| one.unwrap().file_name().into_string().unwrap()).collect();
        all.sort();
        all
    }

    fn open(disk: &tempfile::TempDir) -> OwnedFd {
        File::open(disk.path()).unwrap().into()
    }

    #[test]
    fn what_may_be_new_and_what_may_be_replaced_is_looked_at_where_it_happens() {
        for (create, write, is_there, came) in [
            (true, true, false, Came::Made),
            (true, true, true, Came::Replaced),
            (true, false, false, Came::Made),
            (true, false, true, Came::IsThere),
            (false, true, false, Came::IsNew),
            (false, true, true, Came::Replaced),
        ] {
            let disk = tempfile::tempdir().unwrap();
            if is_there {
                fs::write(disk.path().join("file"), "old").unwrap();
            }
            assert_eq!(replace(&open(&disk), "file", b"new", May { create, write }).unwrap(), came);
            let found = fs::read_to_string(disk.path().join("file")).ok();
            let expected = match came {
                Came::Made | Came::Replaced => Some("new"),
                Came::IsThere => Some("old"),
                Came::IsNew => None,
            };
            assert_eq!(found.as_deref(), expected, "{create} {write} {is_there}");
            assert_eq!(names(&disk), if expected.is_some() { vec!["file"] } else { vec![] }, "nothing is left");
        }
    }

    #[test]
    fn it_keeps_its_mode_replaces_a_link_itself_and_no_folder() {
        let disk = tempfile::tempdir().unwrap();
        let folder = open(&disk);
        fs::write(disk.path().join("file"), "old").unwrap();
        fs::set_permissions(disk.path().join("file"), fs::Permissions::from_mode(0o640)).unwrap();
        symlink("file", disk.path().join("link")).unwrap();
        fs::create_dir(disk.path().join("folder")).unwrap();
        assert_eq!(replace(&folder, "file", b"new", BOTH).unwrap(), Came::Replaced);
        assert_eq!(fs::metadata(disk.path().join("file")).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(replace(&folder, "link", b"own", BOTH).unwrap(), Came::Replaced);
        assert_eq!(fs::read_to_string(disk.path().join("file")).unwrap(), "new");
        assert_eq!(replace(&folder, "folder/deep", b"deep", BOTH).unwrap(), Came::Made);
        for bad in ["folder", "none/file", "../file", "", ".."] {
            assert!(replace(&folder, bad, b"", BOTH).is_err(), "{bad}");
        }
        assert_eq!(names(&disk), ["file", "folder", "link"]);
    }

    #[test]
    fn what_was_left_behind_goes_and_what_somebody_is_at_stays() {
        let disk = tempfile::tempdir().unwrap();
        let folder = open(&disk);
        for at in 0..NAMES {
            fs::write(disk.path().join(kept_name(at)), "left behind").unwrap();
        }
        let busy = File::open(disk.path().join(kept_name(7))).unwrap();
        flock(&busy, FlockOperation::NonBlockingLockExclusive).unwrap();
        fs::write(disk.path().join("file"), "old").unwrap();
        assert_eq!(replace(&folder, "file", b"new", BOTH).unwrap(), Came::Replaced, "it makes room for itself");
        assert_eq!(names(&disk), [kept_name(7), "file".to_owned()]);
        drop(busy);
        symlink("file", disk.path().join(kept_name(1))).unwrap();
        sweep(&folder);
        assert_eq!(names(&disk), [kept_name(1), "file".to_owned()], "what is no file is not ours");
    }

    #[test]
    fn without_files_that_have_no_name_it_is_the_same() {
        let disk = tempfile::tempdir().unwrap();
        let folder = open(&disk);
        let parent = open(&disk);
        for came in [Came::Made, Came::Replaced] {
            let mut new = New::named(&folder).unwrap();
            new.file.write_all(b"new").unwrap();
            assert_eq!(new.put(&parent, "file", BOTH).unwrap(), came);
            drop(new);
            assert_eq!(names(&disk), ["file"]);
        }
        drop(New::named(&folder).unwrap());
        assert_eq!(names(&disk), ["file"], "one that is given up is gone");
    }
}
