//! What can be damaged of durable states.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::StateError;
use super::location::Location;
use super::lost::{Key, Lost, only};

/// Damages that one error names; there may be very many.
const NAMED: usize = 5;

/// Something in the file of durable states that is not what was written. As text it is what was found.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::Damage;
///
/// /// The services of which something is damaged, as far as that is known.
/// fn damaged(all: &[Damage]) -> Vec<&str> {
///     all.iter().filter_map(|damage| damage.service.as_deref()).collect()
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Damage {
    /// The service; none where it is not known, or it is not of one alone.
    pub service: Option<String>,
    /// The key of the actor; empty for a service's only state.
    pub actor: Option<String>,
    /// The key of the value; none for a state as a whole.
    pub key: Option<String>,
    /// What was found.
    pub says: String,
}

impl From<&Flaw> for Damage {
    fn from(flaw: &Flaw) -> Self {
        // What is beside a part that cannot be read is well.
        let location = flaw.location().filter(|_| !matches!(flaw, Flaw::Between { .. }));
        let (service, actor, key) =
            location.map_or((None, None, None), |of| (Some(of.service), Some(of.actor), of.key));
        Self { service, actor, key, says: flaw.to_string() }
    }
}

/// A damage, as whoever goes on without it has to know it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Flaw {
    /// A part of the file that belongs to no state alone.
    File {
        /// What.
        detail: String,
    },
    /// A part of the file cannot be read, or not as a whole, and nobody knows what was in it.
    Between {
        /// The last before it; none where it is at the beginning.
        after: Option<Location>,
        /// The first after it; none where it is at the end.
        before: Option<Location>,
        /// The first and the last service that may have had something there; none where that is not known.
        services: (Option<String>, Option<String>),
    },
    /// The record of a state, which says how many values it has.
    Record {
        /// Of which state.
        of: Location,
    },
    /// Values of a state are missing, or from another time.
    State {
        /// Which state.
        of: Location,
        /// What.
        detail: String,
    },
    /// One value.
    Value {
        /// Which.
        of: Location,
    },
    /// What a host has found damaged, and does without since. What is left of it stands in the file.
    Lost {
        /// Which states.
        lost: Lost,
    },
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { detail } => f.write_str(detail),
            Self::Between { after, before, .. } => {
                f.write_str("what stood ")?;
                match (after, before) {
                    (None, None) => f.write_str("in its states")?,
                    (Some(after), None) => write!(f, "after {after}")?,
                    (None, Some(before)) => write!(f, "before {before}")?,
                    (Some(after), Some(before)) => write!(f, "between {after} and {before}")?,
                }
                f.write_str(" cannot be read, or not as a whole")
            }
            Self::Record { of } => write!(f, "the record of {of} is not what was written"),
            Self::State { of, detail } => write!(f, "{of}: {detail}"),
            Self::Value { of } => write!(f, "{of} is not what was written"),
            Self::Lost { lost } => f.write_str(lost.says()),
        }
    }
}

impl Flaw {
    /// Where it is, as far as that is known; for a part that cannot be read, what is before it or after it.
    pub(super) fn location(&self) -> Option<Location> {
        match self {
            Self::File { .. } => None,
            Self::Between { after, before, .. } => after.as_ref().or(before.as_ref()).cloned(),
            Self::Record { of } | Self::State { of, .. } | Self::Value { of } => Some(of.clone()),
            Self::Lost { lost } => Some(lost.location()),
        }
    }

    /// Whether it may be a service's.
    pub(super) fn is_of(&self, service: &str) -> bool {
        match self {
            Self::File { .. } => true,
            Self::Between { services: (first, last), .. } => {
                first.as_ref().is_none_or(|first| first.as_str() <= service)
                    && last.as_ref().is_none_or(|last| service <= last.as_str())
            }
            Self::Record { of } | Self::State { of, .. } | Self::Value { of } => of.service == service,
            Self::Lost { lost } => lost.is_of(service),
        }
    }

    /// What cannot be used because of it: at most one range. None where that cannot be known.
    pub(super) fn lost(&self) -> Option<Option<Lost>> {
        let says = self.to_string();
        match self {
            Self::File { .. } | Self::Between { after: None, before: None, .. } => None,
            Self::Lost { lost } => Some(Some(lost.clone())),
            Self::Record { of } | Self::State { of, .. } | Self::Value { of } => Some(Some(Lost::at(of, says))),
            // Whether the states on both sides are whole, their own records say.
            Self::Between { after: last, before, .. } => {
                let from = last.as_ref().map_or_else(Key::default, |last| only(&last.service, &last.actor).1);
                let to = before.as_ref().map(|next| (next.service.clone(), next.actor.clone()));
                let is_some = to.as_ref().is_none_or(|to| from < *to);
                Some(is_some.then_some(Lost { from, to, says }))
            }
        }
    }
}

/// The error that names what is damaged.
pub(super) fn damaged(path: &Path, damage: &[Flaw]) -> StateError {
    let mut named: Vec<String> = damage.iter().take(NAMED).map(ToString::to_string).collect();
    if damage.len() > NAMED {
        named.push(format!("and {} more", damage.len() - NAMED));
    }
    if named.is_empty() {
        named.push("a page of it is not what was written".to_owned());
    }
    StateError::Damaged { path: path.to_owned(), detail: named.join("; ") }
}
