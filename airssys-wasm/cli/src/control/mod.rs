//! The control socket of a running host: how another process of the same user looks at it, speaks to its services, and
//! stops it.
//!
//! A request is a variant of [`protocol::Request`] and a row in `handle.rs`, and a subcommand in `ask/` asks it. The
//! host's side calls the facade `Runtime` and nothing below it. A client that hangs, floods or talks nonsense costs its
//! own connection and nobody else's.

mod claim;
mod client;
mod connections;
pub(crate) mod dump;
mod error;
mod feed;
mod handle;
mod host;
pub(crate) mod protocol;
mod server;
mod wire;

pub(crate) use claim::Claim;
pub(crate) use client::{ask, listen};
pub(crate) use error::ControlError;
pub(crate) use server::Control;
