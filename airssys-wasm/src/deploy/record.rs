//! What was deployed, in the data folder: which release serves each service, which one did before, and what is under way. So it outlives the process.
//!
//! The intent is on disk, synced, before an actor is switched ([`intent`]), and the end before anybody is told of it. A host that finds an intent without an
//! end was killed over it: what the state on disk is written in says which release it belongs to ([`decide`]).
//!
//! Invariant: a file is there as a whole, and damage to it is told; what it says is live was live, and proved.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::intent::{self, Intent, SetId, Step};
use super::source::Source;
use crate::registry::sealed::{self, Unsound};
use crate::registry::{Keep, StoreError, files};

/// The version of what a record says; 2 does not say which set an end was of, 3 not what it went on without, 4 not what is kept of a release.
const FORMAT: u32 = 5;
const OLDEST: u32 = 2;
/// Where they are in the data folder.
const FOLDER: &str = "deployments";
/// Ends that are kept of a service, the youngest.
const HISTORY: usize = 100;
/// Deployments of a service that may end: one each millisecond for 140,000 years.
const MOST_ENDED: u64 = 1 << 52;

/// How a deployment ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// Which of the service's deployments it was, from 1.
    pub number: u64,
    /// When, in UTC, by RFC 3339.
    pub at: String,
    /// What served before.
    pub from: Source,
    /// What was to.
    pub to: Source,
    /// Whether it is live since.
    pub live: bool,
    /// Why not.
    pub reason: Option<String>,
    /// What it went on without: members that do not run, memory that was not handed over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The set that it was of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) set: Option<SetId>,
}

/// What is known of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    format: u32,
    pub(crate) live: Source,
    pub(crate) previous: Option<Source>,
    /// Deployments that ended. An intent is over when it says less.
    ended: u64,
    history: Vec<Ended>,
    /// Not of this file: the intent that is in force.
    #[serde(skip)]
    under_way: Option<Intent>,
    /// The number of the next write of an intent.
    #[serde(skip)]
    turn: u64,
}

/// What a start found in the data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recovery {
    /// A release that was deployed serves, and not the one of the topology.
    Deployed {
        /// The service.
        service: String,
        /// What serves.
        live: Source,
        /// What the topology says.
        written: PathBuf,
    },
    /// The release of the topology is not there any more, and what served from there last serves.
    Kept {
        /// The service.
        service: String,
        /// What serves.
        live: Source,
        /// Why it is not there.
        why: String,
    },
    /// The host was killed, and what served by the path of the topology serves, though another release is there now.
    Resumed {
        /// The service.
        service: String,
        /// What serves.
        live: Source,
        /// The path.
        written: PathBuf,
    },
    /// A deployment was cut off, and its release is live.
    Finished {
        /// The service.
        service: String,
        /// What serves.
        live: Source,
        /// Another service of its set, which keeps its new release; none where it is that the state on disk is in the schema of the release.
        with: Option<String>,
    },
    /// An operator stopped the service, and it stays stopped.
    Stopped {
        /// The service.
        service: String,
        /// Since when, in UTC, by RFC 3339.
        since: String,
        /// Whether the topology has no such service any more: it is forgotten then that it was stopped.
        is_gone: bool,
    },
    /// A deployment was cut off, and the release before is live.
    RolledBack {
        /// The service.
        service: String,
        /// What was to serve.
        next: Source,
        /// How far it came, where it went by steps.
        step: Option<Step>,
    },
}

impl std::fmt::Display for Recovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Deployed { service, live, written } if live.published.is_none() && live.component == *written => {
                write!(
                    f,
                    "{service}: served by {live}, which was deployed; another release lies there now; hint: `airssys deploy {service} {}` brings that in, `--as-written` forgets what was deployed",
                    written.display()
                )
            }
            Self::Kept { service, live, why } => write!(
                f,
                "{service}: served by {live}, as before; what the topology names cannot be used: {why}; hint: bring it back, or name another release"
            ),
            Self::Resumed { service, live, written } => write!(
                f,
                "{service}: served by {live}, as when the host was killed; another release lies there now; hint: `airssys deploy {service} {}` brings that in, and so does a start after an end in order",
                written.display()
            ),
            Self::Deployed { service, live, written } => write!(
                f,
                "{service}: served by {live}, which was deployed; the topology says {}; hint: `--as-written` forgets what was deployed",
                written.display()
            ),
            Self::Stopped { service, since, is_gone: false } => {
                write!(f, "{service}: stopped by an operator since {since}; hint: `airssys start {service}` starts it")
            }
            Self::Stopped { service, since, is_gone: true } => {
                write!(
                    f,
                    "{service}: was stopped by an operator since {since}, and is no service any more; that is forgotten"
                )
            }
            Self::Finished { service, live, with: None } => {
                write!(f, "{service}: a deployment was cut off; its state was brought over already, so {live} is live")
            }
            Self::Finished { service, live, with: Some(with) } => {
                write!(
                    f,
                    "{service}: a deployment was cut off; {with}, of the same set, keeps its new release, so {live} is live"
                )
            }
            Self::RolledBack { service, next, step: None } => {
                write!(f, "{service}: a deployment of {next} was cut off, and is rolled back")
            }
            Self::RolledBack { service, next, step: Some(step) } => {
                write!(f, "{service}: a deployment of {next} was cut off {step}, and is rolled back")
            }
        }
    }
}

impl Record {
    fn new(live: &Source) -> Self {
        let live = live.clone();
        Self { format: FORMAT, live, previous: None, ended: 0, history: Vec::new(), under_way: None, turn: 0 }
    }

    /// What the next start may need.
    fn sources(&self) -> impl Iterator<Item = &Source> {
        let under_way = self.under_way.iter().flat_map(|intent| [&intent.live, &intent.next]);
        std::iter::once(&self.live).chain(&self.previous).chain(under_way)
    }

    /// A deployment that was cut off is over.
    fn settle(mut self, service: &str, ending: Ending, now: String) -> Result<(Self, Option<Recovery>), RecordError> {
        let (next, step) = match (&self.under_way, self.history.last()) {
            (Some(intent), _) => (intent.next.clone(), intent.step.clone()),
            // It had gone back already.
            (None, Some(ended)) if !ended.live => (ended.to.clone(), None),
            (None, _) => return Ok((self, None)),
        };
        let (live, service) = (ending != Ending::RolledBack, service.to_owned());
        let at = step.as_ref().map(|step| format!(", {step}")).unwrap_or_default();
        let reason = (!live).then(|| format!("the host ended in the middle of it{at}"));
        self.enter(&service, now, &self.live.clone(), &next, reason)?;
        let recovery = match ending {
            Ending::RolledBack => return Ok((self, Some(Recovery::RolledBack { service, next, step }))),
            Ending::BroughtOver => Recovery::Finished { service, live: next.clone(), with: None },
            Ending::With(with) => Recovery::Finished { service, live: next.clone(), with: Some(with) },
        };
        self.previous = Some(std::mem::replace(&mut self.live, next));
        Ok((self, Some(recovery)))
    }

    /// One more has ended, and not as it was to where there is a reason.
    fn enter(
        &mut self,
        service: &str,
        at: String,
        from: &Source,
        to: &Source,
        reason: Option<String>,
    ) -> Result<(), RecordError> {
        let full = || RecordError::Full { service: service.to_owned(), ended: self.ended };
        self.ended = self.ended.checked_add(1).filter(|ended| *ended <= MOST_ENDED).ok_or_else(full)?;
        let set = self.under_way.take().and_then(|intent| intent.set);
        let (from, to, live) = (from.clone(), to.clone(), reason.is_none());
        self.history.push(Ended { number: self.ended, at, from, to, live, reason, notes: Vec::new(), set });
        let too_many = self.history.len().saturating_sub(HISTORY);
        self.history.drain(..too_many);
        Ok(())
    }

    /// Whether it makes sense: no file may say what no host can have written.
    fn check(&self) -> Result<(), String> {
        let Self { format, ended, history, .. } = self;
        if !(OLDEST..=FORMAT).contains(format) {
            return Err(format!("it has format {format}, and this version of airssys knows {OLDEST} to {FORMAT}"));
        }
        if *ended > MOST_ENDED {
            return Err(format!("it says that {ended} deployments have ended, which no host has come to"));
        }
        let rises = history.is_sorted_by(|before, after| before.number < after.number);
        if !rises || history.last().is_some_and(|last| last.number > *ended) {
            return Err(format!("its history is not in order, or longer than the {ended} deployments that have ended"));
        }
        Ok(())
    }
}

/// What becomes of a deployment that was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ending {
    RolledBack,
    /// It is live: the state on disk is in the schema of its release.
    BroughtOver,
    /// It is live, since that service of its set is.
    With(String),
}

/// What becomes of the deployments that were cut off, given the schemas that states on disk are in, by service. Pure. Those that decide about others of
/// their set come first, and have to be written first.
///
/// The schema is part of the commit that brought a state over, so it cannot lie; and a release that has begun to bring states over can always bring over the
/// rest. Of a set all are live or none: all where one is, or has brought states over, even where others had gone back before the host was killed.
fn decide(all: &HashMap<String, Record>, schemas: impl Fn(&str) -> Vec<u32>) -> Vec<(String, Ending)> {
    let brought_over: BTreeSet<&str> = all
        .iter()
        .filter(|(service, record)| {
            let next = record.under_way.as_ref().map(|intent| intent.next.schema);
            next.is_some_and(|next| next != record.live.schema && schemas(service).contains(&next))
        })
        .map(|(service, _)| service.as_str())
        .collect();
    // Who says that a set is live: the first by name, so that it is always the same one.
    let live = |set: &SetId| {
        let says = |(service, record): &(&String, &Record)| {
            let cut_off = record.under_way.as_ref().is_some_and(|intent| intent.set.as_ref() == Some(set));
            (cut_off && brought_over.contains(service.as_str()))
                || record.history.iter().any(|ended| ended.live && ended.set.as_ref() == Some(set))
        };
        all.iter().filter(says).map(|(service, _)| service.clone()).min()
    };
    let mut endings: Vec<(bool, String, Ending)> = all
        .iter()
        .filter_map(|(service, record)| {
            let (set, ending) = match (&record.under_way, record.history.last()) {
                (Some(intent), _) => {
                    let set = intent.set.as_ref();
                    let ending = if brought_over.contains(service.as_str()) {
                        Ending::BroughtOver
                    } else {
                        set.and_then(live).map_or(Ending::RolledBack, Ending::With)
                    };
                    (set, ending)
                }
                (None, Some(Ended { live: false, set: Some(set), .. })) => (Some(set), Ending::With(live(set)?)),
                (None, _) => return None,
            };
            let decides = set.is_some_and(|set| set.first == *service);
            Some((!decides, service.clone(), ending))
        })
        .collect();
    endings.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    endings.into_iter().map(|(_, service, ending)| (service, ending)).collect()
}

/// A record that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// It cannot be read or written.
    #[error(transparent)]
    File(#[from] StoreError),
    /// It is not what was written, or makes no sense.
    #[error("what was deployed cannot be known: {}: {detail}; hint: {}", .path.display(), Remedy(.path))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// No more deployments of a service can be counted.
    #[error(
        "{service}: {ended} deployments have ended, and no more are counted; hint: `airssys run --as-written` forgets what was deployed"
    )]
    Full {
        /// The service.
        service: String,
        /// How many.
        ended: u64,
    },
}

/// What to do about a damaged file, and what is lost by it.
struct Remedy<'a>(&'a Path);

impl std::fmt::Display for Remedy<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("put the newest copy of it back, or remove it: ")?;
        let is_intent = self.0.to_str().is_some_and(|path| path.ends_with(intent::SUFFIX));
        f.write_str(if is_intent {
            "a deployment that was cut off is then as if it had not begun"
        } else {
            "the service then starts with the release that the topology names, and its history and its way back are lost"
        })?;
        f.write_str("; `airssys run --as-written` forgets what was deployed of all services")
    }
}

impl RecordError {
    fn of(path: &Path, unsound: Unsound) -> Self {
        match unsound {
            Unsound::File(error) => Self::File(error),
            Unsound::Damaged(detail) => Self::Damaged { path: path.to_owned(), detail },
        }
    }
}

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use super::*;

    fn source(name: &str, schema: u32) -> Source {
        Source {
            published: Some(format!("{name}@1.0.0")),
            component: name.into(),
            digest: name.to_owned(),
            schema,
            kept: None,
        }
    }

    fn page(records: &Arc<Records>, service: &str, live: &Source, next: &Source) -> Page {
        let (records, service) = (Arc::clone(records), service.to_owned());
        Page { records, service, live: live.clone(), next: next.clone(), set: None }
    }

    #[test]
    fn a_deployment_that_was_cut_off_goes_the_way_of_the_state() {
        // The schemas of the two releases and of what is on disk, and which release is live.
        let cases: [(u32, u32, &[u32], &str); 6] = [
            (0, 0, &[], "old"),
            (0, 0, &[0], "old"),
            (0, 1, &[], "old"),
            (0, 1, &[0], "old"),
            (0, 1, &[1], "new"),
            (0, 1, &[0, 1, 0], "new"),
        ];
        for (old, new, on_disk, expected) in cases {
            let records = Arc::new(Records::default());
            page(&records, "counter", &source("old", old), &source("new", new)).begin(None).unwrap();
            let recoveries = records.settle(|_| on_disk.to_vec()).unwrap();
            let record = records.get("counter").unwrap();
            assert_eq!(record.live.digest, expected, "{old} {new} {on_disk:?}");
            assert_eq!((&record.under_way, record.history.len()), (&None, 1));
            assert_eq!(matches!(recoveries[..], [Recovery::Finished { .. }]), expected == "new");
            assert_eq!(records.settle(|_| on_disk.to_vec()).unwrap(), [], "it is over");
        }
    }

    /// The host is killed after each write of a set's deployments, and again after each write of the start that follows.
    #[test]
    fn of_a_set_that_was_cut_off_all_are_live_or_none() {
        let services = ["pricing", "inventory", "gateway"];
        let set = || Some(SetId { first: "pricing".to_owned(), after: 0 });
        // How many ends were written, from that of the first, and whether each is live; and whose state is on disk in the schema of its new release.
        let cases: [(usize, bool, Option<&str>); 9] = [
            (0, true, None),
            (0, true, Some("gateway")),
            (1, true, None),
            (2, true, None),
            (2, true, Some("gateway")),
            (1, false, None),
            (1, false, Some("gateway")),
            (2, false, Some("gateway")),
            (3, false, None),
        ];
        for (ends, live, brought_over) in cases {
            let data = tempfile::tempdir().unwrap();
            let records = Arc::new(Records::open(Some(data.path())).unwrap());
            let pages =
                services.map(|of| Page { set: set(), ..page(&records, of, &source("old", 0), &source("new", 1)) });
            pages.iter().for_each(|page| page.begin(None).unwrap());
            for page in &pages[..ends] {
                if live { page.prove(Vec::new()).unwrap() } else { page.go_back("it crashed".to_owned()).unwrap() }
            }
            let expected = if (live && ends > 0) || brought_over.is_some() { "new" } else { "old" };
            let schemas = |service: &str| vec![u32::from(Some(service) == brought_over)];
            // The starts that are cut off: each writes one end more.
            for _ in 0..services.len() {
                let again = Records::open(Some(data.path())).unwrap();
                let Some((service, ending)) = decide(&again.all(), schemas).into_iter().next() else { break };
                let (settled, _) = again.get(&service).unwrap().settle(&service, ending, now()).unwrap();
                again.write(&service, settled).unwrap();
            }
            let again = Records::open(Some(data.path())).unwrap();
            assert_eq!(again.settle(schemas).unwrap(), []);
            for service in services {
                let live = again.get(service).unwrap().live.digest;
                assert_eq!(live, expected, "{service}, {ends} ended, live {live}, {brought_over:?} brought over");
            }
        }
    }

    #[test]
    fn a_service_that_gets_its_old_state_back_keeps_the_release_before_its_own() {
        let records = Arc::new(Records::default());
        page(&records, "counter", &source("first", 0), &source("old", 0)).prove(Vec::new()).unwrap();
        // The way out of a suspension: the release that came back is live already.
        page(&records, "counter", &source("old", 0), &source("old", 0)).prove(Vec::new()).unwrap();
        assert_eq!(records.get("counter").unwrap().previous, Some(source("first", 0)));
    }

    /// What the error of a damaged record says to do.
    #[test]
    fn a_record_that_somebody_removed_is_forgotten_with_the_intents_from_before() {
        let data = tempfile::tempdir().unwrap();
        let path = record_path(&data.path().join(FOLDER), "counter");
        let open = || Arc::new(Records::open(Some(data.path())).unwrap());
        for deployments in 1..4 {
            let (old, new) = (source("old", 0), source("new", 0));
            for _ in 0..deployments {
                let page = page(&open(), "counter", &old, &new);
                page.begin(None).unwrap();
                page.prove(Vec::new()).unwrap();
            }
            std::fs::remove_file(&path).unwrap();
            assert_eq!(open().get("counter"), None, "{deployments}");
        }
        let next = page(&open(), "counter", &source("older", 0), &source("old", 0));
        next.begin(None).unwrap();
        let record = open().get("counter").unwrap();
        assert_eq!((record.live.digest.as_str(), record.under_way.is_some()), ("older", true), "it was cut off");
        std::fs::remove_file(intent_path(&data.path().join(FOLDER), "counter")).unwrap();
        assert_eq!(open().get("counter"), None);
        open().adopt("counter", &source("older", 0), &source("old", 0)).unwrap();
        assert_eq!(open().get("counter").unwrap().under_way, None);
    }

    #[test]
    fn what_was_written_is_read_again_and_what_makes_no_sense_is_said() {
        let data = tempfile::tempdir().unwrap();
        let records = Arc::new(Records::open(Some(data.path())).unwrap());
        let again = || Records::open(Some(data.path())).unwrap().get("counter").unwrap();
        let page = page(&records, "counter", &source("old", 0), &source("new", 0));
        page.begin(None).unwrap();
        let intent = again().under_way.unwrap();
        assert_eq!((intent.live, intent.next, intent.step), (source("old", 0), source("new", 0), None));
        let step = Step { strategy: "canary".to_owned(), step: 2, steps: 4 };
        page.begin(Some(step.clone())).unwrap();
        assert_eq!(again().under_way.unwrap().step, Some(step));
        let said = Records::open(Some(data.path())).unwrap().settle(|_| Vec::new()).unwrap()[0].to_string();
        assert!(said.contains("at step 2 of 4 (canary)"), "{said}");
        let records = Arc::new(Records::open(Some(data.path())).unwrap());
        let page = Page { records, ..page };
        page.begin(None).unwrap();
        page.prove(Vec::new()).unwrap();
        assert_eq!(
            (again().live, again().previous, again().under_way),
            (source("new", 0), Some(source("old", 0)), None)
        );
        page.begin(None).unwrap();
        page.go_back("a crash".to_owned()).unwrap();
        let ends: Vec<(u64, bool)> = again().history.iter().map(|ended| (ended.number, ended.live)).collect();
        assert_eq!(ends, [(1, false), (2, true), (3, false)]);
        // As versions before wrote it.
        let path = data.path().join("deployments/counter.json");
        let sealed: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let record = again();
        std::fs::remove_file(sealed::mark_path(&path)).unwrap();
        let said = sealed["said"].to_string();
        std::fs::write(&path, &said).unwrap();
        assert_eq!(again(), record);
        for (what, with) in [
            ("\"format\":5", "\"format\":6"),
            ("\"format\":5", "\"format\":5,\"format\":5"),
            ("\"format\":5", "\"format\":5,\"colour\":1"),
            ("\"ended\":3", "\"ended\":\"3\""),
            ("\"ended\":3", "\"ended\":2"),
            ("\"ended\":3", "\"ended\":18446744073709551615"),
            ("\"ended\":3", "\"ended\":18446744073709551616"),
            ("\"number\":2", "\"number\":3"),
        ] {
            assert!(said.contains(what), "{said}");
            std::fs::write(&path, said.replacen(what, with, 1)).unwrap();
            let told = Records::open(Some(data.path())).unwrap_err().to_string();
            assert!(told.contains("counter.json") && told.contains("remove it"), "{with}: {told}");
        }
        // The last one that is counted.
        std::fs::write(&path, said.replace("\"ended\":3", &format!("\"ended\":{MOST_ENDED}"))).unwrap();
        let records = Records::open(Some(data.path())).unwrap();
        let told = records.adopt("counter", &source("new", 0), &source("newer", 0)).unwrap_err();
        assert!(matches!(told, RecordError::Full { ended: MOST_ENDED, .. }), "{told}");
        page.records.drop_service("counter").unwrap();
        assert_eq!(Records::open(Some(data.path())).unwrap().get("counter"), None);
        page.begin(None).unwrap();
        std::fs::write(data.path().join("deployments/counter.json"), "{").unwrap();
        let damaged = Records::open(Some(data.path())).unwrap_err().to_string();
        assert!(damaged.contains("counter.json") && damaged.contains("--as-written"), "{damaged}");
        forget(data.path()).unwrap();
        assert_eq!(Records::open(Some(data.path())).unwrap().get("counter"), None);
    }
}
