//! Which topology is in force, written down in the data folder.
//!
//! Before an apply changes anything, its intent is on disk; when all of it has come about, one write makes it the topology in force. What the deployments'
//! own records have to say then is in that write too, and is done after it, as often as it takes.
//!
//! Invariant: the file is there as a whole, and damage to it is told; what it says is in force was started, or applied, as a whole.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::config_file::ConfigError;
use crate::deploy::{RecordError, Records, Source};
use crate::hint::{Act, Hint};
use crate::registry::sealed::{self, Unsound};
use crate::registry::{StoreError, files};
use crate::state::durable::{StateError, StateFile};
use crate::topology::{NotText, ServiceNode, Topology};
use crate::unique;

/// The version of what the file says.
const FORMAT: u32 = 1;
/// Where it is in the data folder.
const FOLDER: &str = "topology";
const FILE: &str = "in-force.json";

/// The topology in force cannot be read, written, or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InForceError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] StoreError),
    /// The file is not what was written, or makes no sense.
    #[error("the topology in force cannot be known: {}: {detail}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// What is in force is not what it was: a release or a folder that it names is gone.
    #[error("the topology in force cannot be used any more: {}", .0.what)]
    Unusable(#[source] ConfigError),
    /// It cannot be written as text.
    #[error(transparent)]
    NotText(#[from] NotText),
    /// Durable state, which says how far an apply came that was cut off.
    #[error(transparent)]
    State(#[from] StateError),
    /// The records of deployments.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl InForceError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Self::File(error) => error.hint(),
            Self::Damaged { .. } => Some(
                Hint::from("put the newest copy of it back, or remove it: the next start is then with the topology's file, and what was applied and is not in that file is lost; ")
                    .act(Act::ForgetDeployed),
            ),
            Self::Unusable(_) => Some(without_it()),
            Self::NotText(error) => Some(error.hint()),
            Self::State(error) => Some(error.hint()),
            Self::Record(error) => error.hint(),
        }
    }
}

/// What to do where the topology in force names what is gone.
fn without_it() -> Hint {
    Hint::from("bring it back, ").act(Act::ApplyOther).words(", or ").act(Act::StartAsWritten)
}

/// What is in force.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct InForce {
    /// The topology, as it was written.
    pub topology: Topology,
    /// Since when, in UTC, by RFC 3339.
    pub since: String,
    /// Which of the two it is, where an apply was cut off by the end of the host.
    pub cut_off: Option<CutOff>,
}

/// What became of an apply that was cut off.
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

/// The file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: u32,
    since: String,
    topology: String,
    /// What serves each service whose release is kept, so that it can be started again where its path is gone. Records of deployments count for more.
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
    /// What is to be said of a service that another release serves. One that was found by a path and is not kept may be built anew there, so that the topology
    /// alone says which it is; another one never changes, and has a way back.
    pub(crate) fn of(service: &str, from: Source, to: Source) -> Self {
        let live = to.is_for_good().then_some((from, to));
        Self { service: service.to_owned(), live }
    }

    /// One that is gone.
    pub(crate) fn gone(service: &str) -> Self {
        Self { service: service.to_owned(), live: None }
    }
}

/// The topology that is in force in a data folder; none where no mesh was ever started there. It decides about an apply that was cut off.
///
/// Not while a mesh has the folder.
///
/// # Errors
///
/// [`InForceError`].
pub fn in_force(data: &Path) -> Result<Option<InForce>, InForceError> {
    let ledger = Ledger::open(Some(data))?;
    let cut_off = ledger.decide(data)?;
    let Some(written) = ledger.lock().clone() else { return Ok(None) };
    let topology = of_text(&ledger, &written.topology, data).map_err(InForceError::Unusable)?;
    Ok(Some(InForce { topology, since: written.since, cut_off }))
}

/// A release that is not there is no error yet: what was live may be kept.
fn of_text(ledger: &Ledger, text: &str, data: &Path) -> Result<Topology, ConfigError> {
    let mut topology = Topology::of_text_to_start(&ledger.path(), text, data)?;
    topology.each_service(|node| {
        if node.release.gone.is_none() {
            return;
        }
        if let Some(why) = &mut Arc::make_mut(node).release.gone {
            why.hint = without_it();
        }
    });
    Ok(topology)
}

/// Says what will be in force at the next start, without a host. `digests` are those of the components, by service, as [`crate::Checked`] has them.
///
/// Not while a mesh has the folder.
///
/// # Errors
///
/// [`InForceError`].
pub fn put_in_force(data: &Path, topology: &Topology, digests: &HashMap<String, String>) -> Result<(), InForceError> {
    let ledger = Ledger::open(Some(data))?;
    ledger.decide(data)?;
    let records = Records::open(Some(data))?;
    ledger.finish(&records)?;
    let before = ledger.lock().as_ref().map(|written| written.topology.clone());
    // One that cannot be used any more is as good as none: each release is another one then.
    let before = before.and_then(|text| of_text(&ledger, &text, data).ok());
    let named = |service: &str| {
        let before = before.as_ref()?;
        before.services().find(|node| node.address.service() == service).map(|node| node.named.clone())
    };
    let mut unsettled = Vec::new();
    for (service, record) in records.each() {
        let Some(node) = topology.services().find(|node| node.address.service() == service) else {
            unsettled.push(Unsettled::gone(&service));
            continue;
        };
        let offered = Source::new(&node.release, digests.get(&service).map_or("", String::as_str));
        // What lies at its path is meant by whoever applies it, as it is where a host runs.
        let rebuilt = offered.component == record.live.component && offered.digest != record.live.digest;
        if named(&service).as_ref() != Some(&node.named) || rebuilt {
            unsettled.push(Unsettled::of(&service, record.live, offered));
        }
    }
    let mut served = ledger.served();
    served.retain(|service, served| {
        let same = |node: &Arc<ServiceNode>| node.address.as_str() == service && node.named == served.named;
        topology.services().any(same)
    });
    let next = Next { topology: topology.to_text()?, served, schemas: Vec::new(), unsettled };
    ledger.intend(next.clone())?;
    ledger.commit(next)?;
    ledger.rest()?;
    ledger.finish(&records)
}

/// Forgets what is in force: the next start is with the topology that it is given. Not while a mesh has the folder.
///
/// # Errors
///
/// [`InForceError`].
pub fn forget(data: &Path) -> Result<(), InForceError> {
    Ok(sealed::remove(&data.join(FOLDER).join(FILE))?)
}

/// What is damaged of what is in force in a data folder; none where it is as it was written. Changes nothing.
#[must_use]
pub fn damage(data: &Path) -> Option<InForceError> {
    Ledger::open(Some(data)).err()
}

/// The published releases, as `NAME@VERSION`, that the topology in force names.
///
/// # Errors
///
/// [`InForceError`].
pub fn needed(data: &Path) -> Result<BTreeSet<String>, InForceError> {
    let ledger = Ledger::open(Some(data))?;
    let written = ledger.lock().clone();
    let texts = written.into_iter().flat_map(|written| {
        std::iter::once(written.topology).chain(written.next.map(|next| next.topology)).collect::<Vec<_>>()
    });
    let mut needed = BTreeSet::new();
    for text in texts {
        // Only what a release is named by: it need not be usable.
        let table: toml::Table = toml::from_str(&text)
            .map_err(|error| InForceError::Damaged { path: ledger.path(), detail: error.message().to_owned() })?;
        let services = table.get("service").and_then(toml::Value::as_array).into_iter().flatten();
        let named = services.filter_map(|service| service.get("release")?.as_str());
        needed.extend(named.filter(|named| crate::registry::Reference::is_meant(named)).map(str::to_owned));
    }
    Ok(needed)
}

/// The file of a data folder; in memory only where there is none.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    folder: Option<PathBuf>,
    written: Mutex<Option<Written>>,
}

impl Ledger {
    pub(crate) fn open(data: Option<&Path>) -> Result<Self, InForceError> {
        let Some(folder) = data.map(|data| data.join(FOLDER)) else { return Ok(Self::default()) };
        let path = folder.join(FILE);
        let damaged = |detail| InForceError::Damaged { path: path.clone(), detail };
        let read = sealed::read(&path).map_err(|unsound| match unsound {
            Unsound::File(error) => error.into(),
            Unsound::Damaged(detail) => damaged(detail),
        });
        let Some(text) = read? else { return Ok(Self { folder: Some(folder), written: Mutex::default() }) };
        let written: Written = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
        if written.format != FORMAT {
            let detail = format!("it has format {}, and this version of airssys knows {FORMAT}", written.format);
            return Err(damaged(detail));
        }
        Ok(Self { folder: Some(folder), written: Mutex::new(Some(written)) })
    }

    fn path(&self) -> PathBuf {
        self.folder.as_deref().unwrap_or(Path::new("")).join(FILE)
    }

    /// Decides about an apply that was cut off: what state on disk is written in says whether there is a way back. The schema is part of the commit that
    /// brought the state over, so it cannot lie.
    fn decide(&self, data: &Path) -> Result<Option<CutOff>, InForceError> {
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
    pub(crate) fn enforce(&self, topology: &Topology, served: BTreeMap<String, Served>) -> Result<(), InForceError> {
        if self.folder.is_none() {
            return Ok(());
        }
        let text = topology.to_text()?;
        let known = self.lock().clone().filter(|written| written.topology == text && written.next.is_none());
        let new = || Written::new(text, BTreeMap::new(), Vec::new());
        self.write(Written { served, running: true, ..known.unwrap_or_else(new) })
    }

    /// The host has ended in order.
    pub(crate) fn rest(&self) -> Result<(), InForceError> {
        let written = self.lock().clone().filter(|written| written.running);
        written.map_or(Ok(()), |written| self.write(Written { running: false, ..written }))
    }

    /// An apply is about to change something.
    pub(crate) fn intend(&self, next: Next) -> Result<(), InForceError> {
        let written = self.lock().clone();
        match written {
            Some(written) => self.write(Written { next: Some(next), ..written }),
            // Nothing was in force, so there is nothing to go back to.
            None => Ok(()),
        }
    }

    /// All of it has come about.
    pub(crate) fn commit(&self, next: Next) -> Result<(), InForceError> {
        let running = self.is_running();
        self.write(Written { running, ..Written::new(next.topology, next.served, next.unsettled) })
    }

    /// It is as it was before.
    pub(crate) fn withdraw(&self) -> Result<(), InForceError> {
        let written = self.lock().clone();
        written.map_or(Ok(()), |written| self.write(Written { next: None, ..written }))
    }

    /// Lets the records of deployments say what a commit said.
    pub(crate) fn finish(&self, records: &Records) -> Result<(), InForceError> {
        let Some(written) = self.lock().clone().filter(|written| !written.unsettled.is_empty()) else { return Ok(()) };
        for Unsettled { service, live } in &written.unsettled {
            match live {
                Some((from, to)) => records.adopt(service, from, to)?,
                None => records.drop_service(service)?,
            }
        }
        self.write(Written { unsettled: Vec::new(), ..written })
    }

    /// After this it is on disk.
    fn write(&self, written: Written) -> Result<(), InForceError> {
        if let Some(folder) = &self.folder {
            files::make_folder(folder)?;
            let path = self.path();
            let text = serde_json::to_vec_pretty(&written)
                .map_err(|error| InForceError::Damaged { path: path.clone(), detail: error.to_string() })?;
            sealed::write(&path, &text)?;
        }
        *self.lock() = Some(written);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Written>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Written {
    fn new(topology: String, served: BTreeMap<String, Served>, unsettled: Vec<Unsettled>) -> Self {
        let since = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        Self { format: FORMAT, since, topology, served, running: false, next: None, unsettled }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use super::*;

    fn source(name: &str) -> Source {
        Source {
            published: Some(format!("{name}@1.0.0")),
            component: name.into(),
            digest: name.to_owned(),
            schema: 0,
            kept: None,
        }
    }

    fn named(data: &Path) -> (String, Option<CutOff>) {
        let found = in_force(data).unwrap().unwrap();
        (found.topology.name, found.cut_off)
    }

    #[test]
    fn either_the_old_one_or_the_new_one_is_in_force_wherever_it_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        assert!(in_force(data).unwrap().is_none());
        let next = |name: &str| Next {
            topology: Topology::new(name).to_text().unwrap(),
            served: BTreeMap::new(),
            schemas: Vec::new(),
            unsettled: vec![Unsettled::of("counter", source("one"), source("two")), Unsettled::gone("old")],
        };
        Ledger::open(Some(data)).unwrap().enforce(&Topology::new("old"), BTreeMap::new()).unwrap();
        assert_eq!(named(data), ("old".to_owned(), None));
        // Cut off before the commit.
        Ledger::open(Some(data)).unwrap().intend(next("new")).unwrap();
        assert_eq!(named(data), ("old".to_owned(), Some(CutOff::GoneBack)));
        assert_eq!(named(data), ("old".to_owned(), None), "it is said once");
        // Cut off after it, before the records of deployments know.
        let ledger = Ledger::open(Some(data)).unwrap();
        ledger.intend(next("new")).unwrap();
        ledger.commit(next("new")).unwrap();
        drop(ledger);
        assert_eq!(named(data), ("new".to_owned(), None));
        for _ in 0..2 {
            let records = Records::open(Some(data)).unwrap();
            Ledger::open(Some(data)).unwrap().finish(&records).unwrap();
            let record = Records::open(Some(data)).unwrap().get("counter").unwrap();
            assert_eq!((record.live, record.previous), (source("two"), Some(source("one"))));
        }
        forget(data).unwrap();
        assert!(in_force(data).unwrap().is_none());
    }

    #[test]
    fn what_makes_no_sense_is_an_error_that_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        let ledger = Ledger::open(Some(data)).unwrap();
        ledger.enforce(&Topology::new("m"), BTreeMap::new()).unwrap();
        let gone = "name = \"m\"\n[[service]]\nname = \"a\"\nrelease = \"/nowhere/a.wasm\"\n[[service]]\nname = \"b\"\nrelease = \"b@1.0.0\"\n";
        ledger.write(Written::new(gone.to_owned(), BTreeMap::new(), Vec::new())).unwrap();
        // What served may be kept, so that this is for the start to say.
        let found = in_force(data).unwrap().unwrap().topology;
        let error = found.services().next().unwrap().release.gone().unwrap();
        assert!(error.to_string().contains("/nowhere/a.wasm") && error.hint == without_it(), "{error}");
        ledger.write(Written::new("name = \"m\"\ncolour = 1\n".to_owned(), BTreeMap::new(), Vec::new())).unwrap();
        assert!(matches!(in_force(data), Err(InForceError::Unusable(_))));
        ledger.write(Written::new(gone.to_owned(), BTreeMap::new(), Vec::new())).unwrap();
        assert_eq!(needed(data).unwrap().into_iter().collect::<Vec<_>>(), ["b@1.0.0"]);
        // As versions before wrote it, with a service twice.
        let served = |name: &str| Served { named: name.into(), live: source(name) };
        let all = BTreeMap::from([("a".to_owned(), served("one")), ("b".to_owned(), served("two"))]);
        let said = serde_json::to_string(&Written::new(gone.to_owned(), all.clone(), Vec::new())).unwrap();
        forget(data).unwrap();
        std::fs::write(ledger.path(), &said).unwrap();
        assert_eq!(Ledger::open(Some(data)).unwrap().served(), all);
        std::fs::write(ledger.path(), said.replacen("\"b\":", "\"a\":", 1)).unwrap();
        let error = in_force(data).unwrap_err().to_string();
        assert!(error.contains("\"a\" stands there twice"), "{error}");
        std::fs::write(ledger.path(), "{").unwrap();
        let error = in_force(data).unwrap_err();
        assert!(error.to_string().contains(FILE) && error.hint().is_some(), "{error}");
    }
}
