//! The topology: the declared tree of supervisors and services, and what each may do. Plain data; nothing here runs.
//! `folders` opens what is granted of the disk;
//! `range` says whether each number is one that means something, and `most` what all of them allow together.

pub(crate) mod folders;
pub(crate) mod keys;
mod most;
pub(crate) mod range;
mod read;
mod tree;
mod validate;
pub(crate) mod write;
mod written;

pub use folders::{FolderError, FolderNote, GrantedFolder};
pub use keys::reference;
pub use range::{RangeError, Whose};
pub use tree::{Node, RootSpec, ServiceNode, SupervisorNode, Topology, TopologySettings};
pub use write::NotText;
