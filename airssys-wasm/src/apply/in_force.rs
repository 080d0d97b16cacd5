//! What a data folder says is to run, for those who have no host.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::earlier;
use super::record::{CutOff, Ledger, Next, Unsettled};
use crate::config_file::ConfigError;
use crate::deploy::{RecordError, without_it};
use crate::deploy::{Records, Source};
use crate::registry::Reference;
use crate::registry::log::{Key, UNKNOWN};
use crate::topology::{ServiceNode, Topology};

#[cfg(test)]
mod tests;

/// The topology in force in a data folder.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct InForce {
    /// The topology, as it was written.
    pub topology: Topology,
    /// Since when, in UTC, by RFC 3339.
    pub since: String,
    /// Where the end of a host cut an apply off: whether this is the topology from before it or the new one.
    pub cut_off: Option<CutOff>,
}

/// The topology that is in force in a data folder; none where no mesh was ever started there. It decides about an apply
/// that was cut off.
///
/// Not while a mesh has the folder.
///
/// # Errors
///
/// [`RecordError`].
pub fn in_force(data: &Path) -> Result<Option<InForce>, RecordError> {
    let ledger = Ledger::of(&Arc::new(earlier::take_over(data)?))?;
    let cut_off = ledger.decide(data)?;
    let Some(written) = ledger.lock().clone() else { return Ok(None) };
    let topology = of_text(&ledger, &written.topology, data).map_err(RecordError::Unusable)?;
    Ok(Some(InForce { topology, since: written.since, cut_off }))
}

/// A release that is not there is no error yet: what was live may be kept.
fn of_text(ledger: &Ledger, text: &str, data: &Path) -> Result<Topology, ConfigError> {
    let mut topology = Topology::of_text_to_start(&ledger.file(), text, data)?;
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

/// Says what will be in force at the next start, without a host. `digests` are those of the components, by service, as
/// [`crate::command::Checked`] has them.
///
/// Not while a mesh has the folder.
///
/// # Errors
///
/// [`RecordError`].
pub fn put_in_force(data: &Path, topology: &Topology, digests: &HashMap<String, String>) -> Result<(), RecordError> {
    let log = Arc::new(earlier::take_over(data)?);
    let ledger = Ledger::of(&log)?;
    ledger.decide(data)?;
    let records = Records::of(&log, Some(data))?;
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

/// Forgets what was applied and deployed: the next start is with the topology that it is given. Or one record of that,
/// also one that is damaged, by the name that errors and [`crate::apply::damage`] have for it: `topology`, `stopped`,
/// `deployments/SERVICE`, `intents/SERVICE`; or `unknown` for all of which nobody knows what they were of.
///
/// Not while a mesh has the folder.
///
/// # Errors
///
/// [`RecordError`]; some may be forgotten then. [`RecordError::NoRecord`]: there is no such record.
pub fn forget(data: &Path, record: Option<&str>) -> Result<(), RecordError> {
    let Some(record) = record else {
        earlier::forget(data)?;
        let log = earlier::take_over(data)?;
        log.forget(|of| matches!(of, Some(Key::Topology | Key::End(_) | Key::Intent(_))))?;
        return Ok(());
    };
    let log = earlier::take_over(data)?;
    let named: Option<Key> = record.parse().ok();
    let is_meant = |of: Option<&Key>| match (of, &named) {
        (None, None) => record == UNKNOWN,
        // What is under way goes with what it would end.
        (Some(Key::Intent(service)), Some(Key::End(named))) => service == named,
        (of, named) => of.is_some() && of == named.as_ref(),
    };
    if log.forget(is_meant)? {
        return Ok(());
    }
    let unknown = log.damage().contains(&None).then(|| UNKNOWN.to_owned());
    let known = log.keys().iter().map(Key::to_string).chain(unknown).collect();
    Err(RecordError::NoRecord { record: record.to_owned(), path: log.file().unwrap_or_default(), known })
}

/// The published releases, as `NAME@VERSION`, that a mesh with this data folder starts with, or can go back to.
///
/// # Errors
///
/// [`RecordError`].
pub fn needed(data: &Path) -> Result<BTreeSet<String>, RecordError> {
    let log = Arc::new(earlier::read(data)?);
    let ledger = Ledger::of(&log)?;
    let mut needed = Records::of(&log, None)?.published();
    for text in ledger.texts() {
        // Only what a release is named by: it need not be usable.
        let table: toml::Table = toml::from_str(&text).map_err(|error| RecordError::Topology {
            path: ledger.file(),
            record: Some(Key::Topology.to_string()),
            detail: error.message().to_owned(),
        })?;
        let services = table.get("service").and_then(toml::Value::as_array).into_iter().flatten();
        let named = services.filter_map(|service| service.get("release")?.as_str());
        needed.extend(named.filter(|named| Reference::is_meant(named)).map(str::to_owned));
    }
    Ok(needed)
}
