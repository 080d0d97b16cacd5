//! The message that a consumer is handling, and where it is kept when its turn is cut off.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::room::Room;
use crate::baton::Baton;
use crate::doorbell::Doorbell;

/// Whose it is that whoever takes next may have.
const ANYBODY: usize = usize::MAX;

/// What consumers held when their turns were cut off, each with the number of its consumer. Cold.
pub(super) struct Hands<M> {
    left: Mutex<Vec<(usize, M)>>,
    /// Whether there may be something, so that a take need not lock it.
    any: AtomicBool,
}

impl<M> Default for Hands<M> {
    fn default() -> Self {
        Self { left: Mutex::default(), any: AtomicBool::new(false) }
    }
}

impl<M> Hands<M> {
    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<(usize, M)>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    pub(super) fn has_for(&self, consumer: usize) -> bool {
        !self.is_empty() && self.lock().iter().any(|(owner, _)| is_for(*owner, consumer))
    }

    pub(super) fn has_for_anybody(&self) -> bool {
        self.has_for(ANYBODY)
    }

    /// What this consumer left is anybody's from now on; whether there is something.
    pub(super) fn hand_on(&self, consumer: usize) -> bool {
        let mut left = self.lock();
        let mut own = left.iter_mut().filter(|(owner, _)| *owner == consumer).peekable();
        let any = own.peek().is_some();
        own.for_each(|(owner, _)| *owner = ANYBODY);
        any
    }

    pub(super) fn len(&self) -> usize {
        if self.is_empty() { 0 } else { self.lock().len() }
    }

    pub(super) fn take(&self, consumer: usize) -> Option<M> {
        if self.is_empty() {
            return None;
        }
        let mut left = self.lock();
        let mine = left.iter().position(|(owner, _)| is_for(*owner, consumer))?;
        let (_, message) = left.remove(mine);
        self.any.store(!left.is_empty(), Ordering::Release);
        Some(message)
    }

    fn put(&self, consumer: usize, message: M) {
        let mut left = self.lock();
        left.push((consumer, message));
        self.any.store(true, Ordering::Release);
    }

    /// All that there is, by whoever has locked it.
    pub(super) fn empty(&self, left: &mut Vec<(usize, M)>) -> Vec<M> {
        self.any.store(false, Ordering::Release);
        left.drain(..).map(|(_, message)| message).collect()
    }
}

fn is_for(owner: usize, consumer: usize) -> bool {
    owner == consumer || owner == ANYBODY
}

/// The message that a consumer is handling.
///
/// Dropped without [`InHand::done`], as happens when a turn panics or is killed, it goes back to the mailbox, for the
/// next incarnation of the same consumer.
pub struct InHand<'a, M> {
    hands: &'a Hands<M>,
    room: &'a Room,
    bell: &'a Doorbell,
    baton: &'a Baton,
    consumer: usize,
    message: Option<M>,
    adopted: bool,
}

impl<'a, M> InHand<'a, M> {
    pub(super) fn new(
        (hands, room): (&'a Hands<M>, &'a Room),
        (bell, baton): (&'a Doorbell, &'a Baton),
        consumer: usize,
        message: M,
        adopted: bool,
    ) -> Self {
        Self { hands, room, bell, baton, consumer, message: Some(message), adopted }
    }

    /// Whether a former incarnation held it already and did not finish.
    #[must_use]
    pub fn adopted(&self) -> bool {
        self.adopted
    }

    /// The time at the beginning of its turn. Where a sender runs it, that one has looked at the clock already.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.baton.now()
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
        let Some(message) = self.message.take() else { return };
        self.hands.put(self.consumer, message);
        // Who was cut off takes nothing for a while, as long as its restart lasts.
        self.room.let_go();
        self.bell.ring();
    }
}
