//! The mesh: who is there, and where an address leads.
//!
//! What is sent and called goes through `calls.rs`, what a turn holds back until it commits through `held.rs`, what the
//! host itself delivers (publications, timers, notices) through `deliveries.rs`. Each takes every message through the
//! dispatch stack into the [inbox](inbox::Inbox) of a place; what none takes is buried by `dead.rs`.
//!
//! # Hot path
//!
//! `Mesh::send` and `Mesh::call` from the host, `Mesh::reserve` and `Mesh::deliver` for turns: a hash look-up, the
//! stack, one allocation for the envelope, the mailbox. A call adds a oneshot and a timer. Bench rows `tell`, `ask`,
//! `relay`.
//!
//! Invariant: what was accepted is handled, answered, or buried. There is no fourth fate.

mod beside;
mod calls;
pub(crate) mod child;
mod dead;
mod deliveries;
pub(crate) mod directory;
mod held;
pub(crate) mod inbox;
mod names;
pub(crate) mod on_demand;
pub(crate) mod place;
mod questions;
pub(crate) mod service;
pub(crate) mod sleep;
mod spawned;
mod states;
#[cfg(test)]
mod tests;
mod topics;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use airssys_rt_shim::dead_letter::DeadLetters;
use airssys_rt_shim::pulse::Pulse;
use airssys_rt_shim::timer::Timers;
use arc_swap::ArcSwap;
use bytes::Bytes;

use self::inbox::Mailbox;
use self::place::{Misaddressed, Place};
use self::service::{Resolved, Service};
use self::topics::Topics;
use crate::address::{Address, split};
use crate::capability::{Operation, Pattern, Policy};
use crate::capsules::Shelf;
use crate::client::Client;
use crate::error::{NotFound, SendError};
use crate::events::Events;
use crate::message::{DeadLetter, DeadReason, DownReason};
use crate::middleware::{Stack, Who};
use crate::process::Places;
use crate::seeded::Seeded;
use crate::settings::MeshSettings;
use crate::waits::Waits;

pub(crate) use self::calls::{Caller, Said, Until};
pub(crate) use self::held::{Outgoing, Waiter};

/// The most actors of a service at which is looked for what is forgotten: more are too many to look at each time that
/// nobody has anything to do.
const LOOKED_AT: usize = 1_000;

/// A timer's load: who set it, and what it says.
#[derive(Debug)]
pub(crate) struct Alarm {
    pub(crate) target: Arc<Place>,
    pub(crate) key: Option<Box<str>>,
    pub(crate) trace: u64,
    pub(crate) body: Bytes,
}

/// Services by name. The names are the operator's, and a look-up adds none: a quick hash is safe here.
type Services = HashMap<Box<str>, Arc<Service>, foldhash::fast::RandomState>;

/// All services, and the ways between them.
#[derive(Debug)]
pub(crate) struct Mesh {
    /// How long a send waits for room, in nanoseconds. Looked at only where there is none.
    reserve_timeout: AtomicU64,
    lookup_ttl: AtomicU64,
    services: ArcSwap<Services>,
    pub(crate) stack: Stack,
    topics: Topics,
    pub(crate) waits: Arc<Waits>,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) timers: Timers<Alarm, Address>,
    dead: DeadLetters<DeadLetter>,
    pub(crate) events: Arc<Events>,
    /// Makes the HTTP requests of guests.
    pub(crate) client: Arc<Client>,
    /// The programs that run for guests.
    pub(crate) programs: Arc<Places>,
    /// Where capsules go; nothing is recorded where there is no folder for them.
    pub(crate) capsules: OnceLock<Arc<Shelf>>,
    next_id: AtomicU64,
    /// What everything follows from, in a seeded host.
    pub(crate) seeded: Option<Seeded>,
}

/// Who sends, and on behalf of which message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) who: Who<'a>,
    pub(crate) trace: u64,
}

impl Origin<'_> {
    pub(crate) const HOST: Self = Self { who: Who::Host, trace: 0 };

    fn sender(&self) -> Option<Address> {
        match self.who {
            Who::Host => None,
            Who::Service { address, .. } => Some(address.clone()),
        }
    }
}

impl Mesh {
    pub(crate) fn new(
        settings: MeshSettings,
        stack: Stack,
        events: Arc<Events>,
        pulse: Arc<Pulse>,
        client: Client,
        seeded: Option<Seeded>,
    ) -> Self {
        Self {
            waits: Arc::clone(&stack.waits),
            reserve_timeout: AtomicU64::new(nanoseconds(settings.reserve_timeout)),
            lookup_ttl: AtomicU64::new(nanoseconds(settings.lookup_ttl)),
            services: ArcSwap::default(),
            stack,
            topics: Topics::default(),
            pulse,
            timers: Timers::new(settings.most_timers()),
            events,
            client: Arc::new(client),
            programs: Places::new(settings.processes),
            capsules: OnceLock::new(),
            dead: DeadLetters::new(settings.dead_letters, settings.dead_letter_bytes, DeadLetter::bytes),
            next_id: AtomicU64::new(1),
            seeded,
        }
    }

    /// Adds a service.
    ///
    /// # Errors
    ///
    /// The service that has this name already.
    pub(crate) fn register(&self, service: &Arc<Service>) -> Result<(), Arc<Service>> {
        let mut taken = None;
        self.services.rcu(|old| {
            let mut new = HashMap::clone(old);
            taken = new.get(service.address.service()).cloned();
            if taken.is_none() {
                new.insert(service.address.service().into(), Arc::clone(service));
            }
            new
        });
        taken.map_or(Ok(()), Err)
    }

    /// Puts a service in the place of the one that has its name: what is sent from now on, what is published to its
    /// subscriptions and what its timers say goes to its mailboxes.
    pub(crate) fn replace(&self, service: &Arc<Service>) {
        let before = self.service(service.address.service());
        self.services.rcu(|old| {
            let mut new = HashMap::clone(old);
            new.insert(service.address.service().into(), Arc::clone(service));
            new
        });
        if let Some(before) = before {
            self.topics.rebind(|target| match target.is_of(&before.common) {
                true => service.find(target.address().key(), None).ok()?.place().ok().cloned(),
                false => Some(Arc::clone(target)),
            });
        }
    }

    /// The target of the same address in the service that is there now, where another one has taken the place.
    fn now(&self, target: Arc<Place>, key: Option<&str>) -> Arc<Place> {
        let address = target.address();
        let now = self.service(address.service()).filter(|now| !target.is_of(&now.common));
        let found = now.and_then(|now| now.find(address.key(), key).ok());
        found.and_then(|found| found.place().ok().cloned()).unwrap_or(target)
    }

    /// Takes a service out of the mesh: nobody finds it any more. What is in its mailboxes stays there.
    pub(crate) fn unregister(&self, name: &str) {
        self.services.rcu(|old| {
            let mut new = HashMap::clone(old);
            new.remove(name);
            new
        });
    }

    /// Closes all mailboxes of a service for good, and ends its subscriptions.
    pub(crate) fn retire(&self, service: &Service) {
        self.topics.retain(|_, target| !target.is_of(&service.common));
        service.directory.each(|place| self.close(place.inbox.mailbox()));
    }

    /// Ends the subscriptions of a service that its policy does not allow, and kills the programs.
    pub(crate) fn end_ungranted(&self, service: &Service, policy: &Policy) {
        self.programs.kill_ungranted(service.address.as_str(), |name| policy.allows_process(name));
        let theirs = |target: &Arc<Place>| target.is_of(&service.common);
        self.topics.retain(|pattern, target| !theirs(target) || policy.allows(Operation::Subscribe, pattern.as_str()));
    }

    /// Takes other settings.
    pub(crate) fn set(&self, settings: &MeshSettings) {
        self.reserve_timeout.store(nanoseconds(settings.reserve_timeout), Ordering::Relaxed);
        self.lookup_ttl.store(nanoseconds(settings.lookup_ttl), Ordering::Relaxed);
        self.events.resize(settings.events, settings.event_bytes);
        self.dead.resize(settings.dead_letters, settings.dead_letter_bytes);
        self.timers.resize(settings.most_timers());
        self.programs.set(settings.processes);
    }

    pub(crate) fn reserve_timeout(&self) -> Duration {
        Duration::from_nanos(self.reserve_timeout.load(Ordering::Relaxed))
    }

    pub(crate) fn lookup_ttl(&self) -> Duration {
        Duration::from_nanos(self.lookup_ttl.load(Ordering::Relaxed))
    }

    /// A service by its name.
    pub(crate) fn service(&self, name: &str) -> Option<Arc<Service>> {
        self.services.load().get(name).cloned()
    }

    pub(crate) fn services(&self) -> Vec<Arc<Service>> {
        let mut all: Vec<_> = self.services.load().values().cloned().collect();
        all.sort_by(|a, b| a.address.cmp(&b.address));
        all
    }

    /// Finds the place of an address. Changes nothing: whether the message is allowed is not known yet.
    pub(crate) fn resolve(&self, to: &str, key: Option<&str>) -> Result<Resolved, SendError> {
        let (name, key_in_address) = split(to);
        match self.services.load().get(name) {
            Some(service) => service.find(key_in_address, key).map_err(|problem| misaddressed(problem, to, key)),
            None => {
                let _is_an_address: Address = to.parse()?;
                Err(no_such_service(to, NotFound::Unknown))
            }
        }
    }

    /// Takes room for a subscription, of which an address may have `most`; to be followed by [`Mesh::subscribe`] or
    /// [`Mesh::forget_subscription`].
    pub(crate) fn reserve_subscription(
        &self,
        pattern: &Pattern,
        target: &Arc<Place>,
        most: usize,
    ) -> Result<(), SendError> {
        let own = target.address();
        let detail = format_args!("{own} has {most} subscriptions, and asks for another one");
        let tell = || self.events.reach(own.service(), "subscriptions", detail);
        if self.topics.reserve(pattern, target, most, tell) {
            return Ok(());
        }
        Err(SendError::Overloaded { what: format!("the set of {most} subscriptions of {}", target.address()) })
    }

    pub(crate) fn subscribe(&self, pattern: &Pattern, target: &Arc<Place>) {
        self.topics.subscribe(pattern, target);
    }

    /// Gives the room for a subscription back that is not made.
    pub(crate) fn forget_subscription(&self, pattern: &Pattern, target: &Arc<Place>) {
        self.topics.give_back(pattern, target);
    }

    pub(crate) fn unsubscribe(&self, pattern: &Pattern, target: &Arc<Place>) {
        self.topics.unsubscribe(pattern, target);
    }

    /// Ends all that a child had: its mailbox, what it subscribed to, its timers; then its name is free, and who
    /// monitors it is told. `first` is done before that. Nothing happens the second time, when the name may be another
    /// one's.
    pub(crate) fn child_is_gone(&self, target: &Arc<Place>, reason: DownReason, first: impl FnOnce()) {
        let Some(child) = target.child().filter(|child| child.leaves()) else { return };
        first();
        self.close(target.inbox.mailbox());
        self.topics.forget_all(target);
        self.timers.cancel_all(target.address());
        target.release_child();
        child.goes(reason);
    }

    /// In a seeded host: gives a beat whenever nobody has anything to do, and has it looked at whether something was
    /// forgotten.
    pub(crate) fn at_rest(self: &Arc<Self>) {
        let Some(seeded) = &self.seeded else { return };
        // It is what the mesh has.
        let (mesh, pulse): (Weak<Self>, _) = (Arc::downgrade(self), Arc::clone(&self.pulse));
        seeded.looks_at_rest(move || {
            // Before the clock goes on: those who wait set their timers.
            pulse.beat_for_all();
            let mut forgotten = Vec::new();
            for service in mesh.upgrade().map(|mesh| mesh.services()).unwrap_or_default() {
                if service.directory.len() <= LOOKED_AT {
                    service.directory.each(|place| {
                        let what = place.inbox.forgotten();
                        forgotten.extend(what.map(|what| format!("{}: {what}", place.address())));
                    });
                }
            }
            forgotten
        });
    }

    /// Closes all mailboxes for good.
    pub(crate) fn close_all(&self) {
        for service in self.services() {
            service.directory.each(|place| self.close(place.inbox.mailbox()));
        }
        self.stack.close();
    }

    /// Closes a mailbox for good; what is in it is dead letters.
    pub(crate) fn close(&self, mailbox: &Mailbox) {
        for mut envelope in mailbox.close() {
            // One that crashed and was to be tried again.
            let crashed = envelope.crashed.take().map(|crash| DeadReason::Crashed(*crash));
            self.bury(*envelope, crashed.unwrap_or(DeadReason::Stopped));
        }
    }

    /// What a sender is told where there is no room in a mailbox.
    fn overloaded(&self, target: &Arc<Place>) -> SendError {
        self.events.reach(
            target.address().service(),
            "mailbox",
            format_args!("the mailbox of {} is full", target.address()),
        );
        SendError::Overloaded { what: format!("the mailbox of {}", target.address()) }
    }
}

/// A time that a topology can name is far shorter than 64 bits can say.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn misaddressed(problem: Misaddressed, to: &str, key: Option<&str>) -> SendError {
    let (name, key_in_address) = split(to);
    match problem {
        Misaddressed::NeedsKey => no_such_service(to, NotFound::NeedsKey),
        Misaddressed::TakesNoKey => no_such_service(to, NotFound::TakesNoKey),
        Misaddressed::BadKey => {
            let key = key_in_address.or(key).unwrap_or_default();
            crate::address::AddressError::Key { key: key.to_owned() }.into()
        }
        Misaddressed::NotSpawned => no_such_service(to, NotFound::NotSpawned),
        Misaddressed::TooManyKeys => SendError::Overloaded { what: format!("the set of keys of {name}") },
    }
}

fn no_such_service(address: &str, why: NotFound) -> SendError {
    SendError::NoSuchService { address: address.to_owned(), why }
}

fn stopped(target: &Arc<Place>) -> SendError {
    SendError::Stopped { service: target.address().service().to_owned() }
}
