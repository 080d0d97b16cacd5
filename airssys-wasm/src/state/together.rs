//! How much the states in memory of one service have together, where it has several: those of keys and of children.
//!
//! Invariant: what is committed and what running turns have taken for their writes is never more than the bound, but
//! for what was there when it was lowered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::full::Full;
use crate::address::Address;

/// Of one service.
#[derive(Debug)]
pub(crate) struct Together {
    service: Address,
    bytes: AtomicUsize,
    most: AtomicUsize,
    /// Whether it was said that there is no room.
    told: AtomicBool,
}

impl Together {
    pub(crate) fn new(service: Address, most: usize) -> Arc<Self> {
        Arc::new(Self {
            service,
            bytes: AtomicUsize::new(0),
            most: AtomicUsize::new(most),
            told: AtomicBool::new(false),
        })
    }

    /// Another bound. What is there already stays, also where it is more.
    pub(crate) fn bound(&self, most: usize) {
        if self.most.swap(most, Ordering::Relaxed) != most {
            self.told.store(false, Ordering::Relaxed);
        }
    }

    pub(super) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    pub(super) fn remove(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
    }

    fn take(&self, bytes: usize) -> Result<(), Full> {
        let most = self.most.load(Ordering::Relaxed);
        let grown = |there: usize| there.checked_add(bytes).filter(|after| *after <= most);
        let Err(there) = self.bytes.fetch_update(Ordering::AcqRel, Ordering::Acquire, grown) else { return Ok(()) };
        let full = Full::Service { bytes: there.saturating_add(bytes) as u64, most: most as u64 };
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(target: "airssys", service = %self.service, "a write to the state is refused, and is not logged again: {full}");
        }
        Err(full)
    }
}

/// What a turn has taken for its writes; given back when it is dropped, so also when their bytes are counted as
/// committed.
#[derive(Debug, Default)]
pub(super) struct Taken {
    of: Option<Arc<Together>>,
    bytes: usize,
}

impl Taken {
    /// Takes more, where it is less than this.
    pub(super) fn reach(&mut self, together: &Arc<Together>, bytes: usize) -> Result<(), Full> {
        if let Some(more) = bytes.checked_sub(self.bytes).filter(|more| *more > 0) {
            together.take(more)?;
            self.of.get_or_insert_with(|| Arc::clone(together));
            self.bytes = bytes;
        }
        Ok(())
    }
}

/// A copy of the writes is to be compared with others, and is never committed to what has a bound.
impl Clone for Taken {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(together) = &self.of {
            together.remove(self.bytes);
        }
    }
}
