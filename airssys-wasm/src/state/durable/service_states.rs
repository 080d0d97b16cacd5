//! The durable states of one service, whichever actor or lane asks for them.
//!
//! All that is on disk is here from the start. So a key finds its state whatever the number of lanes was when it was
//! saved. One whose state is damaged gets a state that is empty, says so, and is never written.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::journal::Journal;
use super::kept::{KeptState, Loaded, LoadedService};
use super::lost::{LostKeys, LostStates};
use super::sums::Sums;
use crate::state::State;

/// All durable states of a service, by key of the actor; empty for a service's only state.
#[derive(Debug)]
pub(crate) struct ServiceStates {
    journal: Journal,
    service: Arc<str>,
    states: Mutex<HashMap<Box<str>, Arc<State>>>,
    /// Those that are damaged.
    lost: Arc<LostStates>,
    /// How many states there may be before they are looked through: twice as many as were left the last time.
    look_at: AtomicUsize,
}

/// So many states are never looked through.
const FEW_STATES: usize = 256;

impl ServiceStates {
    /// With what is on disk.
    pub(crate) fn new(journal: Journal, service: &str, LoadedService { states, lost }: LoadedService) -> Self {
        let service: Arc<str> = service.into();
        let states = states.into_iter().map(|(actor, Loaded { kept, sums })| {
            let state = State::kept(kept, journal.home(&service, &actor, sums));
            (actor, Arc::new(state))
        });
        let states = Mutex::new(states.collect());
        Self { journal, service, states, lost: Arc::new(LostStates::new(lost)), look_at: AtomicUsize::default() }
    }

    /// The state of a key, made at the first question.
    pub(crate) fn state(&self, actor: &str) -> Arc<State> {
        let mut states = self.lock();
        if let Some(state) = states.get(actor) {
            return Arc::clone(state);
        }
        let look_at = self.look_at.load(Ordering::Relaxed);
        if states.len() >= look_at.max(FEW_STATES) {
            // Those that were only asked for: not on disk, and nobody else has them.
            states.retain(|_, state| state.commits() > 0 || Arc::strong_count(state) > 1);
            self.look_at.store(states.len() * 2, Ordering::Relaxed);
        }
        let mut home = self.journal.home(&self.service, actor, Sums::default());
        // Looked at once for each key that is new, and there are few that are damaged, if any.
        home.lost = self.is_lost(actor).then(|| Arc::clone(&self.lost));
        let state = Arc::new(State::kept(KeptState::default(), home));
        states.insert(actor.into(), Arc::clone(&state));
        state
    }

    /// Forgets a state that is not on disk and that nobody has but this and who calls. Whether it was such a one.
    pub(crate) fn forget(&self, actor: &str, state: &Arc<State>) -> bool {
        let mut states = self.lock();
        let forgets = state.commits() == 0
            && Arc::strong_count(state) == 2
            && states.get(actor).is_some_and(|known| Arc::ptr_eq(known, state));
        if forgets {
            states.remove(actor);
        }
        forgets
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

    /// Waits until no commit is under way that a turn before has left behind: what a turn reads from here on is what
    /// the next commit builds on.
    pub(crate) async fn settle(&self) {
        self.journal.settle().await;
    }

    /// The keys whose states are damaged, and what is wrong with them.
    pub(crate) fn lost(&self) -> Vec<LostKeys> {
        self.lost.all()
    }

    /// Whether the state of a key is damaged, or may be.
    pub(crate) fn is_lost(&self, actor: &str) -> bool {
        self.lost.of(actor).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Arc<State>>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
