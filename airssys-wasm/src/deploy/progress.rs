//! Where a deployment is.

use serde::{Deserialize, Serialize};

use super::gate::NoTraffic;
use super::seen::Compared;
use super::setback::Setback;
use crate::error::Crash;
use crate::hint::Coded;

/// Where a deployment is. As JSON it is an object: its code as `state`, and what it has.
///
/// # Example
///
/// ```
/// use airssys_wasm::deploy::{Compared, Progress, TooFewTurns};
/// use airssys_wasm::hint::Coded;
///
/// /// One line for each state, and what it waits for.
/// fn told(progress: &Progress) -> String {
///     let name = progress.code();
///     match progress {
///         Progress::Baking { waits: Some(TooFewTurns { samples, .. }), .. } => format!("{name}: {samples} more"),
///         Progress::Baking { compared: Some(Compared { new, .. }), .. } => format!("{name}: {} failed", new.failed),
///         over if over.is_over() => format!("{name}, and over"),
///         _ => name.to_owned(),
///     }
/// }
///
/// assert_eq!(told(&Progress::Live), "live, and over");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Progress {
    /// The new release is being made ready, or takes over actor by actor.
    Switching {
        /// The actors that have it.
        switched: usize,
        /// All of them.
        actors: usize,
    },
    /// The new release is shown what the old one does.
    Rehearsing {
        /// How the two releases do, when it was looked at.
        compared: Option<Compared>,
        /// That its time is over, and what it waits for.
        waits: Option<TooFewTurns>,
    },
    /// Some actors, or a share of the keys, serve with it, and are looked at before more do.
    Baking {
        /// The step that was made last, from 1.
        step: usize,
        /// All of them; after the last one all serve with it.
        steps: usize,
        /// How many serve with it, or wake with it; at least one where there is one. Of a pool, its members that run;
        /// of a keyed service, its keys that are awake or have a state. Keys are counted again now and then while it
        /// lasts.
        have: usize,
        /// How many of these there are.
        of: usize,
        /// How the two releases do in this step, where they are compared.
        compared: Option<Compared>,
        /// That its time is over, and what it waits for.
        waits: Option<TooFewTurns>,
    },
    /// All actors serve with it, on probation.
    Probation,
    /// It is over, and the new release is live.
    Live,
    /// It is over, and the old release is live, as before.
    RolledBack {
        /// Why.
        #[serde(rename = "setback")]
        reason: Setback,
    },
    /// It is over, the old release came back, and it cannot read the state that the new one left. Messages wait. Deploy
    /// a release that can, or go back with
    /// [`DeployOptions::restore_state`](super::DeployOptions::restore_state), which discards turns.
    Suspended {
        /// Why the new release is not live.
        #[serde(rename = "setback")]
        reason: Setback,
        /// Why the old one does not serve.
        crash: Crash,
        /// How many committed turns going back discards.
        turns: u64,
    },
}

impl Progress {
    /// The word for one that is over, and of which the old release is live.
    pub(crate) const ROLLED_BACK: &str = "rolled-back";

    /// Why the new release is not live, where that is so.
    pub(super) fn setback(&self) -> Option<&Setback> {
        match self {
            Self::RolledBack { reason } | Self::Suspended { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// That in words.
    pub(super) fn reason(&self) -> Option<String> {
        match self {
            Self::Suspended { reason, crash, .. } => Some(format!("{reason}; and the one before: {crash}")),
            other => other.setback().map(ToString::to_string),
        }
    }

    /// Whether it is over.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::deploy::Progress;
    ///
    /// assert!(Progress::Live.is_over() && !Progress::Probation.is_over());
    /// ```
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Live | Self::RolledBack { .. } | Self::Suspended { .. })
    }
}

impl Coded for Progress {
    fn code(&self) -> &'static str {
        match self {
            Self::Switching { .. } => "switching",
            Self::Rehearsing { .. } => "rehearsing",
            Self::Baking { .. } => "baking",
            Self::Probation => "probation",
            Self::Live => "live",
            Self::RolledBack { .. } => Self::ROLLED_BACK,
            Self::Suspended { .. } => "suspended",
        }
    }
}

/// A step whose time is over, and which has seen too few turns to decide.
///
/// # Example
///
/// ```
/// use airssys_wasm::deploy::{NoTraffic, TooFewTurns};
///
/// fn told(waits: TooFewTurns) -> String {
///     let then = match waits.no_traffic {
///         _ if waits.held => "waits for somebody to cancel it",
///         NoTraffic::Promote => "goes on without them",
///         NoTraffic::Hold => "waits for them",
///         NoTraffic::Back => "goes back without them",
///     };
///     format!("has not seen {} turns of each release, and {then}", waits.samples)
/// }
///
/// let waits = TooFewTurns { samples: 100, no_traffic: NoTraffic::Hold, held: false };
/// assert_eq!(told(waits), "has not seen 100 turns of each release, and waits for them");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TooFewTurns {
    /// How many turns of each release it has to see.
    pub samples: u64,
    /// What happens to it where they do not come before its patience ends.
    pub no_traffic: NoTraffic,
    /// Whether its patience is over as well: it goes on when there is traffic, or when somebody cancels it.
    pub held: bool,
}
