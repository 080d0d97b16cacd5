//! What the file of durable states is on, held for longer than one database on it.
//!
//! redb stops at the first error of its storage, for good; so the database is opened anew after one. The storage is not: its lock is never let go of in
//! between, and nobody else finds the file free.

use std::fs::OpenOptions;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

/// Who has the storage. Dropped, it lets go of it.
#[derive(Debug)]
pub(super) struct Storage(Arc<dyn StorageBackend>);

impl Storage {
    pub(super) fn new(backend: impl StorageBackend) -> Self {
        Self(Arc::new(backend))
    }

    /// A file, which is made where it is not there.
    pub(super) fn file(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        Ok(Self::new(FileBackend::new(file).map_err(io::Error::other)?))
    }

    /// For one database. There must be no other one at the same time.
    pub(super) fn lend(&self) -> Lent {
        Lent(Arc::clone(&self.0))
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        // Its locks end with the process in any case.
        let _still_locked = self.0.close();
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
