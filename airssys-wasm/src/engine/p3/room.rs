//! Room for resources, where functions run beside each other: what one of them is about to make is there for no other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::engine::guest::Guest;

/// Room for resources that are about to be made, until it is dropped.
pub(super) struct Expected {
    of_all: Arc<AtomicUsize>,
    count: usize,
}

impl Guest {
    /// Room for so many resources; none where the instance has as many as it may.
    pub(super) fn expect(&mut self, count: usize) -> Option<Expected> {
        if !self.has_room(count) {
            return None;
        }
        self.expected.fetch_add(count, Ordering::Relaxed);
        Some(Expected { of_all: Arc::clone(&self.expected), count })
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.of_all.fetch_sub(self.count, Ordering::Relaxed);
    }
}
