//! Errors, by fate: returned to whoever asked, or a crash that goes to the supervisor.

mod call;
pub(crate) mod crash;
mod fault;
pub(crate) mod handle;
pub(crate) mod send;

pub(crate) use call::SupervisionError;
pub use call::{CallError, ReplayError};
pub use crash::Crash;
pub(crate) use crash::Stage;
pub use fault::Fault;
pub(crate) use handle::{DeadHandle, HandleDeath};
pub(crate) use send::NotFound;
pub use send::{Denied, SendError};
