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

/// What the states of a place were before a release brought them over to another schema. Nothing, by default.
pub(super) trait Kept: Clone + Default {
    fn is_empty(&self) -> bool;
    /// Whether all of it was forgotten since.
    fn is_forgotten(&self) -> bool;
    /// Whether a state of it is in another schema than this one now.
    fn is_foreign(&self, schema: u32) -> bool;
    /// Whoever was to bring it over has, or never will: what is committed from now on are turns.
    fn close(&self);
}

/// A release that has yet to show that it is sound: the one that comes back where it is not, and who is told why.
#[derive(Debug, Clone)]
pub(crate) struct Probation<R> {
    pub(crate) before: R,
    pub(crate) failed: mpsc::UnboundedSender<Crash>,
}

/// How the release of a place stands.
#[derive(Debug, Clone, Default)]
enum Phase<S> {
    /// It is there for good.
    #[default]
    Settled,
    /// It is there, and is not there for good yet.
    Trial {
        /// The schema of the release before.
        before: u32,
        /// What the states were before this one brought them over.
        saved: S,
    },
    /// It was there before another one, is to be there again, and has yet to begin.
    Returning(Returning<S>),
    /// It came back and cannot read the states that there are: going on would discard turns, and only a person decides
    /// that. Boxed: few ever are.
    Suspended(Box<Suspended<S>>),
}

/// How a release comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Returning<S> {
    /// What the states were before. They are put back to that where no turn was committed since.
    pub(super) saved: S,
    /// Whether the turns since are discarded.
    pub(super) discard: bool,
    /// What the states were before turns were discarded, as far as they were: what the other release goes on with where
    /// this one does not come back after all.
    pub(super) was: S,
}

impl<S: Kept> Returning<S> {
    pub(super) fn new(saved: S, discard: bool) -> Self {
        Self { saved, discard, was: S::default() }
    }
}

/// Why nothing serves.
#[derive(Debug, Clone)]
pub(super) struct Suspended<S> {
    pub(super) crash: Crash,
    /// What the states were before.
    pub(super) saved: S,
}

/// What is known of a place without its release. It stays when a keyed actor falls asleep.
#[derive(Debug, Clone, Default)]
pub(super) struct Past<S> {
    phase: Phase<S>,
    /// What the states were before the release that is there for good brought them over.
    before: S,
    /// The schema of the release before that one: where a state that nobody has written to yet goes back to.
    schema: Option<u32>,
}

/// What happened in a place, or is to.
#[derive(Debug)]
pub(super) enum Event<R, S> {
    /// An incarnation begins.
    Begins,
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
    /// This release is to come back. Where turns are discarded for it, what its own states were before is forgotten.
    GoesBack { next: R, back: Returning<S> },
    /// Turns of these states are discarded now, as the release that comes back needs it.
    Discards(S),
    /// This release came back, and serves.
    IsBack(R),
    /// This release came back, and cannot read the states that there are.
    CannotRead(R, Suspended<S>),
    /// What serves here crashed.
    Crashed(Crash),
    /// This release is put into a place where nobody is, and may go back by itself from its first start.
    Placed { next: R, probation: Probation<R> },
    /// This release is put into a place where nobody is, to come back when somebody begins.
    PlacedBack { next: R, back: Returning<S> },
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
            Event::Begins => self.begins(),
            Event::BringsOver(saved) => self.past.brings_over(saved),
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
            Event::GoesBack { next, back } => {
                if back.discard && !next.has_code_of(&self.serving) {
                    (self.past.before, self.past.schema) = (S::default(), None);
                }
                self.go_back(next, back)
            }
            Event::Discards(was) => {
                if let Phase::Returning(back) = &mut self.past.phase
                    && back.was.is_empty()
                {
                    back.was = was;
                }
                Action::GoOn
            }
            // Another one may have been put in while it started.
            Event::IsBack(back) if back.has_code_of(&self.serving) => self.past.is_back(),
            Event::CannotRead(back, suspended) if back.has_code_of(&self.serving) => {
                self.past.phase = Phase::Suspended(Box::new(suspended));
                Action::Wait
            }
            Event::IsBack(_) | Event::CannotRead(..) => Action::Nothing,
            Event::Crashed(crash) => self.crashed(crash),
            Event::Placed { next, probation } => self.try_out(next, probation, S::default()),
            Event::PlacedBack { next, back } => self.go_back(next, back),
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

    fn begins(&mut self) -> Action<R> {
        self.past.breaks_off(self.under_way.take());
        match self.past.phase {
            Phase::Suspended(_) => Action::Wait,
            _ => Action::GoOn,
        }
    }

    fn try_out(&mut self, next: R, probation: Probation<R>, saved: S) -> Action<R> {
        self.past.breaks_off(self.under_way.take());
        // The release before had not come to that yet, and has to when it is there again.
        let saved = self.past.awaited().unwrap_or(saved);
        self.past.phase = Phase::Trial { before: probation.before.schema(), saved };
        self.probation = Some(probation);
        self.serve(next)
    }

    fn go_back(&mut self, next: R, mut back: Returning<S>) -> Action<R> {
        self.past.breaks_off(self.under_way.take());
        match (&self.past.phase, self.past.awaited()) {
            _ if !back.saved.is_empty() => {}
            // The one that was to have the states from before does not come back, and nothing is discarded.
            (Phase::Returning(other), _) if other.discard && !next.has_code_of(&self.serving) => {
                back = Returning::new(other.was.clone(), true);
                self.past.keep();
            }
            (_, Some(saved)) => back.saved = saved,
            (_, None) => {}
        }
        (self.probation, self.past.phase) = (None, Phase::Returning(back));
        self.serve(next)
    }

    fn serve(&mut self, next: R) -> Action<R> {
        self.serving = next.clone();
        Action::Serve(next)
    }

    fn crashed(&mut self, crash: Crash) -> Action<R> {
        let Some(Probation { before, failed }) = self.probation.take() else { return Action::Nothing };
        let saved = match std::mem::take(&mut self.past.phase) {
            Phase::Trial { saved, .. } => saved,
            _ => S::default(),
        };
        self.past.phase = Phase::Returning(Returning::new(saved, false));
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

impl<S: Kept> Past<S> {
    /// Whether it is as if there had never been another schema.
    pub(super) fn is_empty(&self) -> bool {
        let nothing_else = match &self.phase {
            Phase::Settled => true,
            Phase::Trial { saved, .. } => saved.is_empty(),
            Phase::Returning(_) | Phase::Suspended(_) => false,
        };
        self.before.is_empty() && nothing_else
    }

    /// What the states were before the release that is there for good brought them over.
    pub(super) fn before(&self) -> &S {
        &self.before
    }

    /// What they were before one brought them over that is not there for good yet.
    pub(super) fn on_trial(&self) -> Option<&S> {
        match &self.phase {
            Phase::Trial { saved, .. } => Some(saved),
            _ => None,
        }
    }

    /// The schema of the release before this one.
    pub(super) fn schema_before(&self) -> Option<u32> {
        match self.phase {
            Phase::Trial { before, .. } => Some(before),
            _ => self.schema,
        }
    }

    /// How the release comes back, where it has yet to begin.
    pub(super) fn returning(&self) -> Option<&Returning<S>> {
        match &self.phase {
            Phase::Returning(back) => Some(back),
            _ => None,
        }
    }

    /// Why nothing serves, where nothing does.
    pub(super) fn suspended(&self) -> Option<&Suspended<S>> {
        match &self.phase {
            Phase::Suspended(suspended) => Some(suspended),
            _ => None,
        }
    }

    /// Somebody begins here, after a release with the schema `before`; on trial, where another one was there in the
    /// schema `trial` before.
    pub(super) fn wakes(&mut self, before: Option<u32>, trial: Option<u32>) {
        self.schema = before;
        if let Some(before) = trial {
            let saved = self.on_trial().cloned().or_else(|| self.awaited()).unwrap_or_default();
            self.phase = Phase::Trial { before, saved };
        }
    }

    /// The release before comes back, and with it the states from before.
    pub(super) fn restore(&mut self) {
        let saved = std::mem::take(&mut self.before);
        if !saved.is_empty() {
            self.phase = Phase::Returning(Returning::new(saved, true));
        }
    }

    /// It was to have the states from before, and is not to any more.
    pub(super) fn keep(&mut self) {
        if let Phase::Returning(Returning { discard: true, .. }) = self.phase
            && let Phase::Returning(Returning { saved, .. }) = std::mem::take(&mut self.phase)
        {
            self.before = saved;
        }
    }

    /// The release before, with this schema, goes on: a state that the other one has brought over goes back to it.
    pub(super) fn take_back(&mut self, schema: u32) {
        if let Phase::Trial { saved, .. } = &mut self.phase {
            let saved = std::mem::take(saved);
            self.phase = match saved.is_foreign(schema) {
                true => Phase::Returning(Returning::new(saved, false)),
                false => Phase::Settled,
            };
        }
    }

    /// The release that is there is there for good.
    pub(super) fn adopt(&mut self) {
        (self.before, self.schema) = match &mut self.phase {
            Phase::Trial { before, saved } => {
                let adopted = (std::mem::take(saved), Some(*before));
                self.phase = Phase::Settled;
                adopted
            }
            _ => (S::default(), None),
        };
    }

    /// Lets go of what the states were that were forgotten since. Of a place with several states it stays as long as
    /// one of them was not.
    pub(super) fn forget(&mut self) {
        let now = match &mut self.phase {
            Phase::Settled => None,
            Phase::Trial { saved, .. } | Phase::Returning(Returning { saved, .. }) => Some(saved),
            Phase::Suspended(suspended) => Some(&mut suspended.saved),
        };
        for saved in now.into_iter().chain([&mut self.before]) {
            if saved.is_forgotten() {
                *saved = S::default();
            }
        }
    }

    /// Keeps what the states were that a release has brought over. What is kept of it already is older, and stays.
    fn brings_over<R>(&mut self, saved: S) -> Action<R> {
        let kept = match &mut self.phase {
            Phase::Trial { saved, .. } => saved,
            _ => &mut self.before,
        };
        if kept.is_forgotten() && !saved.is_empty() {
            *kept = saved;
        }
        Action::GoOn
    }

    /// What the states were that the release here has yet to come back to.
    fn awaited(&self) -> Option<S> {
        let saved = match &self.phase {
            Phase::Returning(Returning { saved, .. }) => saved,
            Phase::Suspended(suspended) => &suspended.saved,
            Phase::Settled | Phase::Trial { .. } => return None,
        };
        saved.close();
        (!saved.is_forgotten()).then(|| saved.clone())
    }

    /// A release that was to take over did not come to the end of it, and may have brought these states over. What is
    /// older stays.
    fn breaks_off(&mut self, under_way: Option<S>) {
        if let Some(saved) = under_way
            && self.awaited().is_none()
        {
            self.phase = Phase::Returning(Returning::new(saved, false));
        }
    }

    /// What was suspended comes back when somebody begins here next.
    fn resume(&mut self) {
        self.phase = match std::mem::take(&mut self.phase) {
            Phase::Suspended(suspended) => Phase::Returning(Returning::new(suspended.saved, false)),
            phase => phase,
        };
    }

    fn is_back<R>(&mut self) -> Action<R> {
        if let Phase::Returning(_) = self.phase {
            self.phase = Phase::Settled;
        }
        Action::GoOn
    }
}

#[cfg(test)]
mod tests;
