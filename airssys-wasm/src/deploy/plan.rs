//! What a deployment would change, and whether it may. Decides from descriptions; does nothing.
//!
//! **When an export is compatible.** The rule is that of the validator of components, wasmparser's `SubtypeCx`: an
//! interface may export more than is wanted of it, and everything else is the same type. Functions have the same
//! parameters, by name and in order, and the same result; records, variants, enums and flags the same fields, cases or
//! flags, by name and in order; tuples the same elements. The component model's `Subtyping.md` allows more in a rough
//! sketch (contravariant parameters, covariant results, fewer fields), which no implementation follows: between two
//! types of values none is a subtype of the other yet, so that either direction comes to the same. What would only be
//! compatible by that sketch is refused.
//!
//! **Whose exports.** The interfaces of `airssys:actor` lie between a release and this host: linking holds what is
//! there against the contract, and the host looks for the optional ones before it calls them. So they are reported and
//! never refused. All others are for those who have the component's type from before.
//!
//! **Imports** are reported. What the host lacks, linking refuses.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::settings::{ChangedSetting, differences};
use super::{DeployError, DeployOptions, Ungranted};
use crate::capability::Grants;
use crate::capability::asked::{CapabilityRequest, asked};
use crate::engine::interface::{Items, Structure};
use crate::engine::{Interface, UPGRADE, is_contract};
use crate::hint::{Coded, Hint};
use crate::limits::Limits;
use crate::registry::{self, Manifest};
use crate::typed::compatible;

/// What a deployment would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Plan {
    /// The service.
    pub service: String,
    /// The release that is live.
    pub from: Party,
    /// The one that is to be.
    pub to: Party,
    /// What it asks the host for.
    pub imports: Changes,
    /// What it offers.
    pub exports: Changes,
    /// The capabilities that it asks for and the live one does not.
    pub requests_added: Vec<CapabilityRequest>,
    /// All that it asks for and is not granted, whether the live one asks for it or not; none where all of it is.
    #[serde(default)]
    pub ungranted: Option<Ungranted>,
    /// Those that it does not ask for any more.
    pub requests_removed: Vec<CapabilityRequest>,
    /// Limits, lane and engine class that differ.
    pub settings: Vec<ChangedSetting>,
    /// The schema of its state.
    pub state_schema: Schemas,
    /// What becomes of the guest's memory.
    pub memory: MemoryFate,
    /// The services that may send to it or call it now: requested, and granted. Only they can notice that it changes.
    pub reached_by: Vec<Reach>,
    /// Whether it is the very release that is live.
    pub no_op: bool,
    /// Why it would be refused; none where it would not.
    pub refusals: Vec<PlanRefusal>,
}

/// One of the two releases that a plan compares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Its name.
    pub name: String,
    /// Its version; none where it has no `Component.toml`.
    pub version: Option<String>,
    /// The SHA-256 of its component.
    pub digest: String,
}

/// What is different among imports or exports. An interface as a whole is named `package:name/interface@version`, an
/// item of one has its name behind `#`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// New.
    pub added: Vec<String>,
    /// Gone.
    pub removed: Vec<String>,
    /// There still, and not the same.
    pub changed: Vec<ChangedItem>,
}

/// An import or an export that both releases have, and not alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedItem {
    /// Its name.
    pub item: String,
    /// The first difference, and where in its type that is.
    pub difference: String,
    /// Whether its type is another one; otherwise only its version is.
    pub retyped: bool,
}

/// The schema of the state, before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schemas {
    /// Of the live release.
    pub from: u32,
    /// Of the new one.
    pub to: u32,
    /// What becomes of what is stored.
    pub state: StateFate,
}

/// What becomes of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StateFate {
    /// It stays as it is: both have the same schema.
    Kept,
    /// The new release's `migrate` brings it over.
    Migrated,
    /// Its `migrate` brings over the state of each actor: now where the actor is awake, and otherwise when it wakes
    /// next.
    MigratedByKey,
    /// The new release does not export `upgrade`, and so has no `migrate`: it does not start where something is stored.
    Unreadable,
}

/// A service that reaches the one that would be deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Its name.
    pub service: String,
    /// `send`, `call`, or both.
    pub by: Vec<String>,
}

/// What becomes of what the guest has in its memory beside its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryFate {
    /// The live release's `snapshot` goes to the new one's `restore`.
    HandedOver,
    /// It is gone: one of the two does not export `upgrade`.
    StartsAnew,
    /// It is gone, and the live release says that it is a cache.
    Cache,
}

/// Why a deployment would be refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRefusal {
    /// [`DeployError::code`].
    pub code: String,
    /// The error's text.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Hint>,
}

impl From<&DeployError> for PlanRefusal {
    fn from(error: &DeployError) -> Self {
        Self { code: error.code().to_owned(), message: error.to_string(), hint: error.hint() }
    }
}

/// A release, as far as it matters here.
pub(crate) struct Side<'a> {
    pub(crate) manifest: &'a Manifest,
    pub(crate) digest: &'a str,
    pub(crate) interface: &'a Interface,
    pub(crate) limits: &'a Limits,
}

impl Side<'_> {
    fn party(&self) -> Party {
        Party {
            name: self.manifest.name.clone(),
            version: self.manifest.has_version().then(|| self.manifest.version.to_string()),
            digest: self.digest.to_owned(),
        }
    }

    fn hands_over(&self) -> bool {
        self.interface.exports.keys().any(|(interface, _)| interface == UPGRADE)
    }
}

/// The plan, and what a deployment would be refused with, first things first.
pub(crate) fn plan(
    service: &str,
    from: &Side<'_>,
    to: &Side<'_>,
    grants: &Grants,
    options: &DeployOptions,
) -> (Plan, Vec<DeployError>) {
    let allow_downgrade = options.allow_downgrade;
    let imports = compare(&from.interface.imports, &to.interface.imports);
    let exports = compare(&from.interface.exports, &to.interface.exports);
    let no_op = from.digest == to.digest && from.manifest == to.manifest;
    let mut refused = Vec::new();
    if no_op {
        refused.push(DeployError::AlreadyLive { service: service.to_owned() });
    } else if !allow_downgrade && !is_newer(from.manifest, to.manifest) {
        refused.extend(not_newer(service, from, to, options.same_version));
    }
    let schemas = (from.manifest.state_schema, to.manifest.state_schema);
    if !allow_downgrade && schemas.1 < schemas.0 {
        refused.push(DeployError::OlderSchema { service: service.to_owned(), live: schemas.0, schema: schemas.1 });
    }
    let broken = broken(&exports);
    if !broken.is_empty() {
        refused.push(DeployError::Incompatible { service: service.to_owned(), broken });
    }
    let asked_before = asked(&from.manifest.requests, grants);
    let asks = asked(&to.manifest.requests, grants);
    let is_in = |all: &[CapabilityRequest], one: &CapabilityRequest| {
        all.iter().any(|other| (&other.kind, &other.target) == (&one.kind, &one.target))
    };
    let gone = asked_before.iter().filter(|one| !is_in(&asks, one));
    let requests_removed = gone.map(|one| CapabilityRequest { granted: None, ..one.clone() }).collect();
    let plan = Plan {
        service: service.to_owned(),
        from: from.party(),
        to: to.party(),
        imports,
        exports,
        ungranted: None,
        requests_removed,
        requests_added: asks.into_iter().filter(|one| !is_in(&asked_before, one)).collect(),
        settings: differences((from.manifest.lane, from.limits), (to.manifest.lane, to.limits)),
        state_schema: Schemas {
            from: schemas.0,
            to: schemas.1,
            state: match to.hands_over() {
                _ if schemas.0 == schemas.1 => StateFate::Kept,
                true => StateFate::Migrated,
                false => StateFate::Unreadable,
            },
        },
        memory: match from.manifest.memory {
            _ if from.hands_over() && to.hands_over() => MemoryFate::HandedOver,
            registry::Memory::Cache => MemoryFate::Cache,
            _ => MemoryFate::StartsAnew,
        },
        reached_by: Vec::new(),
        no_op,
        refusals: refused.iter().map(PlanRefusal::from).collect(),
    };
    (plan, refused)
}

/// Whether the new one has a newer version, or one of them has none. Build metadata does not count.
fn is_newer(from: &Manifest, to: &Manifest) -> bool {
    !from.has_version() || !to.has_version() || to.version.cmp_precedence(&from.version).is_gt()
}

/// Why a release is refused that is not newer.
fn not_newer(service: &str, from: &Side<'_>, to: &Side<'_>, same_version: bool) -> Option<DeployError> {
    let (service, version) = (service.to_owned(), to.manifest.version.to_string());
    if from.manifest.version != to.manifest.version {
        return Some(DeployError::Downgrade { service, live: from.manifest.version.to_string(), version });
    }
    let what = if from.digest == to.digest { "another Component.toml" } else { "another binary" };
    let (live, offered) = (from.digest.to_owned(), to.digest.to_owned());
    (!same_version).then_some(DeployError::SameVersion { service, version, what, live, offered })
}

/// What those cannot do any more who rely on the exports of before.
fn broken(exports: &Changes) -> Vec<String> {
    let others = |item: &&String| !is_contract(item);
    let gone = exports.removed.iter().filter(others).map(|item| format!("{item} is gone"));
    let retyped = exports.changed.iter().filter(|change| change.retyped && others(&&change.item));
    gone.chain(retyped.map(|change| format!("{} has another type: {}", change.item, change.difference))).collect()
}

type Named<'a> = BTreeMap<&'a str, &'a Structure>;

fn by_interface(items: &Items) -> BTreeMap<&str, Named<'_>> {
    let mut all: BTreeMap<&str, Named<'_>> = BTreeMap::new();
    for ((interface, name), structure) in items {
        let named = all.entry(interface).or_default();
        if !name.is_empty() {
            named.insert(name, structure);
        }
    }
    all
}

/// What is different. Interfaces are the same where their versions are compatible; the same version goes first, then
/// the newest.
fn compare(from: &Items, to: &Items) -> Changes {
    let (had, has) = (by_interface(from), by_interface(to));
    let mut changes = Changes::default();
    let mut met = Vec::new();
    for (&interface, items) in &had {
        let same = |name: &&&str| compatible(name, interface);
        let version = |name: &&&str| name.split_once('@').and_then(|(_, version)| semver::Version::parse(version).ok());
        let found = has
            .get_key_value(interface)
            .or_else(|| has.keys().filter(same).max_by_key(version).and_then(|name| has.get_key_value(name)));
        match found {
            Some((&name, now)) => {
                met.push(name);
                if name != interface {
                    let (_, version) = name.split_once('@').unwrap_or_default();
                    let difference = format!("has the version {version}");
                    changes.changed.push(ChangedItem { item: interface.to_owned(), difference, retyped: false });
                }
                compare_items((interface, items), (name, now), &mut changes);
            }
            None if interface.is_empty() => changes.removed.extend(items.keys().map(|&name| name.to_owned())),
            None => changes.removed.push(interface.to_owned()),
        }
    }
    for (&interface, items) in has.iter().filter(|(name, _)| !met.contains(name)) {
        match interface {
            "" => changes.added.extend(items.keys().map(|&name| name.to_owned())),
            _ => changes.added.push(interface.to_owned()),
        }
    }
    changes
}

fn compare_items((interface, had): (&str, &Named<'_>), (new, has): (&str, &Named<'_>), changes: &mut Changes) {
    let label = |interface: &str, name: &str| match interface {
        "" => name.to_owned(),
        _ => format!("{interface}#{name}"),
    };
    for (name, before) in had {
        match has.get(name) {
            None => changes.removed.push(label(interface, name)),
            Some(now) => changes.changed.extend(before.difference(now).map(|difference| ChangedItem {
                item: label(interface, name),
                difference,
                retyped: true,
            })),
        }
    }
    changes.added.extend(has.keys().filter(|name| !had.contains_key(*name)).map(|name| label(new, name)));
}

#[cfg(test)]
mod tests;
