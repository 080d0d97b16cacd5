//! Wires that make themselves: where nobody wired an import, one service alone exports what is imported, and a grant
//! says that it may be called.

use std::collections::HashMap;

use super::ends::End;
use crate::engine::Import;
use crate::settings::Multiplicity;
use crate::topology::ServiceNode;
use crate::wire::{OnFailure, Wire, Wires, wire_of};

/// The wires of the services whose own ones are not these, with those that make themselves as they are now.
pub(crate) fn made(all: &[End<'_>]) -> HashMap<String, Wires> {
    let wires = all.iter().filter_map(|end| {
        let wires = wires(end, all);
        (wires != end.node.wires).then(|| (end.node.address.to_string(), wires))
    });
    wires.collect()
}

/// Those that the operator wrote, and those that make themselves.
fn wires(end: &End<'_>, all: &[End<'_>]) -> Wires {
    let mut wires: Wires = end.node.wires.clone();
    wires.retain(|_, wire| !wire.made);
    for import in end.template.imports().iter().filter(|import| !import.functions.is_empty()) {
        if wire_of(&wires, &import.name).is_none()
            && let [only] = exporters(end.node, import, all)[..]
            && let Some(wire) = wire(end.node, import, only)
        {
            wires.insert(import.name.to_string(), wire);
        }
    }
    wires
}

/// The other services that export all of an import.
pub(super) fn exporters<'a>(of: &ServiceNode, import: &Import, all: &'a [End<'_>]) -> Vec<&'a ServiceNode> {
    let exports = |end: &&End<'_>| {
        let functions = end.template.functions();
        let has = |wanted| functions.iter().any(|found| found.ty.takes_calls_of(wanted));
        end.node.address != of.address && import.functions.iter().all(|wanted| has(wanted))
    };
    all.iter().filter(exports).map(|end| end.node).collect()
}

/// The wire to a service that exports the import, where the grants allow some of it.
fn wire(from: &ServiceNode, import: &Import, to: &ServiceNode) -> Option<Wire> {
    // Nobody but the operator knows which of its keys or children is meant.
    if matches!(to.multiplicity, Multiplicity::Keyed(_) | Multiplicity::Spawned(_)) {
        return None;
    }
    let may = |name: &&_| from.grants.allow_function(to.address.as_str(), name);
    let granted: Vec<_> = import.functions.iter().map(|function| &**function).filter(may).collect();
    if granted.is_empty() {
        return None;
    }
    let functions = match granted.len() == import.functions.len() {
        true => Vec::new(),
        false => granted.iter().map(|function| function.name.to_string()).collect(),
    };
    Some(Wire { to: to.address.clone(), key: None, functions, on_failure: OnFailure::default(), made: true })
}
