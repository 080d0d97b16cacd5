//! Questions to the layers that are components: calls of functions of their services, in the host's name.
//!
//! They do not pass the dispatch stack: what is asked about is on its way through it already. So nobody but the host
//! can ask them, and no layer is asked about a question.
//!
//! # Hot path
//!
//! `Mesh::question`: as a call of `calls.rs`, without the stack; bench row `layer/component`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use airssys_rt_shim::call::{self, ReplyTo, Waiter};
use airssys_rt_shim::mailbox::NotSent;
use bytes::Bytes;
use tokio::time::Instant;

use super::calls::answered;
use super::place::Place;
use super::{Mesh, Origin};
use crate::error::CallError;
use crate::message::{Answer, DeadReason, Delivery, Envelope};
use crate::middleware::{Asked, For, Heard, Metrics, Question, Who};
use crate::typed::FunctionType;

/// How long one that is not there at all is left alone before it is asked again.
const AGAIN: Duration = Duration::from_millis(10);

/// What became of a question.
enum Put {
    Heard(Heard),
    /// It is in the mailbox, or waits for room there.
    In {
        place: Arc<Place>,
        waits_for_room: Option<Box<Envelope>>,
        waiter: Waiter<Answer>,
    },
    /// There is no mailbox, or nobody who reads there.
    Down(&'static str),
}

impl Mesh {
    /// Carries the questions of the dispatch stack to the components.
    pub(crate) fn answer_guards(self: &Arc<Self>) {
        let mesh = Arc::downgrade(self);
        self.stack.guards().asked_by(&self.events, move |question| match mesh.upgrade() {
            Some(mesh) => mesh.question(question),
            None => down("the mesh is over"),
        });
    }

    fn question(self: Arc<Self>, question: Question<'_>) -> Asked {
        let (until, is_patient) = match question.patience {
            For::Nobody => (None, false),
            For::AtMost(until) => (Some(until), false),
            For::AsLongAsItTakes(until) => {
                (Some(until.unwrap_or_else(|| Instant::now() + self.reserve_timeout())), true)
            }
        };
        // Kept only where it may have to be asked again: sharing it is an allocation.
        let kept = is_patient.then(|| (question.service.to_owned(), question.function, question.block.clone()));
        let trace = question.trace;
        let put = self.put_question(question, until, is_patient);
        match (put, until, kept) {
            (Put::Heard(heard), ..) => Asked::Heard(heard),
            (Put::In { place, waits_for_room, mut waiter }, Some(until), _) => {
                if waits_for_room.is_none()
                    && let Some(said) = waiter.now()
                {
                    return Asked::Heard(heard(answered(said)));
                }
                Asked::Later(Box::pin(async move { self.await_answer(&place, waits_for_room, waiter, until).await }))
            }
            (Put::Down(_), Some(until), Some((service, function, block))) => {
                Asked::Later(Box::pin(async move { self.await_there(&service, function, block, trace, until).await }))
            }
            (Put::Down(why), ..) => down(why),
            (Put::In { .. }, None, _) => Asked::Heard(Heard::Answer(None)),
        }
    }

    /// Puts a question into the mailbox of its service.
    fn put_question(&self, question: Question<'_>, until: Option<Instant>, is_patient: bool) -> Put {
        let Question { service, function, block, trace, run, .. } = question;
        let Ok(resolved) = self.resolve(service, None) else { return Put::Down("there is no such service") };
        let Ok(place) = resolved.place() else { return Put::Down("there is no such service") };
        let common = place.inbox.common();
        if !is_patient && common.up.load(Ordering::Relaxed) == 0 {
            return Put::Down("it does not run at the moment");
        }
        let (delivery, waiter) = match until {
            None => (Delivery::Send, None),
            Some(_) => {
                let (reply, waiter): (ReplyTo<Answer>, Waiter<Answer>) = call::call();
                (Delivery::Call(reply), Some(waiter))
            }
        };
        let origin = Origin { who: Who::Host, trace };
        let mut envelope = self.envelope(origin, place, None, delivery, until, block);
        envelope.function = Some(Arc::clone(function));
        let put = match place.inbox.run_beside(envelope) {
            Ok(()) => Ok(()),
            Err(envelope) => place.inbox.put(envelope, run, |envelope, reason| self.bury(envelope, reason)),
        };
        let Some(waiter) = waiter else {
            match put {
                Ok(()) => Metrics::count(&common.metrics.accepted),
                Err(refused) => drop(self.bury_refused(place, refused, DeadReason::Overflow)),
            }
            return Put::Heard(Heard::Answer(None));
        };
        let waits_for_room = match put {
            Ok(()) => None,
            Err(NotSent::Full(envelope)) if is_patient && place.inbox.may_wait(&envelope) => Some(envelope),
            Err(NotSent::Full(_)) => return Put::Heard(Heard::Failed("its mailbox is full".to_owned())),
            Err(NotSent::Closed(_)) => return Put::Down("it has stopped"),
        };
        Metrics::count(&common.metrics.accepted);
        Put::In { place: Arc::clone(place), waits_for_room, waiter }
    }

    /// Asks one that is not there, again and again until it is.
    async fn await_there(
        &self,
        service: &str,
        function: &'static Arc<FunctionType>,
        block: Bytes,
        trace: u64,
        until: Instant,
    ) -> Heard {
        while Instant::now() + AGAIN < until {
            tokio::time::sleep(AGAIN).await;
            let patience = For::AsLongAsItTakes(Some(until));
            let question = Question { service, function, block: block.clone(), trace, patience, run: None };
            match self.put_question(question, Some(until), true) {
                Put::Heard(heard) => return heard,
                Put::In { place, waits_for_room, waiter } => {
                    return self.await_answer(&place, waits_for_room, waiter, until).await;
                }
                Put::Down(_) => {}
            }
        }
        Heard::Down("it has not been there in time".to_owned())
    }

    async fn await_answer(
        &self,
        place: &Arc<Place>,
        waits_for_room: Option<Box<Envelope>>,
        waiter: Waiter<Answer>,
        until: Instant,
    ) -> Heard {
        // Whoever is kept waiting waits for the layer, and the layer for the component from here on.
        let waiting = self.waits.calling_layer().map(|layer| self.waits.wait(layer, place.inbox.nodes()));
        let Ok(_waiting) = waiting.transpose() else {
            return Heard::Failed("it waits for who asks it".to_owned());
        };
        if let Some(envelope) = waits_for_room {
            let bury = |envelope, reason| self.bury(envelope, reason);
            match place.inbox.deliver_in_time(envelope, Some(until), bury).await {
                Ok(()) => {}
                Err(NotSent::Full(_)) => return Heard::Down("its mailbox has had no room in time".to_owned()),
                Err(NotSent::Closed(_)) => return Heard::Down("it has stopped".to_owned()),
            }
        }
        match answered(waiter.wait_until(until, &self.pulse).await) {
            // What it says because its time is over, as when whom it asked has not answered by then, is no answer.
            Ok(_) if Instant::now() >= until => heard(Err(CallError::Timeout)),
            answer => heard(answer),
        }
    }
}

fn down(why: &str) -> Asked {
    Asked::Heard(Heard::Down(why.to_owned()))
}

/// What an answer of a component, or the want of one, says of it.
fn heard(answer: Answer) -> Heard {
    match answer {
        Ok(block) => Heard::Answer(block),
        Err(CallError::Timeout) => Heard::Down("it has not answered in time".to_owned()),
        Err(CallError::Suspended { .. } | CallError::Dropped(_) | CallError::NotSent(_)) => {
            Heard::Down("it has stopped before it answered".to_owned())
        }
        // Over what is nobody's affair but the supervisor's, who says so in the log.
        Err(CallError::Crashed(_)) => Heard::Failed("it crashed over its verdict".to_owned()),
        Err(other) => Heard::Failed(format!("it has given no verdict: {other}")),
    }
}
