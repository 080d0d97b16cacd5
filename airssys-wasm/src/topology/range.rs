//! Whether each number of a topology is within its range, and where in the file the one stands that is not.

use airssys_rt_shim::child::Shutdown;

use super::keys;
use super::tree::{Node, ServiceNode, SupervisorNode, Topology};
use crate::config_file::number::out_of_range;
use crate::config_file::{ConfigError, Source};
use crate::schema::{OutOfRange, Range, Schema, Words, nanoseconds};
use crate::settings::Multiplicity;

/// A number of a topology is outside of its range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RangeError {
    /// Whose number it is.
    pub(crate) whose: Whose,
    /// The tables of that which it stands in, the outermost first: none, or such as `mailbox`.
    pub(crate) tables: Vec<String>,
    /// The number, and what it may be.
    pub(crate) out: OutOfRange,
}

/// A part of a topology that has numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The whole mesh: `[settings]`.
    Settings,
    /// The root supervisor.
    Root,
    /// The supervisor of this name.
    Supervisor(String),
    /// The service of this name.
    Service(String),
}

/// Finds the first number of a topology that is outside of its range.
pub(crate) fn check(topology: &Topology) -> Result<(), RangeError> {
    all(&Whose::Settings, &[], &topology.settings)?;
    all(&Whose::Root, &[], &topology.root)?;
    topology.children.iter().try_for_each(node)
}

fn node(node: &Node) -> Result<(), RangeError> {
    match node {
        Node::Supervisor(node) => supervisor(node),
        Node::Service(node) => service(node),
    }
}

fn supervisor(node: &SupervisorNode) -> Result<(), RangeError> {
    let whose = Whose::Supervisor(node.name.clone());
    all(&whose, &[], &node.flags)?;
    shutdown(&whose, node.shutdown)?;
    node.children.iter().try_for_each(self::node)
}

fn shutdown(whose: &Whose, shutdown: Shutdown) -> Result<(), RangeError> {
    shutdown.time().map_or(Ok(()), |time| one(whose, &[], Range::time("shutdown", 0).check(nanoseconds(time))))
}

fn service(node: &ServiceNode) -> Result<(), RangeError> {
    let whose = Whose::Service(node.address.to_string());
    one(&whose, &[], keys::check(keys::SERVICE, "retries", node.retries.into()))?;
    shutdown(&whose, node.shutdown)?;
    match &node.multiplicity {
        Multiplicity::One => {}
        Multiplicity::Stateless { instances } | Multiplicity::Partitioned { instances } => {
            let instances = u64::try_from(*instances).unwrap_or(u64::MAX);
            one(&whose, &[], keys::check(keys::SERVICE, "instances", instances))?;
        }
        Multiplicity::Keyed(rules) => all(&whose, &["keyed"], rules)?,
        Multiplicity::Spawned(rules) => all(&whose, &["spawned"], rules)?,
    }
    all(&whose, &["mailbox"], &node.shape)?;
    for (guest, file) in &node.grants.files {
        one(&whose, &["grants", "files", guest], keys::check(keys::FILES, "max", file.max_bytes))?;
    }
    all(&whose, &["limits"], &node.limits)
}

/// The numbers of one table.
fn all<T: Schema>(whose: &Whose, tables: &[&str], of: &T) -> Result<(), RangeError> {
    of.numbers().iter().try_for_each(|number| one(whose, &[tables, &number.tables].concat(), number.check()))
}

fn one(whose: &Whose, tables: &[&str], out: Option<OutOfRange>) -> Result<(), RangeError> {
    let tables = tables.iter().map(ToString::to_string).collect();
    out.map_or(Ok(()), |out| Err(RangeError { whose: whose.clone(), tables, out }))
}

impl RangeError {
    /// The same, with the place of the number in the file.
    pub(super) fn at(&self, source: &Source) -> ConfigError {
        let tables: Vec<&str> = match &self.whose {
            Whose::Settings => vec!["settings"],
            Whose::Root => vec!["root"],
            Whose::Supervisor(_) | Whose::Service(_) => Vec::new(),
        };
        let named = match &self.whose {
            Whose::Settings | Whose::Root => None,
            Whose::Supervisor(name) => Some(("supervisor", name.as_str())),
            Whose::Service(name) => Some(("service", name.as_str())),
        };
        let tables: Vec<&str> = tables.into_iter().chain(self.tables.iter().map(String::as_str)).collect();
        out_of_range(source, named, &tables, self.out)
    }
}
