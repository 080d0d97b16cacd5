//! What a key or a child begins with that comes to its place: which release, and what is to be known of the states
//! there. Pure, as `decide.rs` is, whose events decide about those who are there already.
//!
//! Invariant: while no deployment is under way, all begin with the release that is there. What the states of one were
//! that sleeps is not lost before the release that brought them over is there for good.

use std::collections::HashMap;

use super::past::{Kept, Past};
use super::share::Share;
use crate::settings::ALL;

/// A release that somebody begins with, as far as it is looked at here.
pub(super) trait Begun: Clone {
    /// The schema of the states that it reads and writes.
    fn schema(&self) -> u32;
}

/// What those begin with who come.
#[derive(Debug)]
enum Phase<W> {
    /// All with the release that is there.
    Settled,
    /// Those of a share with another one, which is not there for good yet.
    Trial { next: W, share: Share },
    /// All with one that was there before, and with the states from then.
    Restoring(W),
}

/// The actors of a service that come and go, as far as they are not there. `P` is a place.
pub(super) struct Arrivals<W, P, S> {
    release: W,
    phase: Phase<W>,
    /// The schema of the release before that one.
    schema_before: Option<u32>,
    /// Whether the release is the one that served when the host ended: what is stored of those who come it has left.
    is_left: bool,
    /// Those who sleep and whose state was brought over to another schema, or is to be put back: no more than there are
    /// keys.
    asleep: HashMap<Box<str>, (P, Past<S>)>,
}

impl<W: Begun, P: Clone, S: Kept> Arrivals<W, P, S> {
    pub(super) fn new(release: W, is_left: bool) -> Self {
        Self { release, phase: Phase::Settled, schema_before: None, is_left, asleep: HashMap::new() }
    }

    /// The release that is there.
    pub(super) fn release(&self) -> &W {
        &self.release
    }

    pub(super) fn release_mut(&mut self) -> &mut W {
        &mut self.release
    }

    /// The release that is not there for good yet.
    pub(super) fn next_mut(&mut self) -> Option<&mut W> {
        match &mut self.phase {
            Phase::Settled => None,
            Phase::Trial { next, .. } | Phase::Restoring(next) => Some(next),
        }
    }

    /// The share of all that begins with another release.
    pub(super) fn share(&self) -> Option<Share> {
        match &self.phase {
            Phase::Settled => None,
            Phase::Trial { share, .. } => Some(share.clone()),
            Phase::Restoring(_) => Some(Share::new(ALL)),
        }
    }

    /// That share, made larger where one is under way.
    pub(super) fn grown(&self, size: u32) -> Share {
        match &self.phase {
            Phase::Trial { share, .. } => share.grown(size),
            Phase::Settled | Phase::Restoring(_) => Share::new(size),
        }
    }

    /// Those of a share begin with another release.
    pub(super) fn let_in(&mut self, next: W, share: Share) {
        self.phase = Phase::Trial { next, share };
    }

    /// None that is known is in this share any more.
    pub(super) fn is_empty_again(&mut self, of: &Share) {
        if let Phase::Trial { share, .. } = &mut self.phase
            && share == of
        {
            share.is_empty_again();
        }
    }

    /// All begin with what was there before the deployment.
    pub(super) fn take_back(&mut self) {
        self.phase = Phase::Settled;
        let schema = self.release.schema();
        self.change_asleep(|past| {
            past.keep();
            past.take_back(schema);
        });
    }

    /// All begin with a release that was there before, and with the states from then.
    pub(super) fn restore(&mut self, before: W) {
        self.phase = Phase::Restoring(before);
        let schema = self.release.schema();
        self.change_asleep(|past| past.restore(schema));
    }

    /// All begin with what was deployed, for good. Whether that was on trial, and those are to be told who are there.
    pub(super) fn adopt(&mut self) -> bool {
        match std::mem::replace(&mut self.phase, Phase::Settled) {
            Phase::Settled => false,
            Phase::Trial { next, .. } => {
                let before = std::mem::replace(&mut self.release, next);
                (self.schema_before, self.is_left) = (Some(before.schema()), false);
                self.change_asleep(Past::adopt);
                true
            }
            Phase::Restoring(before) => {
                (self.release, self.schema_before, self.is_left) = (before, None, false);
                self.change_asleep(Past::are_discarded);
                false
            }
        }
    }

    fn change_asleep(&mut self, change: impl Fn(&mut Past<S>)) {
        self.asleep.retain(|_, (_, past)| {
            change(past);
            !past.is_empty()
        });
    }

    /// One comes. What it begins with, and what is known of its place.
    pub(super) fn begins(&mut self, address: &str) -> (W, Past<S>) {
        let is_left = self.is_left && !matches!(self.phase, Phase::Restoring(_));
        let known = self.asleep.remove(address).map(|(_, past)| past);
        let mut past = known.unwrap_or_else(|| Past::at_start(is_left));
        let (with, trial) = match &mut self.phase {
            Phase::Trial { next, share } => match share.admits(address) {
                true => (next.clone(), Some(self.release.schema())),
                false => (self.release.clone(), None),
            },
            // It is no trial: another release comes than the one that was to come back.
            Phase::Restoring(before) => (before.clone(), None),
            Phase::Settled => (self.release.clone(), None),
        };
        past.wakes(self.schema_before, trial);
        (with, past)
    }

    /// What one would begin with who is not there; none where something has to be done with its state before.
    pub(super) fn would_begin(&self, address: &str) -> Option<&W> {
        if self.asleep.get(address).is_some_and(|(_, past)| past.is_to_be_put_back()) {
            return None;
        }
        Some(match &self.phase {
            Phase::Trial { next, share } if share.has(address) => next,
            Phase::Restoring(before) => before,
            Phase::Trial { .. } | Phase::Settled => &self.release,
        })
    }

    /// One goes, of whose place this is known.
    pub(super) fn ends(&mut self, address: &str, place: P, mut past: Past<S>) {
        match self.phase {
            Phase::Restoring(_) => past.restore(self.release.schema()),
            Phase::Trial { .. } => {}
            // It was about to be told.
            Phase::Settled => past.take_back(self.release.schema()),
        }
        if !past.is_empty() {
            self.asleep.insert(address.into(), (place, past));
        }
    }

    /// The state of one who sleeps was forgotten.
    pub(super) fn forget(&mut self, address: &str) {
        if let Some((_, past)) = self.asleep.get_mut(address) {
            past.forget();
            if past.is_empty() {
                self.asleep.remove(address);
            }
        }
    }

    /// Those who sleep and whose state has yet to be put back, or brought back.
    pub(super) fn returning(&self) -> impl Iterator<Item = P> {
        self.asleep.values().filter(|(_, past)| past.returning().is_some()).map(|(place, _)| place.clone())
    }

    /// Whether this is one of them.
    pub(super) fn is_returning(&self, address: &str) -> bool {
        self.asleep.get(address).is_some_and(|(_, past)| past.returning().is_some())
    }

    /// What the states of those who sleep were before the release that is there brought them over.
    pub(super) fn saved(&self) -> impl Iterator<Item = S> {
        self.asleep.values().map(|(_, past)| past.before().cloned().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
