//! What is to run, written down: one file, to which records are added, so that one sync is all that a record costs.
//!
//! ```text
//! DATA/desired/records         a record a line
//! DATA/desired/records.mark    the number of the last one that was synced
//! ```
//!
//! Of each name the last record counts; of the ends of deployments, the last hundred. The file has room after its last
//! record, which is zeros: a record goes into pages that no other one has, so that no sync has a new length to write,
//! and a write that is cut off touches nothing that counts. When the room is used up, what counts is written into a new
//! file that takes the place of the old one. A record that was cut off is not there; whoever wrote it was not told that
//! it is. The mark is never synced: after a power cut it may be older than the file, and is then worth less; it is
//! never newer.
//!
//! Invariant: the numbers of the records of a file rise by one. So one that is lost is missed; and it is known what it
//! was of, as its neighbour has that too. The next file begins with a number that the one before did not come to, so
//! that an older copy is noticed.

mod key;
mod line;
mod scan;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

pub(crate) use self::key::{HISTORY, Key};
use self::scan::{Entries, LostRecord, Scan, enter, scan};
use super::{StoreError, files, sealed};
use crate::hint::{Act, Hint};

/// Where it is in the data folder.
const FOLDER: &str = "desired";
const FILE: &str = "records";
/// Only its owner reads what was deployed.
const MODE: u32 = 0o600;
/// What is written as one piece, in bytes.
const PAGE: usize = 4 << 10;
/// The least room of a new file, in bytes.
const ROOM: usize = 128 << 10;

/// The records of a data folder; in memory only where there is none.
#[derive(Debug, Default)]
pub(crate) struct Log {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    path: Option<PathBuf>,
    /// The numbers of the first record of the file, of the last one that was written with it, and of the last one.
    first: u64,
    packed: u64,
    last: u64,
    /// What that one is of.
    last_of: Option<Key>,
    entries: Entries,
    lost: Vec<LostRecord>,
    /// Where it ends too early: the number of the last record, and that of the one which should be.
    behind: Option<(u64, u64)>,
    /// Where the next record goes; none where the file has to be written anew first.
    place: Option<Place>,
}

/// A file that is as it was left, and what of it is room.
#[derive(Debug, Clone)]
struct Place {
    device: u64,
    inode: u64,
    length: u64,
    end: u64,
}

/// The name of what nobody knows what it was of.
pub(crate) const UNKNOWN: &str = "unknown";

/// What to do about damage, and what that loses; of a file that says nothing else where there is no name of a record.
pub(crate) fn remedy(record: Option<&str>, loses: &str) -> Hint {
    match record {
        Some(record) => Hint::from("put the newest copy of the file back, or ")
            .act(Act::ForgetRecord { record: record.to_owned() })
            .words(format!(": {loses}")),
        None => format!("put the newest copy of it back, or remove it: {loses}").into(),
    }
}

impl Log {
    pub(crate) fn path(data: &Path) -> PathBuf {
        data.join(FOLDER).join(FILE)
    }

    /// Reads a file; none where there is none. Changes nothing.
    ///
    /// # Errors
    ///
    /// The system does not let it be read, or a later airssys wrote it.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, StoreError> {
        // Before the file: a host that writes both meanwhile writes the mark last.
        let synced = synced(path);
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.map_err(StoreError::file("read", path))?,
        };
        let read = |mut file: File| {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok((bytes, file.metadata()?))
        };
        let (bytes, metadata) = read(file).map_err(StoreError::file("read", path))?;
        let found = scan(&bytes, synced);
        if let Some(newer) = found.newer {
            return Err(StoreError::NewerFormat { path: path.to_owned(), found: newer, known: line::VERSION });
        }
        let place = found.is_clean.then(|| Place::of(&metadata, found.end));
        Ok(Some(Self { inner: Mutex::new(Inner::of(path.to_owned(), found, place)) }))
    }

    /// Records that are not in the file yet.
    pub(crate) fn new(path: &Path, records: impl IntoIterator<Item = (Key, String)>) -> Self {
        let mut inner =
            Inner { path: Some(path.to_owned()), last: synced(path).unwrap_or_default(), ..Inner::default() };
        for (of, value) in records {
            inner.last += 1;
            enter(&mut inner.entries, of, inner.last, value.into());
        }
        Self { inner: Mutex::new(inner) }
    }

    /// The same without what is not of `which`, and nothing is written down any more.
    pub(crate) fn in_memory(self, which: impl Fn(&Key) -> bool) -> Self {
        let Inner { mut entries, mut lost, .. } = self.inner.into_inner().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|of, _| which(of));
        lost.retain(|lost| lost.of.as_ref().is_some_and(&which));
        Self { inner: Mutex::new(Inner { entries, lost, ..Inner::default() }) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it is; none in memory.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        self.lock().path.clone()
    }

    /// What the records of this say, the last one last.
    pub(crate) fn said(&self, of: &Key) -> Vec<String> {
        self.lock().entries.get(of).into_iter().flatten().map(|(_, value)| value.to_string()).collect()
    }

    /// What there are records of.
    pub(crate) fn keys(&self) -> Vec<Key> {
        self.lock().entries.keys().cloned().collect()
    }

    /// What cannot be known since a record is lost that was the last of its kind.
    pub(crate) fn damage(&self) -> Vec<Option<Key>> {
        let inner = self.lock();
        let mut all: Vec<Option<Key>> =
            inner.lost.iter().filter(|lost| inner.counts(lost)).map(|lost| lost.of.clone()).collect();
        all.sort();
        all.dedup();
        all
    }

    /// What is wrong where a record is lost.
    pub(crate) fn lost(&self, of: Option<&Key>) -> String {
        let inner = self.lock();
        match (of, inner.behind, &inner.path) {
            (Some(of), ..) => format!("the record {of} is not what was written"),
            (None, Some((found, synced)), Some(path)) => format!(
                "it ends with number {found}, and number {synced} was written: it was cut off, or it is an older copy (where an older copy was put back on purpose, remove {} as well)",
                sealed::mark_path(path).display()
            ),
            (None, ..) => "a record is not what was written, and it is not known what it was of".to_owned(),
        }
    }

    /// Of how many records that are not the last ones of a service's history nothing is left.
    pub(crate) fn gaps(&self) -> Vec<(String, usize)> {
        let inner = self.lock();
        let of = |(key, all): (&Key, &VecDeque<(u64, Box<str>)>)| {
            let (Key::End(service), Some((oldest, _))) = (key, all.front()) else { return None };
            // What is older than a whole history is forgotten.
            let is_kept = |lost: &&LostRecord| all.len() < key.most() || lost.number > *oldest;
            let is_gap = |lost: &&LostRecord| lost.of.as_ref() == Some(key) && is_kept(lost) && !inner.counts(lost);
            Some((service.clone(), inner.lost.iter().filter(is_gap).count()))
        };
        inner.entries.iter().filter_map(of).filter(|(_, lost)| *lost > 0).collect()
    }

    /// Adds a record. After this it is on disk. Waits for the disk: not for a runtime's thread.
    ///
    /// # Errors
    ///
    /// It cannot be written, and does not count.
    pub(crate) fn add(&self, of: Key, value: &impl Serialize) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let value = inner.text(value)?;
        inner.add(of, value)
    }

    /// The text of a value, for [`Log::change`].
    pub(crate) fn text(&self, value: &impl Serialize) -> Result<String, StoreError> {
        self.lock().text(value)
    }

    /// Drops all records of some names, also those that are damaged; none stands for one of which it is not known what
    /// it was of. After this it is on disk.
    ///
    /// # Errors
    ///
    /// It cannot be written; then all is as it was.
    pub(crate) fn forget(&self, which: impl Fn(Option<&Key>) -> bool) -> Result<bool, StoreError> {
        self.change(which, Vec::new())
    }

    /// [`Log::forget`], and adds records: all of it in one write. Whether anything was dropped.
    ///
    /// # Errors
    ///
    /// It cannot be written; then all is as it was.
    pub(crate) fn change(
        &self,
        drops: impl Fn(Option<&Key>) -> bool,
        adds: Vec<(Key, String)>,
    ) -> Result<bool, StoreError> {
        let mut inner = self.lock();
        let (mut entries, mut lost) = (inner.entries.clone(), inner.lost.clone());
        entries.retain(|of, _| !drops(Some(of)));
        lost.retain(|lost| !drops(lost.of.as_ref()));
        let drops_some = (entries.len(), lost.len()) != (inner.entries.len(), inner.lost.len());
        if !drops_some && adds.len() < 2 {
            return adds.into_iter().try_for_each(|(of, value)| inner.add(of, value)).map(|()| false);
        }
        for (number, (of, value)) in (inner.last + 1..).zip(adds) {
            enter(&mut entries, of, number, value.into());
        }
        inner.write_anew(entries, lost).map(|()| drops_some)
    }

    /// Writes all of it to a file of another name.
    pub(crate) fn write_to(&self, path: &Path) -> Result<(), StoreError> {
        let inner = self.lock();
        let bytes = inner.bytes(&inner.entries, &inner.lost);
        files::make_folder(files::parent(path))?;
        files::write_whole(path, &bytes, MODE)
    }
}

/// The number of the last record that is known to have been there.
pub(crate) fn synced(path: &Path) -> Option<u64> {
    sealed::marked(path).filter(|number| *number <= line::MOST)
}

impl Inner {
    /// Whether a lost record was the last one of what it was of.
    fn counts(&self, lost: &LostRecord) -> bool {
        let Some(of) = &lost.of else { return true };
        let last = |of: &Key| self.entries.get(of).and_then(|all| all.back()).map_or(0, |(number, _)| *number);
        lost.number > last(of) && of.ended_by().is_none_or(|end| lost.number > last(&end))
    }

    fn text(&self, value: &impl Serialize) -> Result<String, StoreError> {
        let path = || self.path.clone().unwrap_or_default();
        serde_json::to_string(value).map_err(|error| StoreError::file("write", &path())(error.into()))
    }

    fn add(&mut self, of: Key, value: String) -> Result<(), StoreError> {
        let number = self.last + 1;
        if let Some(path) = self.path.clone() {
            let line = line::text((self.first, self.packed, number), self.last_of.as_ref(), Some(&of), Some(&value));
            // Whatever goes wrong: what is there then is not known, and the next one is written into a new file.
            let place = self.place.take().filter(|place| place.has_room(line.len()));
            let Some((file, place)) = place.and_then(|place| Some((place.open(&path)?, place))) else {
                let mut entries = self.entries.clone();
                enter(&mut entries, of, number, value.into());
                return self.write_anew(entries, self.lost.clone());
            };
            let written = file.write_all_at(line.as_bytes(), place.end).and_then(|()| file.sync_data());
            if let Err(error) = written {
                // Nobody is told that it is there, so that it had better not be.
                let _as_well_as_can_be = file.write_all_at(&vec![0; line.len()], place.end);
                return Err(StoreError::file("write", &path)(error));
            }
            sealed::mark(&path, number);
            let end = (place.end + line.len() as u64).next_multiple_of(PAGE as u64);
            self.place = Some(Place { end, ..place });
        }
        (self.last, self.last_of) = (number, Some(of.clone()));
        enter(&mut self.entries, of, number, value.into());
        Ok(())
    }

    /// Writes these into a new file, which takes the place of the old one.
    fn write_anew(&mut self, entries: Entries, lost: Vec<LostRecord>) -> Result<(), StoreError> {
        let Some(path) = self.path.clone() else {
            (self.entries, self.lost) = (entries, lost);
            return Ok(());
        };
        self.place = None;
        let bytes = self.bytes(&entries, &lost);
        if bytes.is_empty() {
            files::remove(&path)?;
            *self = Self { path: Some(path), last: self.last, ..Self::default() };
            return Ok(());
        }
        files::make_folder(files::parent(&path))?;
        files::write_whole(&path, &bytes, MODE)?;
        let found = scan(&bytes, None);
        sealed::mark(&path, found.last);
        let place = fs::metadata(&path).ok().map(|metadata| Place::of(&metadata, found.end));
        *self = Self::of(path, found, place);
        Ok(())
    }

    fn of(path: PathBuf, found: Scan, place: Option<Place>) -> Self {
        let Scan { first, packed, last, last_of, entries, lost, behind, .. } = found;
        Self { path: Some(path), first, packed, last, last_of, entries, lost, behind, place }
    }

    /// A new file: these records, in order, and room; empty where there are none. Gaps in what nobody needs are not
    /// told again.
    fn bytes(&self, entries: &Entries, lost: &[LostRecord]) -> Vec<u8> {
        let mut all: Vec<(u64, Option<&Key>, Option<&str>)> = Vec::new();
        for (of, records) in entries {
            all.extend(records.iter().map(|(number, value)| (*number, Some(of), Some(&**value))));
        }
        all.extend(lost.iter().filter(|lost| self.counts(lost)).map(|lost| (lost.number, lost.of.as_ref(), None)));
        all.sort_by_key(|(number, ..)| *number);
        let (first, packed) = (self.last + 1, self.last + all.len() as u64);
        let (mut bytes, mut before) = (Vec::new(), None);
        for (number, (_, of, value)) in (first..).zip(&all) {
            bytes.extend(line::text((first, packed, number), before, *of, *value).into_bytes());
            before = *of;
        }
        if !bytes.is_empty() {
            bytes.resize(bytes.len().next_multiple_of(PAGE) + bytes.len().max(ROOM).next_multiple_of(PAGE), 0);
        }
        bytes
    }
}

impl Place {
    /// What begins at `end` of this file is room.
    fn of(metadata: &Metadata, end: usize) -> Self {
        let end = end.next_multiple_of(PAGE) as u64;
        Self { device: metadata.dev(), inode: metadata.ino(), length: metadata.len(), end }
    }

    fn has_room(&self, length: usize) -> bool {
        self.end.saturating_add(length as u64) <= self.length
    }

    /// The file, where it is still the one that was left there.
    fn open(&self, path: &Path) -> Option<File> {
        let file = File::options().write(true).open(path).ok()?;
        let found = file.metadata().ok()?;
        ((found.dev(), found.ino(), found.len()) == (self.device, self.inode, self.length)).then_some(file)
    }
}
