//! Cuts off what a guest does, where somebody has waited for it for long enough.
//!
//! It belongs to a place and not to an instance: whichever of them runs there when it is asked. It is looked at only by
//! a call of a guest that has lasted for a beat of the pulse already.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// Whether the guests of one place are to be cut off, and by whom.
#[derive(Debug, Default)]
pub(crate) struct Cut {
    by: Mutex<Option<String>>,
    changed: Notify,
}

impl Cut {
    /// Cuts off the guest's call that runs now, or the next one, until [`Cut::forget`]. `by` is a person's text: what
    /// for, and after how long.
    pub(crate) fn ask(&self, by: String) {
        *self.by.lock().unwrap_or_else(PoisonError::into_inner) = Some(by);
        self.changed.notify_waiters();
    }

    /// Cuts off no call that begins from here on.
    pub(crate) fn forget(&self) {
        *self.by.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Waits until it is asked; by whom.
    pub(crate) async fn asked(&self) -> String {
        loop {
            // Made first: from here on no change is missed.
            let changed = self.changed.notified();
            if let Some(by) = self.by.lock().unwrap_or_else(PoisonError::into_inner).clone() {
                return by;
            }
            changed.await;
        }
    }
}
