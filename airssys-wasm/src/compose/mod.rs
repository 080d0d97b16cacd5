//! The topology: the declared tree of supervisors and services, and what each may do. Plain data; nothing here runs.
//! `folders` opens what is granted of the disk.

pub(crate) mod folders;
mod topology;
mod validate;
pub(crate) mod write;
mod written;

pub use folders::{FolderError, FolderNote, Granted};
pub use topology::{Keeping, Node, RootSpec, ServiceNode, SupervisorNode, Topology, TopologySettings};
pub use write::NotText;
