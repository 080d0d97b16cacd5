//! What was deployed, in the data folder: a record a service, and the intent beside it. So it outlives the process.
//!
//! The intent is on disk, synced, before an actor is switched ([`intent`]), and the end before anybody is told of it.
//!
//! Invariant: a file is there as a whole, and damage to it is told; what it says is live was live, and proved.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::intent::{self, Intent, SetId, Step};
use super::record::{Ended, FORMAT, Record, RecordError, decide};
use super::recovery::Recovery;
use super::source::Source;
use crate::registry::sealed;
use crate::registry::{Keep, files};

#[cfg(test)]
mod tests;

/// Where they are in the data folder.
const FOLDER: &str = "deployments";

/// Forgets what was deployed in a data folder: the next start is with the releases that the topology names. Not while a mesh has the folder.
///
/// # Errors
///
/// [`RecordError`]; some may be forgotten then.
pub fn forget(data: &Path) -> Result<(), RecordError> {
    let folder = data.join(FOLDER);
    // Sorted, so that an intent goes before its record: without that it would be the first one's.
    for name in files::names(&folder)? {
        files::remove(&folder.join(name))?;
    }
    Ok(())
}

/// The published releases, as `NAME@VERSION`, that a mesh with this data folder starts with, or can go back to.
///
/// # Errors
///
/// [`RecordError`].
pub fn needed(data: &Path) -> Result<BTreeSet<String>, RecordError> {
    let records = Records::open(Some(data))?;
    let all = records.all();
    Ok(all.values().flat_map(Record::sources).filter_map(|source| source.published.clone()).collect())
}

/// What is damaged of what was deployed in a data folder, a service at a time; empty where all of it is as it was written. Changes nothing.
///
/// # Errors
///
/// [`RecordError::File`]: the folder cannot be read.
pub fn damage(data: &Path) -> Result<Vec<RecordError>, RecordError> {
    Ok(read_all(data)?.1)
}

/// The releases that a start in a data folder may need, as far as what was deployed can be read.
pub(crate) fn sources(data: &Path) -> Result<Vec<Source>, RecordError> {
    let (all, _) = read_all(data)?;
    Ok(all.values().flat_map(Record::sources).cloned().collect())
}

/// The records by service, and what is wrong with others.
fn read_all(data: &Path) -> Result<(HashMap<String, Record>, Vec<RecordError>), RecordError> {
    let folder = data.join(FOLDER);
    let (mut all, mut damaged) = (HashMap::new(), Vec::new());
    let names = files::names(&folder)?;
    for (service, path) in services(&names, &folder, RECORD) {
        match read_record(&path) {
            Ok(Some(record)) => drop(all.insert(service.to_owned(), record)),
            Ok(None) => {}
            Err(error) => damaged.push(error),
        }
    }
    for (service, path) in services(&names, &folder, intent::SUFFIX) {
        let intent::Found { turn, intent } = match intent::read(&path) {
            Ok(found) => found,
            Err(unsound) => {
                damaged.push(RecordError::of(&path, unsound));
                continue;
            }
        };
        let Some(intent) = intent else { continue };
        if !all.contains_key(service) && (intent.after > 0 || is_forgotten(&folder, service)) {
            continue;
        }
        let record = all.entry(service.to_owned()).or_insert_with(|| Record::new(&intent.live));
        record.turn = turn;
        record.under_way = (intent.after == record.ended).then_some(intent);
    }
    Ok((all, damaged))
}

fn read_record(path: &Path) -> Result<Option<Record>, RecordError> {
    let damaged = |detail| RecordError::Damaged { path: path.to_owned(), detail };
    let Some(text) = sealed::read(path).map_err(|unsound| RecordError::of(path, unsound))? else { return Ok(None) };
    let mut record: Record = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
    record.check().map_err(damaged)?;
    record.format = FORMAT;
    Ok(Some(record))
}

/// Whether there was a record of a service, which somebody removed: what its intent says was over before that.
fn is_forgotten(folder: &Path, service: &str) -> bool {
    sealed::marked(&record_path(folder, service)).is_some()
}

/// The records of all services; in memory only where there is no data folder.
#[derive(Debug, Default)]
pub(crate) struct Records {
    folder: Option<PathBuf>,
    keep: Option<Arc<Keep>>,
    all: Mutex<HashMap<String, Record>>,
}

impl Records {
    /// Reads those that are there.
    pub(crate) fn open(data: Option<&Path>) -> Result<Self, RecordError> {
        let Some(data) = data else { return Ok(Self::default()) };
        let (all, damaged) = read_all(data)?;
        if let Some(error) = damaged.into_iter().next() {
            return Err(error);
        }
        Ok(Self { folder: Some(data.join(FOLDER)), keep: Some(Arc::new(Keep::new(data))), all: Mutex::new(all) })
    }

    /// Where the bytes are kept of what serves, where there is a data folder.
    pub(crate) fn keep(&self) -> Option<Arc<Keep>> {
        self.keep.clone()
    }

    /// Forgets the bytes that no start needs any more, and nobody who runs; `others` are needed too, where their services have no record.
    pub(crate) fn sweep(&self, others: &BTreeMap<String, Source>) {
        let Some(keep) = &self.keep else { return };
        let needed = {
            let all = self.all();
            let others = others.iter().filter(|(service, _)| !all.contains_key(*service)).map(|(_, source)| source);
            all.values().flat_map(Record::sources).chain(others).flat_map(Source::digests).collect()
        };
        if let Err(error) = keep.sweep(&needed) {
            tracing::warn!(target: "airssys::deploy", %error, "cannot forget a release that nobody needs any more");
        }
    }

    /// Whether nothing was ever deployed.
    pub(crate) fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    pub(crate) fn get(&self, service: &str) -> Option<Record> {
        self.all().get(service).cloned()
    }

    /// The ends of a service's deployments, the youngest last.
    pub(crate) fn history(&self, service: &str) -> Vec<Ended> {
        self.all().get(service).map(|record| record.history.clone()).unwrap_or_default()
    }

    /// How many deployments of a service have ended.
    pub(crate) fn ended(&self, service: &str) -> u64 {
        self.all().get(service).map(|record| record.ended).unwrap_or_default()
    }

    /// Decides about the deployments that were cut off, given the schemas that the states of a service are in on disk.
    pub(crate) fn settle(&self, schemas: impl Fn(&str) -> Vec<u32>) -> Result<Vec<Recovery>, RecordError> {
        let endings = decide(&self.all(), schemas);
        let mut recoveries = Vec::with_capacity(endings.len());
        for (service, ending) in endings {
            let Some(record) = self.get(&service) else { continue };
            let (settled, recovery) = record.settle(&service, ending, now())?;
            self.write(&service, settled)?;
            recoveries.extend(recovery);
        }
        Ok(recoveries)
    }

    /// Lets another release be live that proved itself in an apply. Once more changes nothing.
    pub(crate) fn adopt(&self, service: &str, from: &Source, to: &Source) -> Result<(), RecordError> {
        let mut record = self.get(service).unwrap_or_else(|| Record::new(from));
        if record.live == *to {
            return Ok(());
        }
        record.enter(service, now(), from, to, None)?;
        record.previous = Some(from.clone());
        record.live = to.clone();
        self.write(service, record)
    }

    /// Forgets a service.
    pub(crate) fn drop_service(&self, service: &str) -> Result<(), RecordError> {
        if let Some(folder) = &self.folder {
            // The intent first: without its record it would be the first one's.
            sealed::remove(&intent_path(folder, service))?;
            sealed::remove(&record_path(folder, service))?;
        }
        self.all().remove(service);
        Ok(())
    }

    /// All of them, by service.
    pub(crate) fn each(&self) -> Vec<(String, Record)> {
        self.all().iter().map(|(service, record)| (service.clone(), record.clone())).collect()
    }

    /// A deployment is about to switch the first actor, or comes to another step; after this it is on disk.
    fn intend(&self, service: &str, before: Record, intent: Intent) -> Result<(), RecordError> {
        let turn = before.turn;
        if let Some(folder) = &self.folder {
            files::make_folder(folder)?;
            let is_first = self.get(service).is_none();
            if is_first {
                sealed::remove(&intent_path(folder, service))?;
            }
            intent::write(&intent_path(folder, service), turn, &intent)?;
            if is_first {
                // It counts, unlike one from before a record that was removed.
                files::remove(&sealed::mark_path(&record_path(folder, service)))?;
            }
        }
        self.all().insert(service.to_owned(), Record { under_way: Some(intent), turn: turn + 1, ..before });
        Ok(())
    }

    /// After this it is on disk.
    fn write(&self, service: &str, record: Record) -> Result<(), RecordError> {
        if let Some(folder) = &self.folder {
            files::make_folder(folder)?;
            if self.get(service).is_none() {
                // What is left there is from before a record that was removed.
                sealed::remove(&intent_path(folder, service))?;
            }
            let path = record_path(folder, service);
            let text = serde_json::to_vec_pretty(&record)
                .map_err(|error| RecordError::Damaged { path: path.clone(), detail: error.to_string() })?;
            sealed::write(&path, &text)?;
        }
        self.all().insert(service.to_owned(), record);
        Ok(())
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Record>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// How the name of a record ends.
const RECORD: &str = ".json";

fn record_path(folder: &Path, service: &str) -> PathBuf {
    folder.join(format!("{service}{RECORD}"))
}

fn intent_path(folder: &Path, service: &str) -> PathBuf {
    folder.join(format!("{service}{}", intent::SUFFIX))
}

/// The services that a folder has a file of this kind of, and where it is.
fn services<'a>(names: &'a [String], folder: &'a Path, suffix: &'a str) -> impl Iterator<Item = (&'a str, PathBuf)> {
    let finished = names.iter().filter(|name| !name.starts_with(files::UNFINISHED));
    finished.filter_map(move |name| Some((name.strip_suffix(suffix)?, folder.join(name))))
}

/// Where one deployment is written down. Its calls wait for the disk: not for a runtime's thread.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) records: Arc<Records>,
    pub(crate) service: String,
    pub(crate) live: Source,
    pub(crate) next: Source,
    /// Where it is one of several that are live together.
    pub(crate) set: Option<SetId>,
}

impl Page {
    /// Whether another one of its set decides about all of them.
    pub(crate) fn follows(&self) -> bool {
        self.set.as_ref().is_some_and(|set| set.first != self.service)
    }

    fn before(&self) -> Record {
        let record = self.records.get(&self.service).unwrap_or_else(|| Record::new(&self.live));
        Record { live: self.live.clone(), ..record }
    }

    /// It is about to pause the first actor, or to make this step.
    pub(crate) fn begin(&self, step: Option<Step>) -> Result<(), RecordError> {
        let before = self.before();
        let (live, next, set) = (self.live.clone(), self.next.clone(), self.set.clone());
        let intent = Intent { after: before.ended, live, next, step, set };
        self.records.intend(&self.service, before, intent)
    }

    /// It has proved to be sound; what it went on without.
    pub(crate) fn prove(&self, notes: Vec<String>) -> Result<(), RecordError> {
        let mut record = self.before();
        record.enter(&self.service, now(), &self.live, &self.next, None)?;
        if let Some(ended) = record.history.last_mut() {
            ended.notes = notes;
        }
        // One that was suspended is live already, but for its state.
        if record.live != self.next {
            record.previous = Some(std::mem::replace(&mut record.live, self.next.clone()));
        }
        self.records.write(&self.service, record)
    }

    /// The release before is live.
    pub(crate) fn go_back(&self, reason: String) -> Result<(), RecordError> {
        let mut record = self.before();
        record.enter(&self.service, now(), &self.live, &self.next, Some(reason))?;
        self.records.write(&self.service, record)
    }
}
