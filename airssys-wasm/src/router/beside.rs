//! The way to run a message beside those that wait in a mailbox. Who knows how to run one stands above.
//!
//! # Hot path
//!
//! [`Beside::run`]: where a service has no queries, one look at a flag for each call by a function's type.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::message::Envelope;

/// Runs a message, or hands it back where it is to wait in the mailbox there.
type Run<To> = dyn Fn(&To, Box<Envelope>) -> Result<(), Box<Envelope>> + Send + Sync;

/// The way there; none where all messages wait.
pub(crate) struct Beside<To> {
    run: OnceLock<Box<Run<To>>>,
    /// Whether there is a message that may be run there.
    is_used: AtomicBool,
}

impl<To> Beside<To> {
    /// Makes it, once.
    pub(super) fn begin(&self, run: impl Fn(&To, Box<Envelope>) -> Result<(), Box<Envelope>> + Send + Sync + 'static) {
        let _it_is_there = self.run.set(Box::new(run));
    }

    /// Says whether there is a message that may be run there.
    pub(super) fn is_used(&self, is_used: bool) {
        self.is_used.store(is_used, Ordering::Relaxed);
    }

    pub(super) fn run(&self, to: &To, envelope: Box<Envelope>) -> Result<(), Box<Envelope>> {
        match self.run.get() {
            Some(run) if self.is_used.load(Ordering::Relaxed) => run(to, envelope),
            _ => Err(envelope),
        }
    }
}

impl<To> Default for Beside<To> {
    fn default() -> Self {
        Self { run: OnceLock::new(), is_used: AtomicBool::new(false) }
    }
}

impl<To> fmt::Debug for Beside<To> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Beside").field("is_used", &self.is_used).finish_non_exhaustive()
    }
}
