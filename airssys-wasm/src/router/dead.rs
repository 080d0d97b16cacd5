//! The answers and the dead letters: what becomes of a message that a turn is done with, or that none will handle.

use std::sync::Arc;
use std::time::SystemTime;

use airssys_rt_shim::dead_letter::DeadLetters;
use airssys_rt_shim::mailbox::NotSent;
use airssys_rt_shim::planted;

use super::place::Place;
use super::{Mesh, Origin, Said, stopped};
use crate::error::{CallError, ReplayError};
use crate::events::{Happening, text};
use crate::hint::Coded;
use crate::message::{Answer, DeadLetter, DeadReason, Delivery, Envelope};

impl Mesh {
    /// Answers a call. An answer that nobody waits for any more is a dead letter.
    #[allow(clippy::boxed_local, reason = "it is dropped where it is, and not copied for that")]
    pub(crate) fn answer(&self, mut envelope: Box<Envelope>, answer: Answer) {
        let Delivery::Call(reply) = std::mem::replace(&mut envelope.delivery, Delivery::Send) else { return };
        if let Err(late) = reply.answer(answer) {
            envelope.body = late.ok().flatten().unwrap_or_default();
            self.die(*envelope, "call", DeadReason::LateAnswer);
        }
    }

    /// Makes a message a dead letter, and tells who waits for its answer.
    pub(crate) fn bury(&self, mut envelope: Envelope, reason: DeadReason) {
        let never_came = matches!(reason, DeadReason::Stopped | DeadReason::Overflow | DeadReason::Expired);
        let drops = envelope.function.as_ref().is_some_and(|function| function.drops_handle());
        if never_came && drops && matches!(envelope.delivery, Delivery::Send) {
            // Whose instance ends has no handle to drop.
            return;
        }
        tracing::debug!(target: "airssys::dead", id = envelope.id, to = %envelope.target, %reason, "dead letter");
        let delivery = std::mem::replace(&mut envelope.delivery, Delivery::Send);
        if planted::is_nth("dead-letter-not-buried", 1) {
            return;
        }
        // The letter first: who is told that it is dead finds it.
        self.die(envelope, delivery.name(), reason.clone());
        match delivery {
            Delivery::Call(reply) => {
                let error = match reason {
                    DeadReason::Crashed(crash) | DeadReason::Poisoned(crash) => CallError::Crashed(crash),
                    DeadReason::Fault(fault) => CallError::Fault(fault),
                    DeadReason::Expired => CallError::Timeout,
                    other => CallError::Dropped(other.to_string()),
                };
                let _nobody_waits = reply.answer(Err(error));
            }
            Delivery::Timer(timer) => {
                self.timers.claim(timer);
            }
            Delivery::Send | Delivery::Publish(_) | Delivery::Down(_) => {}
        }
    }

    /// Buries what a mailbox did not take, as `full` where it had no room; what the layers are told of it.
    #[cold]
    pub(super) fn bury_refused(
        &self,
        target: &Arc<Place>,
        refused: NotSent<Box<Envelope>>,
        full: DeadReason,
    ) -> CallError {
        let (envelope, reason, error) = match refused {
            NotSent::Full(envelope) => (envelope, full, self.overloaded(target)),
            NotSent::Closed(envelope) => (envelope, DeadReason::Stopped, stopped(target)),
        };
        self.bury(*envelope, reason);
        error.into()
    }

    /// Keeps a dead letter, and tells of it.
    fn die(&self, envelope: Envelope, delivery: &'static str, reason: DeadReason) {
        let Envelope { id, trace, sender, target, key, attempt, function, body, streams, .. } = envelope;
        let what = Happening::DeadLetter {
            id,
            to: text(&target),
            sender: sender.as_ref().map(text),
            delivery: delivery.to_owned(),
            reason: reason.code().to_owned(),
            detail: reason.says_more().then(|| text(&reason)),
        };
        let service = target.clone();
        let at = SystemTime::now();
        // What it says as text is for whoever looks at it.
        let call = None;
        self.dead.push(DeadLetter {
            id,
            trace,
            sender,
            target,
            key,
            delivery,
            attempt,
            reason,
            at,
            body,
            call,
            function,
            is_partial: streams.is_some_and(|streams| streams.has_rest()),
        });
        self.events.publish(Some(service.service()), what);
    }

    /// The dead letters: how many there were, and those that are kept.
    pub(crate) fn dead_letters(&self) -> (u64, Vec<DeadLetter>) {
        (self.dead.total(), self.dead.list(Clone::clone))
    }

    /// Takes a dead letter out of the store.
    pub(crate) fn take_dead_letter(&self, id: u64) -> Option<DeadLetter> {
        self.dead.take(|letter| letter.id == id)
    }

    /// Takes a dead letter out of the store and sends its body again, in the host's name.
    pub(crate) async fn replay(&self, id: u64) -> Result<(), ReplayError> {
        let mut taken = Taken { dead: &self.dead, letter: self.take_dead_letter(id) };
        let letter = taken.letter.as_ref().ok_or(ReplayError::NoSuchLetter { id })?;
        if letter.reason == DeadReason::LateAnswer {
            return Err(ReplayError::Handled { id });
        }
        if letter.is_partial {
            return Err(ReplayError::Partial { id });
        }
        let (to, key) = (letter.target.as_str(), letter.key.as_deref());
        let said = Said { function: letter.function.as_ref(), body: letter.body.clone(), streams: None };
        self.send(Origin::HOST, to, key, said).await?;
        taken.letter = None;
        Ok(())
    }
}

/// A dead letter that goes back where it was unless it left, also where its replay is cut off.
struct Taken<'a> {
    dead: &'a DeadLetters<DeadLetter>,
    letter: Option<DeadLetter>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(letter) = self.letter.take() {
            self.dead.put_back(letter);
        }
    }
}
