//! Who is told what changes in a folder, or of one file in it: by the kernel (inotify), read by a task as it comes.
//!
//! A file is watched by its name: its folder is, and what is told of others is left out. So it may be replaced, removed
//! and made again.
//!
//! Invariant: what nobody has taken yet is bounded; what has no room is counted, and so is each time that the kernel
//! had none. It ends with the [`Watch`].

use std::collections::VecDeque;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, statat};
use rustix::io::Errno;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::replace::PREFIX;
use crate::beneath::{self, Links};
use crate::limits::WATCHED;

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// It is new.
    Made,
    /// Its content has changed.
    Written,
    /// It is there under a name that it did not have: also where it has taken that from another one, as by a replacing.
    Arrived,
    /// It has another name now, here or elsewhere.
    Left,
    /// It was removed.
    Removed,
    /// Its rights or its times have changed.
    Touched,
}

/// A change of something in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) what: What,
    /// Its name in the folder.
    pub(crate) name: String,
}

/// What nobody has taken yet.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) all: Vec<Change>,
    /// How many there were besides, at least.
    pub(crate) lost: u64,
    /// Nothing more comes: the folder is gone.
    pub(crate) is_over: bool,
}

/// A folder or a file that is watched.
#[derive(Debug)]
pub(crate) struct Watch {
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    all: VecDeque<Change>,
    lost: u64,
    is_over: bool,
}

/// What is watched: the folder, and the name in it where it is one file.
#[derive(Debug)]
pub(crate) struct Watched {
    folder: OwnedFd,
    name: Option<String>,
}

impl Watched {
    /// What a path of a folder leads to. Blocks.
    ///
    /// # Errors
    ///
    /// Its folder is not there, and what else the system says.
    pub(crate) fn find(folder: impl AsFd, path: &str) -> io::Result<Self> {
        let how = OFlags::PATH | OFlags::DIRECTORY;
        match beneath::open(&folder, path, Links::Refuse, how, Mode::empty()) {
            Ok(folder) => return Ok(Self { folder, name: None }),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotADirectory | io::ErrorKind::NotFound) => {}
            Err(error) => return Err(error),
        }
        let (folder, name) = beneath::parent(&folder, path, Links::Refuse)?;
        // What it would lead to lies elsewhere, and nobody is told of that here.
        let is_link = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Symlink);
        if is_link { Err(Errno::LOOP.into()) } else { Ok(Self { folder, name: Some(name.to_owned()) }) }
    }

    /// Whether it is a folder.
    pub(crate) fn is_folder(&self) -> bool {
        self.name.is_none()
    }
}

impl Watch {
    /// Begins. On a runtime that lasts.
    ///
    /// # Errors
    ///
    /// There are as many as the system allows, and what else it says.
    pub(crate) fn begin(of: Watched) -> io::Result<Self> {
        let kernel = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let path = format!("/proc/self/fd/{}", of.folder.as_raw_fd());
        let told = WatchFlags::CREATE
            | WatchFlags::MODIFY
            | WatchFlags::ATTRIB
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::ONLYDIR;
        inotify::add_watch(&kernel, path, told)?;
        // One that was removed before that tells nobody.
        let is_gone = fstat(&of.folder)?.st_nlink == 0;
        // What is waited for is the same as of a pipe: that there is something to read.
        let kernel = Receiver::from_owned_fd_unchecked(kernel)?;
        let shared = Arc::new(Shared::default());
        shared.lock().is_over = is_gone;
        let task = tokio::spawn(read(kernel, of.name, Arc::clone(&shared))).abort_handle();
        Ok(Self { shared, task })
    }

    /// What has changed and nobody has taken.
    pub(crate) fn take(&self) -> Seen {
        let mut waiting = self.shared.lock();
        let all = std::mem::take(&mut waiting.all).into();
        Seen { all, lost: std::mem::take(&mut waiting.lost), is_over: waiting.is_over }
    }

    /// Waits until there is something to take.
    pub(crate) async fn ready(&self) {
        loop {
            let news = self.shared.news.notified();
            let has_news = {
                let waiting = self.shared.lock();
                !waiting.all.is_empty() || waiting.lost > 0 || waiting.is_over
            };
            if has_news {
                return;
            }
            news.await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whether it is the system that has no room for one more.
pub(crate) fn is_full(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [Errno::MFILE, Errno::NFILE, Errno::NOSPC].into_iter().any(|errno| code == Some(errno.raw_os_error()))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn add(&mut self, change: Change) {
        // Much that is written comes in many pieces.
        if self.all.back() == Some(&change) {
            return;
        }
        match self.all.len() < WATCHED {
            true => self.all.push_back(change),
            false => self.lost = self.lost.saturating_add(1),
        }
    }
}

/// Reads what the kernel tells, until the folder is gone.
async fn read(kernel: Receiver, only: Option<String>, shared: Arc<Shared>) {
    loop {
        if kernel.readable().await.is_err() {
            break;
        }
        let read = read_all(kernel.as_fd(), only.as_deref(), &shared);
        shared.news.notify_waiters();
        if !matches!(read, Err(Errno::WOULDBLOCK | Errno::INTR)) {
            break;
        }
        // Into no room nothing is read: it says that there is nothing, and is waited for, or that there is something.
        let _nothing_is_read = kernel.try_read(&mut [0]);
    }
    shared.lock().is_over = true;
    shared.news.notify_waiters();
}

/// Reads what there is; it is over where that is well.
fn read_all(kernel: BorrowedFd<'_>, only: Option<&str>, shared: &Shared) -> Result<(), Errno> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = Reader::new(kernel, &mut buffer);
    loop {
        let event = reader.next()?;
        let told = event.events();
        if told.intersects(ReadFlags::IGNORED | ReadFlags::DELETE_SELF | ReadFlags::UNMOUNT) {
            return Ok(());
        }
        let mut waiting = shared.lock();
        if told.contains(ReadFlags::QUEUE_OVERFLOW) {
            waiting.lost = waiting.lost.saturating_add(1);
        }
        let Some(what) = what(told) else { continue };
        let Some(name) = event.file_name() else { continue };
        let name = name.to_string_lossy();
        // The kernel calls a file that has no name by its number, `#` before it.
        let is_nameless = name.strip_prefix('#').is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
        let is_meant = only.is_none_or(|only| only == name) && !name.starts_with(PREFIX) && !is_nameless;
        if is_meant {
            waiting.add(Change { what, name: name.into_owned() });
        }
    }
}

fn what(told: ReadFlags) -> Option<What> {
    let all = [
        (ReadFlags::CREATE, What::Made),
        (ReadFlags::MODIFY, What::Written),
        (ReadFlags::MOVED_TO, What::Arrived),
        (ReadFlags::MOVED_FROM, What::Left),
        (ReadFlags::DELETE, What::Removed),
        (ReadFlags::ATTRIB, What::Touched),
    ];
    all.into_iter().find(|(flag, _)| told.contains(*flag)).map(|(_, what)| what)
}

#[cfg(test)]
mod tests {
    use super::{Change, WATCHED, Waiting, What};

    #[test]
    fn what_has_no_room_is_counted_and_the_same_again_is_once() {
        let mut waiting = Waiting::default();
        for at in 0..WATCHED + 3 {
            for _ in 0..2 {
                waiting.add(Change { what: What::Written, name: at.to_string() });
            }
        }
        assert_eq!((waiting.all.len(), waiting.lost), (WATCHED, 6));
    }
}
