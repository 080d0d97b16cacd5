//! A service as those see it who send to it: its address, its places, its rules.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::mpsc;

use super::beside::Beside;
use super::child::NoChild;
use super::directory::{Directory, Lanes};
use super::inbox::{ByteBound, Common, Inbox};
use super::on_demand::OnDemand;
use super::place::{Ask, Maker, Misaddressed, Place};
use super::sleep::Wakes;
use super::spawned::Spawned;
use super::states::States;
use crate::address::{Address, MAX_KEY};
use crate::events::Events;
use crate::file_threads::FileThreads;
use crate::limits::Limits;
use crate::message::Envelope;
use crate::middleware::Metrics;
use crate::settings::{MailboxShape, Multiplicity, Terms};
use crate::state::durable::ServiceStates;
use crate::state::{State, Together};
use crate::waits::Waits;

/// A named place in the mesh.
#[derive(Debug)]
pub(crate) struct Service {
    /// Its address, without a key.
    pub(crate) address: Address,
    /// Where its mailboxes are.
    pub(crate) directory: Directory,
    pub(super) common: Arc<Common>,
    /// What it counts.
    pub(crate) metrics: Arc<Metrics>,
    /// Its durable states; none where they are in memory only.
    pub(crate) durable: Option<Arc<ServiceStates>>,
    /// What its states in memory have together, where it has several.
    together: Option<Arc<Together>>,
    /// What its guests work with files on, once one does.
    pub(crate) file_threads: OnceLock<Arc<FileThreads>>,
    /// How many folders and files its guests watch.
    pub(crate) watches: Arc<AtomicUsize>,
}

/// What the controller of a service is asked for whose actors come and go.
pub(crate) enum Asks {
    /// Whom to wake.
    Wakes(mpsc::UnboundedReceiver<Address>),
    /// Whom to start, to stop and to tell.
    Children(mpsc::UnboundedReceiver<Ask>),
}

impl Asks {
    /// The next thing; none when the service is gone. Nothing is lost where this is dropped.
    pub(crate) async fn next(&mut self, directory: &Directory) -> Option<Ask> {
        match self {
            Self::Children(asks) => asks.recv().await,
            Self::Wakes(wakes) => loop {
                let address = wakes.recv().await?;
                let known = |key| directory.on_demand()?.known(key);
                if let Some(place) = address.key().and_then(known) {
                    return Some(Ask::Start(place));
                }
            },
        }
    }
}

/// Where an address leads.
#[derive(Debug)]
pub(crate) enum Resolved {
    /// There is somebody.
    Place(Arc<Place>),
    /// A key that nobody was ever sent anything under. It gets its place when a message for it was allowed, not when
    /// somebody tries.
    NewKey { service: Arc<Service>, address: Address, made: OnceLock<Arc<Place>> },
}

impl Resolved {
    pub(super) fn common(&self) -> &Common {
        match self {
            Self::Place(place) => place.inbox.common(),
            Self::NewKey { service, .. } => &service.common,
        }
    }

    pub(crate) fn address(&self) -> &Address {
        match self {
            Self::Place(place) => place.address(),
            Self::NewKey { address, .. } => address,
        }
    }

    /// The place, made where it is not there yet.
    pub(crate) fn place(&self) -> Result<&Arc<Place>, Misaddressed> {
        let (service, address, made) = match self {
            Self::Place(place) => return Ok(place),
            Self::NewKey { service, address, made } => (service, address, made),
        };
        if let Some(place) = made.get() {
            return Ok(place);
        }
        let (Some(on_demand), Some(key)) = (service.directory.on_demand(), address.key()) else {
            return Err(Misaddressed::NeedsKey);
        };
        let place = on_demand.find_or_make(key)?;
        Ok(made.get_or_init(|| place))
    }

    /// Tells that there is no place for one more key, where that is the problem.
    pub(super) fn tell(&self, problem: &Misaddressed, events: &Events) {
        if let (Misaddressed::TooManyKeys, Self::NewKey { service, .. }) = (problem, self)
            && let Some(on_demand) = service.directory.on_demand()
        {
            on_demand.tell_full(events);
        }
    }
}

/// What a service is made of.
pub(crate) struct ServiceShape<'a> {
    pub(crate) address: &'a Address,
    pub(crate) multiplicity: Multiplicity,
    pub(crate) shape: MailboxShape,
    pub(crate) limits: &'a Limits,
    pub(crate) durable: Option<&'a Arc<ServiceStates>>,
}

impl Service {
    /// Whether an actor of it can handle a message now.
    pub(crate) fn is_up(&self) -> bool {
        self.common.up.load(Ordering::Relaxed) > 0
    }

    /// A service with its mailboxes, and what its controller is asked for, where its actors come and go.
    pub(crate) fn new(of: ServiceShape<'_>, waits: &Arc<Waits>) -> (Self, Option<Asks>) {
        let ServiceShape { address, multiplicity, shape, limits, durable } = of;
        let has_several = !matches!(multiplicity, Multiplicity::One | Multiplicity::Stateless { .. });
        let metrics = Arc::<Metrics>::default();
        let common = Arc::new(Common {
            message_bytes: limits.message_bytes.into(),
            held: has_several.then(|| ByteBound::new(shape.all_bytes)),
            metrics: Arc::clone(&metrics),
            up: AtomicUsize::new(0),
            beside: Beside::default(),
        });
        let together = Together::new(address.clone(), limits.all_state_bytes);
        let maker = Maker::new(address.clone(), shape, waits, &common, &together);
        let mut asked = None;
        let one = |consumers, states| {
            Directory::One(Arc::new(Place::whole(maker.inbox(address.clone(), consumers, None), states)))
        };
        let directory = match multiplicity {
            Multiplicity::One => one(1, States::one(durable, "", None)),
            Multiplicity::Stateless { instances } => one(instances.max(1), States::Nothing),
            Multiplicity::Partitioned { instances } => {
                let lanes = instances.max(1);
                let lane = |at| {
                    let inbox = maker.inbox(address.clone(), 1, None);
                    Arc::new(Place::lane(inbox, States::per_key(durable, &together), at, lanes))
                };
                Directory::Lanes(Lanes::new(lanes, lane))
            }
            Multiplicity::Keyed(rules) => {
                let (controller, wakes) = Wakes::new();
                asked = Some(Asks::Wakes(wakes));
                let on_demand = OnDemand::new(maker, rules.max_keys, durable.cloned(), controller);
                Directory::OnDemand(Box::new(on_demand))
            }
            Multiplicity::Spawned(rules) => {
                let (spawned, asks) = Spawned::new(maker, rules.max_children);
                asked = Some(Asks::Children(asks));
                Directory::Spawned(Box::new(spawned))
            }
        };
        let service = Self {
            address: address.clone(),
            directory,
            common,
            metrics,
            durable: durable.cloned(),
            together: has_several.then_some(together),
            file_threads: OnceLock::new(),
            watches: Arc::default(),
        };
        (service, asked)
    }

    /// Says how its queries run beside its turns, under these terms.
    pub(crate) fn run_beside(
        &self,
        terms: &Terms,
        run: impl Fn(&Inbox, Box<Envelope>) -> Result<(), Box<Envelope>> + Send + Sync + 'static,
    ) {
        self.common.beside.begin(run);
        self.common.beside.is_used(!terms.queries.is_empty());
    }

    /// Takes up those of its terms that are looked at outside of its actors.
    pub(crate) fn retune(&self, terms: &Terms) {
        self.common.message_bytes.store(terms.limits.message_bytes, Ordering::Relaxed);
        self.common.beside.is_used(!terms.queries.is_empty());
        if let Some(together) = &self.together {
            together.bound(terms.limits.all_state_bytes);
        }
    }

    /// Finds the place of a key. Changes nothing.
    pub(crate) fn find(
        self: &Arc<Self>,
        key_in_address: Option<&str>,
        key: Option<&str>,
    ) -> Result<Resolved, Misaddressed> {
        // Where it chooses no address it may be any text, and still is kept with each message.
        if key.is_some_and(|key| key.len() > MAX_KEY) {
            return Err(Misaddressed::BadKey);
        }
        let chosen = key_in_address.or(key);
        let found = match &self.directory {
            Directory::One(_) if key_in_address.is_some() => return Err(Misaddressed::TakesNoKey),
            Directory::One(place) => Arc::clone(place),
            Directory::Lanes(lanes) => Arc::clone(lanes.of(chosen)),
            Directory::OnDemand(on_demand) => {
                let key = chosen.ok_or(Misaddressed::NeedsKey)?;
                match on_demand.known(key) {
                    Some(place) => place,
                    None => {
                        let address = self.address.with_key(key).map_err(|_| Misaddressed::BadKey)?;
                        return Ok(Resolved::NewKey { service: Arc::clone(self), address, made: OnceLock::new() });
                    }
                }
            }
            Directory::Spawned(children) => {
                let name = chosen.ok_or(Misaddressed::NeedsKey)?;
                children.known(name).ok_or(Misaddressed::NotSpawned)?
            }
        };
        Ok(Resolved::Place(found))
    }

    /// Takes the name and the place of a child; none where its actors are not spawned.
    pub(crate) fn reserve_child(&self, name: &str) -> Option<Result<Arc<Place>, NoChild>> {
        self.directory.spawned().map(|children| children.reserve(name))
    }

    /// Tells that there are as many children as may be.
    pub(crate) fn tell_of_too_many_children(&self, events: &Events) {
        if let Some(children) = self.directory.spawned() {
            children.tell_full(events);
        }
    }

    /// Whether none of its actors has a message, or is in a turn.
    pub(crate) fn is_quiet(&self) -> bool {
        let mut all = true;
        self.directory.each(|place| all &= place.inbox.is_quiet());
        all
    }

    /// Whether none of its actors has a message or is in a turn, and nobody has room in its mailboxes for one that is
    /// about to come. Gives back what storage they have.
    pub(crate) fn is_drained(&self) -> bool {
        let mut nothing_comes = true;
        self.directory.each(|place| {
            let mailbox = place.inbox.mailbox();
            nothing_comes &= mailbox.is_closed() || mailbox.compact();
        });
        nothing_comes && self.is_quiet()
    }

    /// Each state that it has, with the actor's key; empty for its only one.
    pub(crate) fn each_state(&self, mut see: impl FnMut(&str, &State)) {
        match &self.durable {
            // Those too that nobody has asked for yet.
            Some(durable) => durable.each(|key, state| see(key, state)),
            None => self.directory.each(|place| {
                place.states.each(|key, state| see(key.or(place.address().key()).unwrap_or_default(), state));
            }),
        }
    }

    /// Of each lane whether a key with a state is in it; nothing where keys choose no lane.
    pub(crate) fn lanes_with_keys(&self) -> Vec<bool> {
        let Directory::Lanes(lanes) = &self.directory else { return Vec::new() };
        let mut with_keys = vec![false; lanes.places().len()];
        self.each_state(|key, _| {
            if let Some(found) = with_keys.get_mut(lanes.at(Some(key))) {
                *found = true;
            }
        });
        with_keys
    }

    /// Gives its mailboxes another shape, those that are made later too.
    pub(crate) fn reshape(&self, shape: MailboxShape) {
        match &self.directory {
            Directory::OnDemand(on_demand) => on_demand.maker.reshape(shape),
            Directory::Spawned(children) => children.maker.reshape(shape),
            Directory::One(_) | Directory::Lanes(_) => {}
        }
        if let Some(held) = &self.common.held {
            held.bound(shape.all_bytes);
        }
        self.directory.each(|place| place.inbox.mailbox().resize(shape.capacity, shape.bytes, shape.overflow));
    }

    /// The state of a key, where its turns would look for it; none where no turn does.
    pub(crate) fn state_of(&self, key: &str) -> Option<Arc<State>> {
        match &self.directory {
            Directory::One(place) if key.is_empty() => place.states.state(None),
            Directory::One(_) => None,
            Directory::Lanes(lanes) => lanes.of(Some(key)).states.state(Some(key)),
            Directory::OnDemand(on_demand) => on_demand.find_or_make(key).ok()?.states.state(None),
            // A child has its own as long as it lives.
            Directory::Spawned(_) => None,
        }
    }

    /// The state of a key that is known, because somebody has written to it, or its actor is there.
    pub(crate) fn known_state(&self, key: &str) -> Option<Arc<State>> {
        let is_lost = self.durable.as_ref().is_some_and(|durable| durable.is_lost(key));
        let is_known = match &self.directory {
            _ if is_lost => true,
            Directory::One(_) => true,
            Directory::OnDemand(on_demand) => on_demand.has(key),
            Directory::Spawned(children) => return children.known(key)?.states.state(None),
            Directory::Lanes(_) => {
                let mut is_written = false;
                self.each_state(|of, state| is_written |= of == key && state.commits() > 0);
                is_written
            }
        };
        if is_known { self.state_of(key) } else { None }
    }
}
