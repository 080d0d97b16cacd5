//! Which key of the topology says how many restarts are borne, where the root bore one too many.

use std::fmt;

use airssys_wasm::command::Intensity;
use airssys_wasm::topology::Topology;

/// Which child was one restart too many, and what its supervisors bear.
#[derive(Debug)]
pub(crate) struct GaveUp {
    child: String,
    /// What the root bears.
    root: Intensity,
    /// What the child itself bears, where it is a supervisor: it gave up first.
    own: Option<Intensity>,
}

/// How many restarts are borne.
fn told(bound: &Intensity) -> String {
    let restarts = if bound.restarts == 1 { "restart" } else { "restarts" };
    format!("{} {restarts} in {}", bound.restarts, humantime::format_duration(bound.period))
}

impl GaveUp {
    /// Of a topology and a child of its root.
    pub(super) fn new(topology: &Topology, child: String) -> Self {
        Self { root: topology.intensity(), own: topology.intensity_of(&child), child }
    }

    /// What to mend or to change.
    pub(super) fn hint(&self) -> String {
        let (table, bound) = match &self.own {
            Some(own) => (format!("the `[[supervisor]]` {}", self.child), *own),
            None => ("`[root]`".to_owned(), self.root),
        };
        let waits = if bound.has_backoff { "" } else { ", or give it a `backoff`" };
        format!(
            "the warnings above say why it ended each time; mend that, or let {table} bear more than {}: raise its \
             `intensity`{waits}",
            told(&bound)
        )
    }
}

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} needed more than {}", self.child, told(&self.root))
    }
}
