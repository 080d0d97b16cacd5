//! The supervisors, from one topology to another: what each is to be, and which of its children start and stop.

use std::sync::Arc;

use airssys_rt_shim::child::ChildSpec;
use airssys_rt_shim::supervisor::{AutoShutdown, ChildError, SupervisorHandle, SupervisorSpec, SupervisorStart};
use tokio::time::{Instant, sleep};

use super::{Done, LOOK_AGAIN, Steps};
use crate::apply::Failed;
use crate::runtime::builder::{below, supervisor_child};
use crate::settings::Multiplicity;
use crate::topology::{Node, RootSpec, ServiceNode, SupervisorNode, Topology};

impl Steps<'_> {
    /// Changes the supervisors that are there, and starts what is new, in order.
    pub(super) async fn grow(&mut self) -> Result<(), Failed> {
        let target = self.prepared.target.clone();
        self.make_supervisors(&target.children, "")?;
        for (path, ..) in supervised(&target) {
            if !is_supervised(&self.before, &path) {
                continue;
            }
            let (is, wanted) = (self.spec(&path), self.wanted(&target, Some(&self.before), &path));
            if let (Some(is), Some(wanted)) = (is, wanted)
                && differs(&is, &wanted)
            {
                self.done.push(Done::Changed(path.clone(), is));
                self.change(&path, wanted).await?;
            }
        }
        self.start_new(&target.children, "").await
    }

    /// Makes the supervisors that are new, from the lowest up, with the new services that are under them.
    fn make_supervisors(&mut self, nodes: &[Node], above: &str) -> Result<(), Failed> {
        for node in nodes {
            let Node::Supervisor(supervisor) = node else { continue };
            let path = below(above, &supervisor.name);
            self.make_supervisors(&supervisor.children, &path)?;
            if is_supervised(&self.before, &path) {
                continue;
            }
            let spec =
                SupervisorSpec { children: self.children(&supervisor.children, &path), ..supervisor.flags.spec() };
            let start = SupervisorStart::new(spec).map_err(|error| Failed::new(&path, error))?;
            self.supervisors.insert(path, start);
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
                    if is_supervised(&self.before, &below) {
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
            match self.handle(path).restart_child(child.id.as_str()).await {
                // A restart of its group was faster.
                Ok(_) | Err(ChildError::Running { .. } | ChildError::Restarting { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Stops children for good, the last one first. Who is not there is gone.
    pub(super) async fn stop_children(&self, path: &str, children: &[ChildSpec]) {
        let handle = self.handle(path);
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

    fn handle(&self, path: &str) -> SupervisorHandle {
        match self.supervisors.get(path) {
            Some(start) => start.handle(),
            None => self.runtime.system.root(),
        }
    }

    /// What a supervisor is now; none where there is none.
    pub(super) fn spec(&self, path: &str) -> Option<Arc<SupervisorSpec>> {
        match path {
            "" => Some(self.runtime.system.spec()),
            path => self.supervisors.get(path).map(|start| start.spec()),
        }
    }

    /// Makes a supervisor another one, as soon as none of its children is on its way down, or started by somebody else.
    pub(super) async fn change(&self, path: &str, spec: SupervisorSpec) -> Result<(), Failed> {
        let until = Instant::now() + self.prepared.options.handover_deadline;
        loop {
            let changed = match self.supervisors.get(path) {
                Some(start) => start.change(spec.clone()).await,
                None => self.runtime.system.change(spec.clone()).await,
            };
            match changed {
                Err(ChildError::Unsettled { .. }) if Instant::now() < until => sleep(LOOK_AGAIN).await,
                changed => {
                    let name = if path.is_empty() { "the root" } else { path };
                    return changed
                        .map_err(|error| Failed::new(format!("the supervisor {name} cannot be changed"), error));
                }
            }
        }
    }

    /// What a supervisor is to be by a topology, with what stands under it now. Behind that, what only the `other` topology has there and is not gone yet.
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
        children
    }

    fn supervisor_child(&self, node: &SupervisorNode, path: &str) -> Option<ChildSpec> {
        self.supervisors.get(path).map(|start| supervisor_child(node, Arc::clone(start)))
    }

    pub(super) async fn stop_supervisor(&mut self, path: &str) {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(start) = self.supervisors.get(path).cloned() else { return };
        self.stop_children(above, &[ChildSpec::supervisor(name, start)]).await;
        self.supervisors.remove(path);
    }
}

/// A child of a service, by the rules of a node.
fn service_child(node: &ServiceNode, child: &ChildSpec) -> ChildSpec {
    // That of a keyed service is a supervisor, which bounds its own children.
    let shutdown = if matches!(node.multiplicity, Multiplicity::Keyed(_)) { child.shutdown } else { node.shutdown };
    ChildSpec { restart: node.restart, significant: node.significant, shutdown, ..child.clone() }
}

/// Whether a supervisor would become another one.
pub(super) fn differs(is: &SupervisorSpec, wanted: &SupervisorSpec) -> bool {
    let flags = |spec: &SupervisorSpec| (spec.strategy, spec.intensity, spec.period, spec.backoff, spec.auto_shutdown);
    let child = |child: &ChildSpec| (child.id.clone(), child.restart, child.significant, child.shutdown);
    flags(is) != flags(wanted) || !is.children.iter().map(child).eq(wanted.children.iter().map(child))
}

/// All supervisors with their children, each before those below it: the names down to it, none for the root.
pub(super) fn supervised(topology: &Topology) -> Vec<(String, &RootSpec, &[Node])> {
    fn collect<'a>(nodes: &'a [Node], above: &str, into: &mut Vec<(String, &'a RootSpec, &'a [Node])>) {
        for node in nodes {
            if let Node::Supervisor(supervisor) = node {
                let path = below(above, &supervisor.name);
                into.push((path.clone(), &supervisor.flags, &supervisor.children));
                collect(&supervisor.children, &path, into);
            }
        }
    }
    let mut all = vec![(String::new(), &topology.root, topology.children.as_slice())];
    collect(&topology.children, "", &mut all);
    all
}

pub(super) fn is_supervised(topology: &Topology, path: &str) -> bool {
    supervised(topology).iter().any(|(found, ..)| found == path)
}

pub(super) fn service_of(node: &Node) -> Option<&ServiceNode> {
    match node {
        Node::Service(service) => Some(service),
        Node::Supervisor(_) => None,
    }
}

/// The names down to the supervisor of a service.
pub(in crate::runtime) fn supervisor_of(topology: &Topology, service: &str) -> Option<String> {
    let found = supervised(topology)
        .into_iter()
        .find(|(_, _, nodes)| nodes.iter().filter_map(service_of).any(|node| node.address.as_str() == service));
    found.map(|(path, ..)| path)
}
