//! What is asked of the mesh by HTTP: addresses of the host at which requests are taken, and who answers which.
//!
//! A request is a call of the function that [`crate::http`] has, made by the host: layers, mailboxes, deadlines and
//! dead letters are those of any call. What is decided is decided in `route`, `key` and `status`, without I/O; `server`
//! has the connections, `inner` what they share, `exchange` one request.

mod activity;
mod all;
mod body;
mod error;
mod exchange;
mod inner;
mod key;
pub(crate) mod route;
mod server;
pub(crate) mod settings;
mod status;
mod tls;
mod waking;

pub(crate) use all::Listeners;
pub use error::ListenError;
pub(crate) use inner::Ready;
pub(crate) use server::{Bound, Counts, Listener};
