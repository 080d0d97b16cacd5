//! What is asked of a judge about a mesh that runs: an apply, and a deployment.

use std::sync::Arc;

use serde::Serialize;
use serde_json::json;

use super::hosted::Hosted;
use super::judge::{Proposal, judged, release, written};
use crate::audit::by;
use crate::deploy::PlanRefusal;
use crate::topology::{ServiceNode, Topology};

impl Hosted {
    /// Why an apply is refused.
    pub(super) async fn judged_apply(&self, by: &str, topology: &Topology, plan: &impl Serialize) -> Vec<PlanRefusal> {
        let proposal = || Proposal {
            operation: "apply",
            by: by.to_owned(),
            topology: written(topology),
            plan: serde_json::to_value(plan).unwrap_or_default(),
        };
        judged(self.judge.as_ref(), proposal).await
    }

    /// Why a release may not take the place of another one.
    pub(super) async fn judged_deployment(&self, before: &ServiceNode, next: &Arc<ServiceNode>) -> Vec<PlanRefusal> {
        let proposal = || {
            let mut topology = Topology::clone(&self.desired.in_force());
            topology.each_service(|node| {
                if node.address == next.address {
                    node.clone_from(next);
                } else if let Some(live) = self.actual.releases.live(node.address.as_str()) {
                    *node = live.node;
                }
            });
            let plan = json!({ "service": next.address.as_str(), "from": release(before), "to": release(next) });
            Proposal { operation: "deploy", by: by(), topology: written(&topology), plan }
        };
        judged(self.judge.as_ref(), proposal).await
    }
}
