//! The file of durable states: one table, in the order service, key of the actor, key of the value.
//!
//! What belongs to one state lies side by side, so that a commit touches few pages and a service is read in one go.
//! Before its values stands the state's own record. Each has its sum, which is compared whenever it is read. The pages
//! are compared when the file is opened, since the store does not look at most of them: what is found damaged is named,
//! and the file is not used.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, Table, WriteTransaction};

use super::StateError;
use super::bring_over::bring_over;
use super::damage::damaged;
use super::kept::KeptState;
use super::layout::{self, ABOUT_TABLE, FORMAT, ID, NEWEST, RowKey, STATES_TABLE, VALUE, WITH_LOST};
use super::lost::{self, Key, Lost};
use super::mark::{Mark, Marked};
use super::newest::{chosen, emptied, older, pages, refuse_newer};
use super::pages::{Commit, Pages};
use super::storage::Storage;
use super::sums::{Record, Sums, of_value, write_value};
use super::survey::{Survey, about};
use crate::seeded::Disk;

/// Pages of the file that are kept in memory, in bytes. What is read in turns is in memory anyway.
const CACHE_BYTES: usize = 16 << 20;
/// How long a file is waited for that is in use: a mesh that was just dropped is about to let go, which takes a while
/// on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
/// How often it is looked for.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(10);

/// One commit, as it goes to disk.
pub(super) struct DiskCommit<'a> {
    pub(super) service: &'a str,
    pub(super) actor: &'a str,
    pub(super) record: Record,
    pub(super) writes: &'a BTreeMap<Box<str>, Option<Bytes>>,
    /// Those of its values, in their order.
    pub(super) sums: &'a [u64],
}

/// The durable states of a data folder, open for as long as this lives and for nobody else.
///
/// For those who look at state while no mesh runs; a mesh opens it by itself.
#[derive(Debug)]
pub struct StateFile {
    /// None where it could not be opened anew.
    database: Option<Database>,
    /// Let go of after the database.
    storage: Storage,
    path: PathBuf,
    /// None where it is not in a folder of its own.
    mark: Option<Mark>,
    /// Which file it is.
    id: u64,
    /// The states that cannot be used, as the file has them.
    lost: Mutex<Vec<Lost>>,
}

impl StateFile {
    /// Where it is in a data folder.
    #[must_use]
    pub fn path(data_folder: &Path) -> PathBuf {
        layout::path(data_folder)
    }

    /// Opens the file of a data folder, and makes it where it is not there. What a killed host had not finished is
    /// taken back; that takes time, as reading the file does.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn open(data_folder: &Path) -> Result<Self, StateError> {
        let path = Self::path(data_folder);
        make(&path).map_err(|source| StateError::File { what: "make", path: path.clone(), source })?;
        let file = |source| StateError::File { what: "open", path: path.clone(), source };
        let begun = Instant::now();
        loop {
            let storage = Storage::file(&path).map_err(file)?;
            let opened = if storage.hold().map_err(file)? {
                let mark = Mark::open(&path).map_err(file)?;
                Self::whole(storage, path.clone(), Some(mark))
            } else {
                Err(StateError::InUse { path: path.clone() })
            };
            match opened {
                Err(StateError::InUse { .. }) if begun.elapsed() < PATIENCE => thread::sleep(LOOK_EVERY),
                opened => return opened,
            }
        }
    }

    /// On the disk of a seeded host, as that is.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub(crate) fn on_disk(disk: Disk) -> Result<Self, StateError> {
        // Wherever the data folder of this run is.
        Self::on(disk, Path::new("the disk"))
    }

    /// On something else than a file; `name` is what errors call it.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub(super) fn on(backend: impl redb::StorageBackend, name: &Path) -> Result<Self, StateError> {
        Self::whole(Storage::new(backend), name.to_owned(), None)
    }

    /// Looks at all pages before the store does.
    pub(super) fn whole(storage: Storage, path: PathBuf, mark: Option<Mark>) -> Result<Self, StateError> {
        let mut known = None;
        if let Some(pages) = pages(&storage, &path)? {
            let (commit, whole) = chosen(&pages, &path)?;
            let (format, id) = about(&pages, &commit);
            refuse_newer(format, &path)?;
            if !whole || !pages.flaws.is_empty() {
                return Err(damaged(&path, &Survey::of(&pages, &commit, false).flaws));
            }
            if let Some(older) = older(id, &commit, mark.as_ref().and_then(|_| Mark::beside(&path))) {
                return Err(StateError::OlderCopy { path, detail: older });
            }
            known = Some(commit);
        } else if let Some(emptied) = emptied(&path, mark.as_ref().and_then(|_| Mark::beside(&path))) {
            return Err(emptied);
        } else {
            storage.clear().map_err(|source| StateError::File { what: "write", path: path.clone(), source })?;
        }
        let database = database(&storage, &path)?;
        let file = Self::begin(database, storage, path, mark, known)?;
        file.acknowledge();
        Ok(file)
    }

    /// Opens it once more after an error, since redb answers nothing any more then. Nobody else gets hold of it in
    /// between.
    ///
    /// # Errors
    ///
    /// [`StateError`]; it can only be opened anew again then.
    pub(super) fn reopen(&mut self) -> Result<(), StateError> {
        // What the old one has left to write must not go over what the new one writes.
        self.close();
        self.database = Some(database(&self.storage, &self.path)?);
        Ok(())
    }

    /// The database may panic once more after a panic.
    fn close(&mut self) {
        let database = self.database.take();
        let _nothing_is_left_of_it = sound(&self.path, || {
            drop(database);
            Ok(())
        });
    }

    /// Looks at the format; a file without one is new, and one with a lower one is written anew. `known` is the commit
    /// that was looked at.
    fn begin(
        database: Database,
        storage: Storage,
        path: PathBuf,
        mark: Option<Mark>,
        known: Option<Commit>,
    ) -> Result<Self, StateError> {
        let mut file = Self { database: Some(database), storage, path, mark, id: 0, lost: Mutex::default() };
        let opened = file.newest();
        if known.is_some_and(|known| !opened.is_some_and(|opened| opened.has_the_data_of(&known))) {
            let detail = "the store opened another commit than the one that was looked at".to_owned();
            return Err(StateError::Damaged { path: file.path.clone(), detail });
        }
        file.id = file.sound(|| {
            let writing = file.writing()?;
            let mut about = writing.open_table(ABOUT_TABLE).map_err(file.error("read"))?;
            let read = |about: &Table<'_, &str, u64>, key| {
                Ok(about.get(key).map_err(file.error("read"))?.map(|found| found.value()))
            };
            let (format, id) = (read(&about, FORMAT)?, read(&about, ID)?);
            let new_id = RandomState::new().build_hasher().finish();
            match format {
                Some(format) if format > WITH_LOST => refuse_newer(Some(format), &file.path)?,
                Some(format) if format >= NEWEST => {
                    drop(about);
                    if format == WITH_LOST {
                        *file.lock_lost() = lost::read(&writing, &file.path)?;
                    }
                    writing.abort().map_err(file.error("read"))?;
                    return Ok(id.unwrap_or_default());
                }
                Some(_) => bring_over(&writing, &file.path)?,
                None => drop(writing.open_table(STATES_TABLE).map_err(file.error("write"))?),
            }
            about.insert(FORMAT, NEWEST).map_err(file.error("write"))?;
            about.insert(ID, new_id).map_err(file.error("write"))?;
            drop(about);
            writing.commit().map_err(file.error("write"))?;
            Ok(new_id)
        })?;
        Ok(file)
    }

    /// The commit that the head says is the newest.
    fn newest(&self) -> Option<Commit> {
        Pages::newest(&self.storage)
    }

    /// Marks what was committed so far.
    fn acknowledge(&self) {
        let Some((mark, newest)) = self.mark.as_ref().zip(self.newest()) else { return };
        // What the file has is right all the same; an older copy of it would be noticed later, or not at all.
        let _only_less_safe = mark.write(Marked { id: self.id, number: newest.number });
    }

    /// Puts these states in the place of all that a service has, as one step.
    ///
    /// # Errors
    ///
    /// [`StateError`]; nothing has changed then.
    pub fn replace(&self, service: &str, states: &BTreeMap<Box<str>, KeptState>) -> Result<(), StateError> {
        self.put_all(std::iter::once((service, states)))
    }

    /// Drops one state of a service, by key of the actor (empty for a service's only state), as one step; whether there
    /// was one.
    ///
    /// # Errors
    ///
    /// [`StateError`]; nothing has changed then.
    pub fn forget(&self, service: &str, actor: &str) -> Result<bool, StateError> {
        let lost = lost::without(&self.lost(), &[lost::only(service, actor)]);
        let there_was = self.sound(|| {
            let writing = self.writing()?;
            let mut there_was = lost.is_some();
            if let Some(lost) = &lost {
                lost::write(&writing, lost, &self.path)?;
            }
            {
                let mut table = writing.open_table(STATES_TABLE).map_err(self.error("write"))?;
                // The smallest text that comes after this key.
                let next = format!("{actor}\0");
                let all = (service, actor, "")..(service, next.as_str(), "");
                let drop_all = |_: RowKey<'_>, _: &[u8]| {
                    there_was = true;
                    false
                };
                table.retain_in::<RowKey<'_>, _>(all, drop_all).map_err(self.error("write"))?;
            }
            writing.commit().map_err(self.error("write"))?;
            Ok(there_was)
        })?;
        if let Some(lost) = lost {
            *self.lock_lost() = lost;
        }
        self.acknowledge();
        Ok(there_was)
    }

    /// [`StateFile::replace`] for several services, as one step.
    pub(super) fn put_all<'a>(
        &self,
        all: impl Iterator<Item = (&'a str, &'a BTreeMap<Box<str>, KeptState>)>,
    ) -> Result<(), StateError> {
        let all: Vec<_> = all.collect();
        let ranges: Vec<(Key, Key)> = all.iter().map(|(service, _)| lost::all_of(service)).collect();
        let lost = lost::without(&self.lost(), &ranges);
        self.sound(|| {
            let writing = self.writing()?;
            if let Some(lost) = &lost {
                lost::write(&writing, lost, &self.path)?;
            }
            {
                let mut table = writing.open_table(STATES_TABLE).map_err(self.error("write"))?;
                let mut summed = Vec::new();
                for (service, states) in all {
                    let next = format!("{service}\0");
                    let all = (service, "", "")..(next.as_str(), "", "");
                    table.retain_in::<RowKey<'_>, _>(all, |_, _| false).map_err(self.error("write"))?;
                    for (actor, kept) in states {
                        // What has values was written to: without a record nobody would know what they mean.
                        let commits = kept.commits.max(u64::from(!kept.values.is_empty()));
                        let mut record = Record { commits, schema: kept.schema, sums: Sums::default() };
                        for (key, value) in &kept.values {
                            let sum = of_value(service, actor, key, value);
                            record.sums.add(sum);
                            write_value(value, sum, &mut summed);
                            let key = format!("{VALUE}{key}");
                            let place = (service, &**actor, key.as_str());
                            table.insert(place, &summed[..]).map_err(self.error("write"))?;
                        }
                        record.put(&mut table, service, actor).map_err(self.error("write"))?;
                    }
                }
            }
            writing.commit().map_err(self.error("write"))
        })?;
        if let Some(lost) = lost {
            *self.lock_lost() = lost;
        }
        self.acknowledge();
        Ok(())
    }

    /// Lets states count as lost.
    pub(super) fn lose(&self, lost: &[Lost]) -> Result<(), StateError> {
        self.sound(|| {
            let writing = self.writing()?;
            lost::write(&writing, lost, &self.path)?;
            let mut about = writing.open_table(ABOUT_TABLE).map_err(self.error("write"))?;
            about.insert(FORMAT, WITH_LOST).map_err(self.error("write"))?;
            drop(about);
            writing.commit().map_err(self.error("write"))
        })
    }

    /// Which states are lost.
    pub(super) fn lost(&self) -> Vec<Lost> {
        self.lock_lost().clone()
    }

    fn lock_lost(&self) -> MutexGuard<'_, Vec<Lost>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives back the room that was deleted; whether there was any. It takes about as long as writing what is left.
    ///
    /// # Errors
    ///
    /// [`StateError`]; no state has changed.
    pub fn compact(&mut self) -> Result<bool, StateError> {
        let database = self.database.as_mut().ok_or_else(|| closed(&self.path))?;
        let compacted = sound(&self.path, || database.compact().map_err(StateError::of("compact", &self.path)));
        if compacted.is_err() {
            // Unlike what we commit, what redb moves is synced together with what makes it valid.
            self.close();
            let failed = |source| StateError::File { what: "sync", path: self.path.clone(), source };
            self.storage.sync_all_again().map_err(failed)?;
            self.reopen()?;
        }
        self.acknowledge();
        compacted
    }

    /// [`StateFile::compact`], where the file has more than `worth` bytes and less than half of them are used; what it
    /// had and has then, in bytes. That it cannot be compacted is told in the log.
    pub(crate) fn compact_past(&mut self, worth: u64) -> Result<Option<(u64, u64)>, StateError> {
        let before = self.length()?;
        if before <= worth {
            return Ok(None);
        }
        let stats = self.sound(|| {
            let writing = self.writing()?;
            let stats = writing.stats().map_err(self.error("read"))?;
            writing.abort().map_err(self.error("read"))?;
            Ok(stats)
        })?;
        if stats.allocated_pages() * stats.page_size() as u64 >= before / 2 {
            return Ok(None);
        }
        match self.compact() {
            Ok(_) => Ok(Some((before, self.length()?))),
            Err(error) if self.database.is_some() => {
                tracing::warn!(target: "airssys::state", %error, "the durable state is as it was, but not smaller");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Of the file, in bytes.
    fn length(&self) -> Result<u64, StateError> {
        self.storage.bytes().map_err(|source| StateError::File { what: "read", path: self.path.clone(), source })
    }

    /// Makes all changes as one step, and syncs.
    pub(super) fn write<'a>(&self, changes: impl Iterator<Item = DiskCommit<'a>>) -> Result<(), StateError> {
        self.sound(|| {
            let writing = self.writing()?;
            {
                let mut table = writing.open_table(STATES_TABLE).map_err(self.error("write"))?;
                let (mut full_key, mut summed) = (String::new(), Vec::new());
                for DiskCommit { service, actor, record, writes, sums } in changes {
                    record.put(&mut table, service, actor).map_err(self.error("write"))?;
                    let mut sums = sums.iter();
                    for (key, value) in writes {
                        full_key.clear();
                        full_key.push(VALUE);
                        full_key.push_str(key);
                        let place = (service, actor, full_key.as_str());
                        match value {
                            Some(value) => {
                                let sum = sums.next().copied();
                                write_value(
                                    value,
                                    sum.unwrap_or_else(|| of_value(service, actor, key, value)),
                                    &mut summed,
                                );
                                drop(table.insert(place, &summed[..]).map_err(self.error("write"))?);
                            }
                            None => drop(table.remove(place).map_err(self.error("write"))?),
                        }
                    }
                }
            }
            writing.commit().map_err(self.error("write"))
        })?;
        self.acknowledge();
        Ok(())
    }

    pub(super) fn states(&self) -> Result<redb::ReadOnlyTable<RowKey<'static>, &'static [u8]>, StateError> {
        let reading = self.database()?.begin_read().map_err(self.error("read"))?;
        reading.open_table(STATES_TABLE).map_err(self.error("read"))
    }

    fn writing(&self) -> Result<WriteTransaction, StateError> {
        let mut writing = self.database()?.begin_write().map_err(self.error("write"))?;
        writing.set_durability(Durability::Immediate).map_err(self.error("write"))?;
        // Guests choose the bytes. With one phase, a commit that a crash cut off is told from a whole one by a checksum
        // that somebody can forge.
        writing.set_two_phase_commit(true);
        Ok(writing)
    }

    fn database(&self) -> Result<&Database, StateError> {
        self.database.as_ref().ok_or_else(|| closed(&self.path))
    }

    /// What errors call it.
    pub(super) fn name(&self) -> &Path {
        &self.path
    }

    pub(super) fn error<E: Into<redb::Error>>(&self, what: &'static str) -> impl Fn(E) -> StateError {
        StateError::of(what, &self.path)
    }

    pub(super) fn sound<T>(&self, act: impl FnOnce() -> Result<T, StateError>) -> Result<T, StateError> {
        sound(&self.path, act)
    }
}

impl Drop for StateFile {
    fn drop(&mut self) {
        self.close();
        self.acknowledge();
        if let Some(mark) = &self.mark {
            let _only_less_safe = mark.sync();
        }
    }
}

/// What a killed host or an error has left unfinished is taken back here.
fn database(storage: &Storage, path: &Path) -> Result<Database, StateError> {
    let open = || Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(storage.share());
    sound(path, || open().map_err(StateError::of("open", path)))
}

/// A panic of the store over what it finds in the file is a damaged file. Most pages are not looked at before they are
/// needed, so whatever is done may come across one.
fn sound<T>(path: &Path, act: impl FnOnce() -> Result<T, StateError>) -> Result<T, StateError> {
    // A database that has panicked refuses, or panics again, until it is opened anew.
    panic::catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|_told_by_the_hook| {
        let detail = "its pages do not fit together".to_owned();
        Err(StateError::Damaged { path: path.to_owned(), detail })
    })
}

fn closed(path: &Path) -> StateError {
    let source = io::Error::other("it could not be opened anew after an error");
    StateError::File { what: "use", path: path.to_owned(), source }
}

/// Makes the file where it is not there, known to its folder for good and for its owner only.
fn make(path: &Path) -> io::Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    if !path.is_file() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        // Somebody moved the file away, to begin anew.
        Mark::remove(path)?;
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?.sync_all()?;
    }
    // Also where it is there: who made it may have been killed before this.
    File::open(folder)?.sync_all()?;
    folder.parent().map_or(Ok(()), |above| File::open(above)?.sync_all())
}
