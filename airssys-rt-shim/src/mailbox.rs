//! The mailbox of an address: bounded, and older and younger than any actor that reads it.
//!
//! # Hot path
//!
//! 1. [`Mailbox::try_send`]: one permit (a compare-and-swap), one push to a crossbeam list channel, one ring (a fence
//!    and a load while the consumer is busy).
//! 2. [`Mailbox::take`]: one pop, one count of the room it made. The semaphore, with its mutex, sees that room only
//!    when somebody looks for it.
//!
//! Bench rows `tell` and `ask` measure both.
//!
//! Storage is a channel of the list kind, made at the first message: the array kind allocates its capacity up front.
//! The bound is kept by permits (`room.rs`), which is also how a turn holds room for what it will send. Whoever holds
//! *all* permits knows that nothing is queued and nobody is pushing, and may throw the storage away
//! ([`Mailbox::compact`]). What a consumer is handling is in its hand (`hand.rs`).
//!
//! It refuses to decide what becomes of a message that does not fit: it hands it back, and the caller makes it a dead
//! letter.
//!
//! Invariants: what was taken is in a hand ([`InHand`]) until its turn is over; when the turn's future is dropped or
//! unwinds, the message goes back to the mailbox, not away. A closed mailbox is empty, and stays so until it is opened
//! again.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use arc_swap::ArcSwapOption;
use crossbeam_channel::{Receiver, Sender, unbounded};
use tokio::time::Instant;

use self::hand::Hands;
use self::room::Room;
use crate::baton::Baton;
use crate::doorbell::{Doorbell, Until};
use crate::planted;

pub use self::hand::InHand;
pub use self::reservation::Reservation;
pub use self::room::{NoRoom, Overflow, Size};

mod hand;
mod reservation;
mod room;
#[cfg(test)]
mod tests;

/// How often a consumer that handled many messages looks for another one before it sleeps: for one or two microseconds.
/// A wake-up costs both sides several.
const LOOKS_BEFORE_SLEEP: u32 = 100;

/// What became of an accepted message.
#[derive(Debug, PartialEq, Eq)]
pub enum Sent<M> {
    /// It is queued.
    Queued,
    /// These were dropped, the oldest first, to make room for it: one, or as many as it needs the places of. It is the
    /// last of them where that was not enough, and queued otherwise.
    Evicted(Vec<M>),
    /// It was dropped, as the policy says.
    Dropped(M),
    /// The mailbox was closed in the same instant: these were left in it, and will not be handled.
    Stranded(Vec<M>),
}

/// Why a message was not accepted; it is handed back.
#[derive(Debug, PartialEq, Eq)]
pub enum NotSent<M> {
    /// There is no room.
    Full(M),
    /// The address takes no messages any more.
    Closed(M),
}

#[derive(Default)]
struct Consumer {
    bell: Doorbell,
    baton: Baton,
}

/// What is done for a consumer that sleeps.
#[derive(Clone, Copy)]
enum Waking {
    Ring,
    /// With so much stack, in bytes, at this time.
    Run {
        stack: usize,
        now: Instant,
    },
}

struct Queue<M> {
    sender: Sender<M>,
    receiver: Receiver<M>,
}

/// The queue as a consumer keeps it at hand while it is awake, so that it need not be looked for at each message.
///
/// One that was put away meanwhile is empty for good: that is done only when nothing is in it and nobody is on the way.
pub(crate) struct Near<M>(Option<Arc<Queue<M>>>);

impl<M> Default for Near<M> {
    fn default() -> Self {
        Self(None)
    }
}

impl<M> Near<M> {
    /// Whether there is something to take within a moment.
    pub(crate) fn soon(&self) -> bool {
        self.0.is_some()
            && (0..LOOKS_BEFORE_SLEEP).any(|_| {
                std::hint::spin_loop();
                self.now()
            })
    }

    /// Whether there is something to take now: without a look for the queue, which costs as much as one into it.
    pub(crate) fn now(&self) -> bool {
        self.0.as_ref().is_some_and(|queue| !queue.receiver.is_empty())
    }

    fn take(&self) -> Option<M> {
        self.0.as_ref()?.receiver.try_recv().ok()
    }
}

/// A bounded queue with a place for the message that is being handled.
///
/// # Example
///
/// ```
/// use airssys_rt_shim::mailbox::{Mailbox, Overflow, NotSent, Sent};
///
/// let mailbox = Mailbox::new(2, Overflow::Refuse, 1);
/// assert_eq!(mailbox.try_send("one"), Ok(Sent::Queued));
/// assert_eq!(mailbox.try_send("two"), Ok(Sent::Queued));
/// assert_eq!(mailbox.try_send("three"), Err(NotSent::Full("three")));
///
/// let hand = mailbox.take(0).unwrap();
/// assert_eq!(*hand, "one");
/// drop(hand); // a turn that did not end: the message stays
/// assert_eq!(mailbox.take(0).unwrap().done(), "one");
/// ```
#[repr(C)]
pub struct Mailbox<M> {
    room: Room,
    /// What both sides read at each message is on no line of the cache that one of them writes.
    _apart: [u64; 7],
    size: Size<M>,
    queue: ArcSwapOption<Queue<M>>,
    consumers: Box<[Consumer]>,
    hands: Hands<M>,
}

impl<M> Mailbox<M> {
    /// How many consumers it has.
    pub fn consumers(&self) -> usize {
        self.consumers.len()
    }

    /// A mailbox for `capacity` messages and `consumers` consumers, both at least one.
    ///
    /// Nothing is allocated for messages before the first one.
    #[must_use]
    pub fn new(capacity: usize, overflow: Overflow, consumers: usize) -> Self {
        Self::sized(capacity, usize::MAX, overflow, consumers, Size::ONE)
    }

    /// [`Mailbox::new`], for messages that have `bytes` bytes together at most.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_rt_shim::mailbox::{Mailbox, NotSent, Overflow, Sent, Size};
    ///
    /// struct Text(&'static str, u32);
    /// let size = Size::<Text> {
    ///     bytes: |text| text.0.len(),
    ///     keep: |text, places| text.1 = places,
    ///     places: |text| text.1,
    /// };
    /// let mailbox = Mailbox::sized(4, 8, Overflow::Refuse, 1, size);
    /// assert!(mailbox.try_send(Text("five5", 0)).is_ok());
    /// assert!(matches!(mailbox.try_send(Text("four", 0)), Err(NotSent::Full(_))));
    /// assert!(mailbox.try_send(Text("2", 0)).is_ok());
    /// ```
    #[must_use]
    pub fn sized(capacity: usize, bytes: usize, overflow: Overflow, consumers: usize, size: Size<M>) -> Self {
        Self {
            room: Room::new(capacity, bytes, overflow),
            _apart: [0; 7],
            size,
            queue: ArcSwapOption::empty(),
            consumers: (0..consumers.max(1)).map(|_| Consumer::default()).collect(),
            hands: Hands::default(),
        }
    }

    /// How many messages it holds at most.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.room.capacity()
    }

    /// What happens when it is full.
    #[must_use]
    pub fn overflow(&self) -> Overflow {
        self.room.overflow()
    }

    /// How many messages are queued now; those in a hand are not counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.load().as_ref().map_or(0, |queue| queue.receiver.len())
    }

    /// How many messages cut-off turns left here that nobody has taken up again.
    #[must_use]
    pub fn left(&self) -> usize {
        self.hands.len()
    }

    /// Whether nothing is queued and no cut-off turn left a message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hands.is_empty() && !self.has_queued()
    }

    fn has_queued(&self) -> bool {
        self.queue.load().as_ref().is_some_and(|queue| !queue.receiver.is_empty())
    }

    /// Whether `consumer` would find something to take. What another one left is not for it: awake for that, it would
    /// keep its thread from whoever is to take it.
    fn has_something_for(&self, consumer: usize) -> bool {
        self.has_queued() || self.hands.has_for(consumer)
    }

    /// What is forgotten here while nobody has anything to do: a message beside a consumer that sleeps until there is
    /// one, or room beside somebody who waits for some. None where all is well, as long as no other thread works on it.
    #[must_use]
    pub fn forgotten(&self) -> Option<&'static str> {
        let sleeps = |consumer: usize| self.bell(consumer).waits_for_message() && self.has_something_for(consumer);
        if (0..self.consumers.len()).any(sleeps) {
            return Some("a message waits, and who is to handle it sleeps");
        }
        self.room.is_untold().then_some("there is room, and who waits for some is not told")
    }

    /// Whether nothing is queued and every consumer sleeps. A consumer that does not run is not asleep.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.is_empty() && self.consumers.iter().all(|consumer| consumer.bell.is_asleep())
    }

    /// Whether it takes no messages any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.room.is_closed()
    }

    /// The bell that consumer `consumer` sleeps on; the last one's for a number that is too large.
    #[must_use]
    pub(crate) fn bell(&self, consumer: usize) -> &Doorbell {
        &self.consumer(consumer).bell
    }

    /// The baton of consumer `consumer`.
    pub(crate) fn baton(&self, consumer: usize) -> &Baton {
        &self.consumer(consumer).baton
    }

    fn consumer(&self, consumer: usize) -> &Consumer {
        &self.consumers[consumer.min(self.consumers.len() - 1)]
    }

    /// Queues a message without waiting.
    ///
    /// # Errors
    ///
    /// [`NotSent::Full`] where the policy is to wait or to refuse and there is no room, [`NotSent::Closed`] after
    /// [`Mailbox::close`].
    pub fn try_send(&self, message: M) -> Result<Sent<M>, NotSent<M>> {
        self.try_send_by(message, Waking::Ring)
    }

    /// [`Mailbox::try_send`] for one who is about to wait for what comes of it: a consumer that sleeps is not woken but
    /// run here, until it has handled one message or has to wait itself; then it goes on in its own task. `stack` is
    /// what this thread has left for that, in bytes, and `now` the time, for which the consumer need not look again.
    ///
    /// # Errors
    ///
    /// As [`Mailbox::try_send`].
    pub fn try_send_and_run(&self, message: M, stack: usize, now: Instant) -> Result<Sent<M>, NotSent<M>> {
        self.try_send_by(message, Waking::Run { stack, now })
    }

    fn try_send_by(&self, message: M, waking: Waking) -> Result<Sent<M>, NotSent<M>> {
        let places = self.room.places((self.size.bytes)(&message));
        match self.room.take(places) {
            Ok(()) => self.push(message, places, waking),
            Err(NoRoom::Closed) => Err(NotSent::Closed(message)),
            Err(NoRoom::Full) => match self.overflow() {
                Overflow::Wait | Overflow::Refuse => Err(NotSent::Full(message)),
                Overflow::DropNewest => Ok(Sent::Dropped(message)),
                Overflow::DropOldest => self.push_over_oldest(message, places),
            },
        }
    }

    /// Queues a message, waiting for room where the policy is to wait. It has no deadline of its own: the caller sets
    /// one, and may drop the future.
    ///
    /// # Errors
    ///
    /// As [`Mailbox::try_send`], but [`NotSent::Full`] only where the policy is to refuse.
    pub async fn send(&self, message: M) -> Result<Sent<M>, NotSent<M>> {
        match self.try_send(message) {
            Err(NotSent::Full(message)) if self.overflow() == Overflow::Wait => {
                match self.room.wait((self.size.bytes)(&message)).await {
                    Ok(places) => self.push(message, places, Waking::Ring),
                    Err(_closed) => Err(NotSent::Closed(message)),
                }
            }
            settled => settled,
        }
    }

    /// Takes the next message: first what a cut-off turn left, of this consumer or of one that has [handed it
    /// on](Self::hand_on), then the queue in order.
    pub fn take(&self, consumer: usize) -> Option<InHand<'_, M>> {
        self.take_near(consumer, &mut Near::default())
    }

    /// [`Mailbox::take`], for a consumer that keeps the queue at hand while it is awake.
    pub(crate) fn take_near(&self, consumer: usize, near: &mut Near<M>) -> Option<InHand<'_, M>> {
        if let Some(message) = self.hands.take(consumer) {
            // As below.
            self.pass_on();
            return Some(self.hand(consumer, message, true));
        }
        let Some(message) = near.take().or_else(|| {
            near.0 = self.queue.load_full();
            near.take()
        }) else {
            self.let_go();
            return None;
        };
        let message = self.planted_out_of_order(near, message);
        self.room.give_back((self.size.places)(&message));
        if self.consumers.len() > 1 && !self.is_empty() {
            // Two rings that met one sleeper are one: whoever wakes passes it on.
            self.ring();
        }
        Some(self.hand(consumer, message, false))
    }

    /// The message that was taken; where a test has planted that, the one behind it.
    #[inline(always)]
    fn planted_out_of_order(&self, near: &Near<M>, message: M) -> M {
        let out_of_order = "messages-change-places";
        if planted::is(out_of_order)
            && near.now()
            && planted::is_nth(out_of_order, 2)
            && let Some(next) = near.take()
            && let Some(queue) = &near.0
        {
            let _both_ends_are_there = queue.sender.send(message);
            return next;
        }
        message
    }

    fn hand(&self, consumer: usize, message: M, adopted: bool) -> InHand<'_, M> {
        let Consumer { bell, baton } = self.consumer(consumer);
        InHand::new((&self.hands, &self.room), (bell, baton), consumer, message, adopted)
    }

    /// Sleeps until there is something to take, or `attention` says that there is something else to do.
    pub async fn wait(&self, consumer: usize, attention: impl Fn() -> bool) {
        self.bell(consumer).park(Until::Message, || attention() || self.has_something_for(consumer)).await;
    }

    /// Sleeps until `attention` says that there is something to do, and takes no messages meanwhile.
    pub(crate) async fn wait_for(&self, consumer: usize, attention: impl Fn() -> bool) {
        // It may be long.
        self.let_go();
        self.bell(consumer).park(Until::Order, attention).await;
    }

    /// A consumer has something else to do than to take the message that it may have been woken for.
    pub(crate) fn pass_on(&self) {
        if self.consumers.len() > 1 && (self.has_queued() || self.hands.has_for_anybody()) {
            self.ring();
        }
    }

    /// Consumer `consumer` does not come back by itself: what its cut-off turn left is for the others from now on.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_rt_shim::mailbox::{Mailbox, Overflow};
    ///
    /// let mailbox = Mailbox::new(4, Overflow::Wait, 2);
    /// mailbox.try_send("one").unwrap();
    /// drop(mailbox.take(0)); // a turn that did not end
    /// assert!(mailbox.take(1).is_none());
    /// mailbox.hand_on(0);
    /// assert_eq!(mailbox.take(1).unwrap().done(), "one");
    /// ```
    pub fn hand_on(&self, consumer: usize) {
        if !planted::is("left-and-not-handed-on") && self.hands.hand_on(consumer) {
            self.ring();
        }
    }

    /// Consumer `consumer` takes nothing any more; its next incarnation may be long in coming.
    pub(crate) fn leave(&self, consumer: usize) {
        self.let_go();
        // One that was killed in its sleep is not to be found asleep.
        self.bell(consumer).ring();
        self.pass_on();
    }

    /// Closes it and hands back what it held: what turns left first, then the queue in order.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_rt_shim::mailbox::{Mailbox, NotSent, Overflow, Sent};
    ///
    /// let mailbox = Mailbox::new(1, Overflow::Refuse, 1);
    /// assert_eq!(mailbox.try_send("one"), Ok(Sent::Queued));
    /// assert_eq!(mailbox.close(), ["one"]);
    /// assert_eq!(mailbox.try_send("two"), Err(NotSent::Closed("two")));
    /// mailbox.reopen();
    /// assert_eq!(mailbox.try_send("two"), Ok(Sent::Queued));
    /// ```
    pub fn close(&self) -> Vec<M> {
        self.room.close();
        self.drain().unwrap_or_default()
    }

    /// Opens it again after [`Mailbox::close`], empty.
    pub fn reopen(&self) {
        // Locked: whoever sees that it is closed hands back what is in it, and nothing that is sent from now on.
        let _drained = self.hands.lock();
        self.room.open();
    }

    /// Lets those who wait for room have what there is. To be called when the consumer will not take again soon.
    pub fn let_go(&self) {
        self.room.let_go();
    }

    /// Gives it another size and another policy. Nothing that is queued, and no room that somebody holds, is lost: one
    /// that becomes smaller takes nothing new until it has as little as that. Who waits for room when the policy
    /// becomes another one waits on.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_rt_shim::mailbox::{Mailbox, NotSent, Overflow, Sent};
    ///
    /// let mailbox = Mailbox::new(1, Overflow::Refuse, 1);
    /// assert_eq!(mailbox.try_send("one"), Ok(Sent::Queued));
    /// assert_eq!(mailbox.try_send("two"), Err(NotSent::Full("two")));
    /// mailbox.resize(2, 1 << 20, Overflow::Refuse);
    /// assert_eq!(mailbox.try_send("two"), Ok(Sent::Queued));
    /// ```
    pub fn resize(&self, capacity: usize, bytes: usize, overflow: Overflow) {
        self.room.resize(capacity, bytes, overflow);
    }

    /// Gives the storage back where nothing is queued and nobody holds room. Returns whether it did.
    pub fn compact(&self) -> bool {
        self.room.with_all_of_it(|| self.queue.store(None))
    }

    /// Pushes with so many places held, which pass to the message.
    fn push(&self, mut message: M, places: u32, waking: Waking) -> Result<Sent<M>, NotSent<M>> {
        (self.size.keep)(&mut message, places);
        let queue = self.queue.load();
        let pushed = match queue.as_ref() {
            Some(queue) => queue.sender.send(message),
            None => self.make_queue().sender.send(message),
        };
        if let Err(unsent) = pushed {
            // Cannot be: both ends of the channel live in one struct.
            return Err(NotSent::Closed(unsent.into_inner()));
        }
        // With a fence inside: either `close` sees this message, or this thread sees that it closed.
        let ran = matches!(waking, Waking::Run { stack, now } if self.run(stack, now));
        if !ran {
            self.ring();
        }
        if self.is_closed()
            && let Some(rest) = self.drain()
        {
            return Ok(Sent::Stranded(rest));
        }
        Ok(Sent::Queued)
    }

    /// Drops the oldest ones until there are enough places. Where nothing is queued and others hold what is missing,
    /// the new one is dropped: those may hold it for as long as their turns last.
    fn push_over_oldest(&self, message: M, places: u32) -> Result<Sent<M>, NotSent<M>> {
        let mut evicted = Vec::new();
        loop {
            let oldest = self.queue.load().as_ref().and_then(|queue| queue.receiver.try_recv().ok());
            let is_last = oldest.is_none();
            if let Some(oldest) = oldest {
                // Let go before more is taken: two senders that each kept a part would wait for each other.
                self.room.give_back((self.size.places)(&oldest));
                evicted.push(oldest);
            }
            match self.room.take(places) {
                Ok(()) => break,
                Err(NoRoom::Closed) if evicted.is_empty() => return Err(NotSent::Closed(message)),
                Err(NoRoom::Full) if !is_last => {}
                Err(NoRoom::Full) if evicted.is_empty() => return Ok(Sent::Dropped(message)),
                Err(why) => {
                    evicted.push(message);
                    return Ok(if why == NoRoom::Full { Sent::Evicted(evicted) } else { Sent::Stranded(evicted) });
                }
            }
        }
        self.push(message, places, Waking::Ring).map(|sent| match sent {
            Sent::Stranded(rest) => {
                evicted.extend(rest);
                Sent::Stranded(evicted)
            }
            queued if evicted.is_empty() => queued,
            _queued => Sent::Evicted(evicted),
        })
    }

    fn make_queue(&self) -> Arc<Queue<M>> {
        let (sender, receiver) = unbounded();
        let fresh = Arc::new(Queue { sender, receiver });
        self.queue.rcu(|current| Some(current.as_ref().map_or_else(|| Arc::clone(&fresh), Arc::clone)));
        // Nobody can take it away again: the caller holds a permit.
        self.queue.load_full().unwrap_or(fresh)
    }

    fn ring(&self) {
        fence(Ordering::SeqCst);
        for consumer in &self.consumers {
            let lost = "wake-up-lost";
            if planted::is(lost) && consumer.bell.waits_for_message() && planted::is_nth(lost, 1) {
                break;
            }
            if consumer.bell.ring_for_message() {
                break;
            }
        }
    }

    /// Runs a consumer that sleeps, on this thread, until it has handled one message or has to wait; none is left to be
    /// woken then.
    fn run(&self, stack: usize, now: Instant) -> bool {
        self.consumers.iter().any(|Consumer { bell, baton }| {
            bell.waits_for_message() && baton.run(stack, now, || bell.waits_for_message())
        })
    }

    /// What a closed mailbox holds; none where it was opened again meanwhile.
    fn drain(&self) -> Option<Vec<M>> {
        let rest = {
            let mut left = self.hands.lock();
            if !self.is_closed() {
                return None;
            }
            let mut rest = self.hands.empty(&mut left);
            let taken = rest.len();
            if let Some(queue) = self.queue.load().as_ref() {
                rest.extend(queue.receiver.try_iter());
            }
            self.room.give_back(rest[taken..].iter().map(self.size.places).sum());
            rest
        };
        self.let_go();
        Some(rest)
    }
}

impl<M> std::fmt::Debug for Mailbox<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailbox")
            .field("capacity", &self.capacity())
            .field("overflow", &self.overflow())
            .field("len", &self.len())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
