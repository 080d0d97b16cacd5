//! Which release serves a place, what comes back where that fails, and whether anything serves there at all. Pure: no
//! clock, no I/O, no actor, no lock.
//!
//! [`State::decide`] takes what happened and says what is to be done. A place outlives its incarnations, and whichever
//! of them begins asks it; so all that an incarnation must not take with it when it is killed is here. What of it a
//! place keeps while nobody is in it, as a key that sleeps, is [`Past`].
//!
//! Invariant: whatever happens in whatever order, a place has one release, and whoever begins there serves with it, or
//! waits because the place is suspended and says why. What the states were is never lost before the release that
//! brought them over is there for good.

use tokio::sync::mpsc;

use super::past::{Kept, Past, Suspended};
use crate::error::Crash;

/// A release, as far as it is looked at here.
pub(super) trait Release: Clone {
    /// The schema of the states that it reads and writes.
    fn schema(&self) -> u32;
    /// Whether this is the very same, and not another one or the same under other rules.
    fn is(&self, other: &Self) -> bool;
    /// Whether both are of the same code.
    fn has_code_of(&self, other: &Self) -> bool;
}

/// A release that has yet to show that it is sound: the one that comes back where it is not, and who is told why.
#[derive(Debug, Clone)]
pub(crate) struct Probation<R> {
    pub(crate) before: R,
    pub(crate) failed: mpsc::UnboundedSender<Crash>,
}

/// What happened in a place, or is to.
#[derive(Debug)]
pub(super) enum Event<R, S> {
    /// An incarnation begins, and the state may be damaged.
    Begins { damage: Option<Crash> },
    /// An incarnation that begins brings these states over.
    BringsOver(S),
    /// A release that takes over is about to bring these states over.
    TakesOver(S),
    /// It did not.
    DidNotTakeOver,
    /// It did, may go back by itself, and has brought these states over.
    TookOver { next: R, probation: Probation<R>, saved: S },
    /// The release that is there has taken over from itself, better compiled.
    TookOverFromItself(R),
    /// This release is to come back, in a place where somebody gives way to it or nobody is. Whether the turns since
    /// its states were `saved` are discarded, as a person wants it.
    GoesBack { next: R, saved: S, discard: bool },
    /// The states are about to be put back to the first of these for that, and are the second now.
    Discards { to: S, was: S },
    /// The states were put back to this.
    ArePutBack(S),
    /// Turns are not discarded after all: what was there before, which is this, goes on with its states as they were.
    NotDiscarded(R),
    /// Turns are discarded for good.
    Discarded,
    /// This release came back, and serves.
    IsBack(R),
    /// This release cannot read the states that there are; what they were before.
    CannotRead { by: R, crash: Crash, saved: S },
    /// What serves here crashed.
    Crashed(Crash),
    /// This release is put into a place where it has yet to start, and may go back by itself from its first start.
    Placed { next: R, probation: Probation<R> },
    /// The same, in a place where nobody is: what is committed there meanwhile it was not tried on.
    PassedOver { next: R, probation: Probation<R> },
    /// Whoever begins here begins with the second of these, where the first is there and is not on probation.
    Improved { from: R, to: R },
    /// The same release has other rules.
    Retuned(R),
    /// The probation is over.
    Proved,
    /// The release is there for good.
    Adopted,
    /// States of this place were forgotten, as a person wanted it.
    Forgotten,
}

/// What is to be done about it.
#[derive(Debug)]
pub(super) enum Action<R> {
    /// Nothing: it is not so, or all that had to be done is done.
    Nothing,
    /// It is so. Whoever serves here goes on.
    GoOn,
    /// Whoever begins here from now on begins with this release.
    Serve(R),
    /// The same, where the one before failed; tell whoever looks after it.
    FallBack { to: R, failed: mpsc::UnboundedSender<Crash>, crash: Crash },
    /// Take no message, until a release is put in.
    Wait,
}

/// Where a place stands.
#[derive(Debug, Clone)]
pub(super) struct State<R, S> {
    /// What whoever begins here begins with.
    serving: R,
    /// Only on trial, and not as long as that.
    probation: Option<Probation<R>>,
    past: Past<S>,
    /// What the states were that a release brings over which takes over at this moment: where the incarnation is killed
    /// while it waits for the disk, the next one is of the release that is there, and puts them back.
    under_way: Option<S>,
}

impl<R: Release, S: Kept> State<R, S> {
    /// A place that a release is put into, with what is known of the place.
    pub(super) fn new(serving: R, probation: Option<Probation<R>>, past: Past<S>) -> Self {
        Self { serving, probation, past, under_way: None }
    }

    /// What is to be done now that this happened.
    pub(super) fn decide(&mut self, event: Event<R, S>) -> Action<R> {
        match event {
            Event::Begins { damage } => self.begins(damage),
            Event::BringsOver(saved) => {
                self.past.brings_over(saved);
                Action::GoOn
            }
            Event::TakesOver(saved) => {
                self.under_way = Some(saved);
                Action::GoOn
            }
            Event::DidNotTakeOver => {
                self.under_way = None;
                Action::Nothing
            }
            Event::TookOver { next, probation, saved } => {
                self.under_way = None;
                self.try_out(next, probation, saved)
            }
            Event::TookOverFromItself(next) => {
                self.under_way = None;
                self.serve(next)
            }
            Event::GoesBack { next, saved, discard } => self.go_back(next, saved, discard),
            Event::Discards { to, was } => so(self.past.discards(&to, was)),
            Event::ArePutBack(states) => so(self.past.are_put_back(&states)),
            Event::NotDiscarded(instead) => match self.past.keep() {
                true => {
                    // The other one may be there at this moment, and has to give way to it.
                    self.past.has_to_begin();
                    self.serve(instead)
                }
                false => Action::Nothing,
            },
            Event::Discarded => {
                self.past.are_discarded();
                Action::GoOn
            }
            // Another one may have been put in while it started.
            Event::IsBack(back) if back.has_code_of(&self.serving) => {
                self.past.is_back();
                Action::GoOn
            }
            Event::CannotRead { by, crash, saved } if by.has_code_of(&self.serving) => {
                self.past.suspend(Suspended::Unreadable { crash, saved });
                Action::Wait
            }
            Event::IsBack(_) | Event::CannotRead { .. } => Action::Nothing,
            Event::Crashed(crash) => self.crashed(crash),
            Event::Placed { next, probation } => self.try_out(next, probation, S::default()),
            Event::PassedOver { next, probation } => {
                let action = self.try_out(next, probation, S::default());
                self.past.is_passed_over();
                action
            }
            // One on probation may go back, and has its own idea of where to.
            Event::Improved { from, to } if self.probation.is_none() && self.serving.is(&from) => self.serve(to),
            Event::Improved { .. } => Action::Nothing,
            Event::Retuned(same) => self.serve(same),
            Event::Proved => self.probation.take().map_or(Action::Nothing, |_over| Action::GoOn),
            Event::Adopted => {
                self.past.adopt();
                Action::GoOn
            }
            Event::Forgotten => {
                // It tries again when it begins next.
                self.past.resume();
                self.past.forget();
                Action::GoOn
            }
        }
    }

    fn begins(&mut self, damage: Option<Crash>) -> Action<R> {
        self.past.breaks_off(self.under_way.take());
        match self.past.begins(damage) {
            true => Action::GoOn,
            false => Action::Wait,
        }
    }

    fn try_out(&mut self, next: R, probation: Probation<R>, saved: S) -> Action<R> {
        self.past.breaks_off(self.under_way.take());
        self.past.try_out(probation.before.schema(), saved);
        self.probation = Some(probation);
        self.serve(next)
    }

    fn go_back(&mut self, next: R, saved: S, discard: bool) -> Action<R> {
        self.past.breaks_off(self.under_way.take());
        match discard {
            true => self.past.discard(saved, self.serving.schema(), !next.has_code_of(&self.serving)),
            false => self.past.go_back(saved),
        }
        self.probation = None;
        self.serve(next)
    }

    fn serve(&mut self, next: R) -> Action<R> {
        self.serving = next.clone();
        Action::Serve(next)
    }

    fn crashed(&mut self, crash: Crash) -> Action<R> {
        let Some(Probation { before, failed }) = self.probation.take() else { return Action::Nothing };
        let saved = self.past.on_trial().cloned().unwrap_or_default();
        self.past.go_back(saved);
        self.serving = before.clone();
        Action::FallBack { to: before, failed, crash }
    }

    /// The release before, where one is on probation that it can stand in for: both read the same state.
    pub(super) fn stand_in(&self) -> Option<&R> {
        let before = &self.probation.as_ref()?.before;
        (before.schema() == self.serving.schema()).then_some(before)
    }

    pub(super) fn is_on_probation(&self) -> bool {
        self.probation.is_some()
    }

    pub(super) fn past(&self) -> &Past<S> {
        &self.past
    }

    /// What is to be known of this place when somebody begins there again.
    pub(super) fn asleep(&self) -> Past<S> {
        let mut past = self.past.clone();
        past.breaks_off(self.under_way.clone());
        past.resume();
        past
    }
}

/// Whether there was something to decide.
fn so<R>(is_so: bool) -> Action<R> {
    if is_so { Action::GoOn } else { Action::Nothing }
}

#[cfg(test)]
mod tests;
