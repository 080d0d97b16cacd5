//! Where in the file of durable states something is.

use std::fmt;

/// A state in that file, or one of its values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Location {
    /// The service.
    pub(super) service: String,
    /// The key of the actor; empty for a service's only state.
    pub(super) actor: String,
    /// The key of the value; none for the state as a whole.
    pub(super) key: Option<String>,
}

impl Location {
    /// A whole state.
    pub(super) fn of(service: &str, actor: &str) -> Self {
        Self { service: service.to_owned(), actor: actor.to_owned(), key: None }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = &self.key {
            write!(f, "the value {key:?} of ")?;
        }
        f.write_str(&self.service)?;
        if self.actor.is_empty() { Ok(()) } else { write!(f, ", actor {:?}", self.actor) }
    }
}
