//! Why an actor ended, in OTP's words.
//!
//! An exit reason decides nothing by itself: [`crate::supervisor::decide`] reads it together with the child's
//! restart type.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// What went wrong inside an actor, kept with its type so that a supervisor, a monitor or a person can look at it.
pub type Failure = Arc<dyn Error + Send + Sync + 'static>;

/// Why an actor ended.
///
/// `Normal` and `Shutdown` are normal exits for a transient child; everything else is not (OTP, `supervisor`).
#[derive(Debug, Clone)]
pub enum ExitReason {
    /// It was done.
    Normal,
    /// It was asked to stop, or gave up because its own children kept failing.
    Shutdown,
    /// It did not stop in time, or was to be stopped without being asked.
    Killed,
    /// It said that it cannot go on.
    Failed(Failure),
    /// The host's own code panicked in it: a bug of the host. The text is the panic's.
    Panicked(Arc<str>),
}

impl ExitReason {
    /// Whether a transient child that ends so is left alone.
    #[must_use]
    pub fn is_normal(&self) -> bool {
        matches!(self, Self::Normal | Self::Shutdown)
    }

    /// The failure with type `E`, where this is one.
    #[must_use]
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        match self {
            Self::Failed(failure) => failure.downcast_ref(),
            _ => None,
        }
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("normal"),
            Self::Shutdown => f.write_str("shutdown"),
            Self::Killed => f.write_str("killed"),
            Self::Failed(failure) => write!(f, "{failure}"),
            Self::Panicked(text) => write!(f, "host panic: {text}"),
        }
    }
}

/// Where an actor leaves its exit reason for its supervisor; ractor's own event carries only a text.
#[derive(Debug, Clone, Default)]
pub struct ExitSlot(Arc<OnceLock<ExitReason>>);

impl ExitSlot {
    /// Leaves the reason. The first one stays.
    pub fn set(&self, reason: ExitReason) {
        let _first_one_stays = self.0.set(reason);
    }

    /// The reason, once there is one.
    #[must_use]
    pub fn get(&self) -> Option<ExitReason> {
        self.0.get().cloned()
    }
}
