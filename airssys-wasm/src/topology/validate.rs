//! From what is written to what is meant, or to the first thing that is wrong.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use airssys_rt_shim::child::{Restart, Shutdown};
use airssys_rt_shim::supervisor::{AutoShutdown, Backoff};
use toml::Spanned;

use super::tree::{Node, RootSpec, ServiceNode, SupervisorNode, Topology, TopologySettings};
use super::{range, written};
use crate::address::{Address, is_service_name, split};
use crate::capability::{Access, Baseline, FileGrant, Grants, Pattern, spelling};
use crate::config_file::{ConfigError, Source, parse_all};
use crate::registry::{Reference, Release, Store};
use crate::schema::Schema;
use crate::settings::{Keeping, KeyedRules, Multiplicity, SpawnedRules, WrittenSpawned};
use crate::shown::part_hint;

#[cfg(test)]
mod tests;

struct Named<'a> {
    at: Range<usize>,
    parent: Option<&'a Spanned<String>>,
    node: NodeKind,
}

#[derive(Clone, Copy)]
enum NodeKind {
    Supervisor(usize),
    Service(usize),
}

pub(super) fn topology(source: &Source, releases: Releases<'_>) -> Result<Topology, ConfigError> {
    let written: written::Topology = source.parse()?;
    if !is_service_name(written.name.get_ref()) {
        return Err(bad_name(source, &written.name));
    }
    let names = names(source, &written)?;
    check_parents(source, &written, &names)?;
    let mut settings = TopologySettings::default();
    let asked = &written.settings;
    settings.take(asked);
    settings.trusted_keys = asked.trusted_keys.as_ref().map(|keys| parse_all(source, keys)).transpose()?;
    let mut root_flags = RootSpec::default();
    root_flags.take(&written.root);
    check_flags(source, &written.name.span(), &root_flags)?;
    let children = children(source, releases, &written, &names, None, root_flags.auto_shutdown)?;
    let topology = Topology { name: written.name.get_ref().clone(), settings, root: root_flags, children };
    range::check(&topology).map_err(|error| error.at(source))?;
    Ok(topology)
}

fn bad_name(source: &Source, name: &Spanned<String>) -> ConfigError {
    source.error(
        &name.span(),
        format!("{:?} is no name", name.get_ref()),
        "use 1 to 64 ASCII letters, digits, '-', '_' and '.', beginning with a letter or a digit",
    )
}

/// All names with what they name; supervisors and services share them.
fn names<'a>(source: &Source, written: &'a written::Topology) -> Result<BTreeMap<&'a str, Named<'a>>, ConfigError> {
    let supervisors = written.supervisors.iter().enumerate().map(|(at, entry)| {
        let value = entry.get_ref();
        (&value.name, Named { at: entry.span(), parent: value.parent.as_ref(), node: NodeKind::Supervisor(at) })
    });
    let services = written.services.iter().enumerate().map(|(at, entry)| {
        let value = entry.get_ref();
        (&value.name, Named { at: entry.span(), parent: value.supervisor.as_ref(), node: NodeKind::Service(at) })
    });
    let mut names: BTreeMap<&str, Named<'_>> = BTreeMap::new();
    for (name, named) in supervisors.chain(services) {
        if !is_service_name(name.get_ref()) {
            return Err(bad_name(source, name));
        }
        if let Some(first) = names.get(name.get_ref().as_str()) {
            let first = source.error(&first.at, "", "").at.map_or(0, |(line, _)| line);
            return Err(source.error(
                &name.span(),
                format!("the name {:?} has an owner already, in line {first}", name.get_ref()),
                "names of supervisors and services are unique in a mesh",
            ));
        }
        names.insert(name.get_ref(), named);
    }
    Ok(names)
}

/// Every parent is a supervisor, and none is its own ancestor.
fn check_parents(
    source: &Source,
    written: &written::Topology,
    names: &BTreeMap<&str, Named<'_>>,
) -> Result<(), ConfigError> {
    for named in names.values() {
        let Some(parent) = named.parent else { continue };
        match names.get(parent.get_ref().as_str()).map(|found| found.node) {
            Some(NodeKind::Supervisor(_)) => {}
            Some(NodeKind::Service(_)) => {
                return Err(source.error(
                    &parent.span(),
                    format!("{:?} is a service, and supervises nobody", parent.get_ref()),
                    "name one of the [[supervisor]] entries",
                ));
            }
            None => {
                let known: Vec<&str> =
                    written.supervisors.iter().map(|entry| entry.get_ref().name.get_ref().as_str()).collect();
                let hint = match known.as_slice() {
                    [] => "leave it out for the root, or add a [[supervisor]] of this name".to_owned(),
                    known => format!("leave it out for the root, or name one of: {}", known.join(", ")),
                };
                return Err(source.error(
                    &parent.span(),
                    format!("there is no supervisor {:?}", parent.get_ref()),
                    hint,
                ));
            }
        }
        let mut above = named.parent;
        for _ in 0..=names.len() {
            let Some(parent) = above else { break };
            above = names.get(parent.get_ref().as_str()).and_then(|found| found.parent);
        }
        if let Some(parent) = above {
            return Err(source.error(
                &parent.span(),
                format!("the supervisors above {:?} form a circle", parent.get_ref()),
                "let one of them have no parent: it is then a child of the root",
            ));
        }
    }
    Ok(())
}

fn children(
    source: &Source,
    releases: Releases<'_>,
    written: &written::Topology,
    names: &BTreeMap<&str, Named<'_>>,
    parent: Option<&str>,
    auto_shutdown: AutoShutdown,
) -> Result<Vec<Node>, ConfigError> {
    let mut mine: Vec<&Named<'_>> =
        names.values().filter(|named| named.parent.map(|name| name.get_ref().as_str()) == parent).collect();
    // Children start in the order in which they stand in the file.
    mine.sort_by_key(|named| named.at.start);
    mine.into_iter()
        .map(|named| match named.node {
            NodeKind::Supervisor(at) => {
                supervisor(source, releases, written, names, &written.supervisors[at], auto_shutdown)
                    .map(Node::Supervisor)
            }
            NodeKind::Service(at) => service(source, releases, written, names, &written.services[at], auto_shutdown)
                .map(|service| Node::Service(Arc::new(service))),
        })
        .collect()
}

fn supervisor(
    source: &Source,
    releases: Releases<'_>,
    written: &written::Topology,
    names: &BTreeMap<&str, Named<'_>>,
    entry: &Spanned<written::Supervisor>,
    parents_auto_shutdown: AutoShutdown,
) -> Result<SupervisorNode, ConfigError> {
    let value = entry.get_ref();
    let mut flags = RootSpec::default();
    flags.take(&value.flags());
    check_flags(source, &value.name.span(), &flags)?;
    check_significant(source, &value.name, value.significant, value.restart.0, parents_auto_shutdown)?;
    Ok(SupervisorNode {
        name: value.name.get_ref().clone(),
        restart: value.restart.0,
        shutdown: value.shutdown.map_or(Shutdown::SUPERVISOR, |word| word.0),
        significant: value.significant,
        children: children(source, releases, written, names, Some(value.name.get_ref()), flags.auto_shutdown)?,
        flags,
    })
}

/// What a supervisor would refuse of how long the actors of a service are set aside is refused here.
fn check_backoff(source: &Source, at: &Range<usize>, backoff: Backoff) -> Result<(), ConfigError> {
    check_flags(source, at, &RootSpec { backoff: Some(backoff), ..RootSpec::default() })
}

/// What the supervisor itself would refuse is refused here, where it can be shown.
fn check_flags(source: &Source, at: &Range<usize>, flags: &RootSpec) -> Result<(), ConfigError> {
    flags.spec().validate().map_err(|error| {
        let said = error.to_string();
        let (what, hint) = part_hint(&said);
        source.error(at, what, hint.unwrap_or_default())
    })
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
    source: &Source,
    releases: Releases<'_>,
    written: &written::Topology,
    names: &BTreeMap<&str, Named<'_>>,
    entry: &Spanned<written::Service>,
    parents_auto_shutdown: AutoShutdown,
) -> Result<ServiceNode, ConfigError> {
    let value = entry.get_ref();
    check_significant(source, &value.name, value.significant, value.restart.0, parents_auto_shutdown)?;
    let address = Address::of_service(value.name.get_ref()).map_err(|_| bad_name(source, &value.name))?;
    let mut node = ServiceNode::new(address, found(source, releases, &value.release)?);
    node.named = named(source, value.release.get_ref());
    node.own_limits = value.limits.clone();
    node.own_limits.apply(&mut node.limits);
    node.multiplicity = multiplicity(source, value)?;
    node.shape.take(&value.mailbox);
    node.grants = grants(source, written, names, &value.grants)?;
    node.baseline = Baseline { clocks: value.clocks.0, randomness: value.randomness.0 };
    node.retries = value.retries;
    node.config.clone_from(&value.config);
    node.keeping = keeping(source, value, node.multiplicity)?;
    node.restart = value.restart.0;
    node.shutdown = value.shutdown.map_or(Shutdown::WORKER, |word| word.0);
    node.significant = value.significant;
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
    Store::open(data_folder).and_then(|store| store.resolve(reference)).map_err(|error| {
        let hint = error.hint().map(|hint| hint.to_string()).unwrap_or_default();
        source.error(&written.span(), error.to_string(), hint)
    })
}

/// A release as it is named from everywhere.
fn named(source: &Source, written: &Path) -> PathBuf {
    if written.to_str().is_some_and(Reference::is_meant) {
        return written.to_owned();
    }
    let path = from_file(source, written);
    std::path::absolute(&path).unwrap_or(path)
}

fn from_file(source: &Source, path: &Path) -> PathBuf {
    source.path.parent().map_or_else(|| path.to_owned(), |folder| folder.join(path))
}

fn multiplicity(source: &Source, value: &written::Service) -> Result<Multiplicity, ConfigError> {
    if let Some(spawned) = &value.spawned {
        return spawned_rules(source, value, spawned).map(Multiplicity::Spawned);
    }
    if let Some(keyed) = &value.keyed {
        if value.instances.is_some() || value.partitioned {
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
    let Some(instances) = value.instances else {
        if value.partitioned {
            return Err(source.error(
                &value.name.span(),
                "a partitioned pool needs `instances`",
                "say how many lanes it has, such as `instances = 4`",
            ));
        }
        return Ok(Multiplicity::One);
    };
    match instances {
        instances if value.partitioned => Ok(Multiplicity::Partitioned { instances }),
        1 => Ok(Multiplicity::One),
        instances => Ok(Multiplicity::Stateless { instances }),
    }
}

fn spawned_rules(
    source: &Source,
    value: &written::Service,
    spawned: &Spanned<WrittenSpawned>,
) -> Result<SpawnedRules, ConfigError> {
    if value.keyed.is_some() || value.instances.is_some() || value.partitioned {
        return Err(source.error(
            &spawned.span(),
            "the actors of a service are spawned, or it is keyed or a pool",
            "leave `keyed`, `instances` and `partitioned` out, or `spawned`",
        ));
    }
    if value.significant {
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

fn keeping(source: &Source, value: &written::Service, multiplicity: Multiplicity) -> Result<Keeping, ConfigError> {
    let Some(written) = &value.state else { return Ok(Keeping::default()) };
    let keeping = written.get_ref().0;
    if keeping == Keeping::Durable && matches!(multiplicity, Multiplicity::Stateless { .. }) {
        let what = "a pool that shares one mailbox has no state to keep";
        return Err(source.error(&written.span(), what, "make it `partitioned` or `keyed`, or leave `state` out"));
    }
    if keeping == Keeping::Durable && matches!(multiplicity, Multiplicity::Spawned(_)) {
        let what = "the state of a child that was spawned ends with it";
        return Err(source.error(&written.span(), what, "make it `keyed`, or leave `state` out"));
    }
    Ok(keeping)
}

fn grants(
    source: &Source,
    written: &written::Topology,
    names: &BTreeMap<&str, Named<'_>>,
    asked: &written::Grants,
) -> Result<Grants, ConfigError> {
    let addresses = |texts: &[Spanned<String>]| -> Result<Vec<Pattern>, ConfigError> {
        for text in texts {
            let (service, _) = split(text.get_ref());
            let known = matches!(names.get(service).map(|named| named.node), Some(NodeKind::Service(_)));
            if !service.contains('*') && !known {
                let what = format!("a grant for {:?}, and there is no service {service:?}", text.get_ref());
                return Err(source.error(&text.span(), what, "name a [[service]], or use a pattern with '*'"));
            }
        }
        parse_all(source, texts)
    };
    let spawn = addresses(&asked.spawn)?;
    for text in &asked.spawn {
        let (service, _) = split(text.get_ref());
        if let Some(NodeKind::Service(at)) = names.get(service).map(|named| named.node)
            && written.services[at].get_ref().spawned.is_none()
        {
            let what = format!("a grant to spawn {:?}, and the actors of {service:?} are not spawned", text.get_ref());
            return Err(source.error(&text.span(), what, format!("give {service:?} `spawned = {{}}`")));
        }
    }
    let (mut files, mut folders) = (BTreeMap::new(), spelling::Folders::default());
    for (guest, file) in &asked.files {
        if let Some(first) = folders.take(guest) {
            let what = format!("the guest's folder {guest:?} stands there twice, also as {first:?}");
            return Err(source.error(&file.host.span(), what, "leave one of them out"));
        }
        let host = from_file(source, file.host.get_ref());
        if !host.is_dir() {
            let what = format!("the granted folder {} is not there", host.display());
            return Err(source.error(&file.host.span(), what, "make it, or leave the grant out"));
        }
        if file.access == Access::ReadWrite && lies_in(&source.path, &host) {
            let what = format!("the granted folder {} may be written to, and this file lies in it", host.display());
            let hint = "who can write this file can grant itself anything: grant a folder that does not hold it";
            return Err(source.error(&file.host.span(), what, hint));
        }
        let mut grant = FileGrant::new(host, file.access);
        if let Some(max) = &file.max {
            if file.access == Access::Read {
                let what = format!("the grant of {guest:?} has a `max`, and the folder may only be read");
                return Err(source.error(&max.span(), what, "leave it out, or write `access = \"read-write\"`"));
            }
            grant.max_bytes = max.get_ref().0;
        }
        files.insert(guest.clone(), grant);
    }
    let mut environment = BTreeMap::new();
    for (name, value) in &asked.environment {
        if !spelling::is_variable(name) {
            let what = format!("{name:?} is no name of a variable");
            return Err(source.error(&value.span(), what, spelling::VARIABLE_HINT));
        }
        if value.get_ref().contains('\0') {
            let what = format!("the value of the variable {name:?} has the character 0 in it");
            return Err(source.error(&value.span(), what, "leave the character out"));
        }
        environment.insert(name.clone(), value.get_ref().clone());
    }
    Ok(Grants {
        send: addresses(&asked.send)?,
        call: addresses(&asked.call)?,
        publish: parse_all(source, &asked.publish)?,
        subscribe: parse_all(source, &asked.subscribe)?,
        spawn,
        files,
        environment,
        sockets: parse_all(source, &asked.sockets)?,
    })
}

/// Whether a file is in a folder, whatever links lead to either.
fn lies_in(file: &Path, folder: &Path) -> bool {
    matches!((file.canonicalize(), folder.canonicalize()), (Ok(file), Ok(folder)) if file.starts_with(&folder))
}
