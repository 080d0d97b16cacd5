//! What is known of two releases that are compared.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::json::microseconds;

/// What is known of one release.
///
/// # Example
///
/// ```
/// use airssys_wasm::deploy::Seen;
///
/// fn told(seen: &Seen) -> String {
///     format!("{} of {} turns failed; 95 of 100 took at most {:?}", seen.failed, seen.turns, seen.p95)
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Its turns.
    pub turns: u64,
    /// Those that ended in an error or a crash.
    pub failed: u64,
    /// Of the new release: those that crashed over a message that the old one then handled. So it is known of each
    /// which of the two did better.
    #[serde(skip)]
    pub outdone: u64,
    /// The 95th percentile of what a turn took, up to an eighth more. In microseconds in JSON.
    #[serde(rename = "p95_us", with = "microseconds")]
    pub p95: Duration,
}

impl Seen {
    /// The share of its turns that failed, of so many at least.
    pub(super) fn failing(&self, of: u64) -> f64 {
        self.share(self.failed, of)
    }

    #[allow(clippy::cast_precision_loss, reason = "a share of counts")]
    pub(super) fn share(&self, count: u64, of: u64) -> f64 {
        count as f64 / self.turns.max(of).max(1) as f64
    }
}

/// Two releases, side by side.
///
/// # Example
///
/// ```
/// use airssys_wasm::deploy::{Compared, Seen};
///
/// fn is_slower(Compared { old, new }: Compared) -> bool {
///     new.p95 > old.p95
/// }
///
/// assert!(!is_slower(Compared { old: Seen::default(), new: Seen::default() }));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// The one that is live.
    pub old: Seen,
    /// The one that is to be.
    pub new: Seen,
}
