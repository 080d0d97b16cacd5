//! The durable states of one service, whichever actor or lane asks for them.
//!
//! All that is on disk is here from the start. So a key finds its state whatever the number of lanes was when it was saved.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::file::{Kept, Loaded};
use super::journal::{Home, Journal};
use super::sums::Sums;
use crate::state::State;

/// All durable states of a service, by key of the actor; empty for a service's only state.
#[derive(Debug)]
pub(crate) struct Shelf {
    journal: Journal,
    service: Arc<str>,
    states: Mutex<HashMap<Box<str>, Arc<State>>>,
}

impl Shelf {
    /// With what is on disk.
    pub(crate) fn new(journal: Journal, service: &str, kept: BTreeMap<Box<str>, Loaded>) -> Self {
        let service: Arc<str> = service.into();
        let states = kept.into_iter().map(|(actor, Loaded { kept, sums })| {
            let state = State::kept(kept, Home::new(&journal, &service, &actor, sums));
            (actor, Arc::new(state))
        });
        let states = Mutex::new(states.collect());
        Self { journal, service, states }
    }

    /// The state of a key, made at the first question.
    pub(crate) fn state(&self, actor: &str) -> Arc<State> {
        let mut states = self.lock();
        if let Some(state) = states.get(actor) {
            return Arc::clone(state);
        }
        let home = Home::new(&self.journal, &self.service, actor, Sums::default());
        let state = Arc::new(State::kept(Kept::default(), home));
        states.insert(actor.into(), Arc::clone(&state));
        state
    }

    /// Whether the key has a state.
    pub(crate) fn has(&self, actor: &str) -> bool {
        self.lock().contains_key(actor)
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Each state with its key.
    pub(crate) fn each(&self, mut see: impl FnMut(&str, &Arc<State>)) {
        let states: Vec<_> = self.lock().iter().map(|(key, state)| (key.clone(), Arc::clone(state))).collect();
        states.iter().for_each(|(key, state)| see(key, state));
    }

    /// Waits until no commit is under way that a turn before has left behind: what a turn reads from here on is what the next commit builds on.
    pub(crate) async fn settle(&self) {
        self.journal.settle().await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Arc<State>>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
