//! Why the old release is live, and what to do about that.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::json::milliseconds;
use super::seen::Seen;
use crate::error::{Crash, Fault};
use crate::hint::{Act, Coded, Hint};
use crate::limits::SHADOW_BYTES;
use crate::schema::size_text;

/// Why the old release is live.
///
/// # Example
///
/// ```
/// use airssys_wasm::deploy::{Progress, Setback};
/// use airssys_wasm::hint::Coded;
///
/// /// Who is to look at it.
/// fn whose(reason: &Setback) -> &'static str {
///     match reason {
///         Setback::NotStarted(_) | Setback::Crashed(_) | Setback::Failing { .. } => "who wrote the release",
///         _ => "who deploys it",
///     }
/// }
///
/// let Progress::RolledBack { reason } = (Progress::RolledBack { reason: Setback::Cancelled }) else { panic!() };
/// assert_eq!((whose(&reason), reason.code()), ("who deploys it", "cancelled"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Setback {
    /// The new one did not start.
    #[error("the new release did not start: {0}")]
    NotStarted(Crash),
    /// The live one did not hand its memory over, without which it was not to go.
    #[error("the live release did not hand its memory over: {0}")]
    NoMemory(Crash),
    /// An actor did not come to the end of its turn, or does not run.
    #[error("an actor did not let it take over within {}; its turn is long, or it does not come to start", humantime::format_duration(*.0))]
    #[serde(rename = "no-handover-ms", with = "milliseconds")]
    NoHandover(Duration),
    /// An actor was stopped meanwhile, or had been, and is not started again.
    #[error("an actor is stopped")]
    Stopped,
    /// It crashed on probation.
    #[error("the new release crashed on probation: {0}")]
    Crashed(Crash),
    /// Its health check said twice in a row that it is not well, on probation.
    #[error("the new release is not well: {0}")]
    Unwell(Fault),
    /// More of its turns failed than of the old one's.
    #[error("the new release failed {} of {} turns, and the old one {} of {}", .new.failed, .new.turns, .old.failed, .old.turns)]
    Failing {
        /// What is known of the old release.
        old: Seen,
        /// And of the new one.
        new: Seen,
    },
    /// Its turns took longer.
    #[error("the new release took {:?} for a turn, and the old one {:?} (95th percentile)", .new.p95, .old.p95)]
    Slow {
        /// What is known of the old release.
        old: Seen,
        /// And of the new one.
        new: Seen,
    },
    /// It does something else than the old one.
    #[error("the new release differs over {differing} of {compared} messages; the first: {first}")]
    Differs {
        /// The messages that it was shown.
        compared: u64,
        /// Those over which it differs.
        differing: u64,
        /// The first of them, and in what.
        first: String,
    },
    /// Its shadow was given up.
    #[error(
        "the new release does not keep up with the old one: after {compared} messages, what its shadow has not seen yet would take more than {}",
        size_text(SHADOW_BYTES as u64)
    )]
    Behind {
        /// The messages that were compared.
        compared: u64,
    },
    /// Too few turns to compare the two.
    #[error("there were too few turns to compare the two releases within {}", humantime::format_duration(*.patience))]
    TooFew {
        /// For how long it waited.
        #[serde(rename = "patience_ms", with = "milliseconds")]
        patience: Duration,
    },
    /// Its end cannot be written to the data folder, and would not outlive the host.
    #[error("it cannot be written down: {0}")]
    NotRecorded(String),
    /// Another one of the same set is not live.
    #[error("{service}, of the same set, went back: {why}")]
    OfTheSet {
        /// The service.
        service: String,
        /// Why.
        why: String,
    },
    /// Somebody cancelled it.
    #[error("it was cancelled")]
    Cancelled,
}

impl Coded for Setback {
    fn code(&self) -> &'static str {
        match self {
            Self::NotStarted(_) => "not-started",
            Self::NoMemory(_) => "no-memory",
            Self::NoHandover(_) => "no-handover",
            Self::Stopped => "stopped",
            Self::Crashed(_) => "crashed",
            Self::Unwell(_) => "unwell",
            Self::Failing { .. } => "failing",
            Self::Slow { .. } => "slow",
            Self::Differs { .. } => "differs",
            Self::Behind { .. } => "behind",
            Self::TooFew { .. } => "too-few",
            Self::NotRecorded(_) => "not-recorded",
            Self::OfTheSet { .. } => "of-the-set",
            Self::Cancelled => "cancelled",
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::NoMemory(_) => Some(Act::DoWithoutMemory.into()),
            Self::Behind { .. } => Some("try it with less traffic, or with another strategy".into()),
            Self::TooFew { .. } => Some("ask for fewer, or for more time".into()),
            Self::Stopped => Some("start the service first".into()),
            Self::NotStarted(crash) | Self::Crashed(crash) => crash.hint(),
            _ => None,
        }
    }
}
