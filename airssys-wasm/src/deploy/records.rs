//! What was deployed, written down in the data folder: each end, and what is about to be. So it outlives the process.
//!
//! The intent is on disk, synced, before an actor is switched, and the end before anybody is told of it.
//!
//! Invariant: damage is told; what is said to be live was live, and proved.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde::de::DeserializeOwned;

use super::intent::{Intent, SetId, Step};
use super::record::{End, Ended, Record, decide, undecided};
use super::record_error::RecordError;
use super::recovery::Recovery;
use super::source::Source;
use crate::registry::Keep;
use crate::registry::log::{self, Key, Log};

#[cfg(test)]
mod tests;

/// What of the records of deployments cannot be known. Changes nothing.
pub(crate) fn damage(log: &Log) -> Vec<RecordError> {
    let path = log.file().unwrap_or_default();
    let gap = |(service, ends)| RecordError::History { path: path.clone(), service, ends };
    let gaps: Vec<RecordError> = log.gaps().into_iter().map(gap).collect();
    read(log).1.into_iter().chain(gaps).collect()
}

/// The releases that a start may need, as far as the records can be read.
pub(crate) fn sources(log: &Log) -> Vec<Source> {
    read(log).0.values().flat_map(Record::sources).cloned().collect()
}

/// The records by service, and what is wrong with others.
fn read(log: &Log) -> (HashMap<String, Record>, Vec<RecordError>) {
    let path = log.file().unwrap_or_default();
    let damaged = |of: Option<&Key>, detail: String| {
        let record = of.map_or(log::UNKNOWN.to_owned(), Key::to_string);
        RecordError::Deployed { path: path.clone(), record: Some(record), detail }
    };
    let is_own = |of: &Option<Key>| of.as_ref().is_none_or(|of| service_of(of).is_some());
    let lost: Vec<Option<Key>> = log.damage().into_iter().filter(is_own).collect();
    let mut errors: Vec<RecordError> = lost.iter().map(|of| damaged(of.as_ref(), log.lost(of.as_ref()))).collect();
    let mut all = HashMap::new();
    let keys = log.keys();
    for service in keys.iter().filter_map(service_of).collect::<BTreeSet<_>>() {
        let (end, intent) = (Key::End(service.to_owned()), Key::Intent(service.to_owned()));
        if lost.iter().flatten().any(|lost| [&end, &intent].contains(&lost)) {
            continue;
        }
        let record = said::<End>(log, &end).map_err(|detail| damaged(Some(&end), detail)).and_then(|ends| {
            let intents = said::<Intent>(log, &intent).map_err(|detail| damaged(Some(&intent), detail))?;
            Record::of(ends, intents.into_iter().next_back()).map_err(|detail| damaged(Some(&end), detail))
        });
        match record {
            Ok(record) => all.extend(record.map(|record| (service.to_owned(), record))),
            Err(error) => errors.push(error),
        }
    }
    (all, errors)
}

/// Of which service a record of deployments is.
fn service_of(key: &Key) -> Option<&str> {
    match key {
        Key::End(service) | Key::Intent(service) => Some(service),
        _ => None,
    }
}

fn said<T: DeserializeOwned>(log: &Log, of: &Key) -> Result<Vec<T>, String> {
    let parse = |text: String| serde_json::from_str(&text).map_err(|error| error.to_string());
    log.said(of).into_iter().map(parse).collect()
}

/// The records of all services; in memory only where there is no data folder.
#[derive(Debug, Default)]
pub(crate) struct Records {
    log: Arc<Log>,
    keep: Option<Arc<Keep>>,
    all: Mutex<HashMap<String, Record>>,
}

impl Records {
    /// Those that are written down; `data` is where releases are kept.
    pub(crate) fn of(log: &Arc<Log>, data: Option<&Path>) -> Result<Self, RecordError> {
        let (all, damaged) = read(log);
        if let Some(error) = damaged.into_iter().next() {
            return Err(error);
        }
        let keep = data.map(|data| Arc::new(Keep::new(data)));
        Ok(Self { log: Arc::clone(log), keep, all: Mutex::new(all) })
    }

    /// The published releases, as `NAME@VERSION`, that a start may need.
    pub(crate) fn published(&self) -> BTreeSet<String> {
        self.all().values().flat_map(Record::sources).filter_map(|source| source.published.clone()).collect()
    }

    /// How many ends are damaged of the history of a service, for each that has such.
    pub(crate) fn gaps(&self) -> impl Iterator<Item = Recovery> {
        self.log.gaps().into_iter().map(|(service, ends)| Recovery::HistoryLost { service, ends })
    }

    /// Where the bytes are kept of what serves, where there is a data folder.
    pub(crate) fn keep(&self) -> Option<Arc<Keep>> {
        self.keep.clone()
    }

    /// Forgets the bytes that no start needs any more, and nobody who runs; `others` are needed too, where their
    /// services have no record.
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
        if let Some(service) = undecided(&self.all()) {
            let record = Key::End(service.to_owned());
            let detail = self.log.lost(Some(&record));
            return Err(RecordError::Deployed {
                path: self.log.file().unwrap_or_default(),
                record: Some(record.to_string()),
                detail,
            });
        }
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

    /// Lets the releases be live, from which to which, that proved themselves in an apply, and forgets the services
    /// that have none; with it a record of the same log is written, which says that this is done. Once more changes
    /// nothing. All of it is one write, however many services there are.
    pub(crate) fn conclude<'a>(
        &self,
        came_to: impl IntoIterator<Item = (&'a str, Option<(&'a Source, &'a Source)>)>,
        done: (Key, String),
    ) -> Result<(), RecordError> {
        let (mut adopted, mut gone, mut adds) = (Vec::new(), HashSet::new(), Vec::new());
        for (service, live) in came_to {
            let Some((from, to)) = live else {
                gone.insert(service);
                continue;
            };
            let mut record = self.get(service).unwrap_or_else(|| Record::new(from));
            if record.live == *to {
                continue;
            }
            record.enter(service, now(), from, to, None)?;
            record.previous = Some(from.clone());
            record.live = to.clone();
            adds.push((Key::End(service.to_owned()), self.log.text(&record.end())?));
            adopted.push((service.to_owned(), record));
        }
        adds.push(done);
        self.log.change(|of| of.and_then(service_of).is_some_and(|service| gone.contains(service)), adds)?;
        let mut all = self.all();
        all.retain(|service, _| !gone.contains(service.as_str()));
        all.extend(adopted);
        Ok(())
    }

    /// All of them, by service.
    pub(crate) fn each(&self) -> Vec<(String, Record)> {
        self.all().iter().map(|(service, record)| (service.clone(), record.clone())).collect()
    }

    /// A deployment is about to switch the first actor, or comes to another step; after this it is on disk.
    fn intend(&self, service: &str, before: Record, intent: Intent) -> Result<(), RecordError> {
        self.log.add(Key::Intent(service.to_owned()), &intent)?;
        self.all().insert(service.to_owned(), Record { under_way: Some(intent), ..before });
        Ok(())
    }

    /// One has ended; after this it is on disk.
    fn write(&self, service: &str, record: Record) -> Result<(), RecordError> {
        self.log.add(Key::End(service.to_owned()), &record.end())?;
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
