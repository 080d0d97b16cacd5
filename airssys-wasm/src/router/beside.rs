//! The way to run a message beside those that wait in a mailbox. Who knows how to run one stands above.

use std::fmt;
use std::sync::OnceLock;

use crate::message::Envelope;

/// Runs a message, or hands it back where it is to wait in the mailbox there.
type Run<To> = dyn Fn(&To, Box<Envelope>) -> Result<(), Box<Envelope>> + Send + Sync;

/// The way there; none where all messages wait.
pub(crate) struct Beside<To>(OnceLock<Box<Run<To>>>);

impl<To> Beside<To> {
    /// Makes it, once.
    pub(super) fn begin(&self, run: impl Fn(&To, Box<Envelope>) -> Result<(), Box<Envelope>> + Send + Sync + 'static) {
        let _it_is_there = self.0.set(Box::new(run));
    }

    pub(super) fn run(&self, to: &To, envelope: Box<Envelope>) -> Result<(), Box<Envelope>> {
        match self.0.get() {
            Some(run) => run(to, envelope),
            None => Err(envelope),
        }
    }
}

impl<To> Default for Beside<To> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<To> fmt::Debug for Beside<To> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Beside").finish_non_exhaustive()
    }
}
