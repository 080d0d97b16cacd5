//! From what is written to what is meant, or to the first thing that is wrong.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use airssys_rt_shim::child::Restart;
use airssys_rt_shim::supervisor::{AutoShutdown, Backoff};
use toml::Spanned;

use super::grants::{from_file, grants};
use super::guards::layers;
use super::layered::make_services;
use super::listeners::listeners;
use super::logs::logs;
use super::names::{Named, NodeKind, bad_name, check_parents, names};
use super::quotas::{quotas, used};
use super::retries::{retries, tried};
use super::role::Roles;
use super::tree::{Node, RootSpec, ServiceNode, SupervisorNode, Topology, TopologySettings};
use super::wires::wires;
use super::{range, written};
use crate::address::{Address, is_service_name};
use crate::config_file::{ConfigError, Source, parse_all};
use crate::hint::{Act, Coded};
use crate::registry::{PublicKey, Reference, Release, Store};
use crate::schema::{Count, Schema};
use crate::settings::{Keeping, KeyedRules, Multiplicity, Run, SpawnedRules, WrittenSpawned};

#[cfg(test)]
mod tests;

pub(super) fn topology(source: &Source, releases: Releases<'_>) -> Result<Topology, ConfigError> {
    let mut written: written::Topology = source.parse()?;
    if !is_service_name(written.name.get_ref()) {
        return Err(bad_name(source, &written.name));
    }
    make_services(source, &mut written)?;
    let names = names(source, &written)?;
    check_parents(source, &written, &names)?;
    let mut settings = TopologySettings::default();
    let asked = &written.settings;
    settings.take(asked);
    settings.trusted_keys = asked.trusted_keys.as_ref().map(|keys| trusted(source, keys)).transpose()?;
    let file = |path: &Option<Spanned<PathBuf>>| {
        let path = path.as_ref().map(|path| from_file(source, path.get_ref()));
        path.map(|path| std::path::absolute(&path).unwrap_or(path))
    };
    (settings.audit_folder, settings.audit_key) = (file(&asked.audit_folder), file(&asked.audit_key));
    let mut root_flags = RootSpec::default();
    root_flags.take(&written.root);
    check_flags(source, &written.name.span(), &root_flags)?;
    let roles = Roles::read(source, &written, &names)?;
    let asked = Asked { source, releases, written: &written, names: &names, roles: &roles };
    let children = children(asked, None, root_flags.auto_shutdown)?;
    let name = written.name.get_ref().clone();
    let quotas = quotas(source, &written.quotas)?;
    let logs = logs(source, &written)?;
    let mut topology = Topology {
        name,
        settings,
        root: root_flags,
        children,
        roles,
        listeners: Vec::new(),
        quotas,
        logs,
        layers: Vec::new(),
        retries: Vec::new(),
    };
    topology.retries = retries(source, &written.retries)?;
    topology.layers = layers(source, &written.layers, &topology)?;
    topology.listeners = listeners(source, &written.http, &topology)?;
    range::check(&topology).map_err(|error| error.at(source))?;
    Ok(topology)
}

fn trusted(source: &Source, keys: &[Spanned<String>]) -> Result<Vec<PublicKey>, ConfigError> {
    parse_all(source, keys).map_err(|error| ConfigError { hint: Act::MakeKey.into(), ..error })
}

/// What all nodes are made of.
#[derive(Clone, Copy)]
struct Asked<'a> {
    source: &'a Source,
    releases: Releases<'a>,
    written: &'a written::Topology,
    names: &'a BTreeMap<&'a str, Named<'a>>,
    roles: &'a Roles,
}

fn children(asked: Asked<'_>, parent: Option<&str>, auto_shutdown: AutoShutdown) -> Result<Vec<Node>, ConfigError> {
    let mut mine: Vec<&Named<'_>> =
        asked.names.values().filter(|named| named.parent.map(|name| name.get_ref().as_str()) == parent).collect();
    // Children start in the order in which they stand in the file. A layer is there when those start whom it guards.
    mine.sort_by_key(|named| (!named.is_made, named.at.start));
    mine.into_iter()
        .map(|named| match named.node {
            NodeKind::Supervisor(at) => supervisor(asked, &asked.written.supervisors[at], auto_shutdown)
                .map(|node| Node::Supervisor(Box::new(node))),
            NodeKind::Service(at) => service(asked, &asked.written.services[at], auto_shutdown)
                .map(|service| Node::Service(Arc::new(service))),
        })
        .collect()
}

fn supervisor(
    asked: Asked<'_>,
    entry: &Spanned<written::Supervisor>,
    parents_auto_shutdown: AutoShutdown,
) -> Result<SupervisorNode, ConfigError> {
    let (source, value) = (asked.source, entry.get_ref());
    let mut node = SupervisorNode::default();
    node.take(value);
    check_flags(source, &value.name.span(), &node.flags)?;
    check_significant(source, &value.name, node.significant, node.restart, parents_auto_shutdown)?;
    node.children = children(asked, Some(&node.name), node.flags.auto_shutdown)?;
    Ok(node)
}

/// What a supervisor would refuse of how long the actors of a service are set aside is refused here.
fn check_backoff(source: &Source, at: &Range<usize>, backoff: Backoff) -> Result<(), ConfigError> {
    check_flags(source, at, &RootSpec { backoff: Some(backoff), ..RootSpec::default() })
}

/// What the supervisor itself would refuse is refused here, where it can be shown.
fn check_flags(source: &Source, at: &Range<usize>, flags: &RootSpec) -> Result<(), ConfigError> {
    flags.spec().validate().map_err(|error| source.error(at, error.to_string(), error.hint()))
}

fn check_significant(
    source: &Source,
    name: &Spanned<String>,
    significant: bool,
    restart: Restart,
    parents_auto_shutdown: AutoShutdown,
) -> Result<(), ConfigError> {
    if significant && restart == Restart::Permanent {
        let what = format!("{:?} is significant and permanent, so its end never counts", name.get_ref());
        return Err(source.error(&name.span(), what, "make it transient or temporary"));
    }
    if significant && parents_auto_shutdown == AutoShutdown::Never {
        let what = format!("{:?} is significant, and its supervisor never shuts down by itself", name.get_ref());
        return Err(source.error(&name.span(), what, "give the supervisor `auto_shutdown = \"any\"` or \"all\""));
    }
    Ok(())
}

fn service(
    Asked { source, releases, written, names, roles }: Asked<'_>,
    entry: &Spanned<written::Service>,
    parents_auto_shutdown: AutoShutdown,
) -> Result<ServiceNode, ConfigError> {
    let value = entry.get_ref();
    let restart = value.restart.unwrap_or_default().0;
    check_significant(source, &value.name, value.significant == Some(true), restart, parents_auto_shutdown)?;
    let address = Address::of_service(value.name.get_ref()).map_err(|_| bad_name(source, &value.name))?;
    let mut node = ServiceNode::new(address, found(source, releases, &value.release)?);
    node.take(value);
    node.named = named(source, value.release.get_ref());
    node.own_limits.apply(&mut node.limits);
    node.multiplicity = multiplicity(source, value)?;
    if let Some(asked) = &value.grants {
        node.own_grants = grants(source, written, names, asked)?;
    }
    roles.check(source, value.roles.iter().flatten())?;
    node.roles = value.roles.iter().flatten().map(|name| name.get_ref().clone()).collect();
    node.grants = roles.granted(&node.own_grants, &node.roles).map_err(|what| {
        let what = format!("{:?} is granted {what}", value.name.get_ref());
        source.error(&value.name.span(), what, "leave one of the two out")
    })?;
    let lacking =
        node.grants.environment.iter().find_map(|(name, given)| Some((name, node.config.lacks(&given.what)?)));
    if let Some((name, key)) = lacking {
        let what = format!("the variable {name:?} has the value of {key:?}, which is not in `config`");
        return Err(source.error(&value.name.span(), what, "add the key to `config`, or write the value itself"));
    }
    if let Some(asked) = &value.wires {
        node.wires = wires(source, names, asked)?;
    }
    node.retry = value.retry.as_ref().map(|name| tried(source, written, name)).transpose()?;
    node.quota = value.quota.as_ref().map(|name| used(source, written, name)).transpose()?;
    // Whether there are such functions, the release says.
    node.arguments = value.arguments.iter().flatten().map(|argument| argument.get_ref().clone()).collect();
    node.queries = value.queries.iter().flatten().map(|name| name.get_ref().clone()).collect();
    check_keeping(source, value, node.multiplicity)?;
    check_run(source, value, node.multiplicity)?;
    Ok(node)
}

/// Where releases are found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Releases<'a> {
    /// Where those are that are named `NAME@VERSION`.
    pub(super) data_folder: Option<&'a Path>,
    /// Whether one that is not there is left for the start to decide about.
    pub(super) may_be_gone: bool,
}

fn found(source: &Source, releases: Releases<'_>, written: &Spanned<PathBuf>) -> Result<Release, ConfigError> {
    match release(source, releases.data_folder, written) {
        Err(why) if releases.may_be_gone => Ok(Release::missing(from_file(source, written.get_ref()), why)),
        found => found,
    }
}

fn release(source: &Source, data_folder: Option<&Path>, written: &Spanned<PathBuf>) -> Result<Release, ConfigError> {
    let Some(reference) = written.get_ref().to_str().filter(|text| Reference::is_meant(text)) else {
        return Release::find(&from_file(source, written.get_ref())).map_err(|error| {
            if error.at.is_some() {
                return error;
            }
            source.error(&written.span(), format!("the release {} {}", error.path.display(), error.what), error.hint)
        });
    };
    let Some(data_folder) = data_folder else {
        let what = format!("{reference:?} is a published release, and no data folder was named to find it in");
        return Err(source.error(&written.span(), what, "name the data folder, or write the path of a release"));
    };
    Store::open(data_folder)
        .and_then(|store| store.resolve(reference))
        .map_err(|error| source.error(&written.span(), error.to_string(), error.hint().unwrap_or_default()))
}

/// A release as it is named from everywhere.
fn named(source: &Source, written: &Path) -> PathBuf {
    if written.to_str().is_some_and(Reference::is_meant) {
        return written.to_owned();
    }
    let path = from_file(source, written);
    std::path::absolute(&path).unwrap_or(path)
}

fn multiplicity(source: &Source, value: &written::Service) -> Result<Multiplicity, ConfigError> {
    if let Some(spawned) = &value.spawned {
        return spawned_rules(source, value, spawned).map(Multiplicity::Spawned);
    }
    let partitioned = value.partitioned == Some(true);
    if let Some(keyed) = &value.keyed {
        if value.instances.is_some() || partitioned {
            return Err(source.error(
                &keyed.span(),
                "a service is either keyed or a pool",
                "leave `instances` and `partitioned` out, or `keyed`",
            ));
        }
        let mut rules = KeyedRules::default();
        rules.take(keyed.get_ref());
        check_backoff(source, &keyed.span(), rules.backoff)?;
        return Ok(Multiplicity::Keyed(rules));
    }
    let Some(Count(instances)) = value.instances else {
        if partitioned {
            return Err(source.error(
                &value.name.span(),
                "a partitioned pool needs `instances`",
                "say how many lanes it has, such as `instances = 4`",
            ));
        }
        return Ok(Multiplicity::One);
    };
    match instances {
        instances if partitioned => Ok(Multiplicity::Partitioned { instances }),
        1 => Ok(Multiplicity::One),
        instances => Ok(Multiplicity::Stateless { instances }),
    }
}

fn spawned_rules(
    source: &Source,
    value: &written::Service,
    spawned: &Spanned<WrittenSpawned>,
) -> Result<SpawnedRules, ConfigError> {
    if value.keyed.is_some() || value.instances.is_some() || value.partitioned == Some(true) {
        return Err(source.error(
            &spawned.span(),
            "the actors of a service are spawned, or it is keyed or a pool",
            "leave `keyed`, `instances` and `partitioned` out, or `spawned`",
        ));
    }
    if value.significant == Some(true) {
        return Err(source.error(
            &value.name.span(),
            format!("the actors of {:?} are spawned, and none of them is significant", value.name.get_ref()),
            "leave `significant` out: who spawned a child can monitor it",
        ));
    }
    let mut rules = SpawnedRules::default();
    rules.take(spawned.get_ref());
    check_backoff(source, &spawned.span(), rules.backoff)?;
    Ok(rules)
}

/// What takes no messages has no keys.
fn check_run(source: &Source, value: &written::Service, multiplicity: Multiplicity) -> Result<(), ConfigError> {
    let Some(written) = value.run.as_ref().filter(|run| run.get_ref().0 == Run::Service) else { return Ok(()) };
    match multiplicity {
        Multiplicity::Keyed(_) | Multiplicity::Partitioned { .. } => {
            let what = "a program that runs as a service takes no messages, and so there are no keys to part it by";
            Err(source.error(
                &written.span(),
                what,
                "leave `keyed` and `partitioned` out; `instances` may stand with it",
            ))
        }
        _ => Ok(()),
    }
}

fn check_keeping(source: &Source, value: &written::Service, multiplicity: Multiplicity) -> Result<(), ConfigError> {
    let Some(written) = &value.state else { return Ok(()) };
    let keeping = written.get_ref().0;
    if keeping == Keeping::Durable && matches!(multiplicity, Multiplicity::Stateless { .. }) {
        let what = "a pool that shares one mailbox has no state to keep";
        return Err(source.error(&written.span(), what, "make it `partitioned` or `keyed`, or leave `state` out"));
    }
    if keeping == Keeping::Durable && matches!(multiplicity, Multiplicity::Spawned(_)) {
        let what = "the state of a child that was spawned ends with it";
        return Err(source.error(&written.span(), what, "make it `keyed`, or leave `state` out"));
    }
    Ok(())
}
