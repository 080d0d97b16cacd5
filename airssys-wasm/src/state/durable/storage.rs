//! The storage under the file of durable states. It outlives each database that is opened on it.
//!
//! redb stops at the first error of its storage, for good; so the database is opened anew after one. The storage is
//! not: its lock is never let go of in between, and nobody else finds the file free.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

/// What is read and written at once, in bytes: what a system syncs as one piece.
const PIECE: usize = 4_096;

/// Of the head of a file, in bytes.
pub(super) const HEAD: usize = 320;

/// What it begins with, once it is made.
pub(super) const MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";

/// The head as it was written last; none where nobody has written it since the file was opened, or not as a whole.
type Head = Arc<Mutex<Option<[u8; HEAD]>>>;

/// Who has the storage. Dropped, it lets go of it.
#[derive(Debug)]
pub(super) struct Storage {
    backend: Arc<dyn StorageBackend>,
    /// So that each commit need not read what it has just written.
    head: Head,
    /// The same file, where it is one.
    file: Option<File>,
}

impl Storage {
    /// Something else than a file, which nobody else has.
    pub(super) fn new(backend: impl StorageBackend) -> Self {
        Self { backend: Arc::new(backend), head: Head::default(), file: None }
    }

    /// A file, which is made where it is not there.
    pub(super) fn file(path: &Path) -> io::Result<Self> {
        Self::of(OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?)
    }

    /// A file that is there, and is not changed.
    pub(super) fn to_look_at(path: &Path) -> io::Result<Self> {
        Self::of(File::open(path)?)
    }

    fn of(file: File) -> io::Result<Self> {
        let same = file.try_clone()?;
        let backend = FileBackend::new(file).map_err(io::Error::other)?;
        Ok(Self { backend: Arc::new(backend), head: Head::default(), file: Some(same) })
    }

    /// Keeps others from it, as the store does too while it is open; false where another one has it.
    pub(super) fn hold(&self) -> io::Result<bool> {
        self.file.as_ref().map_or(Ok(true), |file| held(file.try_lock()))
    }

    /// Keeps those who write from it; false where one does.
    pub(super) fn hold_to_look(&self) -> io::Result<bool> {
        self.file.as_ref().map_or(Ok(true), |file| held(file.try_lock_shared()))
    }

    /// For one database. There must be no other one at the same time.
    pub(super) fn share(&self) -> SharedBackend {
        SharedBackend { backend: Arc::clone(&self.backend), head: Arc::clone(&self.head) }
    }
}

fn held(locked: Result<(), TryLockError>) -> io::Result<bool> {
    match locked {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

impl Storage {
    /// How long it is, in bytes.
    pub(super) fn bytes(&self) -> io::Result<u64> {
        self.backend.len()
    }

    /// Whether it does not begin with the word of a database, but with nothing, and has nothing behind its head.
    pub(super) fn has_nothing_but_a_head(&self) -> io::Result<bool> {
        let (end, mut at) = (self.backend.len()?, 0);
        let mut piece = vec![0; PIECE];
        while at < end {
            let length = usize::try_from(end - at).map_or(PIECE, |left| left.min(PIECE));
            let (piece, _) = piece.split_at_mut(length);
            self.backend.read(at, piece)?;
            let head = if at == 0 { MAGIC.len()..HEAD.min(length) } else { 0..0 };
            if piece.iter().enumerate().any(|(place, byte)| *byte != 0 && !head.contains(&place)) {
                return Ok(false);
            }
            at += length as u64;
        }
        Ok(end > 0)
    }

    /// Leaves nothing of it. There must be no database on it.
    pub(super) fn clear(&self) -> io::Result<()> {
        if self.backend.len()? > 0 { self.backend.set_len(0) } else { Ok(()) }
    }

    /// The head that a database has written last, where that is known.
    pub(super) fn head(&self) -> Option<[u8; HEAD]> {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what stands there, which must be within it.
    pub(super) fn read(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.backend.read(at, into)
    }

    /// Writes what it shows over itself, and syncs: a system may forget what it was to sync and could not, and show it
    /// all the same. There must be no database on it meanwhile.
    pub(super) fn sync_all_again(&self) -> io::Result<()> {
        let mut piece = vec![0; PIECE];
        let mut at = 0;
        let end = self.backend.len()?;
        while at < end {
            let length = usize::try_from(end - at).map_or(PIECE, |left| left.min(PIECE));
            let (piece, _) = piece.split_at_mut(length);
            self.backend.read(at, piece)?;
            // What was never written has no room on the disk, which may be full.
            if piece.iter().any(|byte| *byte != 0) {
                self.backend.write(at, piece)?;
            }
            at += length as u64;
        }
        self.backend.sync_data()
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        // Its locks end with the process in any case.
        let _still_locked = self.backend.close();
    }
}

/// The storage as one database has it: all of it but its end.
#[derive(Debug)]
pub(super) struct SharedBackend {
    backend: Arc<dyn StorageBackend>,
    head: Head,
}

type Locked<T> = Result<T, BackendError>;

impl StorageBackend for SharedBackend {
    fn close(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.backend.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.backend.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.backend.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.backend.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if offset >= HEAD as u64 {
            return self.backend.write(offset, data);
        }
        // Not held over the write: a database writes its head from one thread at a time. What failed may stand there in
        // part.
        let know = |head| *self.head.lock().unwrap_or_else(PoisonError::into_inner) = head;
        know(None);
        self.backend.write(offset, data)?;
        know(data.first_chunk().copied().filter(|_| offset == 0));
        Ok(())
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.backend.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.backend.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<()> {
        self.backend.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<()> {
        self.backend.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<()> {
        self.backend.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.backend.query_lock_range(start, end)
    }
}
