//! Rules over topics that are subscribed to.

use std::fmt;
use std::str::FromStr;

use super::pattern::{Pattern, PatternError};

/// A rule over topics that are subscribed to. What is asked for is itself a pattern: one with a star is covered by the
/// same text, and by everything, so that a star is never wider than the grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Topics(pub(crate) Pattern);

/// The rule for everything.
pub(super) const EVERYTHING: &str = "**";

impl From<Pattern> for Topics {
    fn from(pattern: Pattern) -> Self {
        Self(pattern)
    }
}

impl FromStr for Topics {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        text.parse().map(Self)
    }
}

impl fmt::Display for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl serde::Serialize for Topics {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}
