//! The places of a service whose actors are spawned: one a child, with a name and a bound.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::child::{Asks, Child, NoChild, tell_absent};
use super::names::Names;
use super::place::{Ask, Maker, Place, Watcher};
use super::states::States;
use crate::address::Address;
use crate::events::{Events, Full};

/// All children of a service.
#[derive(Debug)]
pub(crate) struct Spawned {
    /// Shared with the children, which take their names out again.
    places: Arc<Names<Arc<Place>>>,
    pub(super) maker: Maker,
    asks: Asks<Arc<Place>>,
    /// Whether it was told that no more may be spawned.
    full: Full,
}

impl Spawned {
    pub(super) fn new(maker: Maker, most: usize) -> (Self, mpsc::UnboundedReceiver<Ask>) {
        let (asks, asked) = mpsc::unbounded_channel();
        (Self { places: Arc::new(Names::new(0, most)), maker, asks, full: Full::default() }, asked)
    }

    /// The place of the child of this name that was spawned.
    pub(crate) fn known(&self, name: &str) -> Option<Arc<Place>> {
        self.places.get(name).filter(|place| place.child().is_some_and(|child| child.is_born()))
    }

    /// Takes a name and a place for a child, until it is gone or [`Place::release_child`] gives it back.
    pub(super) fn reserve(&self, name: &str) -> Result<Arc<Place>, NoChild> {
        let address = self.maker.service.with_key(name).map_err(|_| NoChild::BadName)?;
        let mut shard = self.places.of(name);
        if shard.contains_key(name) {
            return Err(NoChild::Taken);
        }
        if !self.places.take() {
            return Err(NoChild::TooMany);
        }
        self.full.has_room();
        let child = Child::new(address.clone(), &self.asks, &self.places);
        let states = States::one(None, name, Some(&self.maker.together));
        let place = Arc::new(Place::of_child(self.maker.inbox(address, 1, None), states, child));
        shard.insert(name.into(), Arc::clone(&place));
        Ok(place)
    }

    /// Tells one who monitors a child that there is none.
    pub(crate) fn tell_absent(&self, child: Address, watcher: Watcher) {
        tell_absent(&self.asks, child, watcher);
    }

    /// Tells that there are as many as may be.
    pub(super) fn tell_full(&self, events: &Events) {
        let service = self.maker.service.service();
        let detail = format_args!("{service} has {} children, and another one is asked for", self.len());
        self.full.reached(|| events.reach(service, "max_children", detail));
    }

    pub(super) fn bound(&self, most: usize) {
        self.places.bound(most);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn each(&self, see: impl FnMut(&Arc<Place>)) {
        self.places.each(see);
    }
}
