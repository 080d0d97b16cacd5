//! Before a turn, where something is to be looked at: an instance that is short of resources, and in a seeded host the
//! seed, which says when the turn begins and what goes wrong in it.

use airssys_rt_shim::exit::ExitReason;
use airssys_rt_shim::worker::Flow;

use super::begun::{Begun, planned, turn_of};
use super::{ComponentActor, Hand};
use crate::seeded::{InTurn, Moment};

impl ComponentActor {
    /// Looks, and says what is to be looked at when the turn is over. An error is the end of the actor.
    #[cold]
    pub(super) async fn look(&mut self, hand: &Hand<'_>) -> Result<Option<Box<Begun>>, ExitReason> {
        if self.instance.as_ref().is_some_and(|instance| instance.is_short())
            // Boxed: each turn of a seeded host comes here, and this future is large.
            && let Flow::Exit(reason) = Box::pin(self.renew()).await
        {
            return Err(reason);
        }
        let Some(seeded) = self.identity.mesh.seeded.clone() else { return Ok(None) };
        let (said, under_way) = seeded.turn(&turn_of(self.identity.address(), hand));
        // As above: half of the turns do not wait.
        if said.waits() {
            Box::pin(said.wait()).await;
        }
        let (queued, capacity) = (self.identity.mailbox.len(), self.identity.mailbox.capacity());
        if queued > capacity {
            let actor = self.identity.address();
            seeded.breaks(format!("the mailbox of {actor} holds {queued} messages, and {capacity} at most"));
        }
        let crash = match said.fault {
            // What is over before that instruction crashes afterwards.
            Some(InTurn::Crash(moment @ (Moment::Before | Moment::During))) => {
                Some((said.instructions, planned(moment)))
            }
            Some(InTurn::Crash(_) | InTurn::Hang | InTurn::Memory) | None => None,
        };
        if let Some(instance) = &mut self.instance {
            instance.refuel(crash);
            if said.fault == Some(InTurn::Memory) {
                instance.refuse_memory();
            }
        }
        Ok(Some(Box::new(Begun { watched: None, said: Some((said, under_way)) })))
    }

    /// Whether this actor ends while what its turn wrote is on its way to the disk, as one that is killed.
    pub(super) fn ends_at_commit(&self) -> bool {
        let seeded = self.identity.mesh.seeded.as_ref();
        seeded.is_some_and(|seeded| seeded.life(self.identity.address().as_str(), Moment::Commit).is_some())
    }
}
