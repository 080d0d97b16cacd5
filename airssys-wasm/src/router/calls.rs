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
use crate::capability::Operation;
use crate::error::{CallError, SendError};
use crate::events::Events;
use crate::http::Streams;
use crate::message::{Answer, Delivery, Envelope};
use crate::middleware::{Context, Entered, Later, Outcome, Passage, Patience, RunsOn, Settled, Who};
use crate::typed::FunctionType;
use crate::waits::{Deadlock, Node, Waiting};

/// Who waits for an answer.
#[derive(Clone, Copy)]
pub(crate) enum Caller<'a> {
    /// A turn: where it is in the graph of who waits for whom.
    Turn(Node),
    /// A turn within which nobody else is run: see `engine/p3`.
    Tasks(Node),
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
    /// What of a request of HTTP does not lie in the body.
    pub(crate) streams: Option<&'a Arc<Streams>>,
}

impl<'a> Said<'a> {
    /// A call of a function.
    pub(crate) fn call(function: &'a Arc<FunctionType>, body: Bytes) -> Self {
        Self { function: Some(function), body, streams: None }
    }
}

impl From<Bytes> for Said<'_> {
    fn from(body: Bytes) -> Self {
        Self { function: None, body, streams: None }
    }
}

/// What is wanted of who is addressed.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    /// That it has the message.
    Receipt,
    /// An answer.
    Answer(Caller<'a>, Until),
}

/// What does not change while a message is sent again.
#[derive(Clone, Copy)]
struct Dispatch<'a> {
    origin: Origin<'a>,
    wanted: Wanted<'a>,
    to: &'a str,
    key: Option<&'a str>,
    /// The function that is called, where it is no message of bytes.
    function: Option<&'a Arc<FunctionType>>,
    streams: Option<&'a Arc<Streams>>,
}

/// Who asked, and waits for the answer; a turn is in the graph of who waits for whom until then.
struct Asked<'a> {
    waiter: Waiter<Answer>,
    _waiting: Option<Waiting<'a>>,
}

/// What a message waits for.
enum WaitsFor<'a> {
    /// A layer, with the body as those before it left it.
    Layer(Later, Bytes),
    /// Room in its mailbox.
    Room(Box<Envelope>, Arc<Place>, Option<Asked<'a>>),
    /// Its answer.
    Answer(Asked<'a>),
    /// What the layers say of this outcome.
    Settlement(Answer),
}

/// A message that has to wait.
struct Unsettled<'a> {
    passage: Passage<'a>,
    step: WaitsFor<'a>,
}

impl Mesh {
    /// Sends; waits for room as the mailbox's policy says, at most `reserve_timeout`.
    pub(crate) fn send<'a>(
        &'a self,
        origin: Origin<'a>,
        to: &'a str,
        key: Option<&'a str>,
        said: Said<'a>,
    ) -> impl Future<Output = Result<(), SendError>> {
        let dispatch =
            Dispatch { origin, wanted: Wanted::Receipt, to, key, function: said.function, streams: said.streams };
        self.pass(dispatch, said.body, Outcome::sent)
    }

    /// Calls and waits for the answer.
    pub(crate) fn call<'a>(
        &'a self,
        origin: Origin<'a>,
        caller: Caller<'a>,
        to: &'a str,
        key: Option<&'a str>,
        said: Said<'a>,
        until: Until,
    ) -> impl Future<Output = Answer> {
        let wanted = Wanted::Answer(caller, until);
        let dispatch = Dispatch { origin, wanted, to, key, function: said.function, streams: said.streams };
        self.pass(dispatch, said.body, |outcome| outcome.answer)
    }

    /// Takes a message through the stack, as often as a layer wants it, to what is made `of` its outcome.
    ///
    /// A future is copied when it is made, with all that it has room for. So what need not wait, as nearly all does,
    /// has none of its own, what has to wait is boxed, and nothing here is an async function: one of those has its
    /// arguments in it twice.
    #[allow(clippy::manual_async_fn, reason = "see above")]
    fn pass<'a, T>(
        &'a self,
        dispatch: Dispatch<'a>,
        mut body: Bytes,
        of: impl FnOnce(Outcome) -> T,
    ) -> impl Future<Output = T> {
        async move {
            if let Wanted::Answer(Caller::Host(_), ..) = dispatch.wanted {
                // Who asks and asks need not wait for anything: others are to run now and then.
                consume_budget().await;
            }
            let mut retries = 0;
            loop {
                let resolved = self.resolve(dispatch.to, dispatch.key);
                let settled = match self.try_pass(dispatch, &resolved, self.passing(&mut body), retries) {
                    Ok(settled) => settled,
                    Err(unsettled) => Box::pin(self.wait(dispatch, &resolved, unsettled, retries)).await,
                };
                match settled {
                    Settled::Done(outcome) => return of(outcome),
                    Settled::Retry => retries += 1,
                }
            }
        }
    }

    /// Takes a message through the stack once, where nothing has to wait.
    #[inline]
    #[allow(clippy::result_large_err, reason = "what waits goes from here into its box, and nearly nothing waits")]
    fn try_pass<'a>(
        &'a self,
        dispatch: Dispatch<'a>,
        resolved: &'a Result<Resolved, SendError>,
        mut body: Bytes,
        retries: u32,
    ) -> Result<Settled, Unsettled<'a>> {
        let mut context = context(&dispatch.origin, dispatch.operation(), dispatch.to, resolved);
        context.function = dispatch.function.map(|function| &**function);
        context.runs_on = dispatch.wanted.runs_on(dispatch.origin);
        if let Wanted::Answer(_, until) = dispatch.wanted {
            context.deadline = Some(until.deadline);
            if retries == 0 {
                context.came(until.now);
            }
        }
        let mut passage = Passage::new(&self.stack, context);
        let tried = match passage.try_enter(&mut body) {
            Entered::On => self.forward(dispatch, &mut passage, resolved, body),
            Entered::Out(outcome) => Ok(outcome),
            Entered::Later(later) => Err(WaitsFor::Layer(later, body)),
        };
        match tried {
            Ok(outcome) if passage.waits_over(&outcome) => {
                Err(Unsettled { passage, step: WaitsFor::Settlement(outcome) })
            }
            Ok(outcome) => Ok(passage.settle(outcome, retries)),
            Err(step) => Err(Unsettled { passage, step }),
        }
    }

    /// Goes on with a message that has to wait, to its outcome.
    async fn wait<'a>(
        &'a self,
        dispatch: Dispatch<'a>,
        resolved: &'a Result<Resolved, SendError>,
        Unsettled { mut passage, mut step }: Unsettled<'a>,
        retries: u32,
    ) -> Settled {
        loop {
            let tried = match step {
                WaitsFor::Layer(later, mut body) => {
                    let until = dispatch.wanted.deadline().unwrap_or_else(|| Instant::now() + self.reserve_timeout());
                    let patience = Patience { who: dispatch.wanted.node(self), until };
                    // Boxed, as below: who waits for an answer, as nearly all do, does not carry this around.
                    match Box::pin(passage.wait(later, &mut body, patience)).await {
                        Ok(()) => self.forward(dispatch, &mut passage, resolved, body),
                        Err(outcome) => Ok(outcome),
                    }
                }
                WaitsFor::Room(envelope, target, asked) => {
                    let patience = Instant::now() + self.reserve_timeout();
                    let until = dispatch.wanted.deadline().map_or(patience, |deadline| deadline.min(patience));
                    let bury = |envelope, reason| self.bury(envelope, reason);
                    match Box::pin(target.inbox.deliver_in_time(envelope, Some(until), bury)).await {
                        Ok(()) => self.posted(dispatch, asked),
                        Err(refused) => Ok(Err(self.refused(&target, &refused).into())),
                    }
                }
                WaitsFor::Answer(Asked { waiter, _waiting }) => {
                    // A call has a deadline.
                    let deadline = dispatch.wanted.deadline().unwrap_or_else(Instant::now);
                    Ok(answered(waiter.wait_until(deadline, &self.pulse).await).map_err(|why| explained(why, resolved)))
                }
                WaitsFor::Settlement(outcome) => Ok(outcome),
            };
            match tried {
                Ok(outcome) => {
                    let patience = || Instant::now() + self.reserve_timeout();
                    return Box::pin(passage.settle_waiting(outcome, retries, patience)).await;
                }
                Err(next) => step = next,
            }
        }
    }

    /// Puts a message into its mailbox that the layers let on. Its outcome, where that is known at once.
    #[inline]
    fn forward<'a>(
        &'a self,
        dispatch: Dispatch<'a>,
        passage: &mut Passage<'_>,
        resolved: &Result<Resolved, SendError>,
        body: Bytes,
    ) -> Result<Answer, WaitsFor<'a>> {
        let Dispatch { origin, wanted, to, key, function, streams } = dispatch;
        let target = match fitting(&self.events, resolved, to, &body) {
            Ok(target) => target,
            Err(error) => return Ok(Err(error.into())),
        };
        let moved = self.kept_waiting(passage, target, key);
        let target = moved.as_ref().unwrap_or(target);
        let lane_key = target.lane_key(to, key);
        let (delivery, mut asked, run) = match wanted {
            Wanted::Receipt => (Delivery::Send, None, None),
            Wanted::Answer(caller, ..) => {
                let (reply, waiter): (ReplyTo<Answer>, Waiter<Answer>) = call::call();
                let run = caller.stack().map(|stack| (stack, passage.now()));
                (Delivery::Call(reply), Some(Asked { waiter, _waiting: None }), run)
            }
        };
        let mut envelope = self.envelope(origin, target, lane_key, delivery, wanted.deadline(), body);
        if function.is_some() {
            envelope.function = function.cloned();
            envelope.streams = streams.cloned();
            // A query need not wait behind turns: whoever asks waits for nobody there.
            envelope = match target.inbox.run_beside(envelope) {
                Ok(()) => return self.posted(dispatch, asked),
                Err(waits) => waits,
            };
        }
        if let (Some(asked), Some(node)) = (&mut asked, wanted.node(self)) {
            match self.waits.wait(node, target.inbox.nodes()) {
                Ok(waiting) => asked._waiting = waiting,
                Err(Deadlock) => return Ok(Err(CallError::Deadlock)),
            }
        }
        match target.inbox.put(envelope, run, |envelope, reason| self.bury(envelope, reason)) {
            Ok(()) => self.posted(dispatch, asked),
            Err(NotSent::Full(envelope)) if target.inbox.may_wait(&envelope) => {
                Err(WaitsFor::Room(envelope, Arc::clone(target), asked))
            }
            Err(refused) => Ok(Err(self.refused(target, &refused).into())),
        }
    }

    /// What comes next of a message that is in its mailbox.
    #[inline]
    fn posted<'a>(&self, dispatch: Dispatch<'_>, asked: Option<Asked<'a>>) -> Result<Answer, WaitsFor<'a>> {
        let Some(mut asked) = asked else { return Ok(Ok(None)) };
        if let Wanted::Answer(Caller::Host(Some(posted)), ..) = dispatch.wanted {
            posted();
        }
        match asked.waiter.now() {
            // Who was run here has answered already.
            Some(said) => Ok(answered(said)),
            None => Err(WaitsFor::Answer(asked)),
        }
    }

    fn refused(&self, target: &Arc<Place>, refused: &NotSent<Box<Envelope>>) -> SendError {
        match refused {
            NotSent::Full(_) => self.overloaded(target),
            NotSent::Closed(_) => stopped(target),
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
        // Written where it stays, and not copied there.
        let place = Box::new_uninit();
        Box::write(
            place,
            Envelope {
                id,
                trace: if origin.trace == 0 { id } else { origin.trace },
                sender: origin.sender(),
                target: target.address().clone(),
                key: key.map(Into::into),
                delivery,
                deadline,
                attempt: 0,
                is_forgiven: false,
                crashed: None,
                function: None,
                body,
                streams: None,
                places: 0,
                _room: None,
            },
        )
    }
}

impl Dispatch<'_> {
    fn operation(&self) -> Operation {
        match (self.function, self.wanted) {
            (Some(_), _) => Operation::Invoke,
            (None, Wanted::Receipt) => Operation::Send,
            (None, Wanted::Answer(..)) => Operation::Call,
        }
    }
}

impl Wanted<'_> {
    /// Who waits, in the graph of who waits for whom: the turn, or the layer in whose future the host is asked.
    fn node(self, mesh: &Mesh) -> Option<Node> {
        match self {
            Self::Answer(Caller::Turn(node) | Caller::Tasks(node), ..) => Some(node),
            Self::Answer(Caller::Host(_), ..) | Self::Receipt => mesh.waits.calling_layer(),
        }
    }

    /// On whose stack who answers a layer may be run.
    fn runs_on(self, origin: Origin<'_>) -> RunsOn {
        match (self, origin.who) {
            (Self::Answer(Caller::Turn(_), ..), _) => RunsOn::Guest,
            (Self::Answer(Caller::Tasks(_), ..), _) | (Self::Receipt, Who::Service { .. }) => RunsOn::Nobody,
            (Self::Answer(Caller::Host(_), ..) | Self::Receipt, _) => RunsOn::Host,
        }
    }

    /// Until when somebody waits for an answer; none where nobody does.
    fn deadline(self) -> Option<Instant> {
        match self {
            Self::Receipt => None,
            Self::Answer(_, until) => Some(until.deadline),
        }
    }
}

impl Caller<'_> {
    /// The stack that it has for who is called, in bytes. It sleeps until it is answered, so it may as well run who
    /// answers; unless it wants to know that the message is in its mailbox.
    fn stack(self) -> Option<usize> {
        match self {
            // Its own stack is a guest's.
            Self::Turn(_) => Some(0),
            Self::Host(None) => Some(stacker::remaining_stack().unwrap_or(0)),
            Self::Host(Some(_)) | Self::Tasks(_) => None,
        }
    }
}

pub(super) fn answered(said: Result<Answer, Unanswered>) -> Answer {
    match said {
        Ok(answer) => answer,
        Err(Unanswered::Timeout) => Err(CallError::Timeout),
        Err(Unanswered::Dropped) => Err(CallError::Dropped("the host lost it".to_owned())),
    }
}

/// Why there is no answer, as far as it is known where that was to come from.
fn explained(why: CallError, asked: &Result<Resolved, SendError>) -> CallError {
    match asked.as_ref().map(Resolved::place) {
        Ok(Ok(place)) if why == CallError::Timeout && place.inbox.is_suspended() => {
            CallError::Suspended { who: place.address().clone() }
        }
        _ => why,
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
        let error = SendError::TooLarge { size_bytes, limit_bytes };
        events.reach(found.address().service(), "message", format_args!("{to} is sent too much: {error}"));
        return Err(error);
    }
    found.place().map_err(|problem| {
        found.tell(&problem, events);
        misaddressed(problem, to, found.address().key())
    })
}
