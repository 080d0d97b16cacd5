//! Waits until a log may have changed: the kernel tells, so that nobody looks again and again.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use crate::output;

/// How long to wait where the kernel does not tell, since too many are told already.
const LOOK: Duration = Duration::from_millis(100);

/// What happens to the folder of a log from when this was made.
pub(crate) struct Changes(Option<OwnedFd>);

impl Changes {
    /// Of this folder. Where that is not there yet, of the nearest folder above it that is.
    pub(crate) fn of(folder: &Path) -> Self {
        Self(watch(folder).ok())
    }

    /// Waits until something has happened there, whatever that is. False where nobody reads stdout any more before
    /// that.
    pub(crate) fn wait(self) -> bool {
        match self.0 {
            Some(inotify) => !output::nobody_reads_before(&inotify),
            None => {
                std::thread::sleep(LOOK);
                true
            }
        }
    }
}

fn watch(folder: &Path) -> io::Result<OwnedFd> {
    let inotify = inotify::init(CreateFlags::CLOEXEC)?;
    let changes = WatchFlags::MODIFY
        | WatchFlags::CREATE
        | WatchFlags::MOVED_TO
        | WatchFlags::DELETE_SELF
        | WatchFlags::MOVE_SELF;
    let mut there = nearest(folder);
    loop {
        inotify::add_watch(&inotify, &there, changes)?;
        // What was made in between is not told any more.
        let now = nearest(folder);
        if now == there {
            return Ok(inotify);
        }
        there = now;
    }
}

/// The folder itself, or the nearest one above it that is there.
fn nearest(folder: &Path) -> PathBuf {
    let there = folder.ancestors().find(|above| above.is_dir());
    there.filter(|there| !there.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}
