//! The actors of a keyed service, as those see them who send: an address and a mailbox a key, awake or not.
//!
//! Invariant: an actor with a message and without an incarnation is on its way to one. Whoever puts a message in looks at the phase afterwards, whoever
//! puts the phase to asleep looks at the mailbox afterwards; so at least one of them asks for the wake-up, and the phase lets only one do it.
//!
//! A key is forgotten only when the table has the one and only way to its actor. So there are never two actors of one key, and a new one finds nothing that
//! the old one had.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc};

use super::lane::{Holding, Lane, Misaddressed};
use super::shards::Shards;
use super::waits::Waits;
use crate::address::{Address, is_key};
use crate::settings::Shape;
use crate::state::Together;
use crate::state::durable::Shelf;

/// The key of an actor that only tries a release.
const NOBODY: &str = "nobody";
/// How many that may be forgotten are looked at for a new key that there is no place for.
const LOOKED_AT_WHERE_FULL: usize = 64;
const ASLEEP: u8 = 0;
const WAKING: u8 = 1;
const AWAKE: u8 = 2;

/// One actor of a keyed service.
#[derive(Debug)]
pub struct KeyedActor {
    /// Its address, with the key.
    pub address: Address,
    /// Its mailbox and its state.
    pub lane: Lane,
    phase: AtomicU8,
    /// Whether it was addressed since the controller last looked.
    addressed: AtomicBool,
    /// Whether it is among those that may be forgotten, so that it is there once.
    listed: AtomicBool,
}

impl KeyedActor {
    /// Whether it has no message and does nothing.
    pub(crate) fn is_quiet(&self) -> bool {
        let mailbox = &self.lane.mailbox;
        mailbox.is_quiet() || (self.phase.load(Ordering::SeqCst) == ASLEEP && mailbox.is_empty())
    }

    /// Whether it was addressed since this was last asked.
    pub(crate) fn was_busy(&self) -> bool {
        self.addressed.swap(false, Ordering::Relaxed)
    }
}

/// All actors of a keyed service. There are never more than its bound; asking for one more is an error.
#[derive(Debug)]
pub struct Keyed {
    actors: Shards<Arc<KeyedActor>>,
    count: AtomicUsize,
    /// Those that may be forgotten: they were made, or fell asleep, since they were last looked at. No more than there are keys.
    asleep: Mutex<VecDeque<Box<str>>>,
    max_keys: AtomicUsize,
    shape: Mutex<Shape>,
    waits: Arc<Waits>,
    shelf: Option<Arc<Shelf>>,
    together: Arc<Together>,
    /// To the controller. Unbounded, and never longer than there are actors: each is in it at most once.
    wakes: mpsc::UnboundedSender<Arc<KeyedActor>>,
    /// How many want to be awake and may not, because as many are as may be.
    pub(crate) waiting: AtomicUsize,
    /// Told when one that is awake takes nobody's place any more.
    pub(crate) room: Notify,
}

impl Keyed {
    pub(crate) fn new(
        shape: Shape,
        max_keys: usize,
        waits: Arc<Waits>,
        shelf: Option<Arc<Shelf>>,
        together: Arc<Together>,
    ) -> (Self, mpsc::UnboundedReceiver<Arc<KeyedActor>>) {
        let (wakes, asked) = mpsc::unbounded_channel();
        let keyed = Self {
            actors: Shards::default(),
            // A key with durable state is there before anybody addresses it.
            count: AtomicUsize::new(shelf.as_ref().map_or(0, |shelf| shelf.len())),
            asleep: Mutex::default(),
            max_keys: AtomicUsize::new(max_keys),
            shape: Mutex::new(shape),
            waits,
            shelf,
            together,
            wakes,
            waiting: AtomicUsize::new(0),
            room: Notify::new(),
        };
        (keyed, asked)
    }

    /// The actor of a key, where it has one.
    pub(crate) fn known(&self, key: &str) -> Option<Arc<KeyedActor>> {
        self.actors.of(key).get(key).cloned()
    }

    /// The actor of a key, made at the first question. Where there are as many as may be, those go first of whom there is nothing to remember.
    pub(crate) fn actor(&self, service: &Address, key: &str) -> Result<Arc<KeyedActor>, Misaddressed> {
        match self.find_or_make(service, key) {
            Err(Misaddressed::TooManyKeys) => {
                self.forget(LOOKED_AT_WHERE_FULL);
                self.find_or_make(service, key)
            }
            settled => settled,
        }
    }

    fn find_or_make(&self, service: &Address, key: &str) -> Result<Arc<KeyedActor>, Misaddressed> {
        let mut shard = self.actors.of(key);
        if let Some(actor) = shard.get(key) {
            return Ok(Arc::clone(actor));
        }
        if !is_key(key) {
            return Err(Misaddressed::BadKey);
        }
        let counted = self.shelf.as_ref().is_some_and(|shelf| shelf.has(key));
        if !counted && self.count.fetch_add(1, Ordering::Relaxed) >= self.max_keys.load(Ordering::Relaxed) {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return Err(Misaddressed::TooManyKeys);
        }
        let actor = self.make(service, key, self.shelf.as_ref())?;
        shard.insert(key.into(), Arc::clone(&actor));
        drop(shard);
        // It may never get a message: somebody only asked, or the mailbox was closed.
        self.list(&actor);
        Ok(actor)
    }

    /// Forgets those that sleep and of whom there is nothing to remember: no state, no message, and nobody who has a way to them, as a sender has, a timer,
    /// a subscription and a monitor. Looks at no more than `most` that may be such, the ones first that were not looked at for longest.
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
        let mut shard = self.actors.of(&key);
        let Some(actor) = shard.get_mut(&key) else { return };
        let Some(alone) = Arc::get_mut(actor) else {
            if actor.phase.load(Ordering::SeqCst) != ASLEEP {
                actor.listed.store(false, Ordering::SeqCst);
                // It may have fallen asleep in between, and found that it was there already.
                if actor.phase.load(Ordering::SeqCst) != ASLEEP || actor.listed.swap(true, Ordering::SeqCst) {
                    return;
                }
            }
            drop(shard);
            return self.lock_asleep().push_back(key);
        };
        *alone.listed.get_mut() = false;
        let nothing_comes = *alone.phase.get_mut() == ASLEEP
            && Arc::get_mut(&mut alone.lane.mailbox).is_some_and(|mailbox| mailbox.is_empty() && !mailbox.is_closed());
        if nothing_comes && alone.lane.let_go_of_state(&key, self.shelf.as_deref()) {
            shard.remove(&key);
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn list(&self, actor: &KeyedActor) {
        if !actor.listed.swap(true, Ordering::SeqCst) {
            self.lock_asleep().push_back(actor.address.key().unwrap_or_default().into());
        }
    }

    fn lock_asleep(&self) -> MutexGuard<'_, VecDeque<Box<str>>> {
        self.asleep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An actor that nobody can address and whose state is empty: a release can be tried with it where there is no key yet.
    pub(crate) fn nobody(&self, service: &Address) -> Result<Arc<KeyedActor>, Misaddressed> {
        self.make(service, NOBODY, None)
    }

    fn make(&self, service: &Address, key: &str, shelf: Option<&Arc<Shelf>>) -> Result<Arc<KeyedActor>, Misaddressed> {
        Ok(Arc::new(KeyedActor {
            address: service.with_key(key).map_err(|_| Misaddressed::BadKey)?,
            lane: Lane::new(&self.shape(), &self.waits, 1, Holding::one(shelf, key, Some(&self.together))),
            phase: AtomicU8::new(ASLEEP),
            addressed: AtomicBool::new(false),
            listed: AtomicBool::new(false),
        }))
    }

    /// The mailboxes of new actors have this shape from now on.
    pub(crate) fn reshape(&self, shape: Shape) {
        *self.shape.lock().unwrap_or_else(PoisonError::into_inner) = shape;
    }

    fn shape(&self) -> Shape {
        *self.shape.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There may be so many keys from now on. Those that are there stay.
    pub(crate) fn bound(&self, max_keys: usize) {
        self.max_keys.store(max_keys, Ordering::Relaxed);
    }

    /// Asks for an incarnation where there is none and none was asked for.
    pub(crate) fn wake(&self, actor: &Arc<KeyedActor>) {
        actor.addressed.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if actor.phase.load(Ordering::Relaxed) == ASLEEP
            && actor.phase.compare_exchange(ASLEEP, WAKING, Ordering::SeqCst, Ordering::Relaxed).is_ok()
        {
            // No controller: the mesh stops, and closes the mailbox.
            let _no_controller = self.wakes.send(Arc::clone(actor));
        }
    }

    /// The actor has an incarnation.
    pub(crate) fn awoke(&self, actor: &KeyedActor) {
        actor.phase.store(AWAKE, Ordering::SeqCst);
    }

    /// The actor's incarnation is gone.
    pub(crate) fn fell_asleep(&self, actor: &Arc<KeyedActor>) {
        actor.phase.store(ASLEEP, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        self.list(actor);
        if !actor.lane.mailbox.is_empty() && !actor.lane.mailbox.is_closed() {
            self.wake(actor);
        }
    }

    /// Whether some want to be awake and may not, because as many are as may be.
    pub(crate) fn is_crowded(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    pub(crate) fn each(&self, see: impl FnMut(&Arc<KeyedActor>)) {
        self.actors.each(see);
    }
}
