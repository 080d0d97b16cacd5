//! What a new release has to show over turns that were recorded, before anything is switched.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::bad_choice::BadChoice;
use crate::hint::{Act, Coded, Hint};

/// That a new release is shown the turns that the recorder of a service has, before anything is switched: the first one
/// over which it differs refuses the deployment.
///
/// # Example
///
/// ```
/// use airssys_wasm::deploy::{DeployOptions, Deviation, RecordedGate};
///
/// let mut options = DeployOptions::default();
/// options.recorded = Some(RecordedGate { turns: Some(100), allow: vec![Deviation::Answers] });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordedGate {
    /// How many of the last turns; all that there are where nothing is said.
    pub turns: Option<usize>,
    /// In which ways it may differ; default none.
    pub allow: Vec<Deviation>,
}

/// In which way two releases differ over the same turn. That one crashes is none of them: it is never allowed.
///
/// # Example
///
/// ```
/// use airssys_wasm::deploy::Deviation;
///
/// assert_eq!("effects".parse(), Ok(Deviation::Effects));
/// assert!("everything".parse::<Deviation>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deviation {
    /// Both answer, and not the same.
    Answers,
    /// They ask other things of others: what they send, call and publish, timers, children.
    Effects,
    /// They write other things to their state. Not looked at where the new one has another schema.
    State,
    /// One fails where the other one does not, or both do in other words.
    Errors,
    /// The new one takes much longer.
    Latency,
}

impl Deviation {
    /// All of them.
    const ALL: [Self; 5] = [Self::Answers, Self::Effects, Self::State, Self::Errors, Self::Latency];

    /// The word for it.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::deploy::Deviation;
    ///
    /// assert_eq!(Deviation::Answers.word(), "answers");
    /// ```
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Answers => "answers",
            Self::Effects => "effects",
            Self::State => "state",
            Self::Errors => "errors",
            Self::Latency => "latency",
        }
    }
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl std::str::FromStr for Deviation {
    type Err = BadChoice;

    fn from_str(word: &str) -> Result<Self, BadChoice> {
        let found = Self::ALL.into_iter().find(|known| known.word() == word);
        found.ok_or_else(|| BadChoice::Deviation(word.to_owned()))
    }
}

/// The first turn over which a release differs from what was recorded, and in what.
///
/// # Example
///
/// ```
/// use airssys_wasm::deploy::{Deviation, Divergence};
///
/// fn is_only_slower(divergence: &Divergence) -> bool {
///     divergence.kinds == [Deviation::Latency]
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Divergence {
    /// Which actor's turn it was.
    pub actor: String,
    /// The id of its message; none where the release does not start, or all of it is slower.
    pub message: Option<u64>,
    /// That message, as it is told.
    pub asked: String,
    /// In which ways it differs; none where it crashes or does not start.
    pub kinds: Vec<Deviation>,
    /// In what.
    pub what: Vec<String>,
    /// What was answered.
    pub answered: String,
    /// What it would answer.
    pub would_answer: String,
    /// What was asked of others.
    pub effects: Vec<String>,
    /// What it would ask of them.
    pub would_effects: Vec<String>,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.actor, self.asked)?;
        write!(f, ": {}", self.what.join("; "))?;
        if self.message.is_none() {
            return Ok(());
        }
        let list = |effects: &[String]| if effects.is_empty() { "nothing".to_owned() } else { effects.join(", ") };
        let (effects, would) = (list(&self.effects), list(&self.would_effects));
        let (answered, would_answer) = (&self.answered, &self.would_answer);
        write!(f, "; recorded: it answered {answered}, and asked others for {effects}")?;
        write!(f, "; now: it answers {would_answer}, and asks others for {would}")
    }
}

/// Why there are no recorded turns of a service, or none that another release can be shown.
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::mesh("", async |runtime, _| {
/// use airssys_wasm::deploy::RecordingError;
///
/// let error = runtime.recording("echo").await.err().ok_or("it has no recorder")?;
/// assert!(matches!(error, RecordingError::NoRecorder { .. }), "{error}");
/// # Ok(()) });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// There is no such service.
    #[error("there is no service {service:?}")]
    NoSuchService {
        /// What was asked for.
        service: String,
    },
    /// Nothing is recorded.
    #[error("{service} has no recorder")]
    NoRecorder {
        /// The service.
        service: String,
    },
    /// What was said is kept out.
    #[error(
        "the recorder of {service} keeps bodies out, by `bodies = false` of the topology: no turn can be shown again"
    )]
    NoBodies {
        /// The service.
        service: String,
    },
    /// There was no turn since its actors began.
    #[error("the recorder of {service} has no turn: none was handled since its actors were started, or woke")]
    Empty {
        /// The service.
        service: String,
    },
    /// There are turns, and none of them can be compared.
    #[error("none of the {turns} turns that the recorder of {service} has can be compared: {why}")]
    NoneComparable {
        /// The service.
        service: String,
        /// How many there are.
        turns: usize,
        /// Why not.
        why: String,
    },
    /// What it does goes by ways that are not recorded.
    #[error("{service} cannot be shown recorded turns: {why}")]
    Unfit {
        /// The service.
        service: String,
        /// Why not.
        why: &'static str,
    },
    /// There was no room for another instance.
    #[error("{service} cannot be shown recorded turns: {detail}")]
    NotRun {
        /// The service.
        service: String,
        /// Why not.
        detail: String,
    },
}

impl Coded for RecordingError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoSuchService { .. } => "no-such-service",
            Self::NoRecorder { .. } => "no-recorder",
            Self::NoBodies { .. } => "no-bodies",
            Self::Empty { .. } => "nothing-recorded",
            Self::NoneComparable { .. } => "not-comparable",
            Self::Unfit { .. } => "unfit",
            Self::NotRun { .. } => "not-run",
        }
    }

    fn hint(&self) -> Option<Hint> {
        Some(match self {
            Self::NoSuchService { .. } => Act::ListServices.into(),
            Self::NoRecorder { .. } => "give it one in the topology: `recorder = {}`".into(),
            Self::NoBodies { .. } => "compare the releases as a shadow, or let bodies be recorded".into(),
            Self::Empty { .. } => "wait until it has handled messages".into(),
            Self::NoneComparable { .. } => "compare the releases as a shadow, or as a canary".into(),
            Self::Unfit { .. } => "compare the releases as a canary".into(),
            Self::NotRun { .. } => "try again when fewer instances run".into(),
        })
    }
}
