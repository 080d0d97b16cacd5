//! The mesh answers HTTP at an address of the host: routes lead to services, statuses say what became of a request, and
//! a connection outlives whatever changes behind it.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

mod answers;
mod changes;
pub(crate) mod client;
mod clients;
mod crowds;
mod forms;
mod killed;
mod limits;
mod pools;
mod sessions;
mod slow;
mod strategies;
mod streams;
mod tls;
mod trailers;
