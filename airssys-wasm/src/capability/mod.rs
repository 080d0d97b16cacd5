//! Who may do what: deny by default.
//!
//! A release *requests* in its `Component.toml`, the operator *grants* in the topology, and only what both name is
//! allowed. Everything here is a pure decision: no I/O, no clock, no async. What cannot be parsed is an error, never an
//! allowance.

mod access;
pub(crate) mod asked;
mod baseline;
mod bind;
mod compiled;
mod decision;
mod folder;
pub(crate) mod given;
mod grant;
mod http;
mod index;
pub(crate) mod kind;
pub(crate) mod learn;
pub(crate) mod lines;
mod pattern;
mod policy;
pub(crate) mod process;
mod rule;
mod socket;
pub(crate) mod spelling;
pub(crate) mod tally;
mod topics;
pub(crate) mod why;

pub(crate) use access::Access;
pub(crate) use baseline::{Baseline, Clocks, Randomness};
pub use decision::Decision;
pub(crate) use folder::FolderRights;
pub(crate) use given::{Given, Mark};
pub use grant::Requests;
pub(crate) use grant::{FileGrant, FolderHandle, Grants};
pub(crate) use http::{Host, HttpPattern, HttpTarget, Near};
pub(crate) use kind::Kind;
pub(crate) use pattern::{Pattern, PatternError};
pub(crate) use policy::Policy;
pub(crate) use process::ProcessGrant;
pub(crate) use socket::SocketTarget;

pub(crate) use crate::operation::Operation;
