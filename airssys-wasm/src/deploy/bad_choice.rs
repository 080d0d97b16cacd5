//! Why the choice of a strategy or of a gate makes no sense.

use crate::hint::{Coded, Hint};

/// Why a strategy or a gate makes no sense.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::BadChoice;
/// use airssys_wasm::deploy::Portion;
///
/// assert!(matches!("none".parse::<Portion>(), Err(BadChoice::Batch(_))));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadChoice {
    /// Not a batch, which is written `2` or `25%`.
    #[error("{0:?} is no part of a service: a number of actors such as 2, or a share such as 25%, was expected")]
    Batch(String),
    /// Not the name of a strategy.
    #[error("{0:?} is no strategy: in-place, rolling, blue-green, canary or shadow was expected")]
    Strategy(String),
    /// Not shares that grow.
    #[error("the steps of a canary are shares that grow, each more than 0 and at most 100 percent")]
    Steps,
    /// Not a share of the messages, as which it is written what a shadow tolerates.
    #[error(
        "{0:?} is no share of the messages over which two releases may differ: a percentage from 0% to 100% was expected, and no longer a number of messages, such as 1%"
    )]
    Tolerate(String),
    /// Not a word for what becomes of a step without traffic.
    #[error("{0:?} says nothing about a deployment without traffic, as promote, hold and back do")]
    NoTraffic(String),
    /// Not a share of the turns.
    #[error("how many more turns may fail is a share of 0 to 100 percent")]
    Errors,
    /// Not a factor.
    #[error("how many times as long a turn may take is a factor")]
    Latency,
    /// Not a word for a way in which releases differ.
    #[error("{0:?} is no way in which two releases differ, as answers, effects, state, errors and latency are")]
    Deviation(String),
    /// Recorded turns were to be shown to what is no release for one service.
    #[error("recorded turns are shown to one release for one service, before that is deployed")]
    NotRecorded,
    /// No turn was to be shown.
    #[error("a gate of no turns lets everything through")]
    NoTurns,
    /// A new release was to put a state back.
    #[error("only a rollback restores the state from before a release brought it over")]
    RestoreState,
}

impl Coded for BadChoice {
    fn code(&self) -> &'static str {
        "bad-strategy"
    }

    /// What to say instead.
    fn hint(&self) -> Option<Hint> {
        let hint = match self {
            // They say it themselves.
            Self::Batch(_) | Self::Strategy(_) | Self::Tolerate(_) | Self::NoTraffic(_) | Self::Deviation(_) => {
                return None;
            }
            Self::NotRecorded => "deploy the services one by one",
            Self::NoTurns => "name one turn or more, or none for all that there are",
            Self::Steps => "such as 1,10,50",
            Self::Errors => "such as 1",
            Self::Latency => "such as 1.5",
            Self::RestoreState => "deploy without it, or roll back",
        };
        Some(hint.into())
    }
}
