//! Counts messages where they are sent to.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Context, Layer};
use crate::error::{CallError, SendError};
use crate::message::Answer;

/// What a service counts. Each number only grows.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Metrics {
    /// Messages that were accepted, or answered; those of timers, notices and copies of publications too.
    pub(crate) accepted: AtomicU64,
    /// Messages that were denied.
    pub(crate) denied: AtomicU64,
    /// Messages that did not leave for another reason.
    pub(crate) rejected: AtomicU64,
    /// What senders count and what turns do are on different lines of the cache: on one, each would wait for the other
    /// one's core.
    _apart: [u64; 5],
    /// Turns that committed.
    pub(crate) handled: AtomicU64,
    /// Turns that returned a fault.
    pub(crate) faulted: AtomicU64,
    /// Turns that crashed.
    pub(crate) crashed: AtomicU64,
    /// Starts of instances.
    pub(crate) started: AtomicU64,
}

impl Metrics {
    /// Adds one.
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// The layer that counts.
#[derive(Debug)]
pub(crate) struct Recorder;

impl Layer for Recorder {
    fn name(&self) -> &'static str {
        "metrics"
    }

    fn priority(&self) -> i32 {
        800
    }

    fn after(&self, context: &Context<'_>, outcome: &Answer) {
        let Some(metrics) = context.metrics else { return };
        let counter = match outcome {
            Err(CallError::NotSent(SendError::Denied(_))) => &metrics.denied,
            // As if it had never been asked for.
            Err(CallError::Discarded) => return,
            // Whatever a layer says, or if it says nothing in time: it came to no mailbox.
            Err(_) if !context.let_on => &metrics.rejected,
            Err(CallError::NotSent(_) | CallError::Taken { .. } | CallError::Deaf | CallError::Deadlock) => {
                &metrics.rejected
            }
            _ => &metrics.accepted,
        };
        Metrics::count(counter);
    }
}
