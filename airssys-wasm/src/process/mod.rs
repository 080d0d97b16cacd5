//! Programs of this machine that are started for guests: what they are started with, what they may take, and their end.
//! Who may start which is decided before, by `capability/`.
//!
//! `keeper.rs` is the one thread that starts and reaps them, `start.rs` makes the new process, `guard.rs` ends them
//! with the host, `order.rs` says what one is started with, `child.rs` is one that runs, `places.rs` counts them.
//!
//! Invariant: a program ends with the [`Process`] that stands for it, and all that it has started with it.

mod child;
mod guard;
mod keeper;
mod order;
mod places;
mod start;
#[cfg(test)]
mod tests;

pub(crate) use rustix::process::Signal;

pub(crate) use self::child::{Child, Exit, Process};
pub(crate) use self::keeper::start;
pub(crate) use self::order::{Bounds, Start, Workplace};
pub(crate) use self::places::{Full, Places};
