//! The places of a keyed service: one a key, made when somebody first sends to it.
//!
//! A key is forgotten only when the table has the one and only way to its place. So there are never two places of one
//! key, and a new one finds nothing that the old one had.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::names::Names;
use super::place::{Maker, Misaddressed, Place};
use super::sleep::{Sleeper, Wakes};
use super::states::States;
use crate::address::is_key;
use crate::events::{Events, Full};
use crate::state::durable::ServiceStates;

/// The key of an actor that only tries a release.
const NOBODY: &str = "nobody";
/// How many that may be forgotten are looked at for a new key that there is no place for.
const LOOKED_AT_WHERE_FULL: usize = 64;

/// All places of a keyed service. There are never more than its bound; asking for one more is an error.
#[derive(Debug)]
pub(crate) struct OnDemand {
    places: Names<Arc<Place>>,
    /// Those that may be forgotten: they were made, or fell asleep, since they were last looked at. No more than there
    /// are keys.
    asleep: Mutex<VecDeque<Box<str>>>,
    pub(super) maker: Maker,
    durable: Option<Arc<ServiceStates>>,
    controller: Arc<Wakes>,
    /// Whether it was told that there are as many as may be.
    full: Full,
}

impl OnDemand {
    pub(super) fn new(
        maker: Maker,
        max_keys: usize,
        durable: Option<Arc<ServiceStates>>,
        controller: Arc<Wakes>,
    ) -> Self {
        // A key with durable state is there before anybody addresses it.
        let stored = durable.as_ref().map_or(0, |durable| durable.len());
        Self {
            places: Names::new(stored, max_keys),
            asleep: Mutex::default(),
            maker,
            durable,
            controller,
            full: Full::default(),
        }
    }

    pub(crate) fn controller(&self) -> &Wakes {
        &self.controller
    }

    /// The place of a key, where it has one.
    pub(crate) fn known(&self, key: &str) -> Option<Arc<Place>> {
        self.places.get(key)
    }

    /// Whether somebody has sent to the key, or written under it.
    pub(super) fn has(&self, key: &str) -> bool {
        self.known(key).is_some() || self.durable.as_ref().is_some_and(|durable| durable.has(key))
    }

    /// The place of a key, made at the first question. Where there are as many as may be, those go first of whom there
    /// is nothing to remember.
    pub(crate) fn find_or_make(&self, key: &str) -> Result<Arc<Place>, Misaddressed> {
        match self.try_find_or_make(key) {
            Err(Misaddressed::TooManyKeys) => {
                self.forget(LOOKED_AT_WHERE_FULL);
                self.try_find_or_make(key)
            }
            settled => settled,
        }
    }

    /// Tells that there are as many keys as may be.
    pub(super) fn tell_full(&self, events: &Events) {
        let service = self.maker.service.service();
        let detail = format_args!("{service} has {} keys, and another one is asked for", self.len());
        self.full.reached(|| events.reach(service, "max_keys", detail));
    }

    fn try_find_or_make(&self, key: &str) -> Result<Arc<Place>, Misaddressed> {
        let mut shard = self.places.of(key);
        if let Some(place) = shard.get(key) {
            return Ok(Arc::clone(place));
        }
        if !is_key(key) {
            return Err(Misaddressed::BadKey);
        }
        let counted = self.durable.as_ref().is_some_and(|durable| durable.has(key));
        if !counted && !self.places.take() {
            return Err(Misaddressed::TooManyKeys);
        }
        if !counted {
            self.full.has_room();
        }
        let place = self.make(key, self.durable.as_ref())?;
        shard.insert(key.into(), Arc::clone(&place));
        drop(shard);
        // It may never get a message: somebody only asked, or the mailbox was closed.
        self.list(&place);
        Ok(place)
    }

    fn make(&self, key: &str, durable: Option<&Arc<ServiceStates>>) -> Result<Arc<Place>, Misaddressed> {
        let address = self.maker.service.with_key(key).map_err(|_| Misaddressed::BadKey)?;
        let inbox = self.maker.inbox(address, 1, Some(Sleeper::new(&self.controller)));
        Ok(Arc::new(Place::whole(inbox, States::one(durable, key, Some(&self.maker.together)))))
    }

    /// A place that nobody can address and whose state is empty: a release can be tried in it where there is no key
    /// yet.
    pub(crate) fn nobody(&self) -> Result<Arc<Place>, Misaddressed> {
        self.make(NOBODY, None)
    }

    /// Forgets those that sleep and of whom there is nothing to remember: no state, no message, and nobody who has a
    /// way to them, as a sender has, a timer, a subscription and a monitor. Looks at no more than `most` that may be
    /// such, the ones first that were not looked at for longest.
    pub(crate) fn forget(&self, most: usize) {
        let looked_at: Vec<Box<str>> = {
            let mut asleep = self.lock_asleep();
            let most = most.min(asleep.len());
            asleep.drain(..most).collect()
        };
        for key in looked_at {
            self.look_at(key);
        }
    }

    fn look_at(&self, key: Box<str>) {
        // Locked, so that nobody gets a way to it meanwhile.
        let mut shard = self.places.of(&key);
        let Some(place) = shard.get_mut(&key) else { return };
        let Some(alone) = Arc::get_mut(place) else {
            if let Some(sleeper) = place.inbox.sleeper()
                && !sleeper.is_asleep()
            {
                sleeper.unlist();
                // It may have fallen asleep in between, and found that it was there already.
                if !sleeper.is_asleep() || !sleeper.list() {
                    return;
                }
            }
            drop(shard);
            return self.lock_asleep().push_back(key);
        };
        if alone.inbox.nothing_comes() && alone.states.let_go(&key, self.durable.as_deref()) {
            shard.remove(&key);
            self.places.give_back();
        }
    }

    fn list(&self, place: &Place) {
        if place.inbox.sleeper().is_some_and(Sleeper::list) {
            self.lock_asleep().push_back(place.address().key().unwrap_or_default().into());
        }
    }

    fn lock_asleep(&self) -> MutexGuard<'_, VecDeque<Box<str>>> {
        self.asleep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn bound(&self, most: usize) {
        self.places.bound(most);
    }

    /// The actor of a place has no incarnation any more.
    pub(crate) fn fell_asleep(&self, place: &Place) {
        let Some(sleeper) = place.inbox.sleeper() else { return };
        sleeper.fell_asleep();
        self.list(place);
        let mailbox = place.inbox.mailbox();
        if !mailbox.is_empty() && !mailbox.is_closed() {
            place.inbox.wake();
        }
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn each(&self, see: impl FnMut(&Arc<Place>)) {
        self.places.each(see);
    }
}
