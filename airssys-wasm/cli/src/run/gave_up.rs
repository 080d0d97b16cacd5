//! Which key of the topology says how many restarts are borne, where the root bore one too many.

use std::fmt;
use std::time::Duration;

use airssys_wasm::topology::{Node, RootSpec, Topology};

/// Which child was one restart too many, and what its supervisors bear.
#[derive(Debug)]
pub(crate) struct GaveUp {
    child: String,
    /// What the root bears.
    root: Bound,
    /// What the child itself bears, where it is a supervisor: it gave up first.
    own: Option<Bound>,
}

/// How many restarts are borne.
#[derive(Debug, Clone, Copy)]
struct Bound {
    intensity: u32,
    period: Duration,
    waits: bool,
}

impl From<&RootSpec> for Bound {
    fn from(spec: &RootSpec) -> Self {
        Self { intensity: spec.intensity, period: spec.period, waits: spec.backoff.is_some() }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let restarts = if self.intensity == 1 { "restart" } else { "restarts" };
        write!(f, "{} {restarts} in {}", self.intensity, humantime::format_duration(self.period))
    }
}

impl GaveUp {
    /// Of a topology and a child of its root.
    pub(super) fn new(topology: &Topology, child: String) -> Self {
        let own = topology.children.iter().find_map(|node| match node {
            Node::Supervisor(supervisor) if supervisor.name == child => Some(Bound::from(&supervisor.flags)),
            _ => None,
        });
        Self { child, root: Bound::from(&topology.root), own }
    }

    /// What to mend or to change.
    pub(super) fn hint(&self) -> String {
        let (table, bound) = match &self.own {
            Some(own) => (format!("the `[[supervisor]]` {}", self.child), *own),
            None => ("`[root]`".to_owned(), self.root),
        };
        let waits = if bound.waits { "" } else { ", or give it a `backoff`" };
        format!(
            "the warnings above say why it ended each time; mend that, or let {table} bear more than {bound}: raise its \
             `intensity`{waits}"
        )
    }
}

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} needed more than {}", self.child, self.root)
    }
}
