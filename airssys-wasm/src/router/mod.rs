//! The mesh: finds who is addressed, takes every message through the dispatch stack, and gives each one a fate.
//!
//! # Hot path
//!
//! `Mesh::send` and `Mesh::call` from the host, `Mesh::reserve` and `Mesh::deliver` for turns: a hash look-up, the stack, one allocation for the envelope, the
//! mailbox. A call adds a oneshot and a timer. Bench rows `tell`, `ask`, `relay`.
//!
//! Invariant: what was accepted is handled, answered, or buried. There is no fourth fate.

pub(crate) mod child;
pub(crate) mod directory;
pub(crate) mod inbox;
mod names;
pub(crate) mod on_demand;
pub(crate) mod place;
pub(crate) mod service;
pub(crate) mod sleep;
mod spawned;
mod states;
#[cfg(test)]
mod tests;
mod topics;
pub(crate) mod waits;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use airssys_rt_shim::call::{self, ReplyTo, Unanswered, Waiter};
use airssys_rt_shim::dead_letter::DeadLetters;
use airssys_rt_shim::mailbox::{NoRoom, NotSent, Overflow};
use airssys_rt_shim::pulse::Pulse;
use airssys_rt_shim::timer::{TimerId, Timers};
use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::time::Instant;

use self::inbox::{Mailbox, Reserved};
use self::place::{Misaddressed, Target};
use self::service::{Resolved, Service};
use self::topics::Topics;
use self::waits::{Node, Waits};
use crate::address::{Address, split};
use crate::capability::{Operation, Pattern, Policy};
use crate::error::{CallError, ReplayError, SendError};
use crate::events::{Events, Happening, text};
use crate::limits::OVERHEAD_BYTES;
use crate::message::{Answer, DeadLetter, DeadReason, Delivery, Down, DownReason, Envelope};
use crate::middleware::{Context, Entry, Passage, Settled, Stack, Who};
use crate::settings::MeshSettings;

/// A timer's load: who set it, and what it says.
#[derive(Debug)]
pub(crate) struct Alarm {
    pub(crate) target: Target,
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
    services: ArcSwap<Services>,
    stack: Stack,
    topics: Topics,
    pub(crate) waits: Arc<Waits>,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) timers: Timers<Alarm, Address>,
    dead: DeadLetters<DeadLetter>,
    pub(crate) events: Arc<Events>,
    next_id: AtomicU64,
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

/// A send that was allowed, with its room; it leaves at the commit.
pub(crate) struct Outgoing {
    target: Target,
    room: Reserved,
    envelope: Box<Envelope>,
    entry: Entry,
}

/// Who waits for an answer.
#[derive(Clone, Copy)]
pub(crate) enum Caller<'a> {
    /// A turn: where it is in the graph of who waits for whom.
    Turn(Node),
    /// The host, and whom it wants to tell that the message is in its mailbox.
    Host(Option<&'a (dyn Fn() + Sync)>),
}

/// Until when a caller waits, and when that was reckoned: a look at the clock is a twentieth of a whole call, so nobody takes another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Until {
    pub(crate) now: Instant,
    pub(crate) deadline: Instant,
}

impl Mesh {
    pub(crate) fn new(settings: MeshSettings, stack: Stack, events: Arc<Events>, pulse: Arc<Pulse>) -> Self {
        Self {
            reserve_timeout: AtomicU64::new(nanoseconds(settings.reserve_timeout)),
            services: ArcSwap::default(),
            stack,
            topics: Topics::default(),
            waits: Arc::default(),
            pulse,
            timers: Timers::new(settings.most_timers()),
            events,
            dead: DeadLetters::new(settings.dead_letters, settings.dead_letter_bytes, DeadLetter::bytes),
            next_id: AtomicU64::new(1),
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

    /// Puts a service in the place of the one that has its name: what is sent from now on, what is published to its subscriptions and what its timers say
    /// goes to its mailboxes.
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
    fn now(&self, target: Target, key: Option<&str>) -> Target {
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

    /// Ends the subscriptions of a service that its policy does not allow.
    pub(crate) fn end_subscriptions(&self, service: &Service, policy: &Policy) {
        let theirs = |target: &Target| target.is_of(&service.common);
        self.topics.retain(|pattern, target| !theirs(target) || policy.allows(Operation::Subscribe, pattern.as_str()));
    }

    /// Takes other settings.
    pub(crate) fn set(&self, settings: &MeshSettings) {
        self.reserve_timeout.store(nanoseconds(settings.reserve_timeout), Ordering::Relaxed);
        self.events.resize(settings.events, settings.event_bytes);
        self.dead.resize(settings.dead_letters, settings.dead_letter_bytes);
        self.timers.resize(settings.most_timers());
    }

    fn reserve_timeout(&self) -> Duration {
        Duration::from_nanos(self.reserve_timeout.load(Ordering::Relaxed))
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
                Err(no_such_service(to, ""))
            }
        }
    }

    /// Sends; waits for room as the mailbox's policy says, at most `reserve_timeout`.
    pub(crate) async fn send(
        &self,
        origin: Origin<'_>,
        to: &str,
        key: Option<&str>,
        mut body: Bytes,
    ) -> Result<(), SendError> {
        let mut retries = 0;
        loop {
            let resolved = self.resolve(to, key);
            let mut passage = Passage::new(&self.stack, context(&origin, Operation::Send, to, &resolved));
            let mut passing = self.passing(&mut body);
            let outcome = match passage.enter(&mut passing) {
                Err(outcome) => outcome,
                Ok(()) => match fitting(&resolved, to, &passing) {
                    Err(error) => Err(CallError::NotSent(error)),
                    Ok(target) => {
                        let key = target.lane_key(split(to).1, key);
                        let envelope = self.envelope(origin, target, key, Delivery::Send, None, passing);
                        self.post(target, envelope, None, None).await.map(|()| None).map_err(CallError::NotSent)
                    }
                },
            };
            match passage.settle(outcome, retries) {
                Settled::Done(outcome) => return outcome.map(drop).map_err(into_send_error),
                Settled::Retry => retries += 1,
            }
        }
    }

    /// Calls and waits for the answer.
    pub(crate) async fn call(
        &self,
        origin: Origin<'_>,
        caller: Caller<'_>,
        to: &str,
        key: Option<&str>,
        mut body: Bytes,
        Until { now, deadline }: Until,
    ) -> Answer {
        let mut retries = 0;
        loop {
            let resolved = self.resolve(to, key);
            let mut context = context(&origin, Operation::Call, to, &resolved);
            context.deadline = Some(deadline);
            if retries == 0 {
                context.came(now);
            }
            let mut passage = Passage::new(&self.stack, context);
            let mut passing = self.passing(&mut body);
            let outcome = match passage.enter(&mut passing) {
                Err(outcome) => outcome,
                Ok(()) => match fitting(&resolved, to, &passing) {
                    Err(error) => Err(CallError::NotSent(error)),
                    Ok(target) => {
                        let key = target.lane_key(split(to).1, key);
                        self.ask(origin, caller, target, key, passing, deadline).await
                    }
                },
            };
            match passage.settle(outcome, retries) {
                Settled::Done(outcome) => return outcome,
                Settled::Retry => retries += 1,
            }
        }
    }

    /// The body for one passage of the stack. It is kept for another one only where a layer may ask for that, since sharing it is an allocation.
    fn passing(&self, body: &mut Bytes) -> Bytes {
        if self.stack.may_retry() { body.clone() } else { std::mem::take(body) }
    }

    async fn ask(
        &self,
        origin: Origin<'_>,
        caller: Caller<'_>,
        target: &Target,
        key: Option<&str>,
        body: Bytes,
        deadline: Instant,
    ) -> Answer {
        let _waiting = match caller {
            Caller::Turn(node) => Some(self.waits.wait(node, target.inbox.nodes()).map_err(|_| CallError::Deadlock)?),
            Caller::Host(_) => None,
        };
        let (reply, waiter): (ReplyTo<Answer>, Waiter<Answer>) = call::call();
        let envelope = self.envelope(origin, target, key, Delivery::Call(reply), Some(deadline), body);
        // Who calls sleeps until it is answered, so it may as well run who answers; unless somebody wants to know
        // that the message is in its mailbox.
        let stack = match caller {
            // Its own stack is a guest's.
            Caller::Turn(_) => Some(0),
            Caller::Host(None) => Some(stacker::remaining_stack().unwrap_or(0)),
            Caller::Host(Some(_)) => None,
        };
        self.post(target, envelope, Some(deadline), stack).await?;
        if let Caller::Host(Some(posted)) = caller {
            posted();
        }
        match waiter.wait_until(deadline, &self.pulse).await {
            Ok(answer) => answer,
            Err(Unanswered::Timeout) => Err(CallError::Timeout),
            Err(Unanswered::Dropped) => Err(CallError::Dropped("the host lost it".to_owned())),
        }
    }

    /// Takes a turn's send through the stack and takes room for it. Waits for room only where there is a `waiter`, and never for that one's own mailbox.
    pub(crate) async fn reserve(
        &self,
        origin: Origin<'_>,
        waiter: Option<&Mailbox>,
        resolved: Result<Resolved, SendError>,
        to: &str,
        key: Option<&str>,
        mut body: Bytes,
    ) -> Result<Option<Outgoing>, SendError> {
        let mut passage = Passage::new(&self.stack, context(&origin, Operation::Send, to, &resolved));
        let outcome = match passage.enter(&mut body) {
            Err(outcome) => outcome,
            Ok(()) => match fitting(&resolved, to, &body) {
                Err(error) => Err(CallError::NotSent(error)),
                Ok(target) => {
                    match self.room(target, waiter, OVERHEAD_BYTES + body.len() + key.map_or(0, str::len)).await {
                        Ok(room) => {
                            let key = target.lane_key(split(to).1, key);
                            let envelope = self.envelope(origin, target, key, Delivery::Send, None, body);
                            return Ok(Some(Outgoing {
                                target: Arc::clone(target),
                                room,
                                envelope,
                                entry: passage.put_aside(),
                            }));
                        }
                        Err(error) => Err(CallError::NotSent(error)),
                    }
                }
            },
        };
        passage.end(outcome).map(|_handled_by_a_layer| None).map_err(into_send_error)
    }

    async fn room(&self, target: &Target, waiter: Option<&Mailbox>, bytes: usize) -> Result<Reserved, SendError> {
        // Nobody else could make room in one's own mailbox while one's turn waits.
        let waits = waiter.is_some_and(|own| !std::ptr::eq(&raw const **target.inbox.mailbox(), own));
        let until = waits.then_some(|| Instant::now() + self.reserve_timeout());
        target.inbox.reserve(bytes, until).await.map_err(|problem| match problem {
            NoRoom::Full => self.overloaded(target),
            NoRoom::Closed => stopped(target),
        })
    }

    /// Lets a turn's send go, at its commit.
    pub(crate) fn deliver(&self, origin: Origin<'_>, outgoing: Outgoing) {
        let Outgoing { target, room, envelope, entry } = outgoing;
        let bury = |envelope, reason| self.bury(envelope, reason);
        let delivered = target.inbox.deliver_reserved(room, envelope, bury);
        let outcome = delivered.map(|()| None).map_err(|refused| self.bury_refused(&target, refused));
        self.settle_send(origin, &target, entry, outcome);
    }

    /// Makes as if a turn's send had not been: the turn is discarded.
    pub(crate) fn discard(&self, origin: Origin<'_>, outgoing: Outgoing) {
        let Outgoing { target, room, entry, .. } = outgoing;
        drop(room);
        self.settle_send(origin, &target, entry, Err(CallError::Discarded));
    }

    fn settle_send(&self, origin: Origin<'_>, target: &Target, entry: Entry, outcome: Answer) {
        let metrics = Some(&*target.inbox.common().metrics);
        let passage = entry.passage(&self.stack, origin.who, target.address().as_str(), metrics, origin.trace);
        // The turn was told already: what a layer makes of it now changes nothing.
        let _settled = passage.end(outcome);
    }

    /// Asks the stack whether something may be done about a topic or a child. The body is what the layers make of it. Where it goes on, its outcome is to
    /// be settled by [`Mesh::settle`]; with none it goes no further: a layer has handled it, or made no error of what was turned away.
    pub(crate) fn permit(
        &self,
        origin: Origin<'_>,
        operation: Operation,
        target: &str,
        body: &mut Bytes,
    ) -> Result<Option<Entry>, SendError> {
        let mut context = Context::new(origin.who, operation, target);
        context.trace = origin.trace;
        let mut passage = Passage::new(&self.stack, context);
        match passage.enter(body) {
            Ok(()) => Ok(Some(passage.put_aside())),
            Err(outcome) => passage.end(outcome).map(|_handled_by_a_layer| None).map_err(into_send_error),
        }
    }

    /// Tells the stack what came of what it let on, and gives what it makes of that.
    pub(crate) fn settle(
        &self,
        origin: Origin<'_>,
        target: &str,
        entry: Entry,
        outcome: Result<(), CallError>,
    ) -> Result<(), CallError> {
        let passage = entry.passage(&self.stack, origin.who, target, None, origin.trace);
        passage.end(outcome.map(|()| None)).map(drop)
    }

    /// Publishes for the host: asks the stack, and gives it to all that subscribe.
    pub(crate) fn announce(&self, topic: &str, mut body: Bytes) -> Result<(), SendError> {
        if let Some(entry) = self.permit(Origin::HOST, Operation::Publish, topic, &mut body)? {
            self.publish(Origin::HOST, topic, &body, entry);
        }
        Ok(())
    }

    /// Gives a publication that the stack let on to all that subscribe. For a full mailbox it is a dead letter.
    pub(crate) fn publish(&self, origin: Origin<'_>, topic: &str, body: &Bytes, entry: Entry) {
        for target in self.topics.subscribers(topic) {
            let envelope = self.envelope(origin, &target, None, Delivery::Publish(topic.into()), None, body.clone());
            let Some((envelope, passage)) = self.admit(&target, envelope) else { continue };
            let delivered = target.inbox.try_deliver(envelope, |envelope, reason| self.bury(envelope, reason));
            let outcome = delivered.map(|()| None).map_err(|refused| match refused {
                NotSent::Full(envelope) => {
                    self.bury(*envelope, DeadReason::SubscriberFull);
                    self.overloaded(&target).into()
                }
                closed => self.bury_refused(&target, closed),
            });
            let _changes_nothing = passage.end(outcome);
        }
        let _changes_nothing = self.settle(origin, topic, entry, Ok(()));
    }

    /// Takes a message of the host's own through the stack. None where it goes no further: then it has had its fate.
    fn admit<'a>(&'a self, target: &'a Target, mut envelope: Box<Envelope>) -> Option<(Box<Envelope>, Passage<'a>)> {
        let mut context = Context::new(Who::Host, Operation::Deliver, target.address().as_str());
        context.metrics = Some(&*target.inbox.common().metrics);
        context.trace = envelope.trace;
        let mut passage = Passage::new(&self.stack, context);
        let Err(outcome) = passage.enter(&mut envelope.body) else { return Some((envelope, passage)) };
        match passage.end(outcome) {
            Ok(_handled_by_a_layer) => {
                if let Delivery::Timer(timer) = envelope.delivery {
                    self.timers.claim(timer);
                }
            }
            Err(error) => self.bury(*envelope, DeadReason::Rejected(error.to_string())),
        }
        None
    }

    /// Takes room for a subscription, of which an address may have `most`; to be followed by [`Mesh::subscribe`] or [`Mesh::forget_subscription`].
    pub(crate) fn reserve_subscription(
        &self,
        pattern: &Pattern,
        target: &Target,
        most: usize,
    ) -> Result<(), SendError> {
        if self.topics.reserve(pattern, target, most) {
            return Ok(());
        }
        Err(SendError::Overloaded { what: format!("the set of {most} subscriptions of {}", target.address()) })
    }

    pub(crate) fn subscribe(&self, pattern: &Pattern, target: &Target) {
        self.topics.subscribe(pattern, target);
    }

    /// Gives the room for a subscription back that is not made.
    pub(crate) fn forget_subscription(&self, pattern: &Pattern, target: &Target) {
        self.topics.give_back(pattern, target);
    }

    pub(crate) fn unsubscribe(&self, pattern: &Pattern, target: &Target) {
        self.topics.unsubscribe(pattern, target);
    }

    /// Delivers the message of a timer that ran out, to the service that set it.
    pub(crate) fn ring(self: &Arc<Self>, id: TimerId, alarm: Alarm) {
        let Alarm { target, key, trace, body } = alarm;
        let target = self.now(target, key.as_deref());
        let who = Origin { who: Who::Host, trace };
        let mut envelope = self.envelope(who, &target, key.as_deref(), Delivery::Timer(id), None, body);
        envelope.sender = Some(target.address().clone());
        self.bring(target, envelope);
    }

    /// Tells a service that a child ended which it monitors.
    pub(crate) fn tell_down(self: &Arc<Self>, target: Target, down: Down) {
        let child = down.child.clone();
        let mut envelope =
            self.envelope(Origin::HOST, &target, None, Delivery::Down(Box::new(down)), None, Bytes::new());
        envelope.sender = Some(child);
        self.bring(target, envelope);
    }

    /// Puts a message of the host's own into its mailbox, without holding anybody up.
    fn bring(self: &Arc<Self>, target: Target, envelope: Box<Envelope>) {
        let Some((envelope, passage)) = self.admit(&target, envelope) else { return };
        let trace = envelope.trace;
        let delivered = target.inbox.try_deliver(envelope, |envelope, reason| self.bury(envelope, reason));
        let outcome = match delivered {
            Ok(()) => Ok(None),
            // The timers of all must not wait for the mailbox of one. There are never more such tasks than timers and monitors.
            Err(NotSent::Full(envelope)) if target.inbox.mailbox().overflow() != Overflow::Refuse => {
                let (mesh, entry) = (Arc::clone(self), passage.put_aside());
                tokio::spawn(async move {
                    let (address, metrics) = (target.address().as_str(), Some(&*target.inbox.common().metrics));
                    let passage = entry.passage(&mesh.stack, Who::Host, address, metrics, trace);
                    let bury = |envelope, reason| mesh.bury(envelope, reason);
                    let delivered = target.inbox.deliver(envelope, None, || None, bury).await;
                    let outcome = delivered.map(|()| None).map_err(|refused| mesh.bury_refused(&target, refused));
                    let _changes_nothing = passage.end(outcome);
                });
                return;
            }
            Err(refused) => Err(self.bury_refused(&target, refused)),
        };
        let _changes_nothing = passage.end(outcome);
    }

    /// Buries what a mailbox did not take; what the layers are told of it.
    #[cold]
    fn bury_refused(&self, target: &Target, refused: NotSent<Box<Envelope>>) -> CallError {
        let (envelope, reason, error) = match refused {
            NotSent::Full(envelope) => (envelope, DeadReason::Overflow, self.overloaded(target)),
            NotSent::Closed(envelope) => (envelope, DeadReason::Stopped, stopped(target)),
        };
        self.bury(*envelope, reason);
        error.into()
    }

    /// Puts a message into its mailbox, waiting for room where the policy is to wait: until `deadline`, and never longer
    /// than `reserve_timeout`. An actor that sleeps is run here where there is a `stack` for it, in bytes.
    async fn post(
        &self,
        target: &Target,
        envelope: Box<Envelope>,
        deadline: Option<Instant>,
        stack: Option<usize>,
    ) -> Result<(), SendError> {
        let until = || {
            let patience = Instant::now() + self.reserve_timeout();
            Some(deadline.map_or(patience, |deadline| deadline.min(patience)))
        };
        let posted = target.inbox.deliver(envelope, stack, until, |envelope, reason| self.bury(envelope, reason)).await;
        posted.map_err(|refused| match refused {
            NotSent::Full(_) => self.overloaded(target),
            NotSent::Closed(_) => stopped(target),
        })
    }

    fn envelope(
        &self,
        origin: Origin<'_>,
        target: &Target,
        key: Option<&str>,
        delivery: Delivery,
        deadline: Option<Instant>,
        body: Bytes,
    ) -> Box<Envelope> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        Box::new(Envelope {
            id,
            trace: if origin.trace == 0 { id } else { origin.trace },
            sender: origin.sender(),
            target: target.address().clone(),
            key: key.map(Into::into),
            delivery,
            deadline,
            attempt: 0,
            body,
            places: 0,
            _room: None,
        })
    }

    /// Answers a call. An answer that nobody waits for any more is a dead letter.
    pub(crate) fn answer(&self, envelope: Envelope, answer: Answer) {
        let Envelope { id, trace, sender, target, key, delivery, attempt, .. } = envelope;
        let Delivery::Call(reply) = delivery else { return };
        if let Err(late) = reply.answer(answer) {
            let body = late.ok().flatten().unwrap_or_default();
            self.die(DeadLetter {
                id,
                trace,
                sender,
                target,
                key,
                delivery: "call",
                attempt,
                reason: DeadReason::LateAnswer,
                at: SystemTime::now(),
                body,
            });
        }
    }

    /// Makes a message a dead letter, and tells who waits for its answer.
    pub(crate) fn bury(&self, envelope: Envelope, reason: DeadReason) {
        let Envelope { id, trace, sender, target, key, delivery, attempt, body, .. } = envelope;
        tracing::debug!(target: "airssys::dead", id, to = %target, %reason, "dead letter");
        // The letter first: who is told that it is dead finds it.
        self.die(DeadLetter {
            id,
            trace,
            sender,
            target,
            key,
            delivery: delivery.name(),
            attempt,
            reason: reason.clone(),
            at: SystemTime::now(),
            body,
        });
        match delivery {
            Delivery::Call(reply) => {
                let error = match reason {
                    DeadReason::Crashed(crash) | DeadReason::Poisoned(crash) => CallError::Crashed(crash),
                    DeadReason::Fault(fault) => CallError::Fault(fault),
                    DeadReason::Expired => CallError::Timeout,
                    other => CallError::Dropped(other.to_string()),
                };
                let _nobody_waits = reply.answer(Err(error));
            }
            Delivery::Timer(timer) => {
                self.timers.claim(timer);
            }
            Delivery::Send | Delivery::Publish(_) | Delivery::Down(_) => {}
        }
    }

    /// Keeps a dead letter, and tells of it.
    fn die(&self, letter: DeadLetter) {
        let service = letter.target.clone();
        let what = Happening::DeadLetter {
            id: letter.id,
            to: text(&letter.target),
            sender: letter.sender.as_ref().map(text),
            delivery: letter.delivery.to_owned(),
            reason: letter.reason.code().to_owned(),
            detail: letter.reason.says_more().then(|| text(&letter.reason)),
        };
        self.dead.push(letter);
        self.events.publish(Some(service.service()), what);
    }

    /// What a sender is told where there is no room in a mailbox.
    fn overloaded(&self, target: &Target) -> SendError {
        self.events.reach(
            target.address().service(),
            "mailbox",
            format_args!("the mailbox of {} is full", target.address()),
        );
        SendError::Overloaded { what: format!("the mailbox of {}", target.address()) }
    }

    /// Ends all that a child had: its mailbox, what it subscribed to, its timers; then its name is free, and who monitors it is told. `first` is done
    /// before that. Nothing happens the second time, when the name may be another one's.
    pub(crate) fn child_is_gone(&self, target: &Target, reason: DownReason, first: impl FnOnce()) {
        let Some(child) = target.child().filter(|child| child.leaves()) else { return };
        first();
        self.close(target.inbox.mailbox());
        self.topics.forget_all(target);
        self.timers.cancel_all(target.address());
        target.release_child();
        child.goes(reason);
    }

    /// Closes all mailboxes for good.
    pub(crate) fn close_all(&self) {
        for service in self.services() {
            service.directory.each(|place| self.close(place.inbox.mailbox()));
        }
    }

    /// Closes a mailbox for good; what is in it is dead letters.
    pub(crate) fn close(&self, mailbox: &Mailbox) {
        for envelope in mailbox.close() {
            self.bury(*envelope, DeadReason::Stopped);
        }
    }

    /// The dead letters: how many there were, and those that are kept.
    pub(crate) fn dead_letters(&self) -> (u64, Vec<DeadLetter>) {
        (self.dead.total(), self.dead.list(Clone::clone))
    }

    /// Takes a dead letter out of the store.
    pub(crate) fn take_dead_letter(&self, id: u64) -> Option<DeadLetter> {
        self.dead.take(|letter| letter.id == id)
    }

    /// Takes a dead letter out of the store and sends its body again, in the host's name.
    pub(crate) async fn replay(&self, id: u64) -> Result<(), ReplayError> {
        let mut taken = Taken { dead: &self.dead, letter: self.take_dead_letter(id) };
        let letter = taken.letter.as_ref().ok_or(ReplayError::NoSuchLetter { id })?;
        if letter.reason == DeadReason::LateAnswer {
            return Err(ReplayError::Handled { id });
        }
        let (to, key, body) = (letter.target.as_str(), letter.key.as_deref(), letter.body.clone());
        self.send(Origin::HOST, to, key, body).await?;
        taken.letter = None;
        Ok(())
    }
}

/// A dead letter that goes back where it was unless it left, also where its replay is cut off.
struct Taken<'a> {
    dead: &'a DeadLetters<DeadLetter>,
    letter: Option<DeadLetter>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(letter) = self.letter.take() {
            self.dead.put_back(letter);
        }
    }
}

/// A time that a topology can name is far shorter than 64 bits can say.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn context<'a>(
    origin: &Origin<'a>,
    operation: Operation,
    to: &'a str,
    resolved: &'a Result<Resolved, SendError>,
) -> Context<'a> {
    let mut context = match resolved {
        Ok(found) => {
            let mut context = Context::new(origin.who, operation, found.address().as_str());
            context.metrics = Some(&*found.common().metrics);
            context
        }
        // The stack speaks first, so that who may not send does not learn who is there.
        Err(_) => Context::new(origin.who, operation, to),
    };
    context.trace = origin.trace;
    context
}

/// The target of a message that was allowed, where it takes a body of this size.
fn fitting<'a>(resolved: &'a Result<Resolved, SendError>, to: &str, body: &Bytes) -> Result<&'a Target, SendError> {
    let found = resolved.as_ref().map_err(Clone::clone)?;
    let (size_bytes, limit_bytes) = (body.len() as u64, found.common().message_bytes.load(Ordering::Relaxed));
    if size_bytes > limit_bytes {
        return Err(SendError::TooLarge { size_bytes, limit_bytes });
    }
    found.place().map_err(|problem| misaddressed(problem, to, found.address().key()))
}

fn misaddressed(problem: Misaddressed, to: &str, key: Option<&str>) -> SendError {
    let (name, key_in_address) = split(to);
    match problem {
        Misaddressed::NeedsKey => {
            no_such_service(to, "this service has an actor a key; address one of them as service/key")
        }
        Misaddressed::TakesNoKey => no_such_service(to, "this service is not keyed; address it without the slash"),
        Misaddressed::BadKey => {
            let key = key_in_address.or(key).unwrap_or_default();
            crate::address::AddressError::Key { key: key.to_owned() }.into()
        }
        Misaddressed::NotSpawned => no_such_service(to, "nobody has spawned it, or it is gone"),
        Misaddressed::TooManyKeys => SendError::Overloaded { what: format!("the set of keys of {name}") },
    }
}

fn no_such_service(address: &str, hint: &'static str) -> SendError {
    SendError::NoSuchService { address: address.to_owned(), hint }
}

fn stopped(target: &Target) -> SendError {
    SendError::Stopped { service: target.address().service().to_owned() }
}

/// A send has no answer to fail, so whatever else a layer made of it is the layer's rejection.
pub(crate) fn into_send_error(error: CallError) -> SendError {
    match error {
        CallError::NotSent(error) => error,
        other => SendError::Rejected { layer: "middleware", reason: other.to_string() },
    }
}
