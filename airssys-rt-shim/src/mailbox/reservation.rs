//! Room that somebody holds for a message that is sent later.

use std::sync::Arc;

use super::{Mailbox, NoRoom, NotSent, Overflow, Sent, Waking};

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

    /// Sends. Where it holds room that goes well unless the mailbox was closed meanwhile.
    ///
    /// # Errors
    ///
    /// [`NotSent::Closed`], and where it holds none, as [`Mailbox::try_send`].
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
            self.mailbox.room.give_back(self.held);
            self.mailbox.let_go();
        }
    }
}

impl<M> Mailbox<M> {
    /// Takes room for one message of so many bytes without waiting. The dropping policies take none: what is sent later
    /// is subject to the policy of then.
    ///
    /// # Errors
    ///
    /// [`NoRoom`].
    pub fn try_reserve(self: &Arc<Self>, bytes: usize) -> Result<Reservation<M>, NoRoom> {
        let held = match self.overflow() {
            Overflow::Wait | Overflow::Refuse => {
                let places = self.room.places(bytes);
                self.room.take(places)?;
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
                let held = self.room.wait(bytes).await?;
                Ok(Reservation { mailbox: Arc::clone(self), held })
            }
            settled => settled,
        }
    }
}
