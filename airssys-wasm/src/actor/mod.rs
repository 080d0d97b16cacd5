//! The component actor: one instance of one release behind one consumer of one mailbox.
//!
//! # Hot path
//!
//! [`Behavior::turn`]: look at the message's deadline, run the guest, commit, answer. What fails is told apart in
//! `engine/`; what becomes of the message is decided here. The rest of an actor's life is beside it: how it begins and
//! ends (`incarnation.rs`), how another release takes over (`handover.rs`).
//!
//! Invariants: guests run only in here. A turn's effects are all seen or none. A message leaves the hand only with a
//! fate.

mod arrivals;
mod asked;
mod before;
mod begun;
mod coming;
mod control;
mod controller;
mod decide;
mod fate;
mod handover;
mod incarnation;
mod live;
mod past;
mod place;
mod post;
mod presence;
mod query;
mod renewal;
mod roster;
mod running;
mod seeded;
mod serving;
mod shadow;
mod share;
mod spec;
mod stand_in;
mod start;
mod swap;
mod tally;
mod watch;

pub(crate) use before::Before;
pub(crate) use control::Control;
pub(crate) use live::Live;
pub(crate) use place::Placed;
pub(crate) use post::{Post, check, recording};
pub(crate) use roster::{Roster, Waking};
pub(crate) use serving::{Probation, Serving};
pub(crate) use shadow::Rehearsal;
pub use shadow::Rehearsed;
pub(crate) use shadow::apart::{self, Played};
pub(crate) use spec::ServiceSpec;
pub(crate) use start::{Prepared, reads, start};
pub use swap::MemoryHandover;
pub(crate) use swap::{End, HeldInstance, NotSwapped, Ordered, Swap, SwapKind, Swapped};
pub(crate) use tally::Counts;
pub(crate) use watch::Watch;

use std::pin::pin;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use self::begun::{Begun, planned};
use self::running::Running;
use self::start::{commit, committed};
use self::watch::Watching;
use crate::engine::{Answered, Engines, Instance, Ran};
use crate::error::{CallError, Crash, DeadHandle, Fault};
use crate::message::{Answer, DeadReason, Delivery, Envelope};
use crate::middleware::Metrics;
use crate::seeded::Moment;
use crate::turn::Identity;
use airssys_rt_shim::child::StopReason;
use airssys_rt_shim::exit::ExitReason;
use airssys_rt_shim::link::Pid;
use airssys_rt_shim::mailbox::InHand;
use airssys_rt_shim::planted;
use airssys_rt_shim::worker::{Behavior, Flow, WorkerStart};
use bytes::Bytes;

/// What starts the actors of a place, once it is made.
type Start = Arc<OnceLock<Weak<WorkerStart<ComponentActor>>>>;

/// The message that a turn is about.
type Hand<'a> = InHand<'a, Box<Envelope>>;

/// One incarnation of a component actor.
pub(crate) struct ComponentActor {
    engines: Arc<Engines>,
    live: Arc<Live>,
    identity: Arc<Identity>,
    /// Whether each message's key chooses the state.
    state_per_key: bool,
    instance: Option<Instance>,
    /// What starts it, to be told of the end of its program.
    start: Start,
    /// Its program, where that runs by itself.
    running: Option<Running>,
    /// Whether messages wait until a person has decided.
    suspended: bool,
    /// Whether it is counted among those of its service that can handle a message.
    is_up: bool,
    /// Where turns are counted and shown, while two releases are compared.
    watching: Option<Box<Watching>>,
}

impl Behavior for ComponentActor {
    type Message = Box<Envelope>;
    type Control = Control;

    fn init(&mut self, me: Pid) -> impl Future<Output = Result<(), ExitReason>> {
        self.come_up(me)
    }

    fn takes_messages(&self) -> bool {
        !self.suspended
    }

    fn stack(&self) -> usize {
        self.instance.as_ref().map_or(0, Instance::stack)
    }

    async fn turn(&mut self, mut hand: Hand<'_>) -> Flow {
        if self.watching.as_ref().is_some_and(|watching| watching.tries_again() || watching.begins_again())
            && let Flow::Exit(reason) = Box::pin(self.begin_again()).await
        {
            hand.is_forgiven = true;
            drop(hand);
            return Flow::Exit(reason);
        }
        let mut begun = None;
        if self.instance.as_ref().is_some_and(Instance::is_to_be_looked_at) {
            match Box::pin(self.look(&hand)).await {
                Ok(looked) => begun = looked,
                Err(reason) => {
                    hand.is_forgiven = true;
                    drop(hand);
                    return Flow::Exit(reason);
                }
            }
        }
        let Some((hand, left)) = self.admit(hand) else { return Flow::Continue };
        if let Some(function) = &hand.function {
            if self.identity.terms.is_query(function) {
                return Box::pin(self.query(hand, left)).await;
            }
            if function.takes_handles() {
                let checked = self.instance.as_ref().map(|instance| instance.check_handles(function, &hand.body));
                if let Some(Err(dead)) = checked {
                    self.refuse(hand, dead);
                    return Flow::Continue;
                }
            }
        }
        let mesh = &self.identity.mesh;
        let Some(instance) = self.instance.as_mut() else {
            return Flow::Exit(ExitReason::Failed(Arc::new(Crash::Host {
                detail: "a turn without an instance".to_owned(),
            })));
        };
        let turn = instance.turn();
        turn.trace = hand.trace;
        turn.deadline = hand.deadline;
        if self.state_per_key {
            let state = self.identity.own.states.state(hand.partition());
            if let Some(damage) = state.as_ref().and_then(|state| state.damage()) {
                // Other keys wait behind it in the same mailbox.
                mesh.bury(*hand.done(), DeadReason::Crashed(damage));
                return Flow::Continue;
            }
            turn.state = state;
            turn.key = hand.partition().map(Into::into);
        }
        // Looked at by nobody but who compares two releases.
        if let Some(watching) = &self.watching {
            begun.get_or_insert_with(Box::<Begun>::default).watched = Some(watching.begin(instance.turn()));
        }
        instance.record_message(&hand, left);
        let mut ran = {
            // Pinned here, so that the large future is not moved from hand to hand.
            let handled = pin!(instance.handle(&hand, left, self.identity.terms.limits.turn_deadline));
            handled.await
        };
        instance.recorded_message(&ran);
        if let Some(begun) = &mut begun {
            let watching = self.watching.as_deref_mut();
            Box::pin(begun.over((&self.identity, instance), watching, (&hand, left), &mut ran)).await;
        }
        match ran {
            Ran::Done(Answered { body, commits: false }) => {
                instance.turn().discard();
                self.handled(hand, Ok(body));
                Flow::Continue
            }
            Ran::Done(Answered { body: answer, .. }) => {
                let turn = instance.turn();
                if turn.has_to_save() {
                    // Boxed: a turn that waits for no disk does not carry the wait around.
                    return Box::pin(self.save(hand, answer)).await;
                }
                turn.commit();
                // Where it is looked at nothing, nobody wants to know.
                if begun.is_some() {
                    committed(&self.identity, hand.id);
                }
                self.handled(hand, Ok(answer));
                Flow::Continue
            }
            Ran::Fault(fault) => {
                instance.turn().discard();
                Metrics::count(&self.identity.service.metrics.faulted);
                let envelope = hand.done();
                match envelope.delivery {
                    Delivery::Call(_) => mesh.answer(envelope, Err(CallError::Fault(fault))),
                    _ => mesh.bury(*envelope, DeadReason::Fault(fault)),
                }
                Flow::Continue
            }
            Ran::Crashed(crash) => Box::pin(self.crashed(hand, crash)).await,
        }
    }

    async fn control(&mut self, control: Control) -> Flow {
        match control {
            Control::Swap(swap) => self.swap(*swap, None).await,
            Control::Offered => self.take_offer().await,
            // Boxed, as others here: what is done rarely is not carried around all the time.
            Control::Watch => Box::pin(self.watch()).await,
            Control::Check(reply) => self.check(reply).await,
            Control::Recording(reply) => {
                let recording = self.instance.as_ref().and_then(Instance::recording);
                let _nobody_waits = reply.send(recording.map(Box::new));
                Flow::Continue
            }
            Control::Retune(done) => self.retuned(done),
            Control::Revoked => Box::pin(self.revoked()).await,
            Control::Ended(ended, crash) => Box::pin(self.program_ended(ended, crash)).await,
            Control::Sleep if self.instance.is_some() && self.identity.mailbox.is_empty() => {
                Box::pin(self.sleep()).await
            }
            Control::Sleep => Flow::Continue,
        }
    }

    async fn idle(&mut self) -> Flow {
        if self.is_to_relieve()
            && let Err(crash) = Box::pin(self.relieve()).await
        {
            return Flow::Exit(exit_reason(crash));
        }
        if let Some(instance) = self.instance.as_mut().filter(|instance| instance.is_used())
            // A command: what the next message runs on is made while nobody waits.
            && let Err(crash) = Box::pin(instance.refresh()).await
        {
            return Box::pin(self.ended(crash)).await;
        }
        if self.instance.as_ref().is_some_and(Instance::is_short)
            && let Flow::Exit(reason) = Box::pin(self.renew()).await
        {
            return Flow::Exit(reason);
        }
        match self.identity.own.inbox.sleeper() {
            // Others wait for this one's place.
            Some(sleeper) if sleeper.controller().is_crowded() => Box::pin(self.sleep()).await,
            _ => Flow::Continue,
        }
    }

    async fn stop(&mut self, reason: StopReason) {
        if let Some(running) = &mut self.running {
            // Nobody can tell it. Where it does not end by itself in time, this actor is killed.
            running.over().await;
        }
        self.say_good_bye(reason).await;
    }
}

impl ComponentActor {
    pub(crate) fn new(engines: Arc<Engines>, live: Arc<Live>, start: Start) -> Self {
        live.enters();
        let identity = Arc::clone(&live.serving().identity);
        let state_per_key = identity.own.has_state_per_key();
        Self {
            engines,
            live,
            identity,
            state_per_key,
            start,
            instance: None,
            running: None,
            suspended: false,
            is_up: false,
            watching: None,
        }
    }

    /// A message and for how long somebody waits for its answer; none where it met its fate without a turn.
    #[inline(always)]
    fn admit<'a>(&self, mut hand: Hand<'a>) -> Option<(Hand<'a>, Duration)> {
        let mesh = &self.identity.mesh;
        if hand.adopted() && self.was_saved(&hand) {
            // Its actor was killed before it heard of that. Only the answer is lost.
            self.handled(hand, Err(CallError::Timeout));
            return None;
        }
        if hand.adopted() && !std::mem::take(&mut hand.is_forgiven) {
            // Its turn crashed and is tried again, or it was cut off by a kill or a panic of the host.
            hand.attempt += 1;
            if hand.attempt > self.identity.terms.retries {
                let crash = Crash::Host { detail: "the turn was cut off".to_owned() };
                mesh.bury(*hand.done(), dead_reason(self.identity.terms.retries, crash));
                return None;
            }
        }
        let left = match hand.deadline {
            // The one look at the clock that a turn takes, and only a turn that somebody waits for and does not run.
            Some(deadline) => match deadline.checked_duration_since(hand.now()) {
                Some(left) if !left.is_zero() => left,
                _expired => {
                    mesh.bury(*hand.done(), DeadReason::Expired);
                    return None;
                }
            },
            None => Duration::MAX,
        };
        if let Delivery::Timer(id) = &hand.delivery
            && !hand.adopted()
            && !mesh.timers.claim(*id)
        {
            // Cancelled while it waited here: it never arrives.
            drop(hand.done());
            return None;
        }
        Some((hand, left))
    }

    /// Makes a turn happen that wrote to durable state.
    async fn save(&mut self, hand: Hand<'_>, answer: Option<Bytes>) -> Flow {
        let is_to_end = self.ends_at_commit();
        let saved = match self.instance.as_mut() {
            Some(instance) if is_to_end => {
                // Nobody waits for it: it happens as a whole or not at all, and the next incarnation finds out which.
                drop(instance.turn().save(hand.id));
                self.may_happen_again(hand.id);
                self.instance = None;
                drop(hand);
                return Flow::Exit(exit_reason(planned(Moment::Commit)));
            }
            Some(instance) => commit(instance, hand.id).await,
            None => Ok(()),
        };
        match saved {
            Ok(()) => self.handled(hand, Ok(answer)),
            Err(crash) => {
                self.may_happen_again(hand.id);
                return self.crashed(hand, crash).await;
            }
        }
        Flow::Continue
    }

    /// A turn that was over did not happen, or nobody knows: whoever judges a seeded host has to.
    #[cold]
    fn may_happen_again(&self, message: u64) {
        if let Some(seeded) = &self.identity.mesh.seeded {
            seeded.may_happen_again(message);
        }
    }

    /// The message is done with: its turn happened.
    #[inline(always)]
    fn handled(&self, hand: Hand<'_>, answer: Answer) {
        if planted::is_nth("handled-and-left-in-hand", 5) {
            return;
        }
        Metrics::count(&self.identity.service.metrics.handled);
        let envelope = hand.done();
        if let Delivery::Call(_) = envelope.delivery {
            self.identity.mesh.answer(envelope, answer);
        }
    }

    /// A message is not handled: it has a dead handle.
    #[cold]
    fn refuse(&self, hand: Hand<'_>, dead: DeadHandle) {
        Metrics::count(&self.identity.service.metrics.faulted);
        let (envelope, mesh) = (hand.done(), &self.identity.mesh);
        match envelope.delivery {
            Delivery::Call(_) => mesh.answer(envelope, Err(dead.into())),
            // Dropped it is.
            _ if envelope.function.as_ref().is_some_and(|function| function.drops_handle()) => {}
            _ => mesh.bury(*envelope, DeadReason::Fault(Fault::Invalid(dead.to_string()))),
        }
    }

    /// Whether the turn over a message is on disk already.
    #[cold]
    fn was_saved(&self, envelope: &Envelope) -> bool {
        self.identity.service.durable.is_some()
            && self.identity.own.states.state(envelope.partition()).is_some_and(|state| state.was_saved(envelope.id))
    }
}

impl Drop for ComponentActor {
    fn drop(&mut self) {
        self.count_up(false);
    }
}

/// A message that was tried again is poison.
fn dead_reason(retries: u32, crash: Crash) -> DeadReason {
    if retries == 0 { DeadReason::Crashed(crash) } else { DeadReason::Poisoned(crash) }
}

/// A guest that exits with status 0 ends normally.
fn exit_reason(crash: Crash) -> ExitReason {
    match crash {
        Crash::Exit { status: 0 } => ExitReason::Normal,
        crash => ExitReason::Failed(Arc::new(crash)),
    }
}
