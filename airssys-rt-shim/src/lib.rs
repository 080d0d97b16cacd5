//! OTP over ractor: supervisors as data, mailboxes that belong to addresses, monitors, links, timers, dead letters.
//!
//! This crate has never heard of WebAssembly. It hosts any [`worker::Behavior`]; `airssys-wasm` brings the one that
//! owns a component instance.

mod baton;
pub mod call;
pub mod child;
pub mod dead_letter;
mod doorbell;
pub mod exit;
pub mod link;
pub mod mailbox;
pub mod monitor;
pub mod planted;
pub mod pulse;
pub mod supervisor;
pub mod system;
pub mod timer;
pub mod worker;
