//! What was deployed, in the data folder: which release serves each service, which one did before, and what is under way. So it outlives the process.
//!
//! The intent is on disk, synced, before an actor is switched, and the end before anybody is told of it. A host that finds an intent without an end was
//! killed over it: what the state on disk is written in says which release it belongs to ([`Record::settle`]).
//!
//! Invariant: a file is there as a whole; what it says is live was live, and proved.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::registry::{Digest, Release, Store, StoreError, files};

/// The version of what a record says.
const FORMAT: u32 = 1;
/// Where they are in the data folder.
const FOLDER: &str = "deployments";
/// Ends that are kept of a service, the youngest.
const HISTORY: usize = 100;

/// A release, as it can be found again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its name and version in the store, where it was published.
    pub published: Option<String>,
    /// Its component.
    pub component: PathBuf,
    /// The SHA-256 of that.
    pub digest: String,
    /// The schema that it keeps its state in.
    pub schema: u32,
}

impl Source {
    /// Where a release was found, whose component has this digest.
    pub(crate) fn new(release: &Release, digest: &str) -> Self {
        let manifest = &release.manifest;
        Self {
            published: release.seal.is_some().then(|| format!("{}@{}", manifest.name, manifest.version)),
            component: std::path::absolute(&release.component).unwrap_or_else(|_| release.component.clone()),
            digest: digest.to_owned(),
            schema: manifest.state_schema,
        }
    }

    /// Finds it again, and nothing else in its place. Reads its component: not for a runtime's thread.
    ///
    /// # Errors
    ///
    /// A text that says why not.
    pub(crate) fn find(&self, data: &Path) -> Result<Release, String> {
        let release = match &self.published {
            Some(reference) => {
                Store::open(data).and_then(|store| store.resolve(reference)).map_err(|error| error.to_string())?
            }
            None => {
                let mut found = Release::find(&self.component).map_err(|error| error.to_string())?;
                found.manifest.state_schema = self.schema;
                found
            }
        };
        let bytes = std::fs::read(&release.component)
            .map_err(|error| format!("cannot read {}: {error}", release.component.display()))?;
        let found = Digest::of(&bytes).to_string();
        if found == self.digest {
            Ok(release)
        } else {
            Err(format!("{} has the digest {found} now", release.component.display()))
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.published {
            Some(reference) => f.write_str(reference),
            None => write!(f, "{} ({})", self.component.display(), self.digest.get(..12).unwrap_or(&self.digest)),
        }
    }
}

/// How a deployment ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
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
}

/// What is known of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    format: u32,
    pub(crate) live: Source,
    pub(crate) previous: Option<Source>,
    under_way: Option<Source>,
    history: Vec<Ended>,
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
    /// A deployment was cut off, and its release is live: the state on disk is its own.
    Finished {
        /// The service.
        service: String,
        /// What serves.
        live: Source,
    },
    /// A deployment was cut off, and the release before is live.
    RolledBack {
        /// The service.
        service: String,
        /// What was to serve.
        next: Source,
    },
}

impl std::fmt::Display for Recovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Deployed { service, live, written } => write!(
                f,
                "{service}: served by {live}, which was deployed; the topology says {}; hint: `--as-written` forgets what was deployed",
                written.display()
            ),
            Self::Finished { service, live } => {
                write!(f, "{service}: a deployment was cut off; its state was brought over already, so {live} is live")
            }
            Self::RolledBack { service, next } => {
                write!(f, "{service}: a deployment of {next} was cut off, and is rolled back")
            }
        }
    }
}

impl Record {
    fn new(live: &Source) -> Self {
        Self { format: FORMAT, live: live.clone(), previous: None, under_way: None, history: Vec::new() }
    }

    /// What becomes of a deployment that was cut off, given the schemas that states on disk are in. Pure.
    ///
    /// The schema is part of the commit that brought a state over, so it cannot lie; and a release that has begun to bring states over can always bring over the rest.
    fn settle(mut self, service: &str, schemas: &[u32], now: String) -> (Self, Option<Recovery>) {
        let Some(next) = self.under_way.take() else { return (self, None) };
        let finished = next.schema != self.live.schema && schemas.contains(&next.schema);
        let reason = (!finished).then(|| "the host ended in the middle of it".to_owned());
        self.enter(Ended { at: now, from: self.live.clone(), to: next.clone(), live: finished, reason });
        let service = service.to_owned();
        if !finished {
            return (self, Some(Recovery::RolledBack { service, next }));
        }
        self.previous = Some(std::mem::replace(&mut self.live, next.clone()));
        (self, Some(Recovery::Finished { service, live: next }))
    }

    fn enter(&mut self, ended: Ended) {
        self.history.push(ended);
        let too_many = self.history.len().saturating_sub(HISTORY);
        self.history.drain(..too_many);
    }
}

/// A record that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// It cannot be read or written.
    #[error(transparent)]
    File(#[from] StoreError),
    /// It makes no sense.
    #[error("{}: {detail}; hint: `airssys run --as-written` forgets what was deployed", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
}

/// Forgets what was deployed in a data folder: the next start is with the releases that the topology names. Not while a mesh has the folder.
///
/// # Errors
///
/// [`RecordError`]; some may be forgotten then.
pub fn forget(data: &Path) -> Result<(), RecordError> {
    let folder = data.join(FOLDER);
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
    let sources =
        all.values().flat_map(|record| std::iter::once(&record.live).chain(&record.previous).chain(&record.under_way));
    Ok(sources.filter_map(|source| source.published.clone()).collect())
}

/// The records of all services; in memory only where there is no data folder.
#[derive(Debug, Default)]
pub(crate) struct Records {
    folder: Option<PathBuf>,
    all: Mutex<HashMap<String, Record>>,
}

impl Records {
    /// Reads those that are there.
    pub(crate) fn open(data: Option<&Path>) -> Result<Self, RecordError> {
        let Some(folder) = data.map(|data| data.join(FOLDER)) else { return Ok(Self::default()) };
        let mut all = HashMap::new();
        for name in files::names(&folder)? {
            let Some(service) = name.strip_suffix(".json").filter(|_| !name.starts_with(files::UNFINISHED)) else {
                continue;
            };
            let path = folder.join(&name);
            let text = std::fs::read(&path).map_err(StoreError::file("read", &path))?;
            let record: Record = serde_json::from_slice(&text)
                .map_err(|error| RecordError::Damaged { path: path.clone(), detail: error.to_string() })?;
            if record.format != FORMAT {
                let detail = format!("it has format {}, and this version of airssys knows {FORMAT}", record.format);
                return Err(RecordError::Damaged { path, detail });
            }
            all.insert(service.to_owned(), record);
        }
        Ok(Self { folder: Some(folder), all: Mutex::new(all) })
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

    /// Decides about a deployment that was cut off.
    pub(crate) fn settle(&self, service: &str, schemas: &[u32]) -> Result<Option<Recovery>, RecordError> {
        let Some(record) = self.get(service) else { return Ok(None) };
        let (settled, recovery) = record.settle(service, schemas, now());
        if recovery.is_some() {
            self.write(service, settled)?;
        }
        Ok(recovery)
    }

    /// Lets another release be live that proved itself in an apply. Once more changes nothing.
    pub(crate) fn adopt(&self, service: &str, from: &Source, to: &Source) -> Result<(), RecordError> {
        let mut record = self.get(service).unwrap_or_else(|| Record::new(from));
        if record.live == *to {
            return Ok(());
        }
        record.enter(Ended { at: now(), from: from.clone(), to: to.clone(), live: true, reason: None });
        record.previous = Some(from.clone());
        record.live = to.clone();
        self.write(service, record)
    }

    /// Forgets a service.
    pub(crate) fn drop_service(&self, service: &str) -> Result<(), RecordError> {
        if let Some(folder) = &self.folder {
            files::remove(&folder.join(format!("{service}.json")))?;
        }
        self.all().remove(service);
        Ok(())
    }

    /// All of them, by service.
    pub(crate) fn each(&self) -> Vec<(String, Record)> {
        self.all().iter().map(|(service, record)| (service.clone(), record.clone())).collect()
    }

    /// After this it is on disk.
    fn write(&self, service: &str, record: Record) -> Result<(), RecordError> {
        if let Some(folder) = &self.folder {
            files::make_folder(folder)?;
            let path = folder.join(format!("{service}.json"));
            let text = serde_json::to_vec_pretty(&record)
                .map_err(|error| RecordError::Damaged { path: path.clone(), detail: error.to_string() })?;
            files::write_whole(&path, &text, 0o600)?;
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

/// Where one deployment is written down. Its calls wait for the disk: not for a runtime's thread.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) records: Arc<Records>,
    pub(crate) service: String,
    pub(crate) live: Source,
    pub(crate) next: Source,
}

impl Page {
    fn before(&self) -> Record {
        let record = self.records.get(&self.service).unwrap_or_else(|| Record::new(&self.live));
        Record { live: self.live.clone(), ..record }
    }

    /// It is about to pause the first actor.
    pub(crate) fn begin(&self) -> Result<(), RecordError> {
        self.records.write(&self.service, Record { under_way: Some(self.next.clone()), ..self.before() })
    }

    /// It has proved to be sound.
    pub(crate) fn prove(&self) -> Result<(), RecordError> {
        let mut record = self.before();
        record.enter(self.ended(true, None));
        // One that was suspended is live already, but for its state.
        if record.live != self.next {
            record.previous = Some(std::mem::replace(&mut record.live, self.next.clone()));
        }
        record.under_way = None;
        self.records.write(&self.service, record)
    }

    /// The release before is live.
    pub(crate) fn go_back(&self, reason: String) -> Result<(), RecordError> {
        let mut record = self.before();
        if record.previous.as_ref() == Some(&self.live) {
            // It was proved, and crashed at that very moment.
            record.previous = None;
        }
        record.under_way = None;
        record.enter(self.ended(false, Some(reason)));
        self.records.write(&self.service, record)
    }

    fn ended(&self, live: bool, reason: Option<String>) -> Ended {
        Ended { at: now(), from: self.live.clone(), to: self.next.clone(), live, reason }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use super::*;

    fn source(name: &str, schema: u32) -> Source {
        Source { published: Some(format!("{name}@1.0.0")), component: name.into(), digest: name.to_owned(), schema }
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
            let record = Record { under_way: Some(source("new", new)), ..Record::new(&source("old", old)) };
            let (record, recovery) = record.settle("counter", on_disk, "then".to_owned());
            assert_eq!(record.live.digest, expected, "{old} {new} {on_disk:?}");
            assert_eq!((record.under_way, record.history.len()), (None, 1));
            assert_eq!(matches!(recovery.unwrap(), Recovery::Finished { .. }), expected == "new");
        }
    }

    #[test]
    fn a_service_that_gets_its_old_state_back_keeps_the_release_before_its_own() {
        let records = Arc::new(Records::default());
        let page = |live: &str, next: &str| Page {
            records: Arc::clone(&records),
            service: "counter".to_owned(),
            live: source(live, 0),
            next: source(next, 0),
        };
        page("first", "old").prove().unwrap();
        // The way out of a suspension: the release that came back is live already.
        page("old", "old").prove().unwrap();
        assert_eq!(records.get("counter").unwrap().previous, Some(source("first", 0)));
    }

    #[test]
    fn what_was_written_is_read_again_and_what_makes_no_sense_is_said() {
        let data = tempfile::tempdir().unwrap();
        let records = Arc::new(Records::open(Some(data.path())).unwrap());
        let page = Page {
            records: Arc::clone(&records),
            service: "counter".to_owned(),
            live: source("old", 0),
            next: source("new", 0),
        };
        page.begin().unwrap();
        let again = Records::open(Some(data.path())).unwrap();
        assert_eq!(again.get("counter").unwrap().under_way, Some(source("new", 0)));
        page.prove().unwrap();
        let again = Records::open(Some(data.path())).unwrap().get("counter").unwrap();
        assert_eq!((again.live, again.previous, again.under_way), (source("new", 0), Some(source("old", 0)), None));
        page.go_back("a crash at that very moment".to_owned()).unwrap();
        let again = Records::open(Some(data.path())).unwrap().get("counter").unwrap();
        assert_eq!((again.live, again.previous, again.history.len()), (source("old", 0), None, 2));
        std::fs::write(data.path().join("deployments/counter.json"), "{").unwrap();
        let damaged = Records::open(Some(data.path())).unwrap_err().to_string();
        assert!(damaged.contains("counter.json") && damaged.contains("--as-written"), "{damaged}");
        forget(data.path()).unwrap();
        assert_eq!(Records::open(Some(data.path())).unwrap().get("counter"), None);
    }
}
