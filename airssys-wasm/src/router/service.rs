//! A service as those see it who send to it: its address, its mailboxes, its rules.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::keyed::{Keyed, KeyedActor};
use super::lane::{Lane, Misaddressed};
use super::spawned::{self, NoChild};
use crate::address::{Address, MAX_KEY};
use crate::file_threads::FileThreads;
use crate::limits::Limits;
use crate::message::Room;
use crate::middleware::Metrics;
use crate::settings::Shape;
use crate::state::durable::Shelf;
use crate::state::{State, Together};

/// A child of a service; of its end it tells targets.
pub type Child = spawned::Child<Target>;
/// All children of a service.
pub type Children = spawned::Children<Target>;
/// What the controller of children is asked for.
pub(crate) type Ask = spawned::Ask<Target>;
/// One who is to be told of the end of a child.
pub(crate) type Watcher = spawned::Watcher<Target>;

/// How a service spreads its messages.
#[derive(Debug)]
pub enum Route {
    /// One mailbox; one consumer, or a stateless pool of them.
    Shared(Lane),
    /// A lane a member, chosen by the key's hash.
    Partitioned(Box<[Lane]>),
    /// An actor a key.
    Keyed(Box<Keyed>),
    /// An actor for each that somebody spawned.
    Spawned(Box<Children>),
}

/// How many bytes there are of something, and may be.
#[derive(Debug)]
pub(crate) struct Held {
    bytes: Arc<AtomicUsize>,
    most: AtomicUsize,
}

impl Held {
    pub(crate) fn new(most: usize) -> Self {
        Self { bytes: Arc::default(), most: AtomicUsize::new(most) }
    }

    /// Room for so many bytes more; none where there are too many. Where there is nothing yet, there is room for anything.
    pub(crate) fn take(&self, bytes: usize) -> Option<Room> {
        Room::take_many(&self.bytes, bytes, self.most.load(Ordering::Relaxed))
    }
}

/// A named place in the mesh.
#[derive(Debug)]
pub struct Service {
    /// Its address, without a key.
    pub address: Address,
    /// Its mailboxes.
    pub route: Route,
    /// The largest message it takes, in bytes: of its terms the one that senders look at.
    pub message_bytes: AtomicU64,
    /// What the messages of all its mailboxes have together, where it has several.
    pub(crate) held: Option<Held>,
    /// What it counts.
    pub metrics: Metrics,
    /// Its durable states; none where they are in memory only.
    pub(crate) shelf: Option<Arc<Shelf>>,
    /// What its states in memory have together, where it has several.
    pub(crate) together: Option<Arc<Together>>,
    /// What its guests work with files on, once one does.
    pub(crate) file_threads: OnceLock<Arc<FileThreads>>,
}

/// Where exactly a message goes.
#[derive(Debug, Clone)]
pub struct Target {
    pub(crate) service: Arc<Service>,
    spot: Spot,
}

#[derive(Debug, Clone)]
enum Spot {
    Shared,
    Lane(usize),
    Keyed(Arc<KeyedActor>),
    Child(Arc<Child>),
}

/// Where an address leads.
#[derive(Debug)]
pub(crate) enum Place {
    /// There is somebody.
    Target(Target),
    /// A key that nobody was ever sent anything under. It gets its actor when a message for it was allowed, not when somebody tries.
    NewKey { service: Arc<Service>, address: Address, made: OnceLock<Target> },
}

impl Place {
    pub(crate) fn service(&self) -> &Service {
        match self {
            Self::Target(target) => &target.service,
            Self::NewKey { service, .. } => service,
        }
    }

    pub(crate) fn address(&self) -> &Address {
        match self {
            Self::Target(target) => target.address(),
            Self::NewKey { address, .. } => address,
        }
    }

    /// The target, made where it is not there yet.
    pub(crate) fn target(&self) -> Result<&Target, Misaddressed> {
        let (service, address, made) = match self {
            Self::Target(target) => return Ok(target),
            Self::NewKey { service, address, made } => (service, address, made),
        };
        if let Some(target) = made.get() {
            return Ok(target);
        }
        let (Route::Keyed(keyed), Some(key)) = (&service.route, address.key()) else {
            return Err(Misaddressed::NeedsKey);
        };
        let target = Target::of_keyed(service, &keyed.actor(&service.address, key)?);
        Ok(made.get_or_init(|| target))
    }
}

impl Service {
    /// Takes up those of its limits that are looked at outside of its actors.
    pub(crate) fn retune(&self, limits: &Limits) {
        self.message_bytes.store(limits.message_bytes, Ordering::Relaxed);
        if let Some(together) = &self.together {
            together.bound(limits.all_state_bytes);
        }
    }

    pub(crate) fn place(
        self: &Arc<Self>,
        key_in_address: Option<&str>,
        key: Option<&str>,
    ) -> Result<Place, Misaddressed> {
        // Where it chooses no address it may be any text, and still is kept with each message.
        if key.is_some_and(|key| key.len() > MAX_KEY) {
            return Err(Misaddressed::BadKey);
        }
        let spot = match &self.route {
            Route::Shared(_) if key_in_address.is_some() => return Err(Misaddressed::TakesNoKey),
            Route::Shared(_) => Spot::Shared,
            Route::Partitioned(lanes) => Spot::Lane(lane_of(key_in_address.or(key), lanes.len())),
            Route::Keyed(keyed) => {
                let key = key_in_address.or(key).ok_or(Misaddressed::NeedsKey)?;
                match keyed.known(key) {
                    Some(actor) => Spot::Keyed(actor),
                    None => {
                        let address = self.address.with_key(key).map_err(|_| Misaddressed::BadKey)?;
                        return Ok(Place::NewKey { service: Arc::clone(self), address, made: OnceLock::new() });
                    }
                }
            }
            Route::Spawned(children) => {
                let name = key_in_address.or(key).ok_or(Misaddressed::NeedsKey)?;
                Spot::Child(children.known(name).ok_or(Misaddressed::NotSpawned)?)
            }
        };
        Ok(Place::Target(Target { service: Arc::clone(self), spot }))
    }

    /// Takes the name and the place of a child; none where its actors are not spawned.
    pub(crate) fn reserve_child(self: &Arc<Self>, name: &str) -> Option<Result<Target, NoChild>> {
        let Route::Spawned(children) = &self.route else { return None };
        let child = children.reserve(&self.address, name);
        Some(child.map(|child| Target { service: Arc::clone(self), spot: Spot::Child(child) }))
    }

    /// The target of lane number `lane`, 0 for a shared mailbox.
    pub(crate) fn nth(self: &Arc<Self>, lane: usize) -> Target {
        let spot = match &self.route {
            Route::Partitioned(_) => Spot::Lane(lane),
            Route::Shared(_) | Route::Keyed(_) | Route::Spawned(_) => Spot::Shared,
        };
        Target { service: Arc::clone(self), spot }
    }

    /// Whether none of its actors has a message, or is in a turn.
    pub(crate) fn is_quiet(&self) -> bool {
        let quiet = |lane: &Lane| lane.mailbox.is_closed() || lane.mailbox.is_quiet();
        match &self.route {
            Route::Shared(lane) => quiet(lane),
            Route::Partitioned(lanes) => lanes.iter().all(quiet),
            Route::Keyed(keyed) => {
                let mut all = true;
                keyed.each(|actor| all &= actor.lane.mailbox.is_closed() || actor.is_quiet());
                all
            }
            Route::Spawned(children) => {
                let mut all = true;
                children.each(|child| all &= child.is_quiet());
                all
            }
        }
    }

    /// Whether none of its actors has a message or is in a turn, and nobody has room in its mailboxes for one that is about to come. Gives back what storage
    /// they have.
    pub(crate) fn is_drained(&self) -> bool {
        let mut nothing_comes = true;
        self.each_lane(|_, lane| nothing_comes &= lane.mailbox.is_closed() || lane.mailbox.compact());
        nothing_comes && self.is_quiet()
    }

    /// Each state that it has, with the actor's key; empty for its only one.
    pub(crate) fn each_state(&self, mut see: impl FnMut(&str, &State)) {
        match &self.shelf {
            // Those too that nobody has asked for yet.
            Some(shelf) => shelf.each(|key, state| see(key, state)),
            None => self.each_lane(|address, lane| {
                lane.each_state(|key, state| see(key.or(address.key()).unwrap_or_default(), state));
            }),
        }
    }

    /// Of each lane whether a key with a state is in it; nothing where keys choose no lane.
    pub(crate) fn lanes_with_keys(&self) -> Vec<bool> {
        let Route::Partitioned(lanes) = &self.route else { return Vec::new() };
        let mut with_keys = vec![false; lanes.len()];
        self.each_state(|key, _| {
            if let Some(found) = with_keys.get_mut(lane_of(Some(key), lanes.len())) {
                *found = true;
            }
        });
        with_keys
    }

    /// Gives its mailboxes another shape, those that are made later too.
    pub(crate) fn reshape(&self, shape: Shape) {
        if let Route::Keyed(keyed) = &self.route {
            keyed.reshape(shape);
        }
        if let Some(held) = &self.held {
            held.most.store(shape.all_bytes, Ordering::Relaxed);
        }
        self.each_lane(|_, lane| lane.mailbox.resize(shape.capacity, shape.bytes, shape.overflow));
    }

    /// The state of a key, where its turns would look for it; none where no turn does.
    pub(crate) fn state_of(&self, key: &str) -> Option<Arc<State>> {
        match &self.route {
            Route::Shared(lane) if key.is_empty() => lane.state(None),
            Route::Shared(_) => None,
            Route::Partitioned(lanes) => lanes.get(lane_of(Some(key), lanes.len()))?.state(Some(key)),
            Route::Keyed(keyed) => keyed.actor(&self.address, key).ok()?.lane.state(None),
            // A child has its own as long as it lives.
            Route::Spawned(_) => None,
        }
    }

    /// The state of a key that is known, because somebody has written to it, or its actor is there.
    pub(crate) fn known_state(&self, key: &str) -> Option<Arc<State>> {
        let is_lost = self.shelf.as_ref().is_some_and(|shelf| shelf.is_lost(key));
        let is_known = match &self.route {
            _ if is_lost => true,
            Route::Shared(_) => true,
            Route::Keyed(keyed) => {
                keyed.known(key).is_some() || self.shelf.as_ref().is_some_and(|shelf| shelf.has(key))
            }
            Route::Spawned(children) => return children.known(key)?.lane.state(None),
            Route::Partitioned(_) => {
                let mut is_written = false;
                self.each_state(|of, state| is_written |= of == key && state.commits() > 0);
                is_written
            }
        };
        if is_known { self.state_of(key) } else { None }
    }

    /// Each lane, with the keyed actors' last.
    pub(crate) fn each_lane(&self, mut see: impl FnMut(&Address, &Lane)) {
        match &self.route {
            Route::Shared(lane) => see(&self.address, lane),
            Route::Partitioned(lanes) => lanes.iter().for_each(|lane| see(&self.address, lane)),
            Route::Keyed(keyed) => keyed.each(|actor| see(&actor.address, &actor.lane)),
            Route::Spawned(children) => children.each(|child| see(&child.address, &child.lane)),
        }
    }
}

/// The lane of a key: the same one for the same key, while the pool has the same size.
fn lane_of(key: Option<&str>, lanes: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    key.unwrap_or_default().hash(&mut hasher);
    usize::try_from(hasher.finish() % lanes.max(1) as u64).unwrap_or(0)
}

impl Target {
    /// The target of one actor of a keyed service.
    pub(crate) fn of_keyed(service: &Arc<Service>, actor: &Arc<KeyedActor>) -> Self {
        Self { service: Arc::clone(service), spot: Spot::Keyed(Arc::clone(actor)) }
    }

    /// The target of one child.
    pub(crate) fn of_child(service: &Arc<Service>, child: &Arc<Child>) -> Self {
        Self { service: Arc::clone(service), spot: Spot::Child(Arc::clone(child)) }
    }

    /// The key that a message to it keeps. The address of a lane has none, and so it is there that the one which chose the lane is kept: it chooses the state.
    pub(crate) fn lane_key<'a>(&self, in_address: Option<&'a str>, key: Option<&'a str>) -> Option<&'a str> {
        match &self.spot {
            Spot::Lane(_) => in_address.or(key),
            Spot::Shared | Spot::Keyed(_) | Spot::Child(_) => key,
        }
    }

    /// The child it is, where it is one.
    pub(crate) fn child(&self) -> Option<&Arc<Child>> {
        match &self.spot {
            Spot::Child(child) => Some(child),
            Spot::Shared | Spot::Lane(_) | Spot::Keyed(_) => None,
        }
    }

    /// Has the child started whose name was taken.
    pub(crate) fn start_child(&self) {
        if let (Spot::Child(child), Route::Spawned(children)) = (&self.spot, &self.service.route) {
            children.start(child);
        }
    }

    /// Gives the name of a child back that was not started.
    pub(crate) fn release_child(&self) {
        if let (Spot::Child(child), Route::Spawned(children)) = (&self.spot, &self.service.route) {
            children.release(child);
        }
    }

    /// The address it is known by: with its key where it is one of several actors.
    #[must_use]
    pub fn address(&self) -> &Address {
        match &self.spot {
            Spot::Keyed(actor) => &actor.address,
            Spot::Child(child) => &child.address,
            Spot::Shared | Spot::Lane(_) => &self.service.address,
        }
    }

    /// The states of the lane's keys that are in another schema, with that; none where it has one state.
    pub(crate) fn foreign_states(&self, schema: u32) -> Vec<(Box<str>, Arc<State>, u32)> {
        let (Spot::Lane(at), Route::Partitioned(lanes)) = (&self.spot, &self.service.route) else { return Vec::new() };
        let mut foreign = Vec::new();
        let mut see = |key: &str, state: &Arc<State>| {
            if let Some(found) = state.foreign(schema)
                && lane_of(Some(key), lanes.len()) == *at
            {
                foreign.push((key.into(), Arc::clone(state), found));
            }
        };
        self.lane().each_of_keys(&mut see);
        foreign
    }

    pub(crate) fn lane(&self) -> &Lane {
        match (&self.spot, &self.service.route) {
            (Spot::Keyed(actor), _) => &actor.lane,
            (Spot::Child(child), _) => &child.lane,
            (Spot::Lane(at), Route::Partitioned(lanes)) => &lanes[*at],
            (_, Route::Shared(lane)) => lane,
            _ => unreachable!("a target is made by its own service, whose route never changes"),
        }
    }

    /// To be called after a message was put into the mailbox: wakes the actor where it sleeps without an instance.
    pub(crate) fn wake(&self) {
        if let (Spot::Keyed(actor), Route::Keyed(keyed)) = (&self.spot, &self.service.route) {
            keyed.wake(actor);
        }
    }
}
