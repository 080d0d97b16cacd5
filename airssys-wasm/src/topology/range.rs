//! Whether each number of a topology is within its range, and where in the file the one stands that is not.

use super::layered::place_of;
use super::tree::{Node, Topology};
use crate::config_file::number::out_of_range;
use crate::config_file::{ConfigError, Source};
use crate::schema::{OutOfRange, Schema};

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
    /// The listener at this address, as it is written.
    Listener(String),
    /// The quota of this name.
    Quota(String),
    /// The log of this name.
    Log(String),
    /// The policy of this name, by which is tried again.
    Retry(String),
    /// The layer that is this service.
    Layer(String),
}

/// Finds the first number of a topology that is outside of its range.
pub(crate) fn check(topology: &Topology) -> Result<(), RangeError> {
    all(&Whose::Settings, &topology.settings)?;
    all(&Whose::Root, &topology.root)?;
    topology.children.iter().try_for_each(node)?;
    topology.quotas.iter().try_for_each(|quota| all(&Whose::Quota(quota.name.clone()), quota))?;
    topology.logs.iter().try_for_each(|log| all(&Whose::Log(log.name.clone()), log))?;
    topology.retries.iter().try_for_each(|retry| all(&Whose::Retry(retry.name.clone()), retry))?;
    topology.layers.iter().try_for_each(|layer| all(&Whose::Layer(layer.service.clone()), layer))?;
    let mut listeners = topology.listeners.iter();
    listeners.try_for_each(|listening| all(&Whose::Listener(listening.listen.to_string()), listening))
}

fn node(node: &Node) -> Result<(), RangeError> {
    match node {
        Node::Supervisor(node) => {
            all(&Whose::Supervisor(node.name.clone()), &**node)?;
            node.children.iter().try_for_each(self::node)
        }
        Node::Service(node) => {
            let whose = Whose::Service(node.address.to_string());
            all(&whose, &**node)?;
            // Those of the release as well, which the topology does not name.
            all(&whose, &node.limits).map_err(|error| RangeError { tables: vec!["limits".to_owned()], ..error })
        }
    }
}

/// The numbers of one table.
fn all(whose: &Whose, of: &impl Schema) -> Result<(), RangeError> {
    let out = of.numbers().into_iter().find_map(|number| Some((number.check()?, number.tables)));
    out.map_or(Ok(()), |(out, tables)| Err(RangeError { whose: whose.clone(), tables, out }))
}

impl RangeError {
    /// The same, with the place of the number in the file.
    pub(super) fn at(&self, source: &Source) -> ConfigError {
        let tables: Vec<&str> = match &self.whose {
            Whose::Settings => vec!["settings"],
            Whose::Root => vec!["root"],
            Whose::Supervisor(_) | Whose::Service(_) => Vec::new(),
            Whose::Listener(_) | Whose::Quota(_) | Whose::Log(_) | Whose::Layer(_) | Whose::Retry(_) => Vec::new(),
        };
        let of_service;
        let named = match &self.whose {
            Whose::Settings | Whose::Root => None,
            Whose::Supervisor(name) => Some(("supervisor", "name", name.as_str())),
            Whose::Service(name) => {
                of_service = place_of(source, name);
                Some((of_service.0, of_service.1, of_service.2.as_str()))
            }
            Whose::Quota(name) => Some(("quota", "name", name.as_str())),
            Whose::Log(name) => Some(("log", "name", name.as_str())),
            Whose::Retry(name) => Some(("retry", "name", name.as_str())),
            Whose::Layer(name) => {
                of_service = place_of(source, name);
                let is_component = of_service.0 == "layer";
                let key = if is_component { of_service.1 } else { "service" };
                Some(("layer", key, of_service.2.as_str()))
            }
            Whose::Listener(listen) => Some(("http", "listen", listen.as_str())),
        };
        let tables: Vec<&str> = tables.into_iter().chain(self.tables.iter().map(String::as_str)).collect();
        out_of_range(source, named, &tables, self.out)
    }
}
