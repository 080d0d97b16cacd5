//! Whether each number of a topology is within its range, and where in the file the one stands that is not. A topology that was made in code is looked at
//! in the same way when it is started, checked or applied.

use std::fmt;

use airssys_rt_shim::child::Shutdown;
use airssys_rt_shim::supervisor::Backoff;

use super::tree::{Node, RootSpec, ServiceNode, SupervisorNode, Topology};
use crate::config_file::number::out_of_range;
use crate::config_file::{ConfigError, Source};
use crate::limits::ranges::{self, OutOfRange, nanoseconds, of_limits, wide};
use crate::settings::Multiplicity;

/// A number of a topology is outside of its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{whose}: {out}; hint: {}", .out.hint())]
pub struct RangeError {
    /// Whose number it is.
    pub whose: Whose,
    /// The tables of that which it stands in, the outermost first: none, or such as `mailbox`.
    pub tables: Vec<String>,
    /// The number, and what it may be.
    pub out: OutOfRange,
}

/// A part of a topology that has numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// The whole mesh: `[settings]`.
    Settings,
    /// The root supervisor.
    Root,
    /// The supervisor of this name.
    Supervisor(String),
    /// The service of this name.
    Service(String),
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings => f.write_str("settings"),
            Self::Root => f.write_str("root"),
            Self::Supervisor(name) => write!(f, "supervisor {name}"),
            Self::Service(name) => write!(f, "service {name}"),
        }
    }
}

/// Finds the first number of a topology that is outside of its range.
pub(crate) fn check(topology: &Topology) -> Result<(), RangeError> {
    let settings = &topology.settings;
    let mesh = &settings.mesh;
    let numbers = Numbers { whose: &Whose::Settings, tables: &[] };
    numbers.check(ranges::RESERVE_TIMEOUT, nanoseconds(mesh.reserve_timeout))?;
    numbers.check(ranges::SHUTDOWN_TIMEOUT, nanoseconds(settings.shutdown_timeout))?;
    numbers.check(ranges::DEAD_LETTERS, wide(mesh.dead_letters))?;
    numbers.check(ranges::DEAD_LETTER_BYTES, wide(mesh.dead_letter_bytes))?;
    numbers.check(ranges::ALL_TIMERS, wide(mesh.timers))?;
    numbers.check(ranges::ALL_TIMER_BYTES, wide(mesh.timer_bytes))?;
    flags(&Numbers { whose: &Whose::Root, tables: &[] }, &topology.root)?;
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
    let numbers = Numbers { whose: &whose, tables: &[] };
    flags(&numbers, &node.flags)?;
    shutdown(&numbers, node.shutdown)?;
    node.children.iter().try_for_each(self::node)
}

fn flags(numbers: &Numbers<'_>, flags: &RootSpec) -> Result<(), RangeError> {
    numbers.check(ranges::INTENSITY, flags.intensity.into())?;
    numbers.check(ranges::PERIOD, nanoseconds(flags.period))?;
    flags.backoff.map_or(Ok(()), |asked| backoff(&Numbers { tables: &["backoff"], ..*numbers }, asked))
}

fn backoff(numbers: &Numbers<'_>, backoff: Backoff) -> Result<(), RangeError> {
    numbers.check(ranges::INITIAL, nanoseconds(backoff.initial))?;
    numbers.check(ranges::MAX, nanoseconds(backoff.max))?;
    numbers.check(ranges::RESET_AFTER, nanoseconds(backoff.reset_after))
}

fn shutdown(numbers: &Numbers<'_>, shutdown: Shutdown) -> Result<(), RangeError> {
    match shutdown {
        Shutdown::Timeout(timeout) => numbers.check(ranges::SHUTDOWN, nanoseconds(timeout)),
        Shutdown::BrutalKill | Shutdown::Infinity => Ok(()),
    }
}

fn service(node: &ServiceNode) -> Result<(), RangeError> {
    let whose = Whose::Service(node.address.to_string());
    let within = |tables| Numbers { whose: &whose, tables };
    within(&[]).check(ranges::RETRIES, node.retries.into())?;
    shutdown(&within(&[]), node.shutdown)?;
    match node.multiplicity {
        Multiplicity::One => {}
        Multiplicity::Stateless { instances } | Multiplicity::Partitioned { instances } => {
            within(&[]).check(ranges::INSTANCES, wide(instances))?;
        }
        Multiplicity::Keyed(rules) => {
            let keyed = within(&["keyed"]);
            keyed.check(ranges::MAX_AWAKE, wide(rules.max_awake))?;
            keyed.check(ranges::IDLE_TIMEOUT, nanoseconds(rules.idle_timeout))?;
            keyed.check(ranges::MAX_KEYS, wide(rules.max_keys))?;
            keyed.check(ranges::INTENSITY, rules.intensity.into())?;
            keyed.check(ranges::PERIOD, nanoseconds(rules.period))?;
            backoff(&within(&["keyed", "backoff"]), rules.backoff)?;
        }
        Multiplicity::Spawned(rules) => {
            let spawned = within(&["spawned"]);
            spawned.check(ranges::MAX_CHILDREN, wide(rules.max_children))?;
            spawned.check(ranges::INTENSITY, rules.intensity.into())?;
            spawned.check(ranges::PERIOD, nanoseconds(rules.period))?;
            backoff(&within(&["spawned", "backoff"]), rules.backoff)?;
        }
    }
    let mailbox = within(&["mailbox"]);
    mailbox.check(ranges::CAPACITY, wide(node.shape.capacity))?;
    mailbox.check(ranges::MAILBOX_BYTES, wide(node.shape.bytes))?;
    mailbox.check(ranges::ALL_MAILBOX_BYTES, wide(node.shape.all_bytes))?;
    for (guest, file) in &node.grants.files {
        let tables = ["grants", "files", guest.as_str()];
        Numbers { whose: &whose, tables: &tables }.check(ranges::FOLDER, file.max_bytes)?;
    }
    let limits = within(&["limits"]);
    of_limits(&node.limits).into_iter().try_for_each(|(range, is)| limits.check(range, is))
}

/// The numbers of one table.
#[derive(Debug, Clone, Copy)]
struct Numbers<'a> {
    whose: &'a Whose,
    tables: &'a [&'a str],
}

impl Numbers<'_> {
    fn check(&self, range: ranges::Range, is: u64) -> Result<(), RangeError> {
        let error = |out| RangeError {
            whose: self.whose.clone(),
            tables: self.tables.iter().map(ToString::to_string).collect(),
            out,
        };
        range.check(is).map_or(Ok(()), |out| Err(error(out)))
    }
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
