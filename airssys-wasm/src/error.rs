//! Errors, by fate: returned to whoever asked, or a crash that goes to the supervisor.

mod call;
mod crash;
mod fault;
pub(crate) mod handle;
mod send;

pub(crate) use call::SupervisionError;
pub use call::{CallError, ReplayError};
pub use crash::{Crash, Stage};
pub use fault::Fault;
pub(crate) use handle::{DeadHandle, HandleDeath};
pub use send::{Denied, NotFound, SendError};
