//! What a deployment does next. Pure: no clock, no I/O, no actor.
//!
//! Invariant: every order of events ends with all actors on the new release or all on the old one.

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// The actor that was to be switched serves with the new release.
    Switched,
    /// It does not: the new release could not be made, or the actor did not come to a turn boundary in time.
    NotSwitched,
    /// An actor crashed on the new release and has put the old one back itself.
    Crashed(usize),
    /// The actor that was to go back did so.
    Reverted,
    /// Somebody wants the old release back.
    Cancelled,
    /// The probation is over.
    Proved,
    /// No actor is on probation any more, and all had the new release when they ceased to be.
    Settled,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Switch this actor to the new release.
    Switch(usize),
    /// Put the old release back under this actor.
    Revert(usize),
    /// Wait: all serve with the new release, on probation.
    Watch,
    /// Take all actors off probation: from now on a crash is a crash.
    Settle,
    /// It is over: all serve with the new release.
    Live,
    /// It is over: all serve with the old release.
    Old,
}

/// A deployment of one service, actor by actor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deployment {
    /// Whether each actor has the new release.
    new: Vec<bool>,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Switching(usize),
    Watching,
    Settling,
    /// Everything is to go back, when the switch of this actor has ended one way or the other.
    Abandoning(usize),
    Reverting(usize),
    Live,
    Old,
}

impl Deployment {
    /// A deployment for this many actors, and what to do first.
    pub(crate) fn begin(actors: usize) -> (Self, Action) {
        let mut begun = Self { new: vec![false; actors], phase: Phase::Old };
        let action = if actors == 0 { Action::Old } else { begun.switching(0) };
        (begun, action)
    }

    /// What to do now that this happened; what was begun and is not over goes on where it is none.
    pub(crate) fn next(&mut self, event: Event) -> Option<Action> {
        if let Event::Crashed(actor) = event
            && let Some(new) = self.new.get_mut(actor)
        {
            *new = false;
        }
        match (self.phase, event) {
            (Phase::Switching(actor), Event::Switched) => {
                self.new[actor] = true;
                Some(if actor + 1 < self.new.len() { self.switching(actor + 1) } else { self.watching() })
            }
            // The switch that is under way ends first: its own event decides.
            (Phase::Switching(actor), Event::Crashed(_) | Event::Cancelled) => {
                self.phase = Phase::Abandoning(actor);
                None
            }
            (Phase::Switching(_), Event::NotSwitched)
            | (Phase::Watching | Phase::Settling, Event::Crashed(_) | Event::Cancelled) => Some(self.reverting()),
            (Phase::Watching, Event::Proved) => {
                self.phase = Phase::Settling;
                Some(Action::Settle)
            }
            (Phase::Settling, Event::Settled) => {
                self.phase = Phase::Live;
                Some(Action::Live)
            }
            (Phase::Abandoning(actor), Event::Switched) => {
                self.new[actor] = true;
                Some(self.reverting())
            }
            (Phase::Abandoning(_), Event::NotSwitched) => Some(self.reverting()),
            (Phase::Reverting(actor), Event::Reverted) => {
                self.new[actor] = false;
                Some(self.reverting())
            }
            _ => None,
        }
    }

    fn switching(&mut self, actor: usize) -> Action {
        self.phase = Phase::Switching(actor);
        Action::Switch(actor)
    }

    fn watching(&mut self) -> Action {
        self.phase = Phase::Watching;
        Action::Watch
    }

    /// The last one that was switched goes back first.
    fn reverting(&mut self) -> Action {
        match self.new.iter().rposition(|new| *new) {
            Some(actor) => {
                self.phase = Phase::Reverting(actor);
                Action::Revert(actor)
            }
            None => {
                self.phase = Phase::Old;
                Action::Old
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "a test says so by panicking")]

    use proptest::prelude::*;

    use super::{Action, Deployment, Event};

    proptest! {
        /// A world of actors obeys each action; crashes, failures and a cancellation come whenever they like.
        #[test]
        fn every_order_of_events_ends_on_one_release(actors in 1_usize..6, chances in prop::collection::vec(0_u8..100, 200)) {
            let mut world = vec![false; actors];
            let mut chances = chances.into_iter().cycle();
            let mut chance = || chances.next().unwrap_or_default();
            let (mut deployment, mut action) = Deployment::begin(actors);
            for _ in 0..1_000 {
                // Something may happen beside what is being done, until it is over.
                let beside = match chance() {
                    _ if matches!(action, Action::Live | Action::Old) => None,
                    0..15 => world.iter().position(|new| *new).map(|actor| { world[actor] = false; Event::Crashed(actor) }),
                    15..20 => Some(Event::Cancelled),
                    _ => None,
                };
                if let Some(event) = beside && let Some(next) = deployment.next(event) {
                    action = next;
                }
                let event = match action {
                    Action::Switch(actor) => {
                        world[actor] = chance() >= 20;
                        if world[actor] { Event::Switched } else { Event::NotSwitched }
                    }
                    Action::Revert(actor) => { world[actor] = false; Event::Reverted }
                    Action::Watch => Event::Proved,
                    Action::Settle => Event::Settled,
                    Action::Live => { prop_assert!(world.iter().all(|new| *new), "{world:?}"); return Ok(()); }
                    Action::Old => { prop_assert!(world.iter().all(|new| !*new), "{world:?}"); return Ok(()); }
                };
                if let Some(next) = deployment.next(event) {
                    action = next;
                }
            }
            prop_assert!(false, "it never ended");
        }
    }
}
