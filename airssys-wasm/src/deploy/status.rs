//! A deployment as it is told: a value of its own, which is read from its JSON again.

use serde::{Deserialize, Serialize};

use super::{Compared, Deployment, Progress, Setback, Waits};
use crate::hint::{Act, Hint};

/// Where a deployment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// See [`Progress::Switching`].
    Switching,
    /// See [`Progress::Rehearsing`].
    Rehearsing,
    /// See [`Progress::Baking`].
    Baking,
    /// See [`Progress::Probation`].
    Probation,
    /// See [`Progress::Live`].
    Live,
    /// See [`Progress::RolledBack`].
    RolledBack,
    /// See [`Progress::Suspended`].
    Suspended,
}

impl State {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Switching => "switching",
            Self::Rehearsing => "rehearsing",
            Self::Baking => "baking",
            Self::Probation => "probation",
            Self::Live => "live",
            Self::RolledBack => "rolled-back",
            Self::Suspended => "suspended",
        }
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Live | Self::RolledBack | Self::Suspended)
    }
}

/// What was found when the release was shown what the live one does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differing {
    /// The messages that were compared.
    pub compared: u64,
    /// Those that were not, because the new release was behind.
    pub skipped: u64,
    /// Those over which the two differ.
    pub differing: u64,
    /// The first of them: the message, and in what.
    pub differences: Vec<String>,
}

/// Actors that began without the memory of the release before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// How many.
    pub actors: usize,
    /// One of them.
    pub first: String,
    /// Why.
    pub why: String,
}

/// A deployment, as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Status {
    /// Which of the deployments that the mesh has begun it is, from 1.
    #[serde(default)]
    pub number: u64,
    /// The service.
    pub service: String,
    /// Where it is.
    pub state: State,
    /// While it bakes: the step that was made last, from 1.
    #[serde(default)]
    pub step: Option<usize>,
    /// While it bakes: how many there are.
    #[serde(default)]
    pub steps: Option<usize>,
    /// While it bakes: how many keys, or members of a pool, have it.
    #[serde(default)]
    pub have: Option<usize>,
    /// While it bakes: how many there are.
    #[serde(default)]
    pub of: Option<usize>,
    /// How the two releases do in this step, while they are compared.
    #[serde(default)]
    pub compared: Option<Compared>,
    /// Where the time of a step is over and it has seen too few turns.
    #[serde(default)]
    pub waits: Option<Waits>,
    /// What was found, where it was in the shadow.
    #[serde(default)]
    pub rehearsed: Option<Differing>,
    /// Why it was rolled back.
    pub reason: Option<String>,
    /// What to do about that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Hint>,
    /// The service of the same set that went back first, where that is why.
    #[serde(default)]
    pub because_of: Option<String>,
    /// The members of a pool that do not run and start with the new release where they are started again.
    #[serde(default)]
    pub passed_over: Vec<String>,
    /// Those that began without the memory of the release before.
    #[serde(default)]
    pub without_memory: Option<Lost>,
    /// The two above in words.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The longest that an actor took no message over the switch, in microseconds.
    pub pause_us: f64,
    /// The most messages that waited in one mailbox when its actor was switched.
    #[serde(default)]
    pub waited: usize,
    /// How many committed turns a way back that restores the state would discard now.
    #[serde(default)]
    pub turns_to_discard: u64,
    /// The SHA-256 of the component that is live as far as this deployment decides: on probation, still the one before.
    pub live: Option<String>,
}

impl Deployment {
    /// All of it that can be told; what a way back would discard, the mesh knows.
    pub(crate) fn status(&self, turns_to_discard: u64) -> Status {
        let (rehearsed, left_out) = (self.rehearsed(), self.left_out());
        let (progress, (before, next)) = (self.progress(), &*self.digests);
        let live = if progress == Progress::Live { next } else { before };
        let mut status = Status {
            number: self.number,
            service: self.service.to_string(),
            state: State::Live,
            step: None,
            steps: None,
            have: None,
            of: None,
            compared: None,
            waits: None,
            rehearsed: (rehearsed.compared > 0).then(|| Differing {
                compared: rehearsed.compared,
                skipped: rehearsed.skipped,
                differing: rehearsed.differing,
                differences: rehearsed.differences.iter().map(ToString::to_string).collect(),
            }),
            reason: None,
            hint: None,
            because_of: None,
            notes: left_out.notes(),
            passed_over: left_out.passed_over,
            without_memory: left_out.without_memory.map(|lost| Lost {
                actors: lost.actors,
                first: lost.first,
                why: lost.crash.to_string(),
            }),
            pause_us: self.pause().as_secs_f64() * 1e6,
            waited: self.waited(),
            turns_to_discard,
            live: Some(live.clone()),
        };
        status.see(progress);
        status
    }
}

impl Progress {
    /// Which state it is in.
    #[must_use]
    pub fn state(&self) -> State {
        match self {
            Self::Switching { .. } => State::Switching,
            Self::Rehearsing { .. } => State::Rehearsing,
            Self::Baking { .. } => State::Baking,
            Self::Probation => State::Probation,
            Self::Live => State::Live,
            Self::RolledBack { .. } => State::RolledBack,
            Self::Suspended { .. } => State::Suspended,
        }
    }
}

impl Status {
    fn see(&mut self, progress: Progress) {
        self.state = progress.state();
        match progress {
            Progress::Rehearsing { compared, waits } => (self.compared, self.waits) = (compared, waits),
            Progress::Baking { step, steps, have, of, compared, waits } => {
                (self.step, self.steps, self.have, self.of) = (Some(step), Some(steps), Some(have), Some(of));
                (self.compared, self.waits) = (compared, waits);
            }
            Progress::RolledBack { reason } => {
                self.reason = Some(reason.to_string());
                self.because(reason);
            }
            Progress::Suspended { reason, crash, .. } => {
                self.reason = Some(format!("{reason}; and the one before: {crash}"));
                self.because(reason);
            }
            Progress::Switching { .. } | Progress::Probation | Progress::Live => {}
        }
    }

    fn because(&mut self, reason: Setback) {
        self.hint = match &reason {
            Setback::Stopped => Some(Act::Start { service: self.service.clone() }.into()),
            reason => reason.hint(),
        };
        if let Setback::OfTheSet { service, .. } = reason {
            self.because_of = Some(service);
        }
    }
}
