//! From when on a turn's deadline counts.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

/// When a turn first had to wait; nothing before that. Shared between the turn and who runs it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock(Arc<Mutex<Option<Instant>>>);

impl Clock {
    /// Starts it; when that was.
    pub(crate) fn start(&self) -> Instant {
        let now = Instant::now();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        now
    }

    pub(crate) fn reset(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// When the turn's deadline began to count; `now`, where it has not yet.
    pub(super) fn begun(&self, now: Instant) -> Instant {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or(now)
    }
}
