//! A place of a service: an address, the inbox there, and the state of who reads there. It is older and younger than
//! any actor.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use super::child::{self, Child};
use super::inbox::{Common, Inbox};
use super::sleep::Sleeper;
use super::states::States;
use crate::address::{Address, split};
use crate::settings::MailboxShape;
use crate::state::{State, Together};
use crate::waits::Waits;

/// What the controller of children is asked for.
pub(crate) type Ask = child::Ask<Arc<Place>>;
/// One who is to be told of the end of a child.
pub(crate) type Watcher = child::Watcher<Arc<Place>>;

/// A place in the mesh.
#[derive(Debug)]
pub(crate) struct Place {
    /// The way to its mailbox.
    pub(crate) inbox: Inbox,
    /// What is remembered there.
    pub(crate) states: States,
    role: Role,
}

/// What a place is in its service.
#[derive(Debug)]
enum Role {
    /// It serves an address of its own.
    Whole,
    /// It serves the keys with this remainder among so many.
    Lane(usize, usize),
    /// It is that of a child.
    Child(Arc<Child<Arc<Place>>>),
}

/// The lane of a key: the same one for the same key, while the pool has the same size.
pub(super) fn lane_of(key: Option<&str>, lanes: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    key.unwrap_or_default().hash(&mut hasher);
    usize::try_from(hasher.finish() % lanes.max(1) as u64).unwrap_or(0)
}

/// There is one of each.
impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Place {
    pub(super) fn whole(inbox: Inbox, states: States) -> Self {
        Self { inbox, states, role: Role::Whole }
    }

    pub(super) fn lane(inbox: Inbox, states: States, at: usize, lanes: usize) -> Self {
        Self { inbox, states, role: Role::Lane(at, lanes) }
    }

    pub(super) fn of_child(inbox: Inbox, states: States, child: Child<Arc<Place>>) -> Self {
        Self { inbox, states, role: Role::Child(Arc::new(child)) }
    }

    /// The address it is known by: with its key where it is one of several actors.
    #[must_use]
    pub(crate) fn address(&self) -> &Address {
        self.inbox.address()
    }

    /// Whether its service is this one, by what is common to all places of it.
    pub(super) fn is_of(&self, common: &Common) -> bool {
        std::ptr::eq(self.inbox.common(), common)
    }

    /// The key that a message to it keeps. The address of a lane has none, and so it is there that the one which chose
    /// the lane is kept: it chooses the state.
    pub(crate) fn lane_key<'a>(&self, address: &'a str, key: Option<&'a str>) -> Option<&'a str> {
        match &self.role {
            Role::Lane(..) => split(address).1.or(key),
            Role::Whole | Role::Child(_) => key,
        }
    }

    /// Whether each message's key chooses the state.
    pub(crate) fn has_state_per_key(&self) -> bool {
        matches!(self.role, Role::Lane(..))
    }

    /// Whether its actor comes and goes, as a key or a child.
    pub(crate) fn comes_and_goes(&self) -> bool {
        self.child().is_some() || self.inbox.sleeper().is_some()
    }

    /// The child it is of, where it is of one.
    pub(crate) fn child(&self) -> Option<&Arc<Child<Arc<Place>>>> {
        match &self.role {
            Role::Child(child) => Some(child),
            Role::Whole | Role::Lane(..) => None,
        }
    }

    /// Has the child started whose name was taken.
    pub(crate) fn start_child(self: &Arc<Self>) {
        if let Some(child) = self.child() {
            child.start(Arc::clone(self));
        }
    }

    /// Has the child stopped, in order and for good.
    pub(crate) fn stop_child(self: &Arc<Self>) {
        if let Some(child) = self.child() {
            child.stop(Arc::clone(self));
        }
    }

    /// Gives the name of a child back that was not started.
    pub(crate) fn release_child(self: &Arc<Self>) {
        if let Some(child) = self.child() {
            child.release(self);
        }
    }

    /// The states of the lane's keys that are in another schema, with that; none where it has one state.
    pub(crate) fn foreign_states(&self, schema: u32) -> Vec<(Box<str>, Arc<State>, u32)> {
        let Role::Lane(at, lanes) = self.role else { return Vec::new() };
        let mut foreign = Vec::new();
        self.states.each_of_several(&mut |key, state| {
            if let Some(found) = state.foreign(schema)
                && lane_of(Some(key), lanes) == at
            {
                foreign.push((key.into(), Arc::clone(state), found));
            }
        });
        foreign
    }
}

/// Makes the places of a service.
#[derive(Debug)]
pub(super) struct Maker {
    pub(super) service: Address,
    shape: Mutex<MailboxShape>,
    waits: Arc<Waits>,
    pub(super) common: Arc<Common>,
    /// What the states in memory have together, where there are several.
    pub(super) together: Arc<Together>,
}

impl Maker {
    pub(super) fn new(
        service: Address,
        shape: MailboxShape,
        waits: &Arc<Waits>,
        common: &Arc<Common>,
        together: &Arc<Together>,
    ) -> Self {
        Self {
            service,
            shape: Mutex::new(shape),
            waits: Arc::clone(waits),
            common: Arc::clone(common),
            together: Arc::clone(together),
        }
    }

    pub(super) fn inbox(&self, address: Address, consumers: usize, sleeper: Option<Sleeper>) -> Inbox {
        let shape = *self.shape.lock().unwrap_or_else(PoisonError::into_inner);
        Inbox::new(address, &shape, &self.waits, consumers, &self.common, sleeper)
    }

    /// The mailboxes that are made from now on have this shape.
    pub(super) fn reshape(&self, shape: MailboxShape) {
        *self.shape.lock().unwrap_or_else(PoisonError::into_inner) = shape;
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
