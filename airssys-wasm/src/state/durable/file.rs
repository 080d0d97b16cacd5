//! The file of durable states: one table, in the order service, key of the actor, key of the value.
//!
//! What belongs to one state lies side by side, so that a commit touches few pages and a service is read in one go. Before its values stands the state's
//! own record.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, Table};
use redb::{TableDefinition, WriteTransaction};

use super::StateError;
use super::storage::Storage;

/// The layout that is written here. A file with a higher number is not touched.
const FORMAT: u64 = 1;
/// What is true of the whole file.
const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("about");
/// By service, key of the actor, and [`RECORD`] or [`VALUE`] and the key of the value.
const STATES: TableDefinition<'_, Place<'_>, &[u8]> = TableDefinition::new("states");
/// The record of a state: its commits and its schema, 8 and 4 bytes, little-endian.
const RECORD: &str = "";
/// Stands before the key of a value.
const VALUE: char = '=';
/// Pages of the file that are kept in memory, in bytes. What is read in turns is in memory anyway.
const CACHE_BYTES: usize = 16 << 20;
/// How long a file is waited for that is in use: a mesh that was just dropped is about to let go.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(10);

type Place<'a> = (&'a str, &'a str, &'a str);

/// One state as it is on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// Its values, by key.
    pub values: BTreeMap<Box<str>, Bytes>,
    /// How many commits have changed it.
    pub commits: u64,
    /// The version of what the values mean, as the guest sees it.
    pub schema: u32,
}

impl Kept {
    /// Of all keys and values.
    pub(crate) fn bytes(&self) -> usize {
        self.values.iter().map(|(key, value)| key.len() + value.len()).sum()
    }
}

/// One commit, as it goes to disk.
pub(super) struct Change<'a> {
    pub(super) service: &'a str,
    pub(super) actor: &'a str,
    pub(super) commits: u64,
    pub(super) schema: u32,
    pub(super) writes: &'a BTreeMap<Box<str>, Option<Bytes>>,
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
}

impl StateFile {
    /// Where it is in a data folder.
    #[must_use]
    pub fn path(data_folder: &Path) -> PathBuf {
        data_folder.join("state").join("state.redb")
    }

    /// Opens the file of a data folder, and makes it where it is not there. What a killed host had not finished is taken back; that takes time, as reading
    /// the file does.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn open(data_folder: &Path) -> Result<Self, StateError> {
        let path = Self::path(data_folder);
        make(&path).map_err(|source| StateError::File { what: "make", path: path.clone(), source })?;
        let begun = Instant::now();
        loop {
            let storage =
                Storage::file(&path).map_err(|source| StateError::File { what: "open", path: path.clone(), source })?;
            match database(&storage, &path) {
                Err(StateError::InUse { .. }) if begun.elapsed() < PATIENCE => thread::sleep(LOOK_EVERY),
                opened => return Self::begin(opened?, storage, path),
            }
        }
    }

    /// On something else than a file; `name` is what errors call it.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    #[cfg(test)]
    pub(super) fn on(backend: impl redb::StorageBackend, name: &Path) -> Result<Self, StateError> {
        let storage = Storage::new(backend);
        Self::begin(database(&storage, name)?, storage, name.to_owned())
    }

    /// Opens it once more after an error, since redb answers nothing any more then. Nobody else gets hold of it in between.
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

    /// Looks at the format; a file without one is new.
    fn begin(database: Database, storage: Storage, path: PathBuf) -> Result<Self, StateError> {
        let file = Self { database: Some(database), storage, path };
        file.sound(|| {
            let writing = file.writing()?;
            let format = {
                let mut about = writing.open_table(ABOUT).map_err(file.error("read"))?;
                let format = about.get("format").map_err(file.error("read"))?.map(|format| format.value());
                if format.is_none() {
                    about.insert("format", FORMAT).map_err(file.error("write"))?;
                }
                format
            };
            match format {
                None => {
                    writing.open_table(STATES).map_err(file.error("write"))?;
                    writing.commit().map_err(file.error("write"))
                }
                Some(format) if format > FORMAT => {
                    Err(StateError::NewerFormat { path: file.path.clone(), format, known: FORMAT })
                }
                Some(_) => writing.abort().map_err(file.error("read")),
            }
        })?;
        Ok(file)
    }

    /// The services that have state, in order.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn services(&self) -> Result<Vec<String>, StateError> {
        self.sound(|| {
            let states = self.states()?;
            let mut services: Vec<String> = Vec::new();
            let mut from = String::new();
            // A step for each service, however much state it has.
            loop {
                let mut rest = states.range::<Place<'_>>((from.as_str(), "", "")..).map_err(self.error("read"))?;
                let Some(first) = rest.next() else { return Ok(services) };
                let service = first.map_err(self.error("read"))?.0.value().0.to_owned();
                // The smallest text that comes after all keys of this service.
                from = format!("{service}\0");
                services.push(service);
            }
        })
    }

    /// All states of a service, by key of the actor; empty for a service's only state.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn read(&self, service: &str) -> Result<BTreeMap<Box<str>, Kept>, StateError> {
        self.sound(|| {
            let states = self.states()?;
            let mut found: BTreeMap<Box<str>, Kept> = BTreeMap::new();
            for entry in states.range::<Place<'_>>((service, "", "")..).map_err(self.error("read"))? {
                let (place, value) = entry.map_err(self.error("read"))?;
                let (of, actor, key) = place.value();
                if of != service {
                    break;
                }
                if !found.contains_key(actor) {
                    found.insert(actor.into(), Kept::default());
                }
                let Some(kept) = found.get_mut(actor) else { continue };
                match key.strip_prefix(VALUE) {
                    Some(key) => drop(kept.values.insert(key.into(), Bytes::copy_from_slice(value.value()))),
                    None => (kept.commits, kept.schema) = self.record(value.value())?,
                }
            }
            Ok(found)
        })
    }

    /// The bytes of all keys and values of a service.
    pub(crate) fn bytes(&self, service: &str) -> Result<u64, StateError> {
        self.sound(|| {
            let next = format!("{service}\0");
            let all = (service, "", "")..(next.as_str(), "", "");
            let mut bytes = 0;
            for entry in self.states()?.range::<Place<'_>>(all).map_err(self.error("read"))? {
                let (place, value) = entry.map_err(self.error("read"))?;
                if let Some(key) = place.value().2.strip_prefix(VALUE) {
                    bytes += (key.len() + value.value().len()) as u64;
                }
            }
            Ok(bytes)
        })
    }

    /// How many commits have changed a state.
    pub(super) fn commits(&self, service: &str, actor: &str) -> Result<u64, StateError> {
        self.sound(|| {
            let record = self.states()?.get((service, actor, RECORD)).map_err(self.error("read"))?;
            record.map_or(Ok(0), |record| Ok(self.record(record.value())?.0))
        })
    }

    /// Puts these states in the place of all that a service has, as one step.
    ///
    /// # Errors
    ///
    /// [`StateError`]; nothing has changed then.
    pub fn replace(&self, service: &str, states: &BTreeMap<Box<str>, Kept>) -> Result<(), StateError> {
        self.sound(|| {
            let writing = self.writing()?;
            {
                let mut table = writing.open_table(STATES).map_err(self.error("write"))?;
                let next = format!("{service}\0");
                let all = (service, "", "")..(next.as_str(), "", "");
                table.retain_in::<Place<'_>, _>(all, |_, _| false).map_err(self.error("write"))?;
                for (actor, kept) in states {
                    // What has values was written to: without a record nobody would know what they mean.
                    let commits = kept.commits.max(u64::from(!kept.values.is_empty()));
                    self.put(&mut table, (service, actor), commits, kept.schema)?;
                    for (key, value) in &kept.values {
                        let key = format!("{VALUE}{key}");
                        table.insert((service, &**actor, key.as_str()), &value[..]).map_err(self.error("write"))?;
                    }
                }
            }
            writing.commit().map_err(self.error("write"))
        })
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
        compacted
    }

    /// [`StateFile::compact`], where the file has more than `worth` bytes and less than half of them are used; what it had and has then, in bytes. That it
    /// cannot be compacted is told in the log.
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
    pub(super) fn write<'a>(&self, changes: impl Iterator<Item = Change<'a>>) -> Result<(), StateError> {
        self.sound(|| {
            let writing = self.writing()?;
            {
                let mut table = writing.open_table(STATES).map_err(self.error("write"))?;
                let mut full_key = String::new();
                for Change { service, actor, commits, schema, writes } in changes {
                    self.put(&mut table, (service, actor), commits, schema)?;
                    for (key, value) in writes {
                        full_key.clear();
                        full_key.push(VALUE);
                        full_key.push_str(key);
                        let place = (service, actor, full_key.as_str());
                        match value {
                            Some(value) => drop(table.insert(place, &value[..]).map_err(self.error("write"))?),
                            None => drop(table.remove(place).map_err(self.error("write"))?),
                        }
                    }
                }
            }
            writing.commit().map_err(self.error("write"))
        })
    }

    fn put(
        &self,
        table: &mut Table<'_, Place<'static>, &'static [u8]>,
        (service, actor): (&str, &str),
        commits: u64,
        schema: u32,
    ) -> Result<(), StateError> {
        if commits == 0 {
            // Nobody has written to it.
            return table.remove((service, actor, RECORD)).map(drop).map_err(self.error("write"));
        }
        let mut record = [0; 12];
        record[..8].copy_from_slice(&commits.to_le_bytes());
        record[8..].copy_from_slice(&schema.to_le_bytes());
        table.insert((service, actor, RECORD), &record[..]).map(drop).map_err(self.error("write"))
    }

    fn record(&self, bytes: &[u8]) -> Result<(u64, u32), StateError> {
        let halves = bytes.split_at_checked(8).and_then(|(commits, schema)| {
            Some((u64::from_le_bytes(commits.try_into().ok()?), u32::from_le_bytes(schema.try_into().ok()?)))
        });
        halves.ok_or_else(|| StateError::Damaged {
            path: self.path.clone(),
            detail: format!("the record of a state has {} bytes instead of 12", bytes.len()),
        })
    }

    fn states(&self) -> Result<redb::ReadOnlyTable<Place<'static>, &'static [u8]>, StateError> {
        let reading = self.database()?.begin_read().map_err(self.error("read"))?;
        reading.open_table(STATES).map_err(self.error("read"))
    }

    fn writing(&self) -> Result<WriteTransaction, StateError> {
        let mut writing = self.database()?.begin_write().map_err(self.error("write"))?;
        writing.set_durability(Durability::Immediate).map_err(self.error("write"))?;
        // Guests choose the bytes. With one phase, a commit that a crash cut off is told from a whole one by a checksum that somebody can forge.
        writing.set_two_phase_commit(true);
        Ok(writing)
    }

    fn database(&self) -> Result<&Database, StateError> {
        self.database.as_ref().ok_or_else(|| closed(&self.path))
    }

    fn error<E: Into<redb::Error>>(&self, what: &'static str) -> impl Fn(E) -> StateError {
        StateError::of(what, &self.path)
    }

    fn sound<T>(&self, act: impl FnOnce() -> Result<T, StateError>) -> Result<T, StateError> {
        sound(&self.path, act)
    }
}

impl Drop for StateFile {
    fn drop(&mut self) {
        self.close();
    }
}

/// What a killed host or an error has left unfinished is taken back here.
fn database(storage: &Storage, path: &Path) -> Result<Database, StateError> {
    let open = || Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(storage.lend());
    sound(path, || open().map_err(StateError::of("open", path)))
}

/// A panic of the store over what it finds in the file is a damaged file. Most pages are not looked at before they are needed, so whatever is done may come
/// across one.
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
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?.sync_all()?;
    }
    // Also where it is there: who made it may have been killed before this.
    File::open(folder)?.sync_all()?;
    folder.parent().map_or(Ok(()), |above| File::open(above)?.sync_all())
}
