//! What is known of a place without its release: what its states were before they were brought over to another schema,
//! and how its release stands. It stays when a keyed actor falls asleep. Pure.
//!
//! Invariant: what the states were is never lost before the release that brought them over is there for good, and turns
//! are discarded only where a person wants it, for a release that serves then.

use crate::error::Crash;

/// What the states of a place were before a release brought them over to another schema. Nothing, by default.
pub(super) trait Kept: Clone + Default {
    fn is_empty(&self) -> bool;
    /// Whether it is the very same.
    fn is(&self, other: &Self) -> bool;
    /// Whether all of it was forgotten since.
    fn is_forgotten(&self) -> bool;
    /// Whether a state of it is in another schema than this one now.
    fn is_foreign(&self, schema: u32) -> bool;
    /// Whoever was to bring it over has, or never will: what is committed from now on are turns.
    fn close(&self);
    /// Whether turns were committed since it was discarded.
    fn has_turns_to_spare(&self) -> bool;
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
        /// See [`Past`].
        is_unread: bool,
    },
    /// It was there before another one, is to be there again, and has yet to begin.
    Returning(Returning<S>),
    /// It was there before another one and is there again, and the turns since are discarded, as long as nobody says
    /// that they are not after all.
    Restored(Box<Discard<S>>),
}

/// How a release comes back.
#[derive(Debug, Clone)]
struct Returning<S> {
    /// What the states were before. They are put back to that where no turn was committed since.
    saved: S,
    /// Where a person wants the turns since discarded. Boxed: few ever do.
    discard: Option<Box<Discard<S>>>,
}

/// What a place goes on with where the release does not come back for which turns are discarded.
#[derive(Debug, Clone)]
struct Discard<S> {
    /// What the states were, as far as they are not that any more.
    was: S,
    /// The schema of the one that was there.
    schema: u32,
    /// What the one that was there had yet to come back to.
    awaited: S,
    /// Whether another release comes back: what the states were before the one that was there is of no use then.
    is_other: bool,
}

/// Why nothing serves.
#[derive(Debug, Clone)]
pub(super) enum Suspended<S> {
    /// The release cannot read the states that there are: going on would discard turns, and only a person decides that.
    Unreadable {
        crash: Crash,
        /// What the states were before.
        saved: S,
    },
    /// The state is damaged on disk.
    Damaged(Crash),
}

/// What is known of a place without its release. It stays when a keyed actor falls asleep.
#[derive(Debug, Clone, Default)]
pub(super) struct Past<S> {
    phase: Phase<S>,
    /// Why nothing serves, where nothing does. Boxed: few ever are.
    suspended: Option<Box<Suspended<S>>>,
    /// What the states were before the release that is there for good brought them over.
    before: S,
    /// The schema of the release before that one: where a state that nobody has written to yet goes back to.
    schema: Option<u32>,
    /// Whether the release that is there for good was put in where nobody was, and nobody has begun with it: it may
    /// have been tried on other states than it finds.
    is_unread: bool,
    /// Whether the release served here when the host ended, and nobody has begun with it since: what is stored is what
    /// it left.
    is_left: bool,
    /// What the states are put back to before anything serves here, whichever release it is. Nothing where they are as
    /// they are to be.
    owed: S,
    /// Whether they are not where turns were committed since.
    spares_turns: bool,
}

impl<S: Kept> Phase<S> {
    fn returning(saved: S) -> Self {
        Self::Returning(Returning { saved, discard: None })
    }
}

impl<S: Kept> Past<S> {
    /// That of a place in a host that has just started; whether its release is the one that served there last.
    pub(super) fn at_start(is_left: bool) -> Self {
        Self { is_left, ..Self::default() }
    }

    /// Whether it is as if there had never been another schema.
    pub(super) fn is_empty(&self) -> bool {
        let nothing_else = match &self.phase {
            Phase::Settled => true,
            Phase::Trial { saved, .. } => saved.is_empty(),
            Phase::Returning(_) | Phase::Restored(_) => false,
        };
        self.before.is_empty() && self.owed.is_empty() && self.suspended.is_none() && nothing_else
    }

    /// Whether something is to be done with the states, or to be decided, before anything serves here.
    pub(super) fn is_to_be_put_back(&self) -> bool {
        self.suspended.is_some() || self.returning().is_some() || self.owed().is_some()
    }

    /// What the states were before the release that is there for good brought them over; none where they are on the way
    /// back to that.
    pub(super) fn before(&self) -> Option<&S> {
        (!self.is_used_up() && !self.before.is_empty()).then_some(&self.before)
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
            _ if self.is_used_up() => None,
            _ => self.schema,
        }
    }

    /// What the states were before, where the release comes back and has yet to begin.
    pub(super) fn returning(&self) -> Option<&S> {
        match &self.phase {
            Phase::Returning(back) => Some(&back.saved),
            _ => None,
        }
    }

    /// The schema of the release that was there, where turns are to be discarded for the one that comes back.
    pub(super) fn discards_for(&self) -> Option<u32> {
        match &self.phase {
            Phase::Returning(Returning { discard: Some(discard), .. }) => Some(discard.schema),
            _ => None,
        }
    }

    /// What the states are put back to before anything serves here.
    pub(super) fn owed(&self) -> Option<&S> {
        (!self.owed.is_empty()).then_some(&self.owed)
    }

    /// Whether the release was put in where nobody was, and nobody has begun with it.
    pub(super) fn is_unread(&self) -> bool {
        match &self.phase {
            Phase::Trial { is_unread, .. } => *is_unread,
            _ => self.is_unread && !self.is_used_up(),
        }
    }

    /// Whether the release served here when the host ended, and nobody has begun with it since.
    pub(super) fn is_left(&self) -> bool {
        self.is_left && !self.is_used_up() && !matches!(self.phase, Phase::Trial { .. })
    }

    /// Why nothing serves, where nothing does.
    pub(super) fn suspended(&self) -> Option<&Suspended<S>> {
        self.suspended.as_deref()
    }

    /// Somebody begins here, after a release with the schema `before`; on trial, where another one was there in the
    /// schema `trial` before.
    pub(super) fn wakes(&mut self, before: Option<u32>, trial: Option<u32>) {
        if let Some(trial) = trial {
            self.try_out(trial, self.on_trial().cloned().unwrap_or_default());
        }
        self.schema = before;
    }

    /// The release before comes back over one with this schema, and with it the states from before.
    pub(super) fn restore(&mut self, schema: u32) {
        if let Some(saved) = self.before().cloned() {
            self.discard(saved, schema, true);
        }
    }

    /// Whether the states are put back to what is [`Past::owed`] only where no turn was committed since.
    pub(super) fn spares_turns(&self) -> bool {
        self.spares_turns
    }

    /// Turns were to be discarded, or are, and are not after all: what was there before goes on. Whether they were to
    /// be. Where the other release has committed turns since, those are kept, and what it discarded is gone.
    pub(super) fn keep(&mut self) -> bool {
        let (discard, is_to_be) = match std::mem::take(&mut self.phase) {
            Phase::Returning(Returning { saved, discard: Some(discard) }) => (discard, !saved.is_empty()),
            Phase::Restored(discard) => {
                self.spares_turns = !discard.was.is_empty();
                (discard, true)
            }
            phase => {
                self.phase = phase;
                return false;
            }
        };
        let Discard { was, awaited, .. } = *discard;
        let back_to = if awaited.is_empty() && self.spares_turns { was.clone() } else { awaited };
        if !back_to.is_empty() {
            self.phase = Phase::returning(back_to);
        }
        if is_to_be {
            self.owed = was;
        }
        true
    }

    /// The turns are discarded for good: nobody wants them back any more.
    pub(super) fn are_discarded(&mut self) {
        self.end_discard();
        self.phase = match std::mem::take(&mut self.phase) {
            Phase::Restored(_) => Phase::Settled,
            Phase::Returning(Returning { saved, .. }) => Phase::returning(saved),
            phase => phase,
        };
    }

    /// The release before, with this schema, goes on: a state that the other one has brought over goes back to it.
    pub(super) fn take_back(&mut self, schema: u32) {
        if let Phase::Trial { saved, .. } = &mut self.phase {
            let saved = std::mem::take(saved);
            self.phase = match saved.is_foreign(schema) {
                true => Phase::returning(saved),
                false => Phase::Settled,
            };
        }
    }

    /// The release that is there is there for good.
    pub(super) fn adopt(&mut self) {
        self.is_left = false;
        (self.before, self.schema) = match &mut self.phase {
            Phase::Trial { before, saved, is_unread } => {
                let adopted = (std::mem::take(saved), Some(*before));
                (self.is_unread, self.phase) = (*is_unread, Phase::Settled);
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
            Phase::Restored(discard) => Some(&mut discard.was),
        };
        for saved in now.into_iter().chain([&mut self.before, &mut self.owed]) {
            if saved.is_forgotten() {
                *saved = S::default();
            }
        }
    }

    /// A release is tried out over one with the schema `before`, and has brought these states over.
    pub(super) fn try_out(&mut self, before: u32, saved: S) {
        // The release before had not come to that yet, and has to when it is there again.
        let saved = self.awaited().unwrap_or(saved);
        self.end_discard();
        (self.phase, self.suspended) = (Phase::Trial { before, saved, is_unread: false }, None);
    }

    /// Nobody has begun with the release that is tried out.
    pub(super) fn is_passed_over(&mut self) {
        if let Phase::Trial { is_unread, .. } = &mut self.phase {
            *is_unread = true;
        }
    }

    /// Somebody begins, and the state may be damaged. Whether anything may serve.
    pub(super) fn begins(&mut self, damage: Option<Crash>) -> bool {
        match (self.suspended(), damage) {
            (_, Some(damage)) => self.suspend(Suspended::Damaged(damage)),
            (Some(Suspended::Damaged(_)), None) => self.resume(),
            _ => {}
        }
        self.suspended.is_none()
    }

    /// Whoever is there has yet to begin, and who runs gives way to it.
    pub(super) fn has_to_begin(&mut self) {
        if let Phase::Settled = self.phase {
            self.phase = Phase::returning(S::default());
        }
    }

    /// A release comes back over what it left; what it had yet to come back to is older, and stays.
    pub(super) fn go_back(&mut self, saved: S) {
        let saved = if saved.is_empty() { self.awaited().unwrap_or_default() } else { saved };
        self.end_discard();
        (self.phase, self.suspended) = (Phase::returning(saved), None);
    }

    /// A release comes back over one with this schema, another one or the same, and the turns since are discarded.
    pub(super) fn discard(&mut self, to: S, schema: u32, is_other: bool) {
        let discard = match std::mem::take(&mut self.phase) {
            // The same once more, after who was to do it ended.
            Phase::Returning(Returning { discard: Some(discard), .. }) => discard,
            phase => {
                self.phase = phase;
                let is_over = to.is_empty() || self.spares_turns && self.owed.has_turns_to_spare();
                let was = if is_over { S::default() } else { std::mem::take(&mut self.owed) };
                Box::new(Discard { was, schema, awaited: self.awaited().unwrap_or_default(), is_other })
            }
        };
        if !to.is_empty() {
            (self.owed, self.spares_turns) = (to.clone(), false);
        }
        (self.phase, self.suspended) = (Phase::Returning(Returning { saved: to, discard: Some(discard) }), None);
    }

    /// Whether these are what the states are to be put back to.
    pub(super) fn discards(&mut self, to: &S, is: S) -> bool {
        if !self.owed.is(to) {
            return false;
        }
        if let Phase::Returning(Returning { discard: Some(discard), .. }) = &mut self.phase
            && discard.was.is_empty()
        {
            discard.was = is;
        }
        true
    }

    /// Whether they were to be.
    pub(super) fn are_put_back(&mut self, states: &S) -> bool {
        let are_owed = self.owed.is(states);
        if are_owed {
            (self.owed, self.spares_turns) = (S::default(), false);
        }
        are_owed
    }

    /// Whether the release before the one that was there comes back, and its states with it.
    fn is_used_up(&self) -> bool {
        match &self.phase {
            Phase::Returning(Returning { discard: Some(discard), .. }) => discard.is_other,
            Phase::Restored(_) => true,
            _ => false,
        }
    }

    /// Whatever comes now, turns were discarded for good.
    fn end_discard(&mut self) {
        if self.is_used_up() {
            (self.before, self.schema, self.is_unread, self.is_left) = (S::default(), None, false, false);
        }
    }

    /// Keeps what the states were that a release has brought over. What is kept of it already is older, and stays.
    pub(super) fn brings_over(&mut self, saved: S) {
        let (kept, is_unread) = match &mut self.phase {
            Phase::Trial { saved, is_unread, .. } => (saved, is_unread),
            _ => {
                self.is_left = false;
                (&mut self.before, &mut self.is_unread)
            }
        };
        *is_unread = false;
        if kept.is_forgotten() && !saved.is_empty() {
            *kept = saved;
        }
    }

    /// What the states were that the release here has yet to come back to, and no turns are discarded for.
    fn awaited(&self) -> Option<S> {
        let saved = match (&self.phase, self.suspended()) {
            (Phase::Returning(Returning { saved, discard: None }), _)
            | (Phase::Settled, Some(Suspended::Unreadable { saved, .. })) => saved,
            _ => return None,
        };
        saved.close();
        (!saved.is_forgotten()).then(|| saved.clone())
    }

    /// A release that was to take over did not come to the end of it, and may have brought these states over. What is
    /// older stays.
    pub(super) fn breaks_off(&mut self, under_way: Option<S>) {
        if let Some(saved) = under_way
            && self.awaited().is_none()
        {
            self.end_discard();
            (self.phase, self.suspended) = (Phase::returning(saved), None);
        }
    }

    /// Nothing serves. One on trial stays on trial: the release before has its own states to come back to.
    pub(super) fn suspend(&mut self, why: Suspended<S>) {
        self.end_discard();
        if let Phase::Returning(_) | Phase::Restored(_) = self.phase {
            self.phase = Phase::Settled;
        }
        (self.suspended, self.owed, self.spares_turns) = (Some(Box::new(why)), S::default(), false);
    }

    /// What was suspended comes back when somebody begins here next.
    pub(super) fn resume(&mut self) {
        if let (Some(Suspended::Unreadable { saved, .. }), Phase::Settled) =
            (self.suspended.take().map(|why| *why), &self.phase)
        {
            self.phase = Phase::returning(saved);
        }
    }

    /// It has begun.
    pub(super) fn is_back(&mut self) {
        self.phase = match std::mem::take(&mut self.phase) {
            Phase::Returning(Returning { discard: Some(discard), .. }) if discard.is_other => Phase::Restored(discard),
            Phase::Returning(_) => Phase::Settled,
            phase => phase,
        };
    }
}
