//! What a deployment does next. Pure: no clock, no I/O, no actor.
//!
//! Invariant: every order of events ends with all actors on the new release or all on the old one.

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// The new release did beside the old one what that did.
    Rehearsed,
    /// The actors that were to be switched serve with the new release.
    Switched,
    /// None of them does: the new release could not be made, or an actor did not come to a turn boundary in time.
    NotSwitched,
    /// An actor crashed on the new release and has put the old one back itself.
    Crashed(usize),
    /// The new release did well enough on those that have it, for others to get it as well.
    Passed,
    /// The actor that was to go back did so.
    Reverted,
    /// Somebody or something wants the old release back.
    Cancelled,
    /// The probation is over.
    Proved,
    /// No actor is on probation any more, and all had the new release when they ceased to be.
    Settled,
    /// It is on disk that the new release is live.
    Recorded,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Let the new release show beside the old one what it would do.
    Rehearse,
    /// Switch these actors to the new release, all or none.
    Switch(Batch),
    /// Watch those that have it, before others get it.
    Pass,
    /// Put the old release back under this actor.
    Revert(usize),
    /// Wait: all serve with the new release, on probation.
    Watch,
    /// Take all actors off probation: from now on a crash is a crash.
    Settle,
    /// Write down that the new release is live.
    Record,
    /// It is over: all serve with the new release.
    Live,
    /// It is over: all serve with the old release.
    Old,
}

/// Some actors in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Batch {
    /// The first.
    pub(crate) from: usize,
    /// The one after the last.
    pub(crate) to: usize,
}

/// A deployment of one service, batch by batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deployment {
    /// Whether each actor has the new release.
    new: Vec<bool>,
    /// How many have it after each batch. They grow, and the last one is all.
    batches: Vec<usize>,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Rehearsing,
    Switching(Batch),
    /// So many have it, and more are to get it.
    Passing(usize),
    Watching,
    Settling,
    Recording,
    /// Everything is to go back, when the switch of these has ended one way or the other.
    Abandoning(Batch),
    Reverting(usize),
    Live,
    Old,
}

impl Deployment {
    /// A deployment in batches, each told by how many actors have the new release after it, and what to do first.
    pub(crate) fn begin(batches: Vec<usize>, rehearse: bool) -> (Self, Action) {
        let actors = batches.last().copied().unwrap_or_default();
        let mut begun = Self { new: vec![false; actors], batches, phase: Phase::Old };
        let action = match actors {
            0 => Action::Old,
            _ if rehearse => {
                begun.phase = Phase::Rehearsing;
                Action::Rehearse
            }
            _ => begun.switching(0),
        };
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
            (Phase::Rehearsing, Event::Rehearsed) => Some(self.switching(0)),
            (Phase::Switching(batch), Event::Switched) => {
                self.got(batch);
                Some(if batch.to < self.new.len() { self.passing(batch.to) } else { self.watching() })
            }
            (Phase::Passing(have), Event::Passed) => Some(self.switching(have)),
            // The switch that is under way ends first: its own event decides.
            (Phase::Switching(batch), Event::Crashed(_) | Event::Cancelled) => {
                self.phase = Phase::Abandoning(batch);
                None
            }
            (Phase::Switching(_), Event::NotSwitched)
            | (
                Phase::Rehearsing | Phase::Passing(_) | Phase::Watching | Phase::Settling | Phase::Recording,
                Event::Crashed(_) | Event::Cancelled,
            ) => Some(self.reverting()),
            (Phase::Watching, Event::Proved) => {
                self.phase = Phase::Settling;
                Some(Action::Settle)
            }
            (Phase::Settling, Event::Settled) => {
                self.phase = Phase::Recording;
                Some(Action::Record)
            }
            (Phase::Recording, Event::Recorded) => {
                self.phase = Phase::Live;
                Some(Action::Live)
            }
            (Phase::Abandoning(batch), Event::Switched) => {
                self.got(batch);
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

    /// How many have the new release.
    pub(crate) fn have(&self) -> usize {
        self.new.iter().filter(|new| **new).count()
    }

    fn got(&mut self, batch: Batch) {
        self.new[batch.from..batch.to].fill(true);
    }

    /// The next batch, where so many have it.
    fn switching(&mut self, have: usize) -> Action {
        let to = self.batches.iter().copied().find(|to| *to > have).unwrap_or(self.new.len());
        let batch = Batch { from: have, to };
        self.phase = Phase::Switching(batch);
        Action::Switch(batch)
    }

    fn passing(&mut self, have: usize) -> Action {
        self.phase = Phase::Passing(have);
        Action::Pass
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

    /// Batches that grow.
    fn batches() -> impl Strategy<Value = Vec<usize>> {
        prop::collection::btree_set(1_usize..8, 1..5).prop_map(|batches| batches.into_iter().collect())
    }

    proptest! {
        /// A world of actors obeys each action; crashes, failures and a cancellation come whenever they like.
        #[test]
        fn every_order_of_events_ends_on_one_release(
            batches in batches(), rehearse: bool, chances in prop::collection::vec(0_u8..100, 400)
        ) {
            let mut world = vec![false; batches.last().copied().unwrap_or_default()];
            let mut chances = chances.into_iter().cycle();
            let mut chance = || chances.next().unwrap_or_default();
            let (mut deployment, mut action) = Deployment::begin(batches.clone(), rehearse);
            for _ in 0..1_000 {
                // Something may happen beside what is being done, until it is over.
                let beside = match chance() {
                    _ if matches!(action, Action::Live | Action::Old) => None,
                    0..10 => world.iter().position(|new| *new).map(|actor| { world[actor] = false; Event::Crashed(actor) }),
                    10..13 => Some(Event::Cancelled),
                    _ => None,
                };
                if let Some(event) = beside && let Some(next) = deployment.next(event) {
                    action = next;
                }
                let event = match action {
                    Action::Rehearse => {
                        prop_assert!(rehearse && world.iter().all(|new| !*new), "nobody has it before it was rehearsed");
                        Event::Rehearsed
                    }
                    Action::Switch(batch) => {
                        prop_assert!(batch.from == 0 || batches.contains(&batch.from), "{batch:?} of {batches:?}");
                        prop_assert!(batches.contains(&batch.to), "{batch:?} of {batches:?}");
                        let switched = chance() >= 15;
                        world[batch.from..batch.to].fill(switched);
                        if switched { Event::Switched } else { Event::NotSwitched }
                    }
                    Action::Pass => {
                        let have = world.iter().filter(|new| **new).count();
                        prop_assert!(batches.contains(&have) && have < world.len(), "{have} of {batches:?}");
                        Event::Passed
                    }
                    Action::Revert(actor) => { world[actor] = false; Event::Reverted }
                    Action::Watch => Event::Proved,
                    Action::Settle => Event::Settled,
                    Action::Record if chance() < 15 => Event::Cancelled,
                    Action::Record => Event::Recorded,
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
