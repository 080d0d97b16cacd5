//! What the states of a place were before a release brought them over to another schema, and whether they are to be that again.

use std::sync::Arc;

use crate::error::Crash;
use crate::state::Saved;

/// What a place's states were before they were brought over to another schema. Bounded: one of each state at most for each of the two. What it costs is what
/// the states do not share with it any more, so as much as they are large, where all of their values were written anew.
pub(crate) type Before = Arc<Vec<Saved>>;

/// What the states of a place were, and whether they are to be that again. It stays when a keyed actor falls asleep.
#[derive(Debug, Clone, Default)]
pub(super) struct Past {
    /// Before the release that is live brought them over.
    pub(super) live: Before,
    /// Before one brought them over that is not live for good yet.
    pub(super) trial: Before,
    /// The schema of the release before the live one: where a state that nobody has written to yet goes back to.
    pub(super) schema: Option<u32>,
    /// The schema of the live one, where another one serves that is not live for good yet.
    pub(super) on_trial: Option<u32>,
    /// The release before is on its way back, and has yet to begin.
    pub(super) returning: Option<Returning>,
}

impl Past {
    /// Whether it is as if there had never been another schema.
    pub(super) fn is_empty(&self) -> bool {
        self.live.is_empty() && self.trial.is_empty() && self.returning.is_none()
    }

    /// The release before comes back, and with it the states from before.
    pub(super) fn restore(&mut self) {
        let saved = std::mem::take(&mut self.live);
        if !saved.is_empty() {
            self.returning = Some(Returning { saved, discard: true });
        }
    }

    /// It was to have the states from before, and is not to any more.
    pub(super) fn keep(&mut self) {
        if let Some(Returning { saved, .. }) = self.returning.take_if(|returning| returning.discard) {
            self.live = saved;
        }
    }

    /// The release before, with this schema, goes on: the state that the other one has brought over goes back to it.
    pub(super) fn take_back(&mut self, schema: u32) {
        let trial = std::mem::take(&mut self.trial);
        self.on_trial = None;
        if trial.iter().any(|saved| saved.is_foreign(schema)) {
            self.returning = Some(Returning { saved: trial, discard: false });
        }
    }

    /// The release that serves is live for good.
    pub(super) fn adopt(&mut self) {
        self.live = std::mem::take(&mut self.trial);
        self.schema = self.on_trial.take();
    }

    /// Lets go of what the states were that were forgotten since. Of a place with several states it stays as long as one of them was not.
    pub(super) fn forget(&mut self) {
        let returning = self.returning.as_mut().map(|returning| &mut returning.saved);
        for saved in [&mut self.live, &mut self.trial].into_iter().chain(returning) {
            if saved.iter().all(Saved::is_forgotten) {
                *saved = Before::default();
            }
        }
    }
}

/// How a release comes back.
#[derive(Debug, Clone)]
pub(super) struct Returning {
    pub(super) saved: Before,
    /// Whether the turns since are discarded.
    pub(super) discard: bool,
}

/// A place whose release came back and cannot read the state that there is: going on would discard turns, and only a person decides that.
#[derive(Debug)]
pub(crate) struct Suspended {
    pub(crate) crash: Crash,
    /// What the states were before.
    pub(crate) saved: Before,
}
