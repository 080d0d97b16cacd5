//! The room of a mailbox: how much of it is free, and who waits for some.
//!
//! It is counted in places. Most messages take one; one with many bytes takes several, so that the same permits bound
//! the messages that wait and the bytes they have together, at the price of one.
//!
//! Senders that wait are woken for a batch of room, not for each message taken: woken one by one they would run in
//! lockstep with the consumer, on one thread. What is kept back is let go as soon as the consumer finds nothing more to
//! take, its turn has to wait, or it has run for a while ([`Room::let_go`]).

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::planted;
use tokio::sync::{Notify, Semaphore, TryAcquireError};

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
/// A mailbox for `capacity` messages and `bytes` bytes has `capacity` places. A message takes one for each
/// `bytes / capacity` bytes that it has, or has begun; all of them, where it has more than `bytes`: such a message
/// waits there alone.
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
    pub(super) const ONE: Self = Self { bytes: |_| 0, keep: |_, _| {}, places: |_| 1 };
}

/// The room of one mailbox.
///
/// In this order: what a sender writes at each message and what the consumer does are on different lines of the cache,
/// with what hardly anybody looks at between them. On one line each would wait for the other one's core.
#[repr(C)]
pub(super) struct Room {
    free: Semaphore,
    /// The bytes of one place.
    place_bytes: AtomicUsize,
    /// An [`Overflow`], by its place in [`POLICIES`].
    overflow: AtomicUsize,
    closed: AtomicBool,
    /// Told to senders that wait for room when it closes, or has another shape.
    changed: Notify,
    /// Held while room goes from `made` to the semaphore, so that whoever finds neither there waits instead of reading
    /// "full". In it: the room that is to go and is still taken, since the mailbox became smaller.
    moving: Mutex<usize>,
    capacity: AtomicUsize,
    /// Senders that wait for room.
    pub(super) waiting: AtomicUsize,
    /// Room that takes made and the semaphore does not know of yet.
    made: AtomicUsize,
}

/// Rounded up: the places together have less than one byte each too many.
fn place_bytes(capacity: usize, bytes: usize) -> usize {
    bytes.div_ceil(capacity).max(1)
}

fn bounded(capacity: usize) -> usize {
    capacity.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize))
}

impl Room {
    pub(super) fn new(capacity: usize, bytes: usize, overflow: Overflow) -> Self {
        let capacity = bounded(capacity);
        Self {
            free: Semaphore::new(capacity + usize::from(planted::is("mailbox-holds-one-more"))),
            place_bytes: AtomicUsize::new(place_bytes(capacity, bytes)),
            overflow: AtomicUsize::new(overflow as usize),
            closed: AtomicBool::new(false),
            changed: Notify::new(),
            moving: Mutex::default(),
            capacity: AtomicUsize::new(capacity),
            waiting: AtomicUsize::new(0),
            made: AtomicUsize::new(0),
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity.load(Ordering::Relaxed)
    }

    pub(super) fn overflow(&self) -> Overflow {
        POLICIES[self.overflow.load(Ordering::Relaxed)]
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Sends all away who wait; nobody gets room until it is opened.
    pub(super) fn close(&self) {
        if !self.closed.swap(true, Ordering::SeqCst) {
            self.changed.notify_waiters();
        }
    }

    pub(super) fn open(&self) {
        self.closed.store(false, Ordering::SeqCst);
    }

    /// How many places a message of so many bytes takes.
    pub(super) fn places(&self, bytes: usize) -> u32 {
        let place_bytes = self.place_bytes.load(Ordering::Relaxed);
        // Nearly all messages are smaller than a place, and a division costs more than the permit.
        if bytes <= place_bytes {
            return 1;
        }
        u32::try_from(bytes.div_ceil(place_bytes).min(self.capacity())).unwrap_or(u32::MAX)
    }

    /// Takes so many places, without waiting.
    pub(super) fn take(&self, places: u32) -> Result<(), NoRoom> {
        match self.permit(places) {
            Err(NoRoom::Full) => {
                self.move_made(&mut self.moving.lock().unwrap_or_else(PoisonError::into_inner));
                self.permit(places)
            }
            settled => settled,
        }
    }

    fn permit(&self, places: u32) -> Result<(), NoRoom> {
        if self.is_closed() {
            return Err(NoRoom::Closed);
        }
        match self.free.try_acquire_many(places) {
            Ok(permit) => {
                permit.forget();
                Ok(())
            }
            Err(TryAcquireError::NoPermits) => Err(NoRoom::Full),
            Err(TryAcquireError::Closed) => Err(NoRoom::Closed),
        }
    }

    /// Waits for room for a message of so many bytes, and takes it; how many places that is.
    pub(super) async fn wait(&self, bytes: usize) -> Result<u32, NoRoom> {
        let _counted = Waiting::new(&self.waiting);
        self.move_made(&mut self.moving.lock().unwrap_or_else(PoisonError::into_inner));
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
                permit = self.free.acquire_many(places) => return match permit {
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

    /// Gives places back, which those who wait see when there is a batch of them, or when [`Room::let_go`] is said.
    pub(super) fn give_back(&self, places: u32) {
        let made = self.made.fetch_add(places as usize, Ordering::SeqCst) + places as usize;
        let batch = (self.capacity() / 2).max(1);
        if made >= batch && self.waiting.load(Ordering::SeqCst) > 0 {
            self.move_made(&mut self.moving.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Whether somebody waits for room, and there is some that nobody has told of.
    pub(super) fn is_untold(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0 && self.made.load(Ordering::SeqCst) > 0
    }

    /// Lets those who wait for room have what there is.
    pub(super) fn let_go(&self) {
        // A waiter counts itself before it looks at `made`, so either it or this sees the other.
        if self.is_untold() && !planted::is("room-not-told") {
            self.move_made(&mut self.moving.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn move_made(&self, owed: &mut usize) {
        let made = self.made.swap(0, Ordering::SeqCst);
        let kept = made.min(*owed);
        *owed -= kept;
        if made > kept {
            self.free.add_permits(made - kept);
        }
    }

    /// Gives it another size and another policy. What is taken stays taken; who waits looks again.
    pub(super) fn resize(&self, capacity: usize, bytes: usize, overflow: Overflow) {
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
                self.free.add_permits(more - kept);
            }
            None => {
                *owed += before - capacity;
                *owed -= self.free.forget_permits(*owed);
            }
        }
    }

    /// Does something while nobody else holds any room; whether that was so.
    pub(super) fn with_all_of_it(&self, what: impl FnOnce()) -> bool {
        // Locked, so that it does not grow meanwhile: all of it is what it was before.
        let mut owed = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        self.move_made(&mut owed);
        let all = u32::try_from(self.capacity() + *owed);
        let Ok(_everything) = all.map_err(drop).and_then(|all| self.free.try_acquire_many(all).map_err(drop)) else {
            return false;
        };
        what();
        true
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
