//! The supervisors, from one topology to another: what each is to be, and which of its children start and stop.

use std::sync::Arc;

use airssys_rt_shim::child::ChildSpec;
use airssys_rt_shim::planted;
use airssys_rt_shim::supervisor::{AutoShutdown, ChildError, SupervisorSpec, SupervisorStart};
use airssys_rt_shim::system::SystemError;
use tokio::time::{Instant, sleep};

use super::{Done, LOOK_AGAIN, Steps};
use crate::apply::error::RuntimeError;
use crate::apply::plan::Failed;
use crate::apply::tree::{below, differs, is_supervised, service_child, supervised, supervisor_child};
use crate::topology::{Node, SupervisorNode, Topology};

impl Steps<'_> {
    /// Starts the root with all that is under it.
    pub(super) async fn raise(&mut self) -> Result<(), RuntimeError> {
        let target = self.change.target.clone();
        self.make_supervisors(&target.children, "")?;
        let Some(root) = self.wanted(&target, None, "") else { return Ok(()) };
        let actual = &self.hosted.actual;
        actual.supervisors.start(&target.name, root, actual.mesh.events.listener()).await?;
        self.done.push(Done::Started);
        Ok(())
    }

    /// Changes the supervisors that are there, and starts what is new, in order.
    pub(super) async fn grow(&mut self) -> Result<(), Failed> {
        let target = self.change.target.clone();
        let made = self.make_supervisors(&target.children, "");
        made.map_err(|error| Failed::new("what is new cannot be supervised", error))?;
        for (path, ..) in supervised(&target) {
            if !is_supervised(&self.change.before, &path) {
                continue;
            }
            let (is, wanted) = (self.spec(&path), self.wanted(&target, Some(&self.change.before), &path));
            if let (Some(is), Some(wanted)) = (is, wanted)
                && differs(&is, &wanted)
            {
                self.done.push(Done::Changed(path.clone(), is));
                self.change_supervisor(&path, wanted).await?;
            }
        }
        self.start_new(&target.children, "").await
    }

    /// Makes the supervisors that are new, from the lowest up, with the new services that are under them.
    fn make_supervisors(&self, nodes: &[Node], above: &str) -> Result<(), SystemError> {
        for node in nodes {
            let Node::Supervisor(supervisor) = node else { continue };
            let path = below(above, &supervisor.name);
            self.make_supervisors(&supervisor.children, &path)?;
            if is_supervised(&self.change.before, &path) {
                continue;
            }
            let spec =
                SupervisorSpec { children: self.children(&supervisor.children, &path), ..supervisor.flags.spec() };
            self.hosted.actual.supervisors.insert(path, SupervisorStart::new(spec)?);
        }
        Ok(())
    }

    async fn start_new(&mut self, nodes: &[Node], path: &str) -> Result<(), Failed> {
        for node in nodes {
            match node {
                Node::Service(service) => {
                    let name = service.address.as_str();
                    let is_new = self.done.iter().any(|done| matches!(done, Done::Added(added) if added == name));
                    let standing = self.standing.get(name).filter(|standing| is_new && standing.above == path);
                    let children = standing.map(|standing| standing.placed.children.clone()).unwrap_or_default();
                    self.start_children(path, &children)
                        .await
                        .map_err(|why| Failed::new(format!("{name} does not start"), why))?;
                }
                Node::Supervisor(supervisor) => {
                    let below = below(path, &supervisor.name);
                    if is_supervised(&self.change.before, &below) {
                        Box::pin(self.start_new(&supervisor.children, &below)).await?;
                        continue;
                    }
                    let child = self.supervisor_child(supervisor, &below).into_iter().collect::<Vec<_>>();
                    let started = self.start_children(path, &child).await;
                    started.map_err(|why| Failed::new(format!("the supervisor {below} does not start"), why))?;
                }
            }
        }
        Ok(())
    }

    /// Starts children that are known to their supervisor, and down.
    pub(super) async fn start_children(&self, path: &str, children: &[ChildSpec]) -> Result<(), ChildError> {
        for child in children {
            if child.start.is_stopped() {
                // Refused, as before.
                child.start.gone();
                continue;
            }
            match self.hosted.actual.supervisors.handle(path).restart_child(child.id.as_str()).await {
                // A restart of its group was faster.
                Ok(_) | Err(ChildError::Running { .. } | ChildError::Restarting { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Stops children for good, the last one first. Who is not there is gone.
    pub(super) async fn stop_children(&self, path: &str, children: &[ChildSpec]) {
        let handle = self.hosted.actual.supervisors.handle(path);
        for child in children.iter().rev() {
            // A restart of its group can bring it up between the two.
            while handle.terminate_child(child.id.as_str()).await.is_ok() {
                match handle.delete_child(child.id.as_str()).await {
                    Err(ChildError::Running { .. } | ChildError::Restarting { .. }) => {}
                    _gone => break,
                }
            }
        }
    }

    /// What a supervisor is now; none where there is none.
    pub(super) fn spec(&self, path: &str) -> Option<Arc<SupervisorSpec>> {
        self.hosted.actual.supervisors.spec(path)
    }

    /// Makes a supervisor another one, as soon as none of its children is on its way down, or started by somebody else.
    pub(super) async fn change_supervisor(&self, path: &str, spec: SupervisorSpec) -> Result<(), Failed> {
        let until = Instant::now() + self.change.options.handover_deadline;
        loop {
            match self.hosted.actual.supervisors.change(path, spec.clone()).await {
                Err(ChildError::Unsettled { .. }) if Instant::now() < until => sleep(LOOK_AGAIN).await,
                changed => {
                    let name = if path.is_empty() { "the root" } else { path };
                    return changed
                        .map_err(|error| Failed::new(format!("the supervisor {name} cannot be changed"), error));
                }
            }
        }
    }

    /// What a supervisor is to be by a topology, with what stands under it now. Behind that, what only the `other`
    /// topology has there and is not gone yet.
    pub(super) fn wanted(&self, topology: &Topology, other: Option<&Topology>, path: &str) -> Option<SupervisorSpec> {
        let (_, flags, nodes) = supervised(topology).into_iter().find(|(found, ..)| found == path)?;
        let mut children = self.children(nodes, path);
        if let Some((_, _, others)) =
            other.and_then(|other| supervised(other).into_iter().find(|(found, ..)| found == path))
        {
            let known: Vec<ChildSpec> = children.clone();
            let left =
                self.children(others, path).into_iter().filter(|child| known.iter().all(|known| known.id != child.id));
            // It is about to go: whether it ends by itself before does not matter any more.
            children.extend(left.map(|child| ChildSpec {
                significant: child.significant && flags.auto_shutdown != AutoShutdown::Never,
                ..child
            }));
        }
        Some(SupervisorSpec { children, ..flags.spec() })
    }

    /// The children for these nodes, as far as they stand under this supervisor.
    fn children(&self, nodes: &[Node], path: &str) -> Vec<ChildSpec> {
        let mut children = Vec::new();
        for node in nodes {
            match node {
                Node::Supervisor(supervisor) => {
                    children.extend(self.supervisor_child(supervisor, &below(path, &supervisor.name)));
                }
                Node::Service(service) => {
                    let standing =
                        self.standing.get(service.address.as_str()).filter(|standing| standing.above == path);
                    let rules = |child: &ChildSpec| service_child(service, child);
                    children
                        .extend(standing.into_iter().flat_map(|standing| standing.placed.children.iter().map(rules)));
                }
            }
        }
        if planted::is("start-order-reversed") {
            children.reverse();
        }
        children
    }

    fn supervisor_child(&self, node: &SupervisorNode, path: &str) -> Option<ChildSpec> {
        self.hosted.actual.supervisors.get(path).map(|start| supervisor_child(node, start))
    }

    pub(super) async fn stop_supervisor(&mut self, path: &str) {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(start) = self.hosted.actual.supervisors.get(path) else { return };
        self.stop_children(above, &[ChildSpec::supervisor(name, start)]).await;
        self.hosted.actual.supervisors.remove(path);
    }
}
