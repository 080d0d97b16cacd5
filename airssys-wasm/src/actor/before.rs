//! What the states of a place were before they were brought over to another schema.

use std::ops::Deref;
use std::sync::Arc;

use super::past::{self, Kept};
use crate::state::Saved;

/// What a place's states were before they were brought over. Bounded: one of each state at most for each of the two
/// releases that a place remembers. What it costs is what the states do not share with it any more, so as much as they
/// are large, where all of their values were written anew. Nothing, where there is nothing, which is what nearly all
/// places have.
#[derive(Debug, Clone, Default)]
pub(crate) struct Before(Option<Arc<[Saved]>>);

pub(super) type Past = past::Past<Before>;
pub(super) type Suspended = past::Suspended<Before>;

impl FromIterator<Saved> for Before {
    fn from_iter<I: IntoIterator<Item = Saved>>(saved: I) -> Self {
        let mut saved = saved.into_iter().peekable();
        Self(saved.peek().is_some().then(|| saved.collect()))
    }
}

impl Before {
    /// How many turns putting them back discards.
    pub(crate) fn turns_since(&self) -> u64 {
        self.iter().map(Saved::turns_since).sum()
    }
}

impl Deref for Before {
    type Target = [Saved];

    fn deref(&self) -> &[Saved] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl Kept for Before {
    fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn is(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            (own, other) => own.is_none() && other.is_none(),
        }
    }

    fn is_forgotten(&self) -> bool {
        self.iter().all(Saved::is_forgotten)
    }

    fn is_foreign(&self, schema: u32) -> bool {
        self.iter().any(|saved| saved.is_foreign(schema))
    }

    fn has_turns_to_spare(&self) -> bool {
        self.iter().any(Saved::has_turns_to_spare)
    }

    fn close(&self) {
        self.iter().for_each(Saved::close);
    }
}
