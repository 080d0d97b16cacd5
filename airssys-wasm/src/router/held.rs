//! What a turn holds back until it commits: it has gone through the dispatch stack, and has its room.

use std::sync::Arc;

use airssys_rt_shim::mailbox::NoRoom;
use bytes::Bytes;
use tokio::time::Instant;

use super::calls::{context, fitting};
use super::inbox::{Mailbox, Reserved};
use super::place::Place;
use super::service::Resolved;
use super::{Mesh, Origin, stopped};
use crate::capability::Operation;
use crate::error::{CallError, SendError};
use crate::limits::OVERHEAD_BYTES;
use crate::message::{Answer, DeadReason, Delivery, Envelope};
use crate::middleware::{Context, Entry, Outcome, Passage, Patience, RunsOn, Settled};
use crate::waits::Node;

/// A send that was allowed, with its room; it leaves at the commit.
pub(crate) struct Outgoing {
    target: Arc<Place>,
    room: Reserved,
    envelope: Box<Envelope>,
    entry: Entry,
}

/// A turn that may wait: its own mailbox, and where it is in the graph of who waits for whom.
#[derive(Clone, Copy)]
pub(crate) struct Waiter<'a> {
    pub(crate) mailbox: &'a Mailbox,
    pub(crate) node: Node,
    /// On whose stack who answers a layer may be run.
    pub(crate) runs_on: RunsOn,
}

/// A layer wants a send to be tried again.
struct Again;

impl Mesh {
    /// Takes a turn's send through the stack and takes room for it. Waits only where there is a `waiter`, and never for
    /// room in that one's own mailbox.
    pub(crate) async fn reserve(
        &self,
        origin: Origin<'_>,
        waiter: Option<Waiter<'_>>,
        resolved: Result<Resolved, SendError>,
        to: &str,
        key: Option<&str>,
        body: Bytes,
    ) -> Result<Option<Outgoing>, SendError> {
        // Shared only where a layer may want it to be sent again: that is an allocation.
        let again = if waiter.is_some() && self.stack.may_retry() { body.clone() } else { Bytes::new() };
        match self.try_reserve(origin, waiter, &resolved, (to, key), body, 0).await {
            Ok(settled) => settled,
            // Boxed, as it is rare.
            Err(Again) => {
                Box::pin(async {
                    for retries in 1.. {
                        let tried =
                            self.try_reserve(origin, waiter, &resolved, (to, key), again.clone(), retries).await;
                        if let Ok(settled) = tried {
                            return settled;
                        }
                    }
                    Ok(None)
                })
                .await
            }
        }
    }

    /// [`Mesh::reserve`], once.
    #[inline]
    async fn try_reserve(
        &self,
        origin: Origin<'_>,
        waiter: Option<Waiter<'_>>,
        resolved: &Result<Resolved, SendError>,
        (to, key): (&str, Option<&str>),
        mut body: Bytes,
        retries: u32,
    ) -> Result<Result<Option<Outgoing>, SendError>, Again> {
        let mut context = context(&origin, Operation::Send, to, resolved);
        context.runs_on = waiter.map_or(RunsOn::Nobody, |waiter| waiter.runs_on);
        let mut passage = Passage::new(&self.stack, context);
        let entered = match waiter {
            Some(Waiter { node, .. }) => {
                let patience = || Patience { who: Some(node), until: Instant::now() + self.reserve_timeout() };
                passage.enter_waiting(&mut body, patience).await
            }
            None => passage.enter(&mut body),
        };
        let outcome = match entered {
            Err(outcome) => outcome,
            Ok(()) => match fitting(&self.events, resolved, to, &body) {
                Err(error) => Err(CallError::NotSent(error)),
                Ok(target) => {
                    let moved = self.kept_waiting(&passage, target, key);
                    let target = moved.as_ref().unwrap_or(target);
                    match self.room(target, waiter, OVERHEAD_BYTES + body.len() + key.map_or(0, str::len)).await {
                        Ok(room) => {
                            let key = target.lane_key(to, key);
                            let envelope = self.envelope(origin, target, key, Delivery::Send, None, body);
                            return Ok(Ok(Some(Outgoing {
                                target: Arc::clone(target),
                                room,
                                envelope,
                                entry: passage.put_aside(),
                            })));
                        }
                        Err(error) => Err(CallError::NotSent(error)),
                    }
                }
            },
        };
        // Boxed, as it is rare: who waits for nothing does not carry it around.
        let outcome = match waiter {
            Some(_) if passage.waits_over(&outcome) => {
                let patience = || Instant::now() + self.reserve_timeout();
                match Box::pin(passage.settle_waiting(outcome, retries, patience)).await {
                    Settled::Done(outcome) => outcome,
                    Settled::Retry => return Err(Again),
                }
            }
            _ => passage.end(outcome),
        };
        Ok(outcome.sent().map(|()| None))
    }

    async fn room(&self, target: &Arc<Place>, waiter: Option<Waiter<'_>>, bytes: usize) -> Result<Reserved, SendError> {
        // Nobody else could make room in one's own mailbox while one's turn waits.
        let waits = waiter.is_some_and(|own| !std::ptr::eq(&raw const **target.inbox.mailbox(), own.mailbox));
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
        let outcome =
            delivered.map(|()| None).map_err(|refused| self.bury_refused(&target, refused, DeadReason::Overflow));
        self.settle_send(origin, &target, entry, outcome);
    }

    /// Makes as if a turn's send had not been: the turn is discarded.
    pub(crate) fn discard(&self, origin: Origin<'_>, outgoing: Outgoing) {
        let Outgoing { target, room, entry, .. } = outgoing;
        drop(room);
        self.settle_send(origin, &target, entry, Err(CallError::Discarded));
    }

    fn settle_send(&self, origin: Origin<'_>, target: &Arc<Place>, entry: Entry, outcome: Answer) {
        let metrics = Some(&*target.inbox.common().metrics);
        let passage = entry.passage(&self.stack, origin.who, target.address().as_str(), metrics, origin.trace);
        // The turn was told already: what a layer makes of it now changes nothing.
        let _settled = passage.end(outcome);
    }

    /// Asks the stack whether something may be done about a topic or a child. The body is what the layers make of it.
    /// Where it goes on, its outcome is to be settled by [`Mesh::settle`]; with none it goes no further: a layer has
    /// handled it, or made no error of what was turned away.
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
            Err(outcome) => passage.end(outcome).sent().map(|()| None),
        }
    }

    /// Tells the stack what came of what it let on, and gives what it makes of that.
    pub(crate) fn settle(
        &self,
        origin: Origin<'_>,
        target: &str,
        entry: Entry,
        outcome: Result<(), CallError>,
    ) -> Outcome {
        let passage = entry.passage(&self.stack, origin.who, target, None, origin.trace);
        passage.end(outcome.map(|()| None))
    }
}
