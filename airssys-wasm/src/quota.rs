//! What a folder that guests may write to may come to: an account for each such folder, and what a grant allows it.
//!
//! Only what grows is charged, before it grows. What was removed or cut is found when the folder is measured again,
//! which is when it seems used up: so nothing has to be given back, and what others removed counts as well. Each file,
//! folder and link counts [`NODE_BYTES`] and its size. A hole in a file counts as if it were filled, since it can be.
//!
//! Invariant: what changes the folder for a guest holds the account's gate open from the look at sizes to the end of
//! the change, and who measures holds it shut. So nothing is missed by moving it from where nobody has looked yet to
//! where somebody has, and no size that was looked at is an old one. Making and opening a file is the exception, since
//! that may last: an empty one for each thread may be missed.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;
use tokio::sync::{OwnedRwLockReadGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::blocking::{is_in_place, on_entered};
use crate::limits::NODE_BYTES;

/// How deep folders may lie in a granted one to be measured: each level is a file descriptor meanwhile. What lies
/// deeper counts as too much.
const MOST_LEVELS: usize = 128;
/// As many files, folders and links are looked at whenever there seems to be no room: that costs about what making one
/// of them costs. So whether a guest is refused room that is there never depends on how busy the machine is, unless the
/// folder has more than these.
const FEW: u64 = 1_024;
/// Measuring more than that takes no more than this part of the time.
const SHARE: u32 = 10;
/// How long a write waits for its folder to be measured again; where that would be longer it is refused.
const WAIT: Duration = Duration::from_millis(100);

/// A folder, whatever its path: device and inode.
type Id = (u64, u64);

/// Those of this process: whoever is granted the same folder has the same account.
static ACCOUNTS: Mutex<BTreeMap<Id, Weak<Account>>> = Mutex::new(BTreeMap::new());

/// What is in a folder.
#[derive(Debug)]
struct Account {
    gate: Arc<RwLock<()>>,
    tally: Mutex<Tally>,
    measured: Mutex<Option<Measured>>,
}

#[derive(Debug, Default)]
struct Tally {
    used: u64,
    /// Up to where it was counted: what is beyond was not looked at. Nothing was, at first.
    counted_to: u64,
    /// Files that guests have open: these take their place also when they have no name any more.
    open: Vec<Weak<File>>,
    open_when_pruned: usize,
}

#[derive(Debug)]
struct Measured {
    at: Instant,
    /// How long nobody measures again.
    rest: Duration,
}

/// A granted folder that was opened.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) handle: OwnedFd,
    account: Arc<Account>,
    /// Whether it was told that it is full.
    told: AtomicBool,
}

impl Folder {
    pub(crate) fn new(handle: OwnedFd, id: Id) -> Self {
        Self { handle, account: Account::of(id), told: AtomicBool::new(false) }
    }
}

impl Account {
    fn of(id: Id) -> Arc<Self> {
        let mut all = lock(&ACCOUNTS);
        if let Some(account) = all.get(&id).and_then(Weak::upgrade) {
            return account;
        }
        all.retain(|_, account| account.strong_count() > 0);
        let account = Arc::new(Self { gate: Arc::default(), tally: Mutex::default(), measured: Mutex::default() });
        all.insert(id, Arc::downgrade(&account));
        account
    }

    fn take(&self, bytes: u64, most: u64) -> bool {
        let mut tally = lock(&self.tally);
        let used = tally.used.saturating_add(bytes);
        let has_room = bytes == 0 || (tally.counted_to >= most && used <= most);
        if has_room {
            tally.used = used;
        }
        has_room
    }

    /// The gate, held open. Blocks, but where all is done in place: nobody holds it shut there while others run.
    fn open(&self) -> io::Result<RwLockReadGuard<'_, ()>> {
        if is_in_place() {
            return self.gate.try_read().map_err(|_| io::ErrorKind::WouldBlock.into());
        }
        Ok(self.gate.blocking_read())
    }

    /// The gate, held shut; none where all is done in place and somebody holds it open.
    fn shut(&self) -> Option<RwLockWriteGuard<'_, ()>> {
        if is_in_place() { self.gate.try_write().ok() } else { Some(self.gate.blocking_write()) }
    }

    /// Measures the folder, unless that was just done; whether it is worth to try again.
    fn measure(&self, folder: &OwnedFd, most: u64) -> bool {
        let asked = Instant::now();
        let mut measured = lock(&self.measured);
        let counted_to = lock(&self.tally).counted_to;
        if let Some(last) = measured.as_ref().filter(|_| counted_to >= most) {
            // Somebody has done it while this one waited.
            if last.at > asked {
                return true;
            }
            // What is done in place goes by no clock of the machine's.
            let rest = if is_in_place() { Duration::ZERO } else { last.rest };
            let wait = rest.saturating_sub(last.at.elapsed());
            if wait > WAIT {
                return false;
            }
            std::thread::sleep(wait);
        }
        let Some(_shut) = self.shut() else { return false };
        let begun = Instant::now();
        let up_to = counted_to.max(most);
        // What cannot be measured has no room.
        let mut entries = 0;
        let used = walk(folder, up_to, &mut entries).unwrap_or(u64::MAX);
        let mut tally = lock(&self.tally);
        let nameless: u64 = tally.open.iter().filter_map(Weak::upgrade).filter_map(|file| nameless(&file)).sum();
        tally.used = used.saturating_add(nameless);
        tally.counted_to = up_to;
        let rest = if entries > FEW { begun.elapsed() * SHARE } else { Duration::ZERO };
        *measured = Some(Measured { at: Instant::now(), rest });
        true
    }
}

/// Tells a mesh that a folder is full, and says whether it did.
pub(crate) type Tell = Arc<dyn Fn() -> bool + Send + Sync>;

/// What one guest may do with the room of a folder.
#[derive(Clone)]
pub(crate) struct Quota {
    folder: Arc<Folder>,
    most: u64,
    tell: Tell,
}

impl fmt::Debug for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quota").field("folder", &self.folder).field("most", &self.most).finish_non_exhaustive()
    }
}

impl Quota {
    pub(crate) fn new(folder: Arc<Folder>, most: u64, tell: Tell) -> Self {
        Self { folder, most, tell }
    }

    /// Whether both are of one folder.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.folder.account, &other.folder.account)
    }

    /// Remembers a file that was opened. Where it has no name any more, it may have lost it before that, and nobody has
    /// counted it since: so it counts anew. Blocks.
    ///
    /// # Errors
    ///
    /// Where there is no room for it then.
    pub(crate) fn opened(&self, file: &Arc<File>) -> io::Result<()> {
        self.remember(file);
        match nameless(file) {
            Some(bytes) if !self.take(bytes) => Err(self.full()),
            _ => Ok(()),
        }
    }

    fn remember(&self, file: &Arc<File>) {
        let mut tally = lock(&self.folder.account.tally);
        if tally.open.len() >= tally.open_when_pruned * 2 + 64 {
            tally.open.retain(|file| file.strong_count() > 0);
            tally.open_when_pruned = tally.open.len();
        }
        tally.open.push(Arc::downgrade(file));
    }

    /// Makes a file as long as this, by what is done then. Blocks.
    ///
    /// # Errors
    ///
    /// Where there is no room for it, and what doing it says.
    pub(crate) fn grow<T>(
        &self,
        file: &File,
        to: impl Fn(u64) -> u64,
        work: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let account = &self.folder.account;
        for is_last in [false, true] {
            let open = account.open()?;
            let found = file.metadata()?;
            // To write to a pipe or a device may block for good, and the gate with it.
            if !found.is_file() {
                return Err(Errno::INVAL.into());
            }
            let bytes = to(found.len()).saturating_sub(found.len());
            if self.take(bytes) {
                return work();
            }
            drop(open);
            if is_last || bytes > self.most || !account.measure(&self.folder.handle, self.most) {
                break;
            }
        }
        Err(self.full())
    }

    /// Room for something that is about to be made; it is to be made while this is held. On the threads of a service,
    /// where the caller has a permit.
    ///
    /// # Errors
    ///
    /// Where there is none.
    pub(crate) async fn room(&self, bytes: u64) -> io::Result<OwnedRwLockReadGuard<()>> {
        let account = &self.folder.account;
        for is_last in [false, true] {
            let open = Arc::clone(&account.gate).read_owned().await;
            if self.take(bytes) {
                return Ok(open);
            }
            drop(open);
            let quota = self.clone();
            let measure = move || quota.folder.account.measure(&quota.folder.handle, quota.most);
            if is_last || !on_entered(measure).await.unwrap_or(false) {
                break;
            }
        }
        Err(self.full())
    }

    fn take(&self, bytes: u64) -> bool {
        let has_room = self.folder.account.take(bytes, self.most);
        if has_room && bytes > 0 && self.folder.told.load(Ordering::Relaxed) {
            self.folder.told.store(false, Ordering::Relaxed);
        }
        has_room
    }

    /// It is told once that the folder is full, until there was room again.
    fn full(&self) -> io::Error {
        if !self.folder.told.load(Ordering::Relaxed) && (self.tell)() {
            self.folder.told.store(true, Ordering::Relaxed);
        }
        Errno::NOSPC.into()
    }
}

/// What a file takes that has no name any more.
fn nameless(file: &File) -> Option<u64> {
    let found = file.metadata().ok()?;
    (found.nlink() == 0).then(|| found.len().saturating_add(NODE_BYTES))
}

/// What is in a folder, in bytes; more than `up_to` is as good as any other number above that. Counts what it looks at.
fn walk(folder: &OwnedFd, up_to: u64, entries: &mut u64) -> Result<u64, Errno> {
    let mut levels = vec![listing(folder, ".")?];
    let mut linked = HashSet::new();
    let mut used = 0_u64;
    while let Some(level) = levels.last_mut() {
        let Some(entry) = level.next() else {
            levels.pop();
            continue;
        };
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let at = level.fd()?;
        let found = match statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => found,
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(errno),
        };
        *entries += 1;
        used = used.saturating_add(NODE_BYTES);
        let is_folder = FileType::from_raw_mode(found.st_mode).is_dir();
        // With several names it is there once.
        if !is_folder && (found.st_nlink == 1 || linked.insert((found.st_dev, found.st_ino))) {
            used = used.saturating_add(u64::try_from(found.st_size).unwrap_or(0));
        }
        if used > up_to {
            break;
        }
        if is_folder {
            match listing(at, name) {
                Ok(_) if levels.len() >= MOST_LEVELS => return Ok(u64::MAX),
                Ok(inner) => levels.push(inner),
                // It is gone, or nobody of this host looks into it.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
    Ok(used)
}

fn listing(at: impl AsFd, name: impl rustix::path::Arg) -> Result<Dir, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Dir::new(openat(at, name, flags, Mode::empty())?)
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
