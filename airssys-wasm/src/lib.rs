//! Hosts WebAssembly components as supervised actors.

mod actor;
pub mod address;
pub mod apply;
pub mod blocking;
pub mod capability;
pub mod config_file;
pub mod deploy;
pub mod engine;
pub mod error;
pub mod events;
mod file_threads;
mod hex;
pub mod hint;
pub mod limits;
pub mod message;
pub mod middleware;
mod operation;
mod quota;
pub mod registry;
mod router;
mod runtime;
mod schema;
mod settings;
pub mod shown;
pub mod state;
pub mod topology;
mod turn;
mod typed;
pub mod unique;
mod waits;

pub use airssys_rt_shim::exit::ExitReason;
pub use airssys_rt_shim::supervisor::TreeNode;
pub use airssys_rt_shim::system::ShutdownReport;
pub use apply::{ApplyError, Checked, InvokeError, RuntimeError, ServiceStop, StopError, StopsError};
pub use runtime::{ForgetError, Forgotten, Runtime, RuntimeBuilder, ServiceStatus};
