//! How much all durable states of a data folder have together, and how much they may have.
//!
//! Counted as the limit `state` of a service counts: keys and values, nothing of what the file needs besides. What
//! counts is what is in the file, so services that have left the topology count too.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::state::full::Full;

/// Changed by the thread that writes, and seen by everybody.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes: AtomicU64,
    /// `u64::MAX` where there is no bound.
    most: AtomicU64,
}

impl Budget {
    pub(super) fn new(bytes: u64) -> Self {
        Self { bytes: bytes.into(), most: u64::MAX.into() }
    }

    /// What all of it has, as committed.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    pub(super) fn set_bytes(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Release);
    }

    /// The bound; none where there is none.
    pub(crate) fn most(&self) -> Option<u64> {
        Some(self.most.load(Ordering::Relaxed)).filter(|most| *most < u64::MAX)
    }

    /// Holds from the next commit on. What is there already stays, also where it is more.
    pub(crate) fn set_most(&self, most: Option<u64>) {
        self.most.store(most.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// What it would come to with these bytes more and those less.
    ///
    /// # Errors
    ///
    /// [`Full`]. A change that does not make it larger is never refused.
    pub(crate) fn after(&self, bytes: u64, added: u64, removed: u64) -> Result<u64, Full> {
        let after = bytes.saturating_add(added).saturating_sub(removed);
        let most = self.most.load(Ordering::Relaxed);
        if after > most && added > removed { Err(Full::Together { bytes: after, most }) } else { Ok(after) }
    }
}
