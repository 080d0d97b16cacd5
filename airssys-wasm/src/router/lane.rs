//! One mailbox of a service, and the states of who reads it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use airssys_rt_shim::mailbox::{Mailbox, Size};

use super::waits::{Nodes, Waits};
use crate::error::Crash;
use crate::message::Envelope;
use crate::settings::Shape;
use crate::state::durable::Shelf;
use crate::state::{State, Together};

/// What a mailbox of the mesh holds: boxed, so that a slot of the queue is one word.
pub type Inbox = Mailbox<Box<Envelope>>;

/// What an envelope takes of its mailbox.
const SIZE: Size<Box<Envelope>> = Size {
    bytes: |envelope| envelope.bytes(),
    keep: |envelope, places| envelope.places = places,
    places: |envelope| envelope.places,
};

/// One mailbox and those who read it.
#[derive(Debug)]
pub struct Lane {
    /// The mailbox.
    pub mailbox: Arc<Inbox>,
    /// Its consumers, in the graph of who waits for whom.
    pub nodes: Nodes,
    states: States,
}

/// Where a lane's turns keep their state.
#[derive(Debug)]
enum States {
    None,
    One(Arc<State>),
    PerKey(Mutex<PerKey>, Arc<Together>),
    /// Durable ones: all lanes of the service share them, so that a key has its own in whichever lane it is.
    Shared(Arc<Shelf>),
}

/// The states of the keys of one lane. Those with nothing in them are forgotten from time to time, so that a key that never writes costs nothing.
#[derive(Debug, Default)]
struct PerKey {
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

impl Lane {
    pub(crate) fn new(shape: &Shape, waits: &Waits, consumers: usize, states: Holding) -> Self {
        Self {
            mailbox: Arc::new(Mailbox::sized(shape.capacity, shape.bytes, shape.overflow, consumers, SIZE)),
            nodes: waits.nodes(consumers),
            states: match states {
                Holding::Nothing => States::None,
                Holding::One(state) => States::One(state),
                Holding::PerKey(None, together) => States::PerKey(Mutex::default(), together),
                Holding::PerKey(Some(shelf), _) => States::Shared(shelf),
            },
        }
    }

    /// The state of a turn with this key; none in a stateless pool.
    #[must_use]
    pub(crate) fn state(&self, key: Option<&str>) -> Option<Arc<State>> {
        match &self.states {
            States::None => None,
            States::One(state) => Some(Arc::clone(state)),
            States::PerKey(states, together) => {
                Some(states.lock().unwrap_or_else(PoisonError::into_inner).state(key.unwrap_or_default(), together))
            }
            States::Shared(shelf) => Some(shelf.state(key.unwrap_or_default())),
        }
    }

    /// Why its only state cannot be used, where that is damaged.
    pub(crate) fn damage(&self) -> Option<Crash> {
        match &self.states {
            States::One(state) => state.damage(),
            _ => None,
        }
    }

    /// Whether there is nothing in its only state, and nobody else has that. A durable one is forgotten with that; one that is on disk stays.
    pub(crate) fn let_go_of_state(&self, key: &str, shelf: Option<&Shelf>) -> bool {
        match (&self.states, shelf) {
            (States::One(state), None) => Arc::strong_count(state) == 1 && state.is_empty(),
            (States::One(state), Some(shelf)) => shelf.forget(key, state),
            _ => false,
        }
    }

    /// How many commits have changed something in its states; it never goes back, also where one of them was forgotten.
    pub(crate) fn commits(&self) -> u64 {
        let mut commits = match &self.states {
            States::PerKey(states, _) => states.lock().unwrap_or_else(PoisonError::into_inner).commits,
            _ => 0,
        };
        self.each_state(|_, state| commits += state.age());
        commits
    }

    /// Each state of the keys that it has several of.
    pub(super) fn each_of_keys(&self, see: &mut impl FnMut(&str, &Arc<State>)) {
        match &self.states {
            States::None | States::One(_) => {}
            States::PerKey(states, _) => {
                let states = states.lock().unwrap_or_else(PoisonError::into_inner);
                states.states.iter().for_each(|(key, state)| see(key, state));
            }
            States::Shared(shelf) => shelf.each(see),
        }
    }

    /// Each state it holds, with its key.
    pub(crate) fn each_state(&self, mut see: impl FnMut(Option<&str>, &State)) {
        match &self.states {
            States::None => {}
            States::One(state) => see(None, state),
            States::PerKey(states, _) => {
                for (key, state) in &states.lock().unwrap_or_else(PoisonError::into_inner).states {
                    see(Some(key), state);
                }
            }
            States::Shared(shelf) => shelf.each(|key, state| see(Some(key), state)),
        }
    }
}

/// What state a lane holds.
#[derive(Debug)]
pub(crate) enum Holding {
    Nothing,
    One(Arc<State>),
    /// Durable ones where there is a shelf; others have a bound together.
    PerKey(Option<Arc<Shelf>>, Arc<Together>),
}

impl Holding {
    /// One state; a durable one where there is a shelf. Another one has a bound with the others of its service, where there are others.
    pub(crate) fn one(shelf: Option<&Arc<Shelf>>, key: &str, together: Option<&Arc<Together>>) -> Self {
        Self::One(shelf.map_or_else(|| State::among(together), |shelf| shelf.state(key)))
    }
}

/// Why a service has no place for an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misaddressed {
    NeedsKey,
    TakesNoKey,
    BadKey,
    TooManyKeys,
    NotSpawned,
}
