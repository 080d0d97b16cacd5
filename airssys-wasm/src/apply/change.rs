//! One topology that is to be in the place of another one, with what it takes to bring that about.

use std::collections::HashMap;
use std::sync::Arc;

use super::check::declared_instances;
use super::difference::Difference;
use super::error::RuntimeError;
use super::plan::ApplyPlan;
use super::record::Next;
use super::releases::Deployable;
use crate::deploy::DeployOptions;
use crate::engine::{Engines, PoolShape};
use crate::limits::InstanceLimits;
use crate::topology::Topology;

/// What is to become of a mesh. Nothing is wrong with it that can be known before.
pub(super) struct Change {
    /// What is in force.
    pub(super) before: Arc<Topology>,
    /// What is to be, as it is written, and with the releases that will serve.
    pub(super) written: Topology,
    pub(super) target: Topology,
    pub(super) differences: Vec<Difference>,
    /// What serves each service that is new or will not be the same.
    pub(super) next: HashMap<String, Deployable>,
    pub(super) options: DeployOptions,
}

/// An apply of which nothing has come about.
pub(super) struct Prepared {
    pub(super) plan: ApplyPlan,
    pub(super) change: Change,
    /// What is to be written down of it.
    pub(super) record: Next,
    pub(super) announced: Announced,
}

/// Instances that there may be more; taken back when it is dropped, unless it is kept.
pub(super) struct Announced {
    engines: Arc<Engines>,
    more: Vec<(InstanceLimits, usize)>,
}

impl Announced {
    pub(super) fn new(
        engines: &Arc<Engines>,
        target: &Topology,
        differences: &[Difference],
        live: &HashMap<String, Deployable>,
    ) -> Result<Self, RuntimeError> {
        let mut more = Vec::new();
        for node in target.services().filter(|node| differences.iter().any(|found| found.name == node.address.as_str()))
        {
            let (limits, declared) = (node.limits.of_instance(), declared_instances(node));
            let same = |live: &&Deployable| PoolShape::of(&live.node.limits.of_instance()) == PoolShape::of(&limits);
            let there = live.get(node.address.as_str()).filter(same).map_or(0, |live| declared_instances(&live.node));
            more.push((limits, declared.saturating_sub(there)));
        }
        engines.announce(&more)?;
        Ok(Self { engines: Arc::clone(engines), more })
    }

    /// What is gone needs no room any more.
    pub(super) fn keep(mut self, gone: &[(InstanceLimits, usize)]) {
        self.more.clear();
        self.engines.recall(gone);
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        self.engines.recall(&self.more);
    }
}
