//! What the host itself delivers: each subscriber's copy of a publication, what timers say, and notices. Each passes
//! the dispatch stack once more, in the host's name, when it is put into its mailbox.

use std::sync::Arc;

use airssys_rt_shim::mailbox::NotSent;
use airssys_rt_shim::timer::TimerId;
use bytes::Bytes;
use tokio::runtime::Handle as Runtime;

use super::place::Place;
use super::service::Resolved;
use super::sleep::Sleeper;
use super::{Alarm, Mesh, Origin};
use crate::capability::Operation;
use crate::error::SendError;
use crate::message::{DeadReason, Delivery, Down, Envelope};
use crate::middleware::{Context, Entry, Passage, Who};
use crate::typed::FunctionType;

impl Mesh {
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
            let refused = |refused| self.bury_refused(&target, refused, DeadReason::SubscriberFull);
            let outcome = delivered.map(|()| None).map_err(refused);
            let _changes_nothing = passage.end(outcome);
        }
        let _changes_nothing = self.settle(origin, topic, entry, Ok(()));
    }

    /// Takes a message of the host's own through the stack. None where it goes no further: then it has had its fate.
    fn admit<'a>(
        &'a self,
        target: &'a Arc<Place>,
        mut envelope: Box<Envelope>,
    ) -> Option<(Box<Envelope>, Passage<'a>)> {
        let mut context = Context::new(Who::Host, Operation::Deliver, target.address().as_str());
        context.metrics = Some(&*target.inbox.common().metrics);
        context.trace = envelope.trace;
        let mut passage = Passage::new(&self.stack, context);
        let Err(outcome) = passage.enter(&mut envelope.body) else { return Some((envelope, passage)) };
        match passage.end(outcome).sent() {
            Ok(()) => {
                if let Delivery::Timer(timer) = envelope.delivery {
                    self.timers.claim(timer);
                }
            }
            Err(SendError::Rejected { layer, reason }) => {
                self.bury(*envelope, DeadReason::Rejected(format!("{layer}: {reason}")));
            }
            Err(error) => self.bury(*envelope, DeadReason::Rejected(error.to_string())),
        }
        None
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
    pub(crate) fn tell_down(self: &Arc<Self>, target: Arc<Place>, down: Down) {
        let child = down.child.clone();
        let mut envelope =
            self.envelope(Origin::HOST, &target, None, Delivery::Down(Box::new(down)), None, Bytes::new());
        envelope.sender = Some(child);
        self.bring(target, envelope);
    }

    /// Tells who made a handle that it is dropped: no turn is held up by that, nor the end of an instance. Who is not
    /// there any more, or sleeps, has no handles.
    pub(crate) fn release(self: &Arc<Self>, origin: Origin<'_>, to: &str, function: &Arc<FunctionType>, body: Bytes) {
        let Ok(Resolved::Place(target)) = self.resolve(to, None) else { return };
        if target.inbox.sleeper().is_some_and(Sleeper::is_asleep) {
            return;
        }
        let key = target.lane_key(to, None);
        let mut envelope = self.envelope(origin, &target, key, Delivery::Send, None, body);
        envelope.function = Some(Arc::clone(function));
        self.bring(target, envelope);
    }

    /// Puts a message of the host's own into its mailbox, without holding anybody up.
    fn bring(self: &Arc<Self>, target: Arc<Place>, envelope: Box<Envelope>) {
        let Some((envelope, passage)) = self.admit(&target, envelope) else { return };
        let trace = envelope.trace;
        let delivered = target.inbox.try_deliver(envelope, |envelope, reason| self.bury(envelope, reason));
        let outcome = match delivered {
            Ok(()) => Ok(None),
            // The timers of all must not wait for the mailbox of one. There are never more such tasks than timers,
            // monitors and handles. Where a host ends, there is no task any more.
            Err(NotSent::Full(envelope)) if target.inbox.may_wait(&envelope) && Runtime::try_current().is_ok() => {
                let (mesh, entry) = (Arc::clone(self), passage.put_aside());
                tokio::spawn(async move {
                    let (address, metrics) = (target.address().as_str(), Some(&*target.inbox.common().metrics));
                    let passage = entry.passage(&mesh.stack, Who::Host, address, metrics, trace);
                    let bury = |envelope, reason| mesh.bury(envelope, reason);
                    let delivered = target.inbox.deliver_in_time(envelope, None, bury).await;
                    let outcome = delivered
                        .map(|()| None)
                        .map_err(|refused| mesh.bury_refused(&target, refused, DeadReason::Overflow));
                    let _changes_nothing = passage.end(outcome);
                });
                return;
            }
            Err(refused) => Err(self.bury_refused(&target, refused, DeadReason::Overflow)),
        };
        let _changes_nothing = passage.end(outcome);
    }
}
