//! What the data folder says of the last time: which releases served, and what was cut off.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::compile::{TemplateKey, hold, key, loaded, loading};
use super::durable::DurableStates;
use super::error::RuntimeError;
use super::record::{Ledger, Served};
use super::releases::Deployable;
use crate::deploy::{Records, Recovery, Source};
use crate::engine::{Engines, Template};
use crate::registry::log::Log;
use crate::registry::{Digest, Hold, Keep, Release};
use crate::topology::{ServiceNode, Topology};

/// A topology with the releases that were live last.
pub(super) struct Recovered<'a> {
    pub(super) topology: Cow<'a, Topology>,
    pub(super) records: Records,
    pub(super) ledger: Ledger,
    pub(super) recoveries: Vec<Recovery>,
}

/// Puts what was deployed into the topology.
pub(super) fn recover<'a>(
    topology: &'a Topology,
    log: &Arc<Log>,
    data: Option<&Path>,
    kept: Option<&DurableStates>,
) -> Result<Recovered<'a>, RuntimeError> {
    let records = Records::of(log, data.filter(|_| log.file().is_some()))?;
    let ledger = Ledger::of(log)?;
    ledger.finish(&records)?;
    let served = ledger.served();
    if records.is_empty() && served.is_empty() {
        return Ok(Recovered { topology: Cow::Borrowed(topology), records, ledger, recoveries: Vec::new() });
    }
    let mut recoveries = records.settle(|service| {
        let mut schemas = Vec::new();
        if let Some(durable) = kept.and_then(|kept| kept.services.get(service)) {
            durable.each(|_, state| schemas.extend(state.schema()));
        }
        schemas
    })?;
    recoveries.extend(records.gaps());
    let (mut topology, mut failed) = (topology.clone(), None);
    topology.each_service(|node| {
        if failed.is_none() {
            let (service, was_killed) = (node.address.to_string(), ledger.is_running());
            failed = match (records.get(&service), served.get(&service), data) {
                (Some(record), _, Some(data)) => {
                    recover_service(Arc::make_mut(node), record.live, data, &mut recoveries)
                }
                (None, Some(served), Some(data)) => {
                    resume_service(Arc::make_mut(node), served, was_killed, data, &mut recoveries)
                }
                _ => Ok(()),
            }
            .err();
        }
    });
    for recovery in &recoveries {
        tracing::warn!(target: "airssys::deploy", "{recovery}");
    }
    failed.map_or(Ok(Recovered { topology: Cow::Owned(topology), records, ledger, recoveries }), Err)
}

/// The releases that served before those that are live, as far as they can be had: without one there is no way back,
/// and nothing else is wrong.
pub(super) async fn previous(
    engines: &Arc<Engines>,
    topology: &Topology,
    records: &Records,
    data: Option<&Path>,
) -> HashMap<String, Deployable> {
    let mut all = HashMap::new();
    for node in topology.services() {
        let service = node.address.to_string();
        let (Some(before), Some(data)) = (records.get(&service).and_then(|record| record.previous), data) else {
            continue;
        };
        match load_source(engines, node, &before, data).await {
            Ok(deployable) => drop(all.insert(service, deployable)),
            Err(why) => {
                tracing::warn!(target: "airssys::deploy", service, release = %before, why, "there is no way back to the release before");
            }
        }
    }
    all
}

/// The services whose release is the one that served when the host ended. Where one of these cannot read its state, it
/// was left so, and the others start without it; a release that was named since has to read what it finds.
pub(super) fn left(next: &HashMap<String, Deployable>, records: &Records, ledger: &Ledger) -> HashSet<String> {
    let mut served = ledger.sources();
    served.extend(records.each().into_iter().map(|(service, record)| (service, record.live)));
    let is_left = |(service, next): &(&String, &Deployable)| {
        let (next, last) = (next.source(), served.get(*service));
        last.is_some_and(|last| (&last.digest, last.schema) == (&next.digest, next.schema))
    };
    next.iter().filter(is_left).map(|(service, _)| service.clone()).collect()
}

pub(super) async fn load_source(
    engines: &Arc<Engines>,
    node: &ServiceNode,
    source: &Source,
    data: &Path,
) -> Result<Deployable, String> {
    let node = Arc::new(node.with_release(source.find(data)?));
    let hold = hold(&node).map(Arc::new);
    let loaded = loaded(loading(engines, Arc::clone(&node)), node.release.binary()).await;
    let template = loaded.map_err(|error| error.to_string())?;
    Ok(Deployable { node, template: Arc::new(template), _hold: hold })
}

/// Lets the release serve that was deployed.
fn recover_service(
    node: &mut ServiceNode,
    live: Source,
    data: &Path,
    recoveries: &mut Vec<Recovery>,
) -> Result<(), RuntimeError> {
    let service = node.address.to_string();
    let found = live.find(data);
    let release = found.map_err(|detail| RuntimeError::DeployedGone {
        service: service.clone(),
        live: Box::new(live.clone()),
        detail,
    })?;
    if !is_the_same(&release, &live.digest, &node.release) {
        let written = &node.release.component;
        let written = std::path::absolute(written).unwrap_or_else(|_| written.clone());
        recoveries.push(Recovery::Deployed { service, live, written });
    }
    *node = node.with_release(release);
    Ok(())
}

/// Whether the topology names this very release.
fn is_the_same(release: &Release, digest: &str, named: &Release) -> bool {
    let absolute = |release: &Release| std::path::absolute(&release.component).ok();
    absolute(release) == absolute(named) && (named.gone().is_some() || is_at_its_path(named, digest, release))
}

fn is_at_its_path(named: &Release, digest: &str, release: &Release) -> bool {
    let bytes = || std::fs::read(&named.component).is_ok_and(|bytes| Digest::of(&bytes).to_string() == digest);
    named.manifest == release.manifest && (named.seal.is_some() || bytes())
}

/// Lets the release serve that served last by the path of the topology: where it is gone, and where the host was killed
/// and something else is there now. After an end in order, what is at the path is what is meant.
fn resume_service(
    node: &mut ServiceNode,
    Served { named, live }: &Served,
    was_killed: bool,
    data: &Path,
    recoveries: &mut Vec<Recovery>,
) -> Result<(), RuntimeError> {
    let gone = node.release.gone().map(|why| why.what.clone());
    if *named != node.named || (gone.is_none() && !was_killed) {
        return Ok(());
    }
    let (service, live) = (node.address.to_string(), live.clone());
    let release = match (live.find(data), &gone) {
        (Ok(release), _) => release,
        (Err(detail), None) => {
            let live = Box::new(live);
            return Err(RuntimeError::DeployedGone { service, live, detail });
        }
        // What is gone is told as it is.
        (Err(detail), Some(_)) => {
            tracing::warn!(target: "airssys", service, release = %live, detail, "what served last cannot be had either");
            return Ok(());
        }
    };
    match gone {
        Some(why) => recoveries.push(Recovery::Kept { service, live, why }),
        None if is_at_its_path(&node.release, &live.digest, &release) => {}
        None => recoveries.push(Recovery::Resumed { service, live, written: node.named.clone() }),
    }
    *node = node.with_release(release);
    Ok(())
}

/// Keeps the bytes of what serves from a path, so that the next start has them whatever becomes of that. Where that
/// cannot be, such as on a full disk, it serves all the same. Each is held, by service.
pub(super) async fn keep_all<'a>(
    topology: Cow<'a, Topology>,
    keep: Option<Arc<Keep>>,
    templates: &mut HashMap<TemplateKey, Arc<Template>>,
) -> (Cow<'a, Topology>, HashMap<String, Arc<Hold>>) {
    let mut holds = HashMap::new();
    let Some(keep) = keep else { return (topology, holds) };
    let mut kept = topology.into_owned();
    let mut to_keep = Vec::new();
    for node in kept.services() {
        if let (Some(template), None) = (templates.get(&key(node)), &node.release.seal) {
            to_keep.push((node.address.to_string(), node.release.clone(), Arc::clone(template)));
        }
    }
    let keeping = crate::blocking::spawn(move || {
        let take = |(service, release, template): (String, Release, Arc<Template>)| match keep
            .take(&release, template.digest())
        {
            Ok((release, hold)) => Some((service, (release, hold, template))),
            Err(error) => {
                tracing::warn!(target: "airssys", service, %error, "its release is not kept: once its path is gone, it cannot be started again");
                None
            }
        };
        to_keep.into_iter().filter_map(take).collect::<HashMap<_, _>>()
    });
    let mut taken = keeping.await.unwrap_or_default();
    kept.each_service(|node| {
        if let Some((release, hold, template)) = taken.remove(node.address.as_str()) {
            Arc::make_mut(node).release = release;
            templates.insert(key(node), template);
            holds.insert(node.address.to_string(), Arc::new(hold));
        }
    });
    (Cow::Owned(kept), holds)
}
