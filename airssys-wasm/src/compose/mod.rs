//! The topology: the declared tree of supervisors and services, and what each may do. Plain data; nothing here runs.

mod topology;
mod validate;
pub(crate) mod write;
mod written;

pub use topology::{Keeping, Node, RootSpec, ServiceNode, SupervisorNode, Topology, TopologySettings};
pub use write::NotText;
