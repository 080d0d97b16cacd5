//! The states of one place: of its only actor, or of each key whose messages come there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Crash;
use crate::state::durable::ServiceStates;
use crate::state::{State, Together};

/// Where the turns of one place keep their state.
#[derive(Debug)]
pub(crate) enum States {
    /// Nowhere.
    Nothing,
    /// In one.
    One(Arc<State>),
    /// In one a key; all together have a bound.
    PerKey(Mutex<PerKey>, Arc<Together>),
    /// In a durable one a key: all lanes of the service share them, so that a key has its own in whichever lane it is.
    Shared(Arc<ServiceStates>),
}

/// The states of the keys of one lane. Those with nothing in them are forgotten from time to time, so that a key that
/// never writes costs nothing.
#[derive(Debug, Default)]
pub(crate) struct PerKey {
    states: HashMap<Box<str>, Arc<State>>,
    /// How many there may be before they are looked through: twice as many as were left the last time.
    look_at: usize,
    /// The commits of those that were forgotten.
    commits: u64,
}

/// So many states of a lane are never looked through.
const FEW_STATES: usize = 256;

impl PerKey {
    fn state(&mut self, key: &str, together: &Arc<Together>) -> Arc<State> {
        if let Some(state) = self.states.get(key) {
            return Arc::clone(state);
        }
        if self.states.len() >= self.look_at.max(FEW_STATES) {
            let commits = &mut self.commits;
            self.states.retain(|_, state| {
                // Nobody else has it, and nobody else can get it meanwhile.
                let forgets = Arc::strong_count(state) == 1 && state.is_empty();
                *commits += if forgets { state.age() } else { 0 };
                !forgets
            });
            self.look_at = self.states.len() * 2;
        }
        let state = State::among(Some(together));
        self.states.insert(key.into(), Arc::clone(&state));
        state
    }
}

impl States {
    /// One state, durable where those of the service are. One in memory shares a bound with the others of its service,
    /// where there are others.
    pub(super) fn one(durable: Option<&Arc<ServiceStates>>, key: &str, together: Option<&Arc<Together>>) -> Self {
        Self::One(durable.map_or_else(|| State::among(together), |durable| durable.state(key)))
    }

    /// A state a key, durable where those of the service are.
    pub(super) fn per_key(durable: Option<&Arc<ServiceStates>>, together: &Arc<Together>) -> Self {
        match durable {
            Some(durable) => Self::Shared(Arc::clone(durable)),
            None => Self::PerKey(Mutex::default(), Arc::clone(together)),
        }
    }

    /// The state of a turn with this key; none in a stateless pool.
    pub(crate) fn state(&self, key: Option<&str>) -> Option<Arc<State>> {
        match self {
            Self::Nothing => None,
            Self::One(state) => Some(Arc::clone(state)),
            Self::PerKey(states, together) => {
                Some(states.lock().unwrap_or_else(PoisonError::into_inner).state(key.unwrap_or_default(), together))
            }
            Self::Shared(durable) => Some(durable.state(key.unwrap_or_default())),
        }
    }

    /// Why its only state cannot be used, where that is damaged.
    pub(crate) fn damage(&self) -> Option<Crash> {
        match self {
            Self::One(state) => state.damage(),
            _ => None,
        }
    }

    /// Whether there is nothing in its only state, and nobody else has that. A durable one is forgotten with that; one
    /// that is on disk stays.
    pub(crate) fn let_go(&self, key: &str, durable: Option<&ServiceStates>) -> bool {
        match (self, durable) {
            (Self::One(state), None) => Arc::strong_count(state) == 1 && state.is_empty(),
            (Self::One(state), Some(durable)) => durable.forget(key, state),
            _ => false,
        }
    }

    /// How many commits have changed something in its states; it never goes back, also where one of them was forgotten.
    pub(crate) fn commits(&self) -> u64 {
        let mut commits = match self {
            Self::PerKey(states, _) => states.lock().unwrap_or_else(PoisonError::into_inner).commits,
            _ => 0,
        };
        self.each(|_, state| commits += state.age());
        commits
    }

    /// Each state of the keys that it has several of.
    pub(super) fn each_of_several(&self, see: &mut impl FnMut(&str, &Arc<State>)) {
        match self {
            Self::Nothing | Self::One(_) => {}
            Self::PerKey(states, _) => {
                let states = states.lock().unwrap_or_else(PoisonError::into_inner);
                states.states.iter().for_each(|(key, state)| see(key, state));
            }
            Self::Shared(durable) => durable.each(see),
        }
    }

    /// Each state it holds, with its key.
    pub(crate) fn each(&self, mut see: impl FnMut(Option<&str>, &State)) {
        match self {
            Self::Nothing => {}
            Self::One(state) => see(None, state),
            Self::PerKey(states, _) => {
                for (key, state) in &states.lock().unwrap_or_else(PoisonError::into_inner).states {
                    see(Some(key), state);
                }
            }
            Self::Shared(durable) => durable.each(|key, state| see(Some(key), state)),
        }
    }
}
