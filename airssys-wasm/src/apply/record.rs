//! Which topology is in force, written down in the data folder.
//!
//! Before an apply changes anything, its intent is on disk; when all of it has come about, one write makes it the
//! topology in force. What the deployments' own records have to say then is in that write too, and is done after it, as
//! often as it takes.
//!
//! Invariant: damage is told; what is said to be in force was started, or applied, as a whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::deploy::RecordError;
use crate::deploy::{Records, Source};
use crate::registry::log::{Key, Log};
use crate::state::durable::StateFile;
use crate::topology::Topology;
use crate::unique;

/// The version of what the record says.
const FORMAT: u32 = 1;

/// What became of an apply that was cut off.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::{CutOff, InForce};
///
/// /// Whether an apply that the end of a host cut off is to be made again.
/// fn is_to_be_made_again(found: &InForce) -> bool {
///     found.cut_off == Some(CutOff::GoneBack)
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CutOff {
    /// Nothing of it is in force.
    GoneBack,
    /// All of it is in force: durable state was brought over to the schema of a release of it already.
    Finished,
}

impl std::fmt::Display for CutOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::GoneBack => "an apply was cut off by the end of the host; the topology from before it is in force",
            Self::Finished => {
                "an apply was cut off by the end of the host; durable state was brought over already, so its topology is in force"
            }
        })
    }
}

/// The record.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    format: u32,
    pub(super) since: String,
    pub(super) topology: String,
    /// What serves each service whose release is kept, so that it can be started again where its path is gone. Records
    /// of deployments count for more.
    #[serde(default, deserialize_with = "unique::map")]
    served: BTreeMap<String, Served>,
    /// Whether a host runs with it, or was killed.
    #[serde(default)]
    running: bool,
    /// What is about to be.
    next: Option<Next>,
    /// What the records of deployments have yet to say.
    unsettled: Vec<Unsettled>,
}

/// What is to be in force when all of it has come about.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Next {
    pub(crate) topology: String,
    #[serde(default, deserialize_with = "unique::map")]
    pub(crate) served: BTreeMap<String, Served>,
    pub(crate) schemas: Vec<SchemaChange>,
    pub(crate) unsettled: Vec<Unsettled>,
}

/// What serves a service by the path of its topology.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Served {
    /// How the topology names it.
    pub(crate) named: PathBuf,
    pub(crate) live: Source,
}

/// A service whose state is brought over to another schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SchemaChange {
    pub(crate) service: String,
    pub(crate) from: u32,
    pub(crate) to: u32,
}

/// A service that the records of deployments are to say something else of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unsettled {
    pub(crate) service: String,
    /// What serves it and what did before; none where the topology says all that there is to say.
    pub(crate) live: Option<(Source, Source)>,
}

impl Unsettled {
    /// What is to be said of a service that another release serves. One that was found by a path and is not kept may be
    /// built anew there, so that the topology alone says which it is; another one never changes, and has a way back.
    pub(crate) fn of(service: &str, from: Source, to: Source) -> Self {
        let live = to.is_for_good().then_some((from, to));
        Self { service: service.to_owned(), live }
    }

    /// One that is gone.
    pub(crate) fn gone(service: &str) -> Self {
        Self { service: service.to_owned(), live: None }
    }
}

/// What is written down; in memory only where there is no data folder.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    log: Arc<Log>,
    written: Mutex<Option<Written>>,
}

impl Ledger {
    pub(super) fn of(log: &Arc<Log>) -> Result<Self, RecordError> {
        let path = || log.file().unwrap_or_default();
        let damaged = |detail| RecordError::Topology { path: path(), record: Some(Key::Topology.to_string()), detail };
        if log.damage().contains(&Some(Key::Topology)) {
            return Err(damaged(log.lost(Some(&Key::Topology))));
        }
        let written = log.said(&Key::Topology).pop().map(|text| Written::of(&text)).transpose().map_err(damaged)?;
        Ok(Self { log: Arc::clone(log), written: Mutex::new(written) })
    }

    /// The texts of the topology in force, and of the one that is about to be.
    pub(super) fn texts(&self) -> Vec<String> {
        let of = |written: Written| std::iter::once(written.topology).chain(written.next.map(|next| next.topology));
        self.lock().clone().into_iter().flat_map(of).collect()
    }

    pub(super) fn file(&self) -> PathBuf {
        self.log.file().unwrap_or_default()
    }

    /// Decides about an apply that was cut off: what state on disk is written in says whether there is a way back. The
    /// schema is part of the commit that brought the state over, so it cannot lie.
    pub(super) fn decide(&self, data: &Path) -> Result<Option<CutOff>, RecordError> {
        let Some(next) = self.lock().as_ref().and_then(|written| written.next.clone()) else { return Ok(None) };
        let mut finished = false;
        if !next.schemas.is_empty() && StateFile::path(data).is_file() {
            let file = StateFile::open_without_damage(data)?;
            for SchemaChange { service, to, .. } in &next.schemas {
                finished |= file.read(service)?.values().any(|kept| kept.commits > 0 && kept.schema == *to);
            }
        }
        if finished {
            self.commit(next)?;
            return Ok(Some(CutOff::Finished));
        }
        self.withdraw()?;
        Ok(Some(CutOff::GoneBack))
    }

    /// What served each service whose release is kept.
    pub(crate) fn served(&self) -> BTreeMap<String, Served> {
        self.lock().as_ref().map(|written| written.served.clone()).unwrap_or_default()
    }

    /// The releases of [`Ledger::served`].
    pub(crate) fn sources(&self) -> BTreeMap<String, Source> {
        let written = self.lock();
        let all = written.iter().flat_map(|written| &written.served);
        all.map(|(service, served)| (service.clone(), served.live.clone())).collect()
    }

    /// Whether a host runs with it; at a start: whether the one that had it last was killed.
    pub(crate) fn is_running(&self) -> bool {
        self.lock().as_ref().is_some_and(|written| written.running)
    }

    /// This topology was started as a whole, and this is what serves.
    pub(crate) fn enforce(&self, topology: &Topology, served: BTreeMap<String, Served>) -> Result<(), RecordError> {
        if self.log.file().is_none() {
            return Ok(());
        }
        let text = topology.to_text()?;
        let known = self.lock().clone().filter(|written| written.topology == text && written.next.is_none());
        let new = || Written::new(text, BTreeMap::new(), Vec::new());
        self.write(Written { served, running: true, ..known.unwrap_or_else(new) })
    }

    /// The host has ended in order.
    pub(crate) fn rest(&self) -> Result<(), RecordError> {
        let written = self.lock().clone().filter(|written| written.running);
        written.map_or(Ok(()), |written| self.write(Written { running: false, ..written }))
    }

    /// An apply is about to change something.
    pub(crate) fn intend(&self, next: Next) -> Result<(), RecordError> {
        let written = self.lock().clone();
        match written {
            Some(written) => self.write(Written { next: Some(next), ..written }),
            // Nothing was in force, so there is nothing to go back to.
            None => Ok(()),
        }
    }

    /// All of it has come about.
    pub(crate) fn commit(&self, next: Next) -> Result<(), RecordError> {
        let running = self.is_running();
        self.write(Written { running, ..Written::new(next.topology, next.served, next.unsettled) })
    }

    /// The topology in force says something else from here on, and everything else stays.
    pub(crate) fn amend(&self, topology: String) -> Result<(), RecordError> {
        let written = self.lock().clone();
        written.map_or(Ok(()), |written| self.write(Written { topology, ..written }))
    }

    /// It is as it was before.
    pub(crate) fn withdraw(&self) -> Result<(), RecordError> {
        let written = self.lock().clone();
        written.map_or(Ok(()), |written| self.write(Written { next: None, ..written }))
    }

    /// Lets the records of deployments, which are in the same log, say what a commit said.
    pub(crate) fn finish(&self, records: &Records) -> Result<(), RecordError> {
        let Some(written) = self.lock().clone().filter(|written| !written.unsettled.is_empty()) else { return Ok(()) };
        let settled = Written { unsettled: Vec::new(), ..written.clone() };
        let came_to = written.unsettled.iter().map(|unsettled| {
            let live = unsettled.live.as_ref().map(|(from, to)| (from, to));
            (unsettled.service.as_str(), live)
        });
        records.conclude(came_to, (Key::Topology, self.log.text(&settled)?))?;
        *self.lock() = Some(settled);
        Ok(())
    }

    /// After this it is on disk.
    fn write(&self, written: Written) -> Result<(), RecordError> {
        self.log.add(Key::Topology, &written)?;
        *self.lock() = Some(written);
        Ok(())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Written>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Written {
    /// Reads what was written down, by this version or an earlier one.
    pub(super) fn of(text: &str) -> Result<Self, String> {
        let written: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match written.format {
            FORMAT => Ok(written),
            other => Err(format!("it has format {other}, and this version of airssys knows {FORMAT}")),
        }
    }

    fn new(topology: String, served: BTreeMap<String, Served>, unsettled: Vec<Unsettled>) -> Self {
        let since = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        Self { format: FORMAT, since, topology, served, running: false, next: None, unsettled }
    }
}
