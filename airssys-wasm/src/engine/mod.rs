//! The only code that knows wasmtime: compiles releases, makes instances, lends them the host's functions.
//!
//! It never runs a guest by itself: `actor/` does. It never decides: what is linked follows from the policy.

mod anatomy;
pub(crate) mod bindings;
mod cache;
mod class;
mod crash;
pub(crate) mod guest;
pub(crate) mod host;
mod instance;
mod limiter;
mod mappings;
mod template;
mod time;
mod wasi;

pub use anatomy::Anatomy;
pub(crate) use cache::hex;
pub use class::{EngineError, Engines, EnginesSettings};
pub(crate) use instance::{Instance, Ran};
pub(crate) use template::check_component;
pub use template::{Lane, Template, TemplateError, read_component};
