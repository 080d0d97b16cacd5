//! What is different between two topologies, and how a running host brings each difference about. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::capability::Grants;
use crate::limits::Limits;
use crate::listener::settings::{Listening, Route};
use crate::schema::{ChangeMode, Schema};
use crate::settings::{Keeping, Multiplicity};
use crate::topology::{Node, ServiceNode, Topology};
use crate::wire::Wires;
use airssys_rt_shim::child::Shutdown;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// What differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// The mesh as a whole: its name, or `[settings]`.
    Mesh,
    /// A supervisor; the root has the name of the mesh.
    Supervisor,
    /// A service.
    Service,
    /// A listener of HTTP, by the address that the topology has for it.
    Listener,
    /// A quota.
    Quota,
    /// A log.
    Log,
    /// A layer that is a component, by the service that it is.
    Layer,
    /// A policy by which what failed is tried again.
    Retry,
}

/// What happened to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is there still, and not the same.
    Changed,
}

/// A key of the topology whose value changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedKey {
    /// The key as in the reference of the topology, such as `mailbox.capacity`. `actors` stands for `instances`,
    /// `partitioned` and `keyed`, `children` for the order of a supervisor's children.
    pub key: String,
    /// Its value now.
    pub from: String,
    /// Its value afterwards.
    pub to: String,
    /// How that is brought about.
    pub way: ChangeMode,
}

/// One supervisor or service that is not the same in both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What it is.
    pub subject: Subject,
    /// Its name.
    pub name: String,
    /// What happened to it.
    pub fate: Fate,
    /// How all of it is brought about: as the one of its settings needs that takes the most with it.
    pub way: ChangeMode,
    /// The keys that differ, where it changed.
    pub settings: Vec<ChangedKey>,
    /// What happens besides, as sentences: such as what becomes of its state.
    pub notes: Vec<String>,
}

/// What makes `from` into `to`, in the order of `to`; what is gone comes last. Empty where both mean the same.
pub(crate) fn differences(from: &Topology, to: &Topology) -> Vec<Difference> {
    differences_with(from, to, |_, _| false)
}

/// [`differences`], where the caller knows of releases that have one name and are not the same.
pub(crate) fn differences_with(
    from: &Topology,
    to: &Topology,
    other_release: impl Fn(&ServiceNode, &ServiceNode) -> bool,
) -> Vec<Difference> {
    let (before, after) = (TreeIndex::of(from), TreeIndex::of(to));
    let mut found: Vec<Difference> = mesh(from, to).into_iter().collect();
    let root = compared(&from.root.table(), &to.root.table(), |_| ChangeMode::InPlace);
    let root = root.into_iter().chain(order(&from.children, &to.children)).collect();
    found.extend(changed(Subject::Supervisor, &to.name, root));
    for (name, entry) in &after.in_order {
        match entry.node {
            Node::Supervisor(node) => {
                let Some(TreeEntry { node: Node::Supervisor(old), above, .. }) = before.get(name) else {
                    found.push(simple(Subject::Supervisor, name, Fate::Added, Vec::new()));
                    continue;
                };
                let mut settings = compared(&old.table(), &node.table(), |_| ChangeMode::InPlace);
                settings.extend(moved("parent", above, &entry.above));
                settings.extend(order(&old.children, &node.children));
                found.extend(changed(Subject::Supervisor, name, settings));
            }
            Node::Service(node) => {
                let Some(TreeEntry { node: Node::Service(old), above, .. }) = before.get(name) else {
                    let notes = vec![format!("served by {}", node.named.display())];
                    found.push(simple(Subject::Service, name, Fate::Added, notes));
                    continue;
                };
                let mut settings = service(old, node, other_release(old, node));
                settings.extend(moved("supervisor", above, &entry.above));
                found.extend(changed(Subject::Service, name, settings));
            }
        }
    }
    found.extend(listeners(&from.listeners, &to.listeners));
    found.extend(named(Subject::Quota, &from.quotas, &to.quotas, |quota| &quota.name));
    found.extend(named(Subject::Retry, &from.retries, &to.retries, |retry| &retry.name));
    found.extend(named(Subject::Layer, &from.layers, &to.layers, |layer| &layer.service));
    found.extend(named(Subject::Log, &from.logs, &to.logs, |log| &log.name));
    let gone = before.in_order.iter().filter(|(name, entry)| {
        after.get(name).is_none_or(|now| std::mem::discriminant(now.node) != std::mem::discriminant(entry.node))
    });
    found.extend(gone.map(|(name, entry)| match entry.node {
        Node::Supervisor(_) => simple(Subject::Supervisor, name, Fate::Removed, Vec::new()),
        Node::Service(node) => {
            let notes = parting(node, from.settings.shutdown_timeout);
            simple(Subject::Service, name, Fate::Removed, notes)
        }
    }));
    found
}

/// Listeners are known by where they listen.
fn listeners(from: &[Listening], to: &[Listening]) -> Vec<Difference> {
    let at = |all: &'_ [Listening], listening: &Listening| {
        all.iter().find(|other| other.listen == listening.listen).map(route_table)
    };
    let each = to.iter().filter_map(|after| {
        let name = after.listen.to_string();
        let Some(before) = at(from, after) else {
            let routes = after.routes.iter().map(ToString::to_string).collect();
            return Some(simple(Subject::Listener, &name, Fate::Added, routes));
        };
        changed(Subject::Listener, &name, compared(&before, &route_table(after), |_| ChangeMode::InPlace))
    });
    let gone = from.iter().filter(|before| at(to, before).is_none()).map(|before| {
        let notes = vec!["the requests that are under way come to their end first".to_owned()];
        simple(Subject::Listener, &before.listen.to_string(), Fate::Removed, notes)
    });
    each.chain(gone).collect()
}

/// What is known by a name, and changes in place.
fn named<T: Schema>(subject: Subject, from: &[T], to: &[T], name: impl Fn(&T) -> &String) -> Vec<Difference> {
    let find = |all: &'_ [T], of: &T| all.iter().find(|other| name(other) == name(of)).map(Schema::table);
    let each = to.iter().filter_map(|after| match find(from, after) {
        None => Some(simple(subject, name(after), Fate::Added, Vec::new())),
        Some(before) => changed(subject, name(after), compared(&before, &after.table(), |_| ChangeMode::InPlace)),
    });
    let gone = from.iter().filter(|before| find(to, before).is_none());
    let gone = gone.map(|before| simple(subject, name(before), Fate::Removed, Vec::new()));
    each.chain(gone).collect()
}

/// A listener with its routes by what they are for, so that each of them is told by itself.
fn route_table(listening: &Listening) -> Table {
    let mut table = listening.table();
    let route = |route: &Route| {
        let mut table = route.table();
        ["host", "path", "methods"].iter().for_each(|key| drop(table.remove(*key)));
        (route.place(), Value::Table(table))
    };
    table.insert("route".to_owned(), Value::Table(listening.routes.iter().map(route).collect()));
    table
}

/// Says of a service that it has other wires, since some made themselves.
pub(super) fn rewired(differences: &mut Vec<Difference>, service: &str, from: &Wires, to: &Wires) {
    let table = |wires: &Wires| {
        let each = wires.iter().map(|(of, wire)| (of.clone(), wire.value()));
        Table::from_iter([("wires".to_owned(), Value::Table(each.collect()))])
    };
    let settings = compared(&table(from), &table(to), |_| ChangeMode::InPlace);
    match differences.iter_mut().find(|found| found.subject == Subject::Service && found.name == service) {
        Some(found) if found.fate == Fate::Added => {
            let told = settings.into_iter().map(|setting| format!("{} is {}", setting.key, setting.to));
            found.notes.extend(told);
        }
        Some(found) => found.settings.extend(settings),
        None => differences.extend(changed(Subject::Service, service, settings)),
    }
}

/// What becomes of a service that is gone.
fn parting(node: &ServiceNode, most: Duration) -> Vec<String> {
    let drained = match drain_time(node.shutdown, most) {
        Duration::ZERO => "is killed; what waits for it becomes dead letters".to_owned(),
        time => {
            let time = humantime::format_duration(time);
            format!("handles what waits for it, for at most {time}; the rest becomes dead letters")
        }
    };
    let state = match (node.keeping, node.multiplicity) {
        (Keeping::Durable, _) => Some("its durable state stays in the data folder"),
        (Keeping::Memory, Multiplicity::Stateless { .. }) => None,
        (Keeping::Memory, _) => Some("its state goes"),
    };
    std::iter::once(drained).chain(state.map(str::to_owned)).collect()
}

/// How long a service that is to stop may handle what waits for it: as long as it may take to stop, and never longer
/// than the whole mesh may.
pub(crate) fn drain_time(shutdown: Shutdown, most: Duration) -> Duration {
    match shutdown {
        Shutdown::BrutalKill => Duration::ZERO,
        Shutdown::Timeout(timeout) => timeout.min(most),
        Shutdown::Infinity => most,
    }
}

/// A node, and the names of the supervisors above it, the root's left out.
struct TreeEntry<'a> {
    node: &'a Node,
    above: Vec<&'a str>,
}

/// All nodes, in the order in which they start.
struct TreeIndex<'a> {
    in_order: Vec<(&'a str, TreeEntry<'a>)>,
    by_name: BTreeMap<&'a str, usize>,
}

impl<'a> TreeIndex<'a> {
    fn of(topology: &'a Topology) -> Self {
        fn collect<'a>(nodes: &'a [Node], above: &[&'a str], into: &mut Vec<(&'a str, TreeEntry<'a>)>) {
            for node in nodes {
                into.push((node.name(), TreeEntry { node, above: above.to_vec() }));
                if let Node::Supervisor(supervisor) = node {
                    collect(&supervisor.children, &[above, &[supervisor.name.as_str()]].concat(), into);
                }
            }
        }
        let mut in_order = Vec::new();
        collect(&topology.children, &[], &mut in_order);
        let by_name = in_order.iter().enumerate().map(|(at, (name, _))| (*name, at)).collect();
        Self { in_order, by_name }
    }

    fn get(&self, name: &str) -> Option<&TreeEntry<'a>> {
        self.by_name.get(name).and_then(|at| self.in_order.get(*at)).map(|(_, entry)| entry)
    }
}

fn simple(subject: Subject, name: &str, fate: Fate, notes: Vec<String>) -> Difference {
    Difference { subject, name: name.to_owned(), fate, way: ChangeMode::StartOrStop, settings: Vec::new(), notes }
}

/// None where no setting differs.
fn changed(subject: Subject, name: &str, settings: Vec<ChangedKey>) -> Option<Difference> {
    let way = settings.iter().map(|setting| setting.way).max()?;
    let notes = match (subject, way) {
        (Subject::Service, ChangeMode::Restart) => {
            vec!["handles what waits for it first; its instances and their memory go, its state stays".to_owned()]
        }
        (Subject::Mesh, ChangeMode::NotRunning) => {
            vec!["another name is another mesh: give it a data folder of its own".to_owned()]
        }
        _ => Vec::new(),
    };
    Some(Difference { subject, name: name.to_owned(), fate: Fate::Changed, way, settings, notes })
}

fn mesh(from: &Topology, to: &Topology) -> Option<Difference> {
    let way = |key: &str| match key {
        "audit_folder" | "audit_key" => ChangeMode::NotRunning,
        _ => ChangeMode::InPlace,
    };
    let mut settings = compared(&from.settings.table(), &to.settings.table(), way);
    settings.extend(compared(&from.roles.table(), &to.roles.table(), |_| ChangeMode::InPlace));
    if from.name != to.name {
        let (from, to) = (from.name.clone(), to.name.clone());
        settings.push(ChangedKey { key: "name".to_owned(), from, to, way: ChangeMode::NotRunning });
    }
    changed(Subject::Mesh, &to.name, settings)
}

fn service(from: &ServiceNode, to: &ServiceNode, other_release: bool) -> Vec<ChangedKey> {
    let told = |node: &ServiceNode| {
        let mut table = node.table();
        for key in ["instances", "partitioned"] {
            table.remove(key);
        }
        if let Some(Value::Table(seed)) = table.get("randomness") {
            let seed = seed.iter().map(|(key, value)| format!("{key} {value}")).collect::<String>();
            table.insert("randomness".to_owned(), seed.into());
        }
        table.insert("limits".to_owned(), Value::Table(node.limits.table()));
        // What its roles grant counts as well.
        table.insert("grants".to_owned(), Value::Table(node.grants.table()));
        table.insert("release".to_owned(), node.named.display().to_string().into());
        table
    };
    let (mut before, mut after) = (told(from), told(to));
    let actors = (actors(from.multiplicity), actors(to.multiplicity));
    if actors.0 != actors.1 {
        for table in [&mut before, &mut after] {
            table.remove("keyed");
            table.remove("spawned");
        }
    }
    let mut settings = compared(&before, &after, way);
    hide(&mut settings, from, to);
    if actors.0 != actors.1 {
        settings.push(ChangedKey { key: "actors".to_owned(), from: actors.0, to: actors.1, way: ChangeMode::Restart });
    }
    if other_release && !settings.iter().any(|setting| setting.key == "release") {
        let named = to.named.display().to_string();
        let changed = format!("{named}, which is another one now");
        settings.push(ChangedKey { key: "release".to_owned(), from: named, to: changed, way: ChangeMode::Deployment });
    }
    settings
}

/// Leaves out what is secret, of what was and of what will be.
fn hide(settings: &mut [ChangedKey], from: &ServiceNode, to: &ServiceNode) {
    for setting in settings {
        let Some(key) = setting.key.strip_prefix("config.").and_then(|key| key.strip_suffix(".value")) else {
            continue;
        };
        if from.config.is_secret(key) {
            setting.from = "a secret".to_owned();
        }
        if to.config.is_secret(key) {
            setting.to = if from.config.is_secret(key) { "another secret" } else { "a secret" }.to_owned();
        }
    }
}

fn actors(multiplicity: Multiplicity) -> String {
    match multiplicity {
        Multiplicity::One => "1".to_owned(),
        Multiplicity::Stateless { instances } => format!("{instances}, with one mailbox"),
        Multiplicity::Partitioned { instances } => format!("{instances}, with a mailbox each"),
        Multiplicity::Keyed(_) => "one a key".to_owned(),
        Multiplicity::Spawned(_) => "children that others spawn".to_owned(),
    }
}

/// How another value of a service's key is brought about; `limits.memory` is a key of a table.
fn way(key: &str) -> ChangeMode {
    let mut parts = key.split('.');
    let (first, second) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let (keys, key) = match first {
        "limits" => (Limits::KEYS, second),
        "grants" => (Grants::KEYS, second),
        first => (ServiceNode::KEYS, first),
    };
    keys.iter().find(|known| known.key == key).and_then(|known| known.way).unwrap_or(ChangeMode::InPlace)
}

fn moved(key: &str, from: &[&str], to: &[&str]) -> Option<ChangedKey> {
    let told = |above: &[&str]| if above.is_empty() { "the root".to_owned() } else { above.join("/") };
    (from != to).then(|| ChangedKey { key: key.to_owned(), from: told(from), to: told(to), way: ChangeMode::Restart })
}

/// Children that are in both and stand in another order.
fn order(from: &[Node], to: &[Node]) -> Option<ChangedKey> {
    let names = |nodes: &[Node]| -> Vec<String> { nodes.iter().map(|node| node.name().to_owned()).collect() };
    let (from, to) = (names(from), names(to));
    let both: BTreeSet<&String> = from.iter().filter(|name| to.contains(name)).collect();
    let told = |names: &[String]| -> String {
        names.iter().filter(|name| both.contains(name)).map(String::as_str).collect::<Vec<_>>().join(", ")
    };
    let (from, to) = (told(&from), told(&to));
    (from != to).then(|| ChangedKey { key: "children".to_owned(), from, to, way: ChangeMode::InPlace })
}

/// The keys whose values differ, in order.
fn compared(from: &Table, to: &Table, way: impl Fn(&str) -> ChangeMode) -> Vec<ChangedKey> {
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    flatten("", from, &mut before);
    flatten("", to, &mut after);
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differ = keys.into_iter().filter(|key| before.get(*key) != after.get(*key));
    let told =
        |values: &BTreeMap<String, String>, key: &String| values.get(key).cloned().unwrap_or_else(|| "none".to_owned());
    differ
        .map(|key| ChangedKey { key: key.clone(), from: told(&before, key), to: told(&after, key), way: way(key) })
        .collect()
}

fn flatten(above: &str, table: &Table, into: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let key = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        match value {
            Value::Table(table) => flatten(&key, table, into),
            value => drop(into.insert(key, told(value))),
        }
    }
}

/// A value for people.
fn told(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(all) if all.is_empty() => "none".to_owned(),
        Value::Array(all) => all.iter().map(told).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
