//! The way into a mailbox: takes room, puts the message in, gives what that pushes out to who buries it, and wakes who reads there.
//!
//! # Hot path
//!
//! [`Target::try_deliver`]: the service's bound where it has one, the mailbox's permit and push, a look at the phase of a keyed actor. Bench rows `tell`,
//! `ask`, `relay`.
//!
//! It refuses to decide what becomes of a message that does not fit: it hands it back.

use airssys_rt_shim::mailbox::{NoRoom, NotSent, Overflow, Reservation, Sent};
use tokio::time::{Instant, timeout_at};

use super::service::Target;
use crate::message::{DeadReason, Envelope, Room};

/// Room for one message, which [`Reserved::deliver`] takes. Dropped, it is given back.
pub(crate) struct Reserved {
    target: Target,
    room: Reservation<Box<Envelope>>,
    part: Option<Room>,
}

impl Target {
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

    /// [`Target::try_deliver`]; an actor that sleeps is run here where there is a `stack` for it, in bytes.
    fn put(
        &self,
        mut envelope: Box<Envelope>,
        stack: Option<usize>,
        bury: impl Fn(Envelope, DeadReason),
    ) -> Result<(), NotSent<Box<Envelope>>> {
        match self.part(envelope.bytes()) {
            Ok(part) => envelope._room = part,
            Err(_full) => return Err(NotSent::Full(envelope)),
        }
        let mailbox = &self.lane().mailbox;
        let pushed = match stack {
            Some(stack) => mailbox.try_send_and_run(envelope, stack),
            None => mailbox.try_send(envelope),
        };
        self.pushed(pushed, bury)
    }

    /// Puts a message in, waiting for room where the policy is to wait: until then, or for as long as it takes. An actor
    /// that sleeps is run here where there is a `stack` for it, in bytes; so whoever says one is about to sleep itself.
    ///
    /// # Errors
    ///
    /// As [`Target::try_deliver`].
    pub(crate) async fn deliver(
        &self,
        envelope: Box<Envelope>,
        stack: Option<usize>,
        until: impl FnOnce() -> Option<Instant>,
        bury: impl Fn(Envelope, DeadReason),
    ) -> Result<(), NotSent<Box<Envelope>>> {
        let envelope = match self.put(envelope, stack, &bury) {
            Err(NotSent::Full(envelope)) if self.may_wait(&envelope) => envelope,
            settled => return settled,
        };
        let room = self.lane().mailbox.reserve(envelope.bytes());
        let room = match until() {
            None => room.await,
            Some(until) => timeout_at(until, room).await.unwrap_or(Err(NoRoom::Full)),
        };
        match room {
            Ok(room) => self.pushed(room.send(envelope), bury),
            Err(NoRoom::Full) => Err(NotSent::Full(envelope)),
            Err(NoRoom::Closed) => Err(NotSent::Closed(envelope)),
        }
    }

    /// Whether waiting could make room: of what all mailboxes of the service may hold it has its part.
    fn may_wait(&self, envelope: &Envelope) -> bool {
        let has_part = self.service.held.is_none() || envelope._room.is_some();
        has_part && self.lane().mailbox.overflow() == Overflow::Wait
    }

    /// Takes room for a message of so many bytes. Where the policy is to wait, waits for it until then; with no such time it does not wait.
    ///
    /// # Errors
    ///
    /// [`NoRoom`].
    pub(crate) async fn reserve(
        &self,
        bytes: usize,
        until: Option<impl FnOnce() -> Instant>,
    ) -> Result<Reserved, NoRoom> {
        let mailbox = &self.lane().mailbox;
        let part = self.part(bytes)?;
        let room = match (mailbox.try_reserve(bytes), until) {
            (Err(NoRoom::Full), Some(until)) if mailbox.overflow() == Overflow::Wait => {
                timeout_at(until(), mailbox.reserve(bytes)).await.unwrap_or(Err(NoRoom::Full))?
            }
            (settled, _) => settled?,
        };
        Ok(Reserved { target: self.clone(), room, part })
    }

    /// A message's part of what all mailboxes of the service may hold. A service with one mailbox has no such bound.
    fn part(&self, bytes: usize) -> Result<Option<Room>, NoRoom> {
        match &self.service.held {
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

impl Reserved {
    /// Puts the message in; whom it goes to.
    pub(crate) fn deliver(
        self,
        mut envelope: Box<Envelope>,
        bury: impl Fn(Envelope, DeadReason),
    ) -> (Target, Result<(), NotSent<Box<Envelope>>>) {
        let Self { target, room, part } = self;
        envelope._room = part;
        let delivered = target.pushed(room.send(envelope), bury);
        (target, delivered)
    }

    /// Gives the room back; whom it was for.
    pub(crate) fn give_back(self) -> Target {
        self.target
    }
}
