//! The mailbox of an address: bounded, and older and younger than any actor that reads it.
//!
//! # Hot path
//!
//! 1. [`Mailbox::try_send`]: one permit (a compare-and-swap), one push to a crossbeam list channel, one ring (a fence and a load
//!    while the consumer is busy).
//! 2. [`Mailbox::take`]: one pop, one count of the room it made. The semaphore, with its mutex, sees that room only when somebody looks for it.
//!
//! Bench rows `tell` and `ask` measure both.
//!
//! Storage is a channel of the list kind, made at the first message: the array kind allocates its capacity up front. The
//! bound is kept by permits, which is also how a turn holds room for what it will send. Whoever holds *all* permits knows
//! that nothing is queued and nobody is pushing, and may throw the storage away ([`Mailbox::compact`]).
//!
//! Senders that wait are woken for a batch of room, not for each message taken: woken one by one they would run in lockstep with the consumer, on one
//! thread. What is kept back is let go as soon as the consumer finds nothing more to take, or its turn has to wait ([`Mailbox::let_go`]).
//!
//! Room is counted in places. Most messages take one; one with many bytes takes several ([`Size`]), so that the same permits bound the messages that wait
//! and the bytes they have together, at the price of one.
//!
//! It refuses to decide what becomes of a message that does not fit: it hands it back, and the caller makes it a dead letter.
//!
//! Invariants: what was taken is in a hand ([`InHand`]) until its turn is over; when the turn's future is dropped or unwinds, the message goes back to the mailbox,
//! not away. A closed mailbox is empty, and stays so until it is opened again.

use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use crossbeam_channel::{Receiver, Sender, unbounded};
use tokio::sync::{Notify, Semaphore, TryAcquireError};

use crate::baton::Baton;
use crate::doorbell::{Doorbell, Until};

#[cfg(test)]
mod tests;

/// The most room that is kept back from those who wait for it.
const MOST_KEPT_BACK: usize = 256;

/// What happens to a message for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overflow {
    /// The sender waits for room. The default.
    #[default]
    Wait,
    /// The sender is told so.
    Refuse,
    /// The new message is dropped.
    DropNewest,
    /// The oldest queued message is dropped for it.
    DropOldest,
}

/// By their numbers.
const POLICIES: [Overflow; 4] = [Overflow::Wait, Overflow::Refuse, Overflow::DropNewest, Overflow::DropOldest];

/// What became of an accepted message.
#[derive(Debug, PartialEq, Eq)]
pub enum Sent<M> {
    /// It is queued.
    Queued,
    /// These were dropped, the oldest first, to make room for it: one, or as many as it needs the places of. It is the last of them where that was not
    /// enough, and queued otherwise.
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

/// Nothing can be reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// There is none now.
    Full,
    /// There never will be.
    Closed,
}

/// How a mailbox learns what its messages take of it.
///
/// A mailbox for `capacity` messages and `bytes` bytes has `capacity` places. A message takes one for each `bytes / capacity` bytes that it has, or has
/// begun; all of them, where it has more than `bytes`: such a message waits there alone.
pub struct Size<M> {
    /// How many bytes it takes.
    pub bytes: fn(&M) -> usize,
    /// Writes into the message how many places it took.
    pub keep: fn(&mut M, u32),
    /// Reads what was written.
    pub places: fn(&M) -> u32,
}

impl<M> Size<M> {
    /// Each message takes one place, whatever it has.
    const ONE: Self = Self { bytes: |_| 0, keep: |_, _| {}, places: |_| 1 };
}

/// Rounded up: the places together have less than one byte each too many.
fn place_bytes(capacity: usize, bytes: usize) -> usize {
    bytes.div_ceil(capacity).max(1)
}

fn bounded(capacity: usize) -> usize {
    capacity.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize))
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
    /// With so much stack, in bytes.
    Run {
        stack: usize,
    },
}

struct Queue<M> {
    sender: Sender<M>,
    receiver: Receiver<M>,
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
pub struct Mailbox<M> {
    capacity: AtomicUsize,
    /// The bytes of one place.
    place_bytes: AtomicUsize,
    size: Size<M>,
    /// An [`Overflow`], by its place in [`POLICIES`].
    overflow: AtomicUsize,
    room: Semaphore,
    /// Room that takes made and the semaphore does not know of yet.
    made: AtomicUsize,
    /// Senders that wait for room.
    waiting: AtomicUsize,
    /// Told to those when it closes, or has another shape.
    changed: Notify,
    /// Held while room goes from `made` to the semaphore, so that whoever finds neither there waits instead of reading "full". In it: the room that is to
    /// go and is still taken, since the mailbox became smaller.
    moving: Mutex<usize>,
    queue: ArcSwapOption<Queue<M>>,
    consumers: Box<[Consumer]>,
    /// What a consumer held when its turn was cut off. Cold.
    in_hand: Mutex<Vec<(usize, M)>>,
    /// Whether `in_hand` may hold something, so that `take` need not lock it.
    orphans: AtomicBool,
    closed: AtomicBool,
}

impl<M> Mailbox<M> {
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
    /// let size = Size::<Text> { bytes: |text| text.0.len(), keep: |text, places| text.1 = places, places: |text| text.1 };
    /// let mailbox = Mailbox::sized(4, 8, Overflow::Refuse, 1, size);
    /// assert!(mailbox.try_send(Text("five5", 0)).is_ok());
    /// assert!(matches!(mailbox.try_send(Text("four", 0)), Err(NotSent::Full(_))));
    /// assert!(mailbox.try_send(Text("2", 0)).is_ok());
    /// ```
    #[must_use]
    pub fn sized(capacity: usize, bytes: usize, overflow: Overflow, consumers: usize, size: Size<M>) -> Self {
        let capacity = bounded(capacity);
        Self {
            capacity: AtomicUsize::new(capacity),
            place_bytes: AtomicUsize::new(place_bytes(capacity, bytes)),
            size,
            overflow: AtomicUsize::new(overflow as usize),
            room: Semaphore::new(capacity),
            made: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            changed: Notify::new(),
            moving: Mutex::default(),
            queue: ArcSwapOption::empty(),
            consumers: (0..consumers.max(1)).map(|_| Consumer::default()).collect(),
            in_hand: Mutex::default(),
            orphans: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    /// How many messages it holds at most.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity.load(Ordering::Relaxed)
    }

    /// What happens when it is full.
    #[must_use]
    pub fn overflow(&self) -> Overflow {
        POLICIES[self.overflow.load(Ordering::Relaxed)]
    }

    /// How many messages are queued now; those in a hand are not counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.load().as_ref().map_or(0, |queue| queue.receiver.len())
    }

    /// Whether nothing is queued and no cut-off turn left a message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.orphans.load(Ordering::Acquire)
            && self.queue.load().as_ref().is_none_or(|queue| queue.receiver.is_empty())
    }

    /// Whether `consumer` would find something to take. What another one left is not for it: awake for that, it would keep
    /// its thread from whoever is to take it.
    fn has_something_for(&self, consumer: usize) -> bool {
        let is_its_own = || {
            let orphans = self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
            orphans.iter().any(|(owner, _)| *owner == consumer)
        };
        self.queue.load().as_ref().is_some_and(|queue| !queue.receiver.is_empty())
            || (self.orphans.load(Ordering::Acquire) && is_its_own())
    }

    /// Whether nothing is queued and every consumer sleeps. A consumer that does not run is not asleep.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.is_empty() && self.consumers.iter().all(|consumer| consumer.bell.is_asleep())
    }

    /// Whether it takes no messages any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
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
    /// [`NotSent::Full`] where the policy is to wait or to refuse and there is no room, [`NotSent::Closed`] after [`Mailbox::close`].
    pub fn try_send(&self, message: M) -> Result<Sent<M>, NotSent<M>> {
        self.try_send_by(message, Waking::Ring)
    }

    /// [`Mailbox::try_send`] for one who is about to wait for what comes of it: a consumer that sleeps is not woken but
    /// run here, until it has handled one message or has to wait itself; then it goes on in its own task. `stack` is
    /// what this thread has left for that, in bytes.
    ///
    /// # Errors
    ///
    /// As [`Mailbox::try_send`].
    pub fn try_send_and_run(&self, message: M, stack: usize) -> Result<Sent<M>, NotSent<M>> {
        self.try_send_by(message, Waking::Run { stack })
    }

    fn try_send_by(&self, message: M, waking: Waking) -> Result<Sent<M>, NotSent<M>> {
        let places = self.places((self.size.bytes)(&message));
        match self.try_reserve_places(places) {
            Ok(()) => self.push(message, places, waking),
            Err(NoRoom::Closed) => Err(NotSent::Closed(message)),
            Err(NoRoom::Full) => match self.overflow() {
                Overflow::Wait | Overflow::Refuse => Err(NotSent::Full(message)),
                Overflow::DropNewest => Ok(Sent::Dropped(message)),
                Overflow::DropOldest => self.push_over_oldest(message, places),
            },
        }
    }

    /// Queues a message, waiting for room where the policy is to wait. It has no deadline of its own: the caller sets one, and may drop the future.
    ///
    /// # Errors
    ///
    /// As [`Mailbox::try_send`], but [`NotSent::Full`] only where the policy is to refuse.
    pub async fn send(&self, message: M) -> Result<Sent<M>, NotSent<M>> {
        match self.try_send(message) {
            Err(NotSent::Full(message)) if self.overflow() == Overflow::Wait => {
                match self.wait_for_places((self.size.bytes)(&message)).await {
                    Ok(places) => self.push(message, places, Waking::Ring),
                    Err(_closed) => Err(NotSent::Closed(message)),
                }
            }
            settled => settled,
        }
    }

    /// Takes room for one message of so many bytes without waiting. The dropping policies take none: what is sent later is subject to them.
    ///
    /// # Errors
    ///
    /// [`NoRoom`].
    pub fn try_reserve(self: &Arc<Self>, bytes: usize) -> Result<Reservation<M>, NoRoom> {
        let held = match self.overflow() {
            Overflow::Wait | Overflow::Refuse => {
                let places = self.places(bytes);
                self.try_reserve_places(places)?;
                places
            }
            Overflow::DropNewest | Overflow::DropOldest => {
                if self.is_closed() {
                    return Err(NoRoom::Closed);
                }
                0
            }
        };
        Ok(Reservation { mailbox: Arc::clone(self), held })
    }

    /// Takes room for one message of so many bytes, waiting for it where the policy is to wait.
    ///
    /// # Errors
    ///
    /// As [`Mailbox::try_reserve`].
    pub async fn reserve(self: &Arc<Self>, bytes: usize) -> Result<Reservation<M>, NoRoom> {
        match self.try_reserve(bytes) {
            Err(NoRoom::Full) if self.overflow() == Overflow::Wait => {
                let held = self.wait_for_places(bytes).await?;
                Ok(Reservation { mailbox: Arc::clone(self), held })
            }
            settled => settled,
        }
    }

    /// Takes the next message: first what a cut-off turn of this consumer left, then the queue in order.
    pub fn take(&self, consumer: usize) -> Option<InHand<'_, M>> {
        if self.orphans.load(Ordering::Acquire)
            && let Some(message) = self.adopt(consumer)
        {
            return Some(InHand { mailbox: self, consumer, message: Some(message), adopted: true });
        }
        let message = {
            let queue = self.queue.load();
            queue.as_ref().and_then(|queue| queue.receiver.try_recv().ok())
        };
        let Some(message) = message else {
            self.let_go();
            return None;
        };
        let places = (self.size.places)(&message) as usize;
        let made = self.made.fetch_add(places, Ordering::SeqCst) + places;
        if made >= self.batch() && self.waiting.load(Ordering::SeqCst) > 0 {
            self.move_room();
        }
        if self.consumers.len() > 1 && !self.is_empty() {
            // Two rings that met one sleeper are one: whoever wakes passes it on.
            self.ring();
        }
        Some(InHand { mailbox: self, consumer, message: Some(message), adopted: false })
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
        if self.consumers.len() > 1 && self.queue.load().as_ref().is_some_and(|queue| !queue.receiver.is_empty()) {
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
        if !self.closed.swap(true, Ordering::SeqCst) {
            self.changed.notify_waiters();
        }
        self.drain().unwrap_or_default()
    }

    /// Opens it again after [`Mailbox::close`], empty.
    pub fn reopen(&self) {
        // Locked: whoever sees that it is closed hands back what is in it, and nothing that is sent from now on.
        let _drained = self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        self.closed.store(false, Ordering::SeqCst);
    }

    /// Lets those who wait for room have what there is. To be called when the consumer will not take again soon.
    pub fn let_go(&self) {
        // A waiter counts itself before it looks at `made`, so either it or this sees the other.
        if self.waiting.load(Ordering::SeqCst) > 0 && self.made.load(Ordering::SeqCst) > 0 {
            self.move_room();
        }
    }

    /// How much room is made before those who wait for it are woken.
    fn batch(&self) -> usize {
        (self.capacity() / 2).clamp(1, MOST_KEPT_BACK)
    }

    fn move_room(&self) {
        self.move_made(&mut self.moving.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn move_made(&self, owed: &mut usize) {
        let made = self.made.swap(0, Ordering::SeqCst);
        let kept = made.min(*owed);
        *owed -= kept;
        if made > kept {
            self.room.add_permits(made - kept);
        }
    }

    /// Gives it another size and another policy; its bytes are as many as before for each place. See [`Mailbox::resize`].
    pub fn reshape(&self, capacity: usize, overflow: Overflow) {
        let bytes = self.place_bytes.load(Ordering::Relaxed).saturating_mul(bounded(capacity));
        self.resize(capacity, bytes, overflow);
    }

    /// Gives it another size and another policy. Nothing that is queued, and no room that somebody holds, is lost: one that becomes smaller takes nothing
    /// new until it has as little as that. Who waits for room when the policy becomes another one waits on.
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
        let mut owed = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        let capacity = bounded(capacity);
        let before = self.capacity.swap(capacity, Ordering::Relaxed);
        self.place_bytes.store(place_bytes(capacity, bytes), Ordering::Relaxed);
        self.overflow.store(overflow as usize, Ordering::Relaxed);
        // Who waits may need fewer places now, and must not wait for more than there are.
        self.changed.notify_waiters();
        self.move_made(&mut owed);
        match capacity.checked_sub(before) {
            Some(more) => {
                let kept = more.min(*owed);
                *owed -= kept;
                self.room.add_permits(more - kept);
            }
            None => {
                *owed += before - capacity;
                *owed -= self.room.forget_permits(*owed);
            }
        }
    }

    /// Gives the storage back where nothing is queued and nobody holds room. Returns whether it did.
    pub fn compact(&self) -> bool {
        // Locked, so that it does not grow meanwhile: all of it is what it was before.
        let mut owed = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        self.move_made(&mut owed);
        let Ok(all) = u32::try_from(self.capacity() + *owed) else { return false };
        match self.room.try_acquire_many(all) {
            Ok(_everything) => {
                self.queue.store(None);
                true
            }
            Err(_in_use) => false,
        }
    }

    /// How many places a message of so many bytes takes.
    fn places(&self, bytes: usize) -> u32 {
        let place_bytes = self.place_bytes.load(Ordering::Relaxed);
        // Nearly all messages are smaller than a place, and a division costs more than the permit.
        if bytes <= place_bytes {
            return 1;
        }
        u32::try_from(bytes.div_ceil(place_bytes).min(self.capacity())).unwrap_or(u32::MAX)
    }

    fn try_reserve_places(&self, places: u32) -> Result<(), NoRoom> {
        match self.permit(places) {
            Err(NoRoom::Full) => {
                self.move_room();
                self.permit(places)
            }
            settled => settled,
        }
    }

    fn permit(&self, places: u32) -> Result<(), NoRoom> {
        if self.is_closed() {
            return Err(NoRoom::Closed);
        }
        match self.room.try_acquire_many(places) {
            Ok(permit) => {
                permit.forget();
                Ok(())
            }
            Err(TryAcquireError::NoPermits) => Err(NoRoom::Full),
            Err(TryAcquireError::Closed) => Err(NoRoom::Closed),
        }
    }

    /// Waits for room for a message of so many bytes; how many places that is.
    async fn wait_for_places(&self, bytes: usize) -> Result<u32, NoRoom> {
        let _counted = Waiting::new(&self.waiting);
        self.move_room();
        loop {
            let mut changed = pin!(self.changed.notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            if self.is_closed() {
                return Err(NoRoom::Closed);
            }
            let places = self.places(bytes);
            tokio::select! {
                biased;
                permit = self.room.acquire_many(places) => return match permit {
                    Ok(permit) if !self.is_closed() => {
                        permit.forget();
                        Ok(places)
                    }
                    _ => Err(NoRoom::Closed),
                },
                () = changed => {}
            }
        }
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
        let ran = matches!(waking, Waking::Run { stack } if self.run(stack));
        if !ran {
            self.ring();
        }
        if self.closed.load(Ordering::SeqCst)
            && let Some(rest) = self.drain()
        {
            return Ok(Sent::Stranded(rest));
        }
        Ok(Sent::Queued)
    }

    /// Drops the oldest ones until there are enough places. Where nothing is queued and others hold what is missing, the new one is dropped: those may hold
    /// it for as long as their turns last.
    fn push_over_oldest(&self, message: M, places: u32) -> Result<Sent<M>, NotSent<M>> {
        let mut evicted = Vec::new();
        loop {
            let oldest = self.queue.load().as_ref().and_then(|queue| queue.receiver.try_recv().ok());
            let is_last = oldest.is_none();
            if let Some(oldest) = oldest {
                // Let go before more is taken: two senders that each kept a part would wait for each other.
                self.made.fetch_add((self.size.places)(&oldest) as usize, Ordering::SeqCst);
                evicted.push(oldest);
            }
            match self.try_reserve_places(places) {
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
            if consumer.bell.ring_for_message() {
                break;
            }
        }
    }

    /// Runs a consumer that sleeps, on this thread, until it has handled one message or has to wait; none is left to be woken then.
    fn run(&self, stack: usize) -> bool {
        self.consumers.iter().any(|Consumer { bell, baton }| {
            bell.waits_for_message() && baton.run(stack, || bell.waits_for_message())
        })
    }

    fn adopt(&self, consumer: usize) -> Option<M> {
        let mut orphans = self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = orphans.iter().position(|(owner, _)| *owner == consumer)?;
        let (_, message) = orphans.remove(mine);
        self.orphans.store(!orphans.is_empty(), Ordering::Release);
        Some(message)
    }

    fn put_back(&self, consumer: usize, message: M) {
        {
            let mut orphans = self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
            orphans.push((consumer, message));
            self.orphans.store(true, Ordering::Release);
        }
        // Who was cut off takes nothing for a while, as long as its restart lasts.
        self.let_go();
        self.bell(consumer).ring();
    }

    /// What a closed mailbox holds; none where it was opened again meanwhile.
    fn drain(&self) -> Option<Vec<M>> {
        let rest = {
            let mut orphans = self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
            if !self.is_closed() {
                return None;
            }
            self.orphans.store(false, Ordering::Release);
            let mut rest: Vec<M> = orphans.drain(..).map(|(_, message)| message).collect();
            let taken = rest.len();
            if let Some(queue) = self.queue.load().as_ref() {
                rest.extend(queue.receiver.try_iter());
            }
            let made: u32 = rest[taken..].iter().map(self.size.places).sum();
            self.made.fetch_add(made as usize, Ordering::SeqCst);
            rest
        };
        self.let_go();
        Some(rest)
    }
}

/// One sender that waits for room.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Room for one message, held until it is sent or given up.
pub struct Reservation<M> {
    mailbox: Arc<Mailbox<M>>,
    /// The places it holds; none where the policy is to drop.
    held: u32,
}

impl<M> Reservation<M> {
    /// The mailbox it is in.
    #[must_use]
    pub fn mailbox(&self) -> &Arc<Mailbox<M>> {
        &self.mailbox
    }

    /// Sends. It fails only where the mailbox was closed meanwhile, or a dropping policy says so.
    ///
    /// # Errors
    ///
    /// [`NotSent::Closed`].
    pub fn send(mut self, message: M) -> Result<Sent<M>, NotSent<M>> {
        match std::mem::take(&mut self.held) {
            0 => self.mailbox.try_send(message),
            places => self.mailbox.push(message, places, Waking::Ring),
        }
    }
}

impl<M> Drop for Reservation<M> {
    fn drop(&mut self) {
        if self.held > 0 {
            self.mailbox.made.fetch_add(self.held as usize, Ordering::SeqCst);
            self.mailbox.let_go();
        }
    }
}

/// The message that a consumer is handling.
///
/// Dropped without [`InHand::done`], as happens when a turn panics or is killed, it goes back to the mailbox, for the next
/// incarnation of the same consumer.
pub struct InHand<'a, M> {
    mailbox: &'a Mailbox<M>,
    consumer: usize,
    message: Option<M>,
    adopted: bool,
}

impl<M> InHand<'_, M> {
    /// Whether a former incarnation held it already and did not finish.
    #[must_use]
    pub fn adopted(&self) -> bool {
        self.adopted
    }

    /// Ends its stay: it was handled, or becomes a dead letter.
    #[must_use]
    pub fn done(mut self) -> M {
        match self.message.take() {
            Some(message) => message,
            None => unreachable!("a hand holds a message until it is done or dropped"),
        }
    }
}

impl<M> Deref for InHand<'_, M> {
    type Target = M;

    fn deref(&self) -> &M {
        match &self.message {
            Some(message) => message,
            None => unreachable!("a hand holds a message until it is done or dropped"),
        }
    }
}

impl<M> DerefMut for InHand<'_, M> {
    fn deref_mut(&mut self) -> &mut M {
        match &mut self.message {
            Some(message) => message,
            None => unreachable!("a hand holds a message until it is done or dropped"),
        }
    }
}

impl<M> Drop for InHand<'_, M> {
    fn drop(&mut self) {
        if let Some(message) = self.message.take() {
            self.mailbox.put_back(self.consumer, message);
        }
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
