//! The only code that knows wasmtime: compiles releases, makes instances, lends them the host's functions.
//!
//! It never runs a guest by itself: `actor/` does. It never decides: what is linked follows from the policy.

mod anatomy;
pub(crate) mod bindings;
mod cache;
mod chance;
mod class;
mod compiler;
mod crash;
pub(crate) mod cut;
mod exports;
mod extent;
mod facts;
mod features;
mod file_threads;
pub(crate) mod guest;
pub(crate) mod host;
mod imports;
mod instance;
pub(crate) mod interface;
mod limiter;
mod linkers;
mod mappings;
mod needs;
mod obstacle;
pub(crate) mod script;
mod segments;
mod template;
mod time;
mod verdict;
mod wasi;

pub use anatomy::Anatomy;
pub use class::{EngineError, Engines, EnginesSettings, Tier};
pub(crate) use class::{Shape, slot};
pub(crate) use file_threads::FileThreads;
pub(crate) use imports::is_contract;
pub(crate) use instance::{Instance, Ran};
pub(crate) use interface::Interface;
pub use needs::Needs;
pub use obstacle::{Absence, Obstacle};
pub(crate) use template::Asked;
pub use template::{Lane, Template, TemplateError, read_component};
pub(crate) use template::{UPGRADE, check_component};
pub use verdict::Verdict;
