//! The ends of wires: the services of a mesh as they are, or are to be.

use crate::engine::Template;
use crate::topology::ServiceNode;

/// One end of wires: a service, and the release that serves it or is to.
pub(crate) struct End<'a> {
    pub(super) node: &'a ServiceNode,
    pub(super) template: &'a Template,
}

impl<'a> End<'a> {
    /// A service as it is, or is to be, with the code that serves it then.
    pub(crate) fn new(node: &'a ServiceNode, template: &'a Template) -> Self {
        Self { node, template }
    }

    pub(super) fn service(&self) -> String {
        self.node.address.to_string()
    }
}
