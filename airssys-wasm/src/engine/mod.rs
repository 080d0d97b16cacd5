//! The only code that knows wasmtime: compiles releases, makes instances, lends them the host's functions.
//!
//! It never runs a guest by itself: `actor/` does. It never decides: what is linked follows from the policy.

mod abi;
mod adapt;
mod anatomy;
mod asked;
mod beyond;
mod binary;
pub(crate) mod bindings;
mod block;
mod cache;
mod class;
mod command;
mod compiler;
mod contract;
mod crash;
mod debugger;
mod error;
mod exports;
mod extent;
mod facts;
mod features;
mod foreign;
mod functions;
mod generation;
mod guest;
mod handles;
pub(crate) mod host;
mod http;
mod imports;
mod inspection;
mod instance;
pub(crate) mod interface;
mod lanes;
mod lending;
mod limiter;
mod linkers;
mod mappings;
mod needs;
mod no_call;
mod obstacle;
mod output;
#[cfg_attr(not(feature = "wasi-0-3"), path = "p3_left_out.rs")]
mod p3;
mod pool;
mod program;
mod segments;
mod signature;
mod stdio;
mod template;
mod time;
mod wasi;
mod wave;
mod wires;

pub(crate) use adapt::Core;
pub use adapt::{NotAdapted, adapt};
pub(crate) use asked::Demands;
pub(crate) use binary::{MAX_COMPONENT, check_component, read_component};
pub(crate) use block::{lift_result, lower_arguments};
pub use class::plain_engine;
pub(crate) use class::{Engines, EnginesSettings};
pub use contract::Lane;
pub(crate) use contract::{Beyond, UPGRADE, is_contract};
pub use debugger::DebugImage;
pub use error::{EngineError, TemplateError};
pub(crate) use functions::{call_text, result_text, shown_call, shown_result};
pub(crate) use inspection::Inspection;
pub(crate) use instance::{Answered, Instance, Ran};
pub(crate) use interface::Interface;
pub use needs::Needs;
pub use no_call::NoCall;
pub use obstacle::{Absence, Obstacle};
pub use pool::Tier;
pub(crate) use pool::{Meter, PoolShape, slot};
pub(crate) use template::Template;
pub(crate) use wires::Import;

/// A value of a component's own types.
pub use wasmtime::component::Val as Value;
