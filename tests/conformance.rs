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

#[path = "conformance/messages.rs"]
mod messages;
