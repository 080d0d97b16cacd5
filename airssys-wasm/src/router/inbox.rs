//! The way to the mailbox of one place: takes room, puts a message in, gives what that pushes out to who buries it, and
//! wakes who reads there.
//!
//! # Hot path
//!
//! `Inbox::try_deliver`: the service's bound where it has one, the mailbox's permit and push, a look at the phase of an
//! actor that may sleep. Bench rows `tell`, `ask`, `relay`.
//!
//! It refuses to decide what becomes of a message that does not fit: it hands it back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use airssys_rt_shim::mailbox::{self, NoRoom, NotSent, Overflow, Reservation, Sent, Size};
use tokio::time::{Instant, timeout_at};

use super::beside::Beside;
use super::sleep::Sleeper;
use crate::address::Address;
use crate::message::{DeadReason, Envelope, Room};
use crate::middleware::Metrics;
use crate::settings::MailboxShape;
use crate::waits::{Nodes, Waits};

/// A mailbox of the mesh. Envelopes are boxed, so that a slot of the queue is one word.
pub(crate) type Mailbox = mailbox::Mailbox<Box<Envelope>>;

/// What an envelope takes of its mailbox.
const SIZE: Size<Box<Envelope>> = Size {
    bytes: |envelope| envelope.bytes(),
    keep: |envelope, places| envelope.places = places,
    places: |envelope| envelope.places,
};

/// How many bytes there are of something, and may be.
#[derive(Debug)]
pub(crate) struct ByteBound {
    bytes: Arc<AtomicUsize>,
    most: AtomicUsize,
}

impl ByteBound {
    pub(crate) fn new(most: usize) -> Self {
        Self { bytes: Arc::default(), most: AtomicUsize::new(most) }
    }

    /// There may be so many from now on.
    pub(crate) fn bound(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// Room for so many bytes more; none where there are too many. Where there is nothing yet, there is room for
    /// anything.
    fn take(&self, bytes: usize) -> Option<Room> {
        Room::take_many(&self.bytes, bytes, self.most.load(Ordering::Relaxed))
    }
}

/// What all mailboxes of a service have in common.
#[derive(Debug)]
pub(crate) struct Common {
    /// The largest message it takes, in bytes: of its terms the one that senders look at.
    pub(crate) message_bytes: AtomicU64,
    /// What the messages of all its mailboxes have together, where it has several.
    pub(crate) held: Option<ByteBound>,
    /// What it counts.
    pub(crate) metrics: Arc<Metrics>,
    /// How many of its actors can handle a message now.
    pub(crate) up: AtomicUsize,
    /// How its queries run.
    pub(super) beside: Beside<Inbox>,
}

/// The mailbox of one place, as those see it who send to it.
#[derive(Debug)]
pub(crate) struct Inbox {
    address: Address,
    mailbox: Arc<Mailbox>,
    nodes: Nodes,
    common: Arc<Common>,
    sleeper: Option<Sleeper>,
    /// Whether nobody reads there until a person has decided.
    suspended: AtomicBool,
}

/// Room for one message in an inbox, for [`Inbox::deliver_reserved`]. Dropped, it is given back.
pub(crate) struct Reserved {
    room: Reservation<Box<Envelope>>,
    part: Option<Room>,
}

impl Inbox {
    pub(super) fn new(
        address: Address,
        shape: &MailboxShape,
        waits: &Waits,
        consumers: usize,
        common: &Arc<Common>,
        sleeper: Option<Sleeper>,
    ) -> Self {
        Self {
            address,
            mailbox: Arc::new(Mailbox::sized(shape.capacity, shape.bytes, shape.overflow, consumers, SIZE)),
            nodes: waits.nodes(consumers),
            common: Arc::clone(common),
            sleeper,
            suspended: AtomicBool::new(false),
        }
    }

    /// Where it is.
    #[must_use]
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// The queue, for who reads there.
    pub(crate) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    /// Who reads there, in the graph of who waits for whom.
    pub(crate) fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    pub(crate) fn common(&self) -> &Common {
        &self.common
    }

    /// Whether its actor is awake, where that may sleep.
    pub(crate) fn sleeper(&self) -> Option<&Sleeper> {
        self.sleeper.as_ref()
    }

    /// Says whether nobody reads there until a person has decided.
    pub(crate) fn suspend(&self, is_suspended: bool) {
        self.suspended.store(is_suspended, Ordering::Relaxed);
    }

    /// Whether nobody reads there until a person has decided.
    pub(super) fn is_suspended(&self) -> bool {
        self.suspended.load(Ordering::Relaxed)
    }

    /// Whether it has no message, and its actor does nothing.
    pub(crate) fn is_quiet(&self) -> bool {
        let sleeps = || self.sleeper.as_ref().is_some_and(Sleeper::is_asleep) && self.mailbox.is_empty();
        self.mailbox.is_closed() || self.mailbox.is_quiet() || sleeps()
    }

    /// What is forgotten there while nobody has anything to do: see [`mailbox::Mailbox::forgotten`].
    pub(crate) fn forgotten(&self) -> Option<&'static str> {
        let is_asleep = || self.sleeper.as_ref().is_some_and(Sleeper::is_asleep);
        if is_asleep() && !self.mailbox.is_empty() && !self.mailbox.is_closed() {
            return Some("a message waits, and nobody wakes the actor");
        }
        self.mailbox.forgotten()
    }

    /// Asks for an incarnation of who sleeps there.
    pub(crate) fn wake(&self) {
        if let Some(sleeper) = &self.sleeper {
            sleeper.wake(&self.address);
        }
    }

    /// Whether nobody is awake there, nothing waits, and nobody has a way to the mailbox but who asks. It is not listed
    /// any more then.
    pub(super) fn nothing_comes(&mut self) -> bool {
        let is_asleep = self.sleeper.as_mut().is_some_and(Sleeper::unlist_alone);
        is_asleep && Arc::get_mut(&mut self.mailbox).is_some_and(|mailbox| mailbox.is_empty() && !mailbox.is_closed())
    }

    /// Puts a message in without waiting.
    ///
    /// # Errors
    ///
    /// Hands it back where there is no room, or never will be.
    pub(crate) fn try_deliver(
        &self,
        envelope: Box<Envelope>,
        bury: impl Fn(Envelope, DeadReason),
    ) -> Result<(), NotSent<Box<Envelope>>> {
        self.put(envelope, None, bury)
    }

    /// [`Inbox::try_deliver`]; an actor that sleeps is run here where there is a stack for it, in bytes, with the time.
    /// So whoever says those is about to sleep itself.
    ///
    /// # Errors
    ///
    /// As [`Inbox::try_deliver`].
    pub(super) fn put(
        &self,
        mut envelope: Box<Envelope>,
        run: Option<(usize, Instant)>,
        bury: impl Fn(Envelope, DeadReason),
    ) -> Result<(), NotSent<Box<Envelope>>> {
        match self.part(envelope.bytes()) {
            Ok(part) => envelope._room = part,
            Err(_full) => return Err(NotSent::Full(envelope)),
        }
        let pushed = match run {
            Some((stack, now)) => self.mailbox.try_send_and_run(envelope, stack, now),
            None => self.mailbox.try_send(envelope),
        };
        self.pushed(pushed, bury)
    }

    /// Puts a message in for which there was no room, once there is some: until then, or however long it takes. Only
    /// where it [may wait](Inbox::may_wait).
    ///
    /// # Errors
    ///
    /// As [`Inbox::try_deliver`].
    pub(crate) async fn deliver_in_time(
        &self,
        envelope: Box<Envelope>,
        until: Option<Instant>,
        bury: impl Fn(Envelope, DeadReason),
    ) -> Result<(), NotSent<Box<Envelope>>> {
        match self.wait_for_room(envelope.bytes(), until).await {
            Ok(room) => self.pushed(room.send(envelope), bury),
            Err(NoRoom::Full) => Err(NotSent::Full(envelope)),
            Err(NoRoom::Closed) => Err(NotSent::Closed(envelope)),
        }
    }

    async fn wait_for_room(&self, bytes: usize, until: Option<Instant>) -> Result<Reservation<Box<Envelope>>, NoRoom> {
        let room = self.mailbox.reserve(bytes);
        match until {
            None => room.await,
            Some(until) => timeout_at(until, room).await.unwrap_or(Err(NoRoom::Full)),
        }
    }

    /// Whether waiting could make room: of what all mailboxes of the service may hold it has its part.
    pub(super) fn may_wait(&self, envelope: &Envelope) -> bool {
        let has_part = self.common.held.is_none() || envelope._room.is_some();
        has_part && self.mailbox.overflow() == Overflow::Wait
    }

    /// Takes room for a message of so many bytes. Where the policy is to wait, waits for it until then; with no such
    /// time it does not wait.
    ///
    /// # Errors
    ///
    /// [`NoRoom`].
    pub(crate) async fn reserve(
        &self,
        bytes: usize,
        until: Option<impl FnOnce() -> Instant>,
    ) -> Result<Reserved, NoRoom> {
        let part = self.part(bytes)?;
        let room = match (self.mailbox.try_reserve(bytes), until) {
            (Err(NoRoom::Full), Some(until)) if self.mailbox.overflow() == Overflow::Wait => {
                Box::pin(self.wait_for_room(bytes, Some(until()))).await?
            }
            (settled, _) => settled?,
        };
        Ok(Reserved { room, part })
    }

    /// Puts a message into the room that was taken for it.
    ///
    /// # Errors
    ///
    /// Hands it back where the mailbox was closed meanwhile.
    pub(crate) fn deliver_reserved(
        &self,
        Reserved { room, part }: Reserved,
        mut envelope: Box<Envelope>,
        bury: impl Fn(Envelope, DeadReason),
    ) -> Result<(), NotSent<Box<Envelope>>> {
        envelope._room = part;
        self.pushed(room.send(envelope), bury)
    }

    /// Runs a message beside those of the mailbox, where it is one that may be.
    ///
    /// # Errors
    ///
    /// Hands it back where it is to wait.
    pub(crate) fn run_beside(&self, envelope: Box<Envelope>) -> Result<(), Box<Envelope>> {
        self.common.beside.run(self, envelope)
    }

    /// A message's part of what all mailboxes of the service may hold. A service with one mailbox has no such bound.
    fn part(&self, bytes: usize) -> Result<Option<Room>, NoRoom> {
        match &self.common.held {
            None => Ok(None),
            Some(held) => held.take(bytes).map(Some).ok_or(NoRoom::Full),
        }
    }

    /// What follows on a push: what was in the way of the message is buried, and who sleeps is woken.
    fn pushed(
        &self,
        pushed: Result<Sent<Box<Envelope>>, NotSent<Box<Envelope>>>,
        bury: impl Fn(Envelope, DeadReason),
    ) -> Result<(), NotSent<Box<Envelope>>> {
        match pushed? {
            Sent::Queued => {}
            Sent::Dropped(envelope) => bury(*envelope, DeadReason::Overflow),
            Sent::Evicted(rest) => rest.into_iter().for_each(|envelope| bury(*envelope, DeadReason::Overflow)),
            Sent::Stranded(rest) => rest.into_iter().for_each(|envelope| bury(*envelope, DeadReason::Stopped)),
        }
        self.wake();
        Ok(())
    }
}
