//! What is written of layers that are components: each is a service, guards others, and never waits for itself.

use std::collections::BTreeSet;

use toml::Spanned;

use super::tree::{ServiceNode, Topology};
use super::written::Layer;
use crate::address::split;
use crate::config_file::{ConfigError, Source};
use crate::guard::{Guard, Hook, operations};
use crate::schema::Schema;
use crate::settings::{Multiplicity, Run};

/// All of them, in the order of the file; `of` has the services that they are, and those that they guard.
pub(super) fn layers(source: &Source, written: &[Spanned<Layer>], of: &Topology) -> Result<Vec<Guard>, ConfigError> {
    let mut all: Vec<Guard> = Vec::new();
    // Each is a service by now, whether it was written as one or not.
    let services = written.iter().filter_map(|entry| entry.get_ref().service.as_ref());
    for (entry, service) in written.iter().zip(services.clone()) {
        let guard = one(source, entry.get_ref(), service, of)?;
        if all.iter().any(|other| other.service == guard.service) {
            let what = format!("{:?} is a layer already", guard.service);
            return Err(source.error(&service.span(), what, "write all that it guards into one [[layer]]"));
        }
        all.push(guard);
    }
    let whole = Topology { layers: all, ..of.clone() };
    for (service, guard) in services.zip(&whole.layers) {
        check_order(source, service, guard, &whole)?;
        check_circle(source, service, guard, &whole)?;
    }
    Ok(whole.layers)
}

fn one(source: &Source, entry: &Layer, written: &Spanned<String>, of: &Topology) -> Result<Guard, ConfigError> {
    let mut guard = Guard::default();
    guard.take(entry);
    let node = service(source, written, of)?;
    if !matches!(node.multiplicity, Multiplicity::One | Multiplicity::Stateless { .. }) || node.run == Run::Service {
        let what = format!("{:?} has no one mailbox that questions could be put into", guard.service);
        let hint = "a layer is a service with one actor, or a pool that is not `partitioned`";
        return Err(source.error(&written.span(), what, hint));
    }
    if let Some(words) = &entry.applies_to {
        guard.applies_to = list(source, words, operations)?.concat();
        guard.applies_to.sort_by_key(|one| *one as u64);
        guard.applies_to.dedup();
    }
    if let Some(words) = &entry.hooks {
        guard.hooks = list(source, words, |word| Hook::ALL.into_iter().find(|hook| hook.to_string() == word))?;
    }
    for name in entry.guards.iter().flatten() {
        service(source, name, of)?;
        if *name.get_ref() == guard.service {
            let what = format!("{:?} guards itself, and would have to wait for its own answer", guard.service);
            return Err(source.error(&name.span(), what, "leave it out"));
        }
        guard.guards.push(name.get_ref().clone());
    }
    Ok(guard)
}

/// What each word stands for; there is one at least.
fn list<T>(
    source: &Source,
    words: &[Spanned<String>],
    means: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, ConfigError> {
    let each = words.iter().map(|word| {
        means(word.get_ref()).ok_or_else(|| {
            let what = format!("{:?} is nothing that a layer is asked", word.get_ref());
            source.error(&word.span(), what, "`applies_to` has words such as \"messages\", \"files\", \"http\"; `hooks` has \"before\", \"after\", \"on-error\"")
        })
    });
    each.collect()
}

fn service<'a>(source: &Source, name: &Spanned<String>, of: &'a Topology) -> Result<&'a ServiceNode, ConfigError> {
    of.services().find(|node| node.address.as_str() == name.get_ref()).map(|node| &**node).ok_or_else(|| {
        let what = format!("there is no service {:?}", name.get_ref());
        source.error(&name.span(), what, "name one of the [[service]] entries")
    })
}

/// A layer starts before what it guards: until it is there, what that does in its start would be turned away.
fn check_order(source: &Source, entry: &Spanned<String>, guard: &Guard, of: &Topology) -> Result<(), ConfigError> {
    let guarded = of.guarded(guard);
    let mut before = of.services().map(|node| node.address.as_str()).take_while(|name| *name != guard.service);
    let Some(first) = before.find(|name| guarded.contains(name)) else { return Ok(()) };
    let what = format!("{first:?} starts before {:?}, which guards it", guard.service);
    let hint = format!("let {:?} stand before it, or name what it guards in `guards`", guard.service);
    Err(source.error(&entry.span(), what, hint))
}

/// Nobody whom a layer waits for, over whatever way, is guarded by it.
fn check_circle(source: &Source, entry: &Spanned<String>, guard: &Guard, of: &Topology) -> Result<(), ConfigError> {
    let guarded = of.guarded(guard);
    let (mut seen, mut ways) = (BTreeSet::from([guard.service.as_str()]), vec![vec![guard.service.as_str()]]);
    while let Some(way) = ways.pop() {
        let Some(last) = way.last().and_then(|last| of.services().find(|node| node.address.as_str() == *last)) else {
            continue;
        };
        if way.len() > 1 && guarded.contains(&last.address.as_str()) {
            let ring = [way.as_slice(), &[guard.service.as_str()]].concat().join(" -> ");
            let what = format!("{:?} may wait for {:?}, which it guards: {ring}", guard.service, last.address.as_str());
            let hint = format!("name what it guards in `guards`, without {:?}", last.address.as_str());
            return Err(source.error(&entry.span(), what, hint));
        }
        let waits_for = of.services().filter(|to| may_wait(last, to, of));
        let next = waits_for.map(|to| to.address.as_str()).filter(|to| seen.insert(to));
        ways.extend(next.map(|to| [way.as_slice(), &[to]].concat()).collect::<Vec<_>>());
    }
    Ok(())
}

/// Whether a turn of `from` may wait for one of `to`: it may call it, or is guarded by it.
fn may_wait(from: &ServiceNode, to: &ServiceNode, of: &Topology) -> bool {
    let name = to.address.as_str();
    // A star is a whole segment.
    let service = |pattern: &str| split(pattern.split('#').next().unwrap_or_default()).0.to_owned();
    let calls = || from.grants.call.iter().any(|given| [name, "*", "**"].contains(&&*service(given.what.as_str())));
    let wired = || from.wires.values().any(|wire| wire.to.service() == name);
    let guards = |guard: &Guard| guard.service == name && of.guarded(guard).contains(&from.address.as_str());
    of.layers.iter().any(guards) || wired() || calls()
}

impl Topology {
    /// The services that a layer guards.
    pub(crate) fn guarded(&self, guard: &Guard) -> Vec<&str> {
        let is_layer = |name: &str| self.layers.iter().any(|layer| layer.service == name);
        let is_guarded = |name: &&str| match guard.guards.is_empty() {
            true => !is_layer(name),
            false => guard.guards.iter().any(|guarded| guarded == name),
        };
        self.services().map(|node| node.address.as_str()).filter(is_guarded).collect()
    }

    /// Each layer that is a component, with the services that it guards.
    pub(crate) fn guards(&self) -> impl Iterator<Item = (&Guard, Vec<&str>)> {
        self.layers.iter().map(|guard| (guard, self.guarded(guard)))
    }
}
