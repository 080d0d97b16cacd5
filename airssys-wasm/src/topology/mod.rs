//! The topology: the declared tree of supervisors and services, and what each may do. Plain data; nothing here runs.
//! `folders` opens what is granted of the disk; `range` says whether each number is one that means something, `most`
//! what all of them allow together, and `declared` what there is for those who only look.

mod circles;
pub(crate) mod declared;
pub(crate) mod folders;
mod grants;
mod guards;
pub(crate) mod keys;
mod layered;
mod listeners;
mod logs;
mod most;
mod names;
mod programs;
mod quotas;
pub(crate) mod range;
mod read;
mod retries;
pub(crate) mod role;
mod roles;
mod tree;
mod validate;
mod variables;
mod wires;
mod write;
mod written;

pub use declared::DeclaredService;
pub(crate) use folders::FolderError;
pub use tree::Topology;
pub(crate) use tree::{Auditing, Node, RootSpec, ServiceNode, SupervisorNode};
