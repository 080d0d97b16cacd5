//! Sends and calls: through the dispatch stack and into the mailbox of who is addressed; a call waits for its answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use airssys_rt_shim::call::{self, ReplyTo, Unanswered, Waiter};
use airssys_rt_shim::mailbox::NotSent;
use bytes::Bytes;
use tokio::task::coop::consume_budget;
use tokio::time::Instant;

use super::place::Place;
use super::service::Resolved;
use super::{Mesh, Origin, misaddressed, stopped};
use crate::address::split;
use crate::capability::Operation;
use crate::error::{CallError, SendError};
use crate::events::Events;
use crate::message::{Answer, Delivery, Envelope};
use crate::middleware::{Context, Outcome, Passage, Patience, Settled};
use crate::typed::FunctionType;
use crate::waits::Node;

/// Who waits for an answer.
#[derive(Clone, Copy)]
pub(crate) enum Caller<'a> {
    /// A turn: where it is in the graph of who waits for whom.
    Turn(Node),
    /// The host, and whom it wants to tell that the message is in its mailbox.
    Host(Option<&'a (dyn Fn() + Sync)>),
}

/// Until when a caller waits, and when that was reckoned: a look at the clock is a twentieth of a whole call, so nobody
/// takes another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Until {
    pub(crate) now: Instant,
    pub(crate) deadline: Instant,
}

/// What is said to who is called: bytes, or the arguments of a function as a block.
pub(crate) struct Said<'a> {
    pub(crate) function: Option<&'a Arc<FunctionType>>,
    pub(crate) body: Bytes,
}

impl From<Bytes> for Said<'_> {
    fn from(body: Bytes) -> Self {
        Self { function: None, body }
    }
}

/// What is wanted of who is addressed.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    /// That it has the message.
    Receipt,
    /// An answer.
    /// Of the function, where it is no message of bytes.
    Answer(Caller<'a>, Until, Option<&'a Arc<FunctionType>>),
}

impl Mesh {
    /// Sends; waits for room as the mailbox's policy says, at most `reserve_timeout`.
    pub(crate) async fn send(
        &self,
        origin: Origin<'_>,
        to: &str,
        key: Option<&str>,
        body: Bytes,
    ) -> Result<(), SendError> {
        self.pass(origin, Wanted::Receipt, to, key, body).await.sent()
    }

    /// Calls and waits for the answer.
    pub(crate) async fn call(
        &self,
        origin: Origin<'_>,
        caller: Caller<'_>,
        to: &str,
        key: Option<&str>,
        said: Said<'_>,
        until: Until,
    ) -> Answer {
        self.pass(origin, Wanted::Answer(caller, until, said.function), to, key, said.body).await.answer
    }

    /// Takes a message through the stack, as often as a layer wants it.
    #[inline(always)]
    async fn pass(
        &self,
        origin: Origin<'_>,
        wanted: Wanted<'_>,
        to: &str,
        key: Option<&str>,
        mut body: Bytes,
    ) -> Outcome {
        if let Wanted::Answer(Caller::Host(_), ..) = wanted {
            // Who asks and asks need not wait for anything: others are to run now and then.
            consume_budget().await;
        }
        let mut retries = 0;
        loop {
            let resolved = self.resolve(to, key);
            let mut passage = {
                let mut context = context(&origin, wanted.operation(), to, &resolved);
                if let Wanted::Answer(_, until, _) = wanted {
                    context.deadline = Some(until.deadline);
                    if retries == 0 {
                        context.came(until.now);
                    }
                }
                Passage::new(&self.stack, context)
            };
            let mut passing = self.passing(&mut body);
            let patience = || Patience {
                who: wanted.node().or_else(|| self.waits.calling_layer()),
                until: match wanted {
                    Wanted::Answer(_, until, _) => until.deadline,
                    Wanted::Receipt => Instant::now() + self.reserve_timeout(),
                },
            };
            let outcome = match passage.enter_waiting(&mut passing, patience).await {
                Err(outcome) => outcome,
                Ok(()) => match fitting(&self.events, &resolved, to, &passing) {
                    Err(error) => Err(CallError::NotSent(error)),
                    Ok(target) => {
                        let moved = self.kept_waiting(&passage, target, key);
                        let target = moved.as_ref().unwrap_or(target);
                        let key = target.lane_key(split(to).1, key);
                        match wanted {
                            Wanted::Answer(caller, until, function) => {
                                let said = Said { function, body: passing };
                                self.ask(origin, caller, target, key, said, until.deadline).await
                            }
                            Wanted::Receipt => {
                                let envelope = self.envelope(origin, target, key, Delivery::Send, None, passing);
                                self.post(target, envelope, None, None).await.map(|()| None).map_err(CallError::NotSent)
                            }
                        }
                    }
                },
            };
            match passage.settle(outcome, retries) {
                Settled::Done(outcome) => return outcome,
                Settled::Retry => retries += 1,
            }
        }
    }

    /// The place of a message that a layer kept waiting, where that is in another service by now.
    #[inline]
    pub(super) fn kept_waiting(
        &self,
        passage: &Passage<'_>,
        target: &Arc<Place>,
        key: Option<&str>,
    ) -> Option<Arc<Place>> {
        passage.has_waited().then(|| self.now(Arc::clone(target), key))
    }

    /// The body for one passage of the stack. It is kept for another one only where a layer may ask for that, since
    /// sharing it is an allocation.
    fn passing(&self, body: &mut Bytes) -> Bytes {
        if self.stack.may_retry() { body.clone() } else { std::mem::take(body) }
    }

    async fn ask(
        &self,
        origin: Origin<'_>,
        caller: Caller<'_>,
        target: &Arc<Place>,
        key: Option<&str>,
        said: Said<'_>,
        deadline: Instant,
    ) -> Answer {
        let who = match caller {
            Caller::Turn(node) => Some(node),
            Caller::Host(_) => self.waits.calling_layer(),
        };
        let _waiting = match who {
            Some(node) => self.waits.wait(node, target.inbox.nodes()).map_err(|_| CallError::Deadlock)?,
            None => None,
        };
        let (reply, mut waiter): (ReplyTo<Answer>, Waiter<Answer>) = call::call();
        let mut envelope = self.envelope(origin, target, key, Delivery::Call(reply), Some(deadline), said.body);
        envelope.function = said.function.cloned();
        // Who calls sleeps until it is answered, so it may as well run who answers; unless somebody wants to know
        // that the message is in its mailbox.
        let stack = match caller {
            // Its own stack is a guest's.
            Caller::Turn(_) => Some(0),
            Caller::Host(None) => Some(stacker::remaining_stack().unwrap_or(0)),
            Caller::Host(Some(_)) => None,
        };
        self.post(target, envelope, Some(deadline), stack).await?;
        if let Caller::Host(Some(posted)) = caller {
            posted();
        }
        let answered = match waiter.now() {
            Some(answered) => answered,
            // Boxed: who was run here has answered already, and a future is copied when it is made.
            None => Box::pin(waiter.wait_until(deadline, &self.pulse)).await,
        };
        match answered {
            Ok(answer) => answer,
            Err(Unanswered::Timeout) => Err(CallError::Timeout),
            Err(Unanswered::Dropped) => Err(CallError::Dropped("the host lost it".to_owned())),
        }
    }

    /// Puts a message into its mailbox, waiting for room where the policy is to wait: until `deadline`, and never
    /// longer than `reserve_timeout`. An actor that sleeps is run here where there is a `stack` for it, in bytes.
    async fn post(
        &self,
        target: &Arc<Place>,
        envelope: Box<Envelope>,
        deadline: Option<Instant>,
        stack: Option<usize>,
    ) -> Result<(), SendError> {
        let until = || {
            let patience = Instant::now() + self.reserve_timeout();
            Some(deadline.map_or(patience, |deadline| deadline.min(patience)))
        };
        let posted = target.inbox.deliver(envelope, stack, until, |envelope, reason| self.bury(envelope, reason)).await;
        posted.map_err(|refused| match refused {
            NotSent::Full(_) => self.overloaded(target),
            NotSent::Closed(_) => stopped(target),
        })
    }

    pub(super) fn envelope(
        &self,
        origin: Origin<'_>,
        target: &Arc<Place>,
        key: Option<&str>,
        delivery: Delivery,
        deadline: Option<Instant>,
        body: Bytes,
    ) -> Box<Envelope> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        Box::new(Envelope {
            id,
            trace: if origin.trace == 0 { id } else { origin.trace },
            sender: origin.sender(),
            target: target.address().clone(),
            key: key.map(Into::into),
            delivery,
            deadline,
            attempt: 0,
            function: None,
            body,
            places: 0,
            _room: None,
        })
    }
}

impl Wanted<'_> {
    fn operation(self) -> Operation {
        match self {
            Self::Receipt => Operation::Send,
            Self::Answer(..) => Operation::Call,
        }
    }

    /// The turn that waits, where it is one.
    fn node(self) -> Option<Node> {
        match self {
            Self::Answer(Caller::Turn(node), ..) => Some(node),
            Self::Answer(Caller::Host(_), ..) | Self::Receipt => None,
        }
    }
}

pub(super) fn context<'a>(
    origin: &Origin<'a>,
    operation: Operation,
    to: &'a str,
    resolved: &'a Result<Resolved, SendError>,
) -> Context<'a> {
    let mut context = match resolved {
        Ok(found) => {
            let mut context = Context::new(origin.who, operation, found.address().as_str());
            context.metrics = Some(&*found.common().metrics);
            context
        }
        // The stack speaks first, so that who may not send does not learn who is there.
        Err(_) => Context::new(origin.who, operation, to),
    };
    context.trace = origin.trace;
    context
}

/// The target of a message that was allowed, where it takes a body of this size.
pub(super) fn fitting<'a>(
    events: &Events,
    resolved: &'a Result<Resolved, SendError>,
    to: &str,
    body: &Bytes,
) -> Result<&'a Arc<Place>, SendError> {
    let found = resolved.as_ref().map_err(Clone::clone)?;
    let (size_bytes, limit_bytes) = (body.len() as u64, found.common().message_bytes.load(Ordering::Relaxed));
    if size_bytes > limit_bytes {
        return Err(SendError::TooLarge { size_bytes, limit_bytes });
    }
    found.place().map_err(|problem| {
        found.tell(&problem, events);
        misaddressed(problem, to, found.address().key())
    })
}
