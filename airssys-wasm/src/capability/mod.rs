//! Who may do what: deny by default.
//!
//! A release *requests* in its `Component.toml`, the operator *grants* in the topology, and only what both name is
//! allowed. Everything here is a pure decision: no I/O, no clock, no async. What cannot be parsed is an error, never an
//! allowance.

mod baseline;
pub(crate) mod given;
mod grant;
mod http;
pub(crate) mod lines;
mod pattern;
mod policy;
pub(crate) mod spelling;
pub(crate) mod why;

pub(crate) use baseline::{Baseline, Clocks, Randomness};
pub(crate) use given::{Given, Revoked, in_force};
pub use grant::Requests;
pub(crate) use grant::{Access, FileGrant, FolderHandle, Grants};
pub(crate) use http::{Host, HttpTarget, Near};
pub(crate) use pattern::{Pattern, PatternError};
pub(crate) use policy::Policy;

pub(crate) use crate::operation::Operation;
