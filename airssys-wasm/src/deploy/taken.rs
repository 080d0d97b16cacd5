//! What became of one actor that was to get another release.

use crate::actor::Swapped;
use crate::error::Crash;

/// What became of an actor that was to be switched.
pub(super) enum Taken {
    Switched(Swapped),
    /// Nobody runs there.
    PassedOver,
    /// It starts with neither release.
    Sick(Crash),
}
