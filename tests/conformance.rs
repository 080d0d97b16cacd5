//! One table of what a component may expect of its host and its SDK, and the same guest in each language: a cell is a
//! behaviour and a language, and a test of both names, such as `conformance::messages::rust::a_fault_is_the_answer`.
//!
//! What a guest has to understand is in `conformance/README.md`.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test says so by panicking, and tells the step"
)]

#[path = "conformance/suite.rs"]
#[macro_use]
mod suite;

#[path = "conformance/calls.rs"]
mod calls;
#[path = "conformance/children.rs"]
mod children;
#[path = "conformance/denials.rs"]
mod denials;
#[path = "conformance/ends.rs"]
mod ends;
#[path = "conformance/grants.rs"]
mod grants;
#[path = "conformance/life.rs"]
mod life;
#[path = "conformance/messages.rs"]
mod messages;
#[path = "conformance/releases.rs"]
mod releases;
#[path = "conformance/state.rs"]
mod state;
#[path = "conformance/times.rs"]
mod times;
#[path = "conformance/topics.rs"]
mod topics;
#[path = "conformance/turns.rs"]
mod turns;
#[path = "conformance/upgrades.rs"]
mod upgrades;
