//! What the file of durable states is on, held for longer than one database on it.
//!
//! redb stops at the first error of its storage, for good; so the database is opened anew after one. The storage is not: its lock is never let go of in
//! between, and nobody else finds the file free.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

/// What is read and written at once, in bytes: what a system syncs as one piece.
const PIECE: usize = 4_096;

/// Who has the storage. Dropped, it lets go of it.
#[derive(Debug)]
pub(super) struct Storage {
    backend: Arc<dyn StorageBackend>,
    /// The same file, where it is one.
    file: Option<File>,
}

impl Storage {
    #[cfg(test)]
    pub(super) fn new(backend: impl StorageBackend) -> Self {
        Self { backend: Arc::new(backend), file: None }
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
        Ok(Self { backend: Arc::new(backend), file: Some(same) })
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
    pub(super) fn lend(&self) -> Lent {
        Lent(Arc::clone(&self.backend))
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

    /// Reads what stands there, which must be within it.
    pub(super) fn read(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.backend.read(at, into)
    }

    /// Writes what it shows over itself, and syncs: a system may forget what it was to sync and could not, and show it all the same. There must be no
    /// database on it meanwhile.
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
pub(super) struct Lent(Arc<dyn StorageBackend>);

type Locked<T> = Result<T, BackendError>;

impl StorageBackend for Lent {
    fn close(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.0.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.0.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<()> {
        self.0.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<()> {
        self.0.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<()> {
        self.0.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.0.query_lock_range(start, end)
    }
}
