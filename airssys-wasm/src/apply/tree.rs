//! The supervisors of a topology and who is under which. Pure.

use std::sync::Arc;

use airssys_rt_shim::child::ChildSpec;
use airssys_rt_shim::supervisor::{SupervisorSpec, SupervisorStart};

use crate::settings::Multiplicity;
use crate::topology::{Node, RootSpec, ServiceNode, SupervisorNode, Topology};

/// The names from the root down to a child.
pub(super) fn below(above: &str, name: &str) -> String {
    if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") }
}

pub(super) fn supervisor_child(node: &SupervisorNode, start: Arc<SupervisorStart>) -> ChildSpec {
    ChildSpec {
        restart: node.restart,
        shutdown: node.shutdown,
        significant: node.significant,
        ..ChildSpec::supervisor(node.name.as_str(), start)
    }
}

/// A child of a service, by the rules of a node.
pub(super) fn service_child(node: &ServiceNode, child: &ChildSpec) -> ChildSpec {
    let shutdown = match node.multiplicity {
        // The rules are those of each actor that is spawned. What stands here is their supervisor, which is always
        // there.
        Multiplicity::Spawned(_) => return child.clone(),
        // That of a keyed service is a supervisor, which bounds its own children.
        Multiplicity::Keyed(_) => child.shutdown,
        _ => node.shutdown,
    };
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
pub(super) fn supervisor_of(topology: &Topology, service: &str) -> Option<String> {
    let found = supervised(topology)
        .into_iter()
        .find(|(_, _, nodes)| nodes.iter().filter_map(service_of).any(|node| node.address.as_str() == service));
    found.map(|(path, ..)| path)
}
