//! The component actor: one instance of one release behind one consumer of one mailbox.
//!
//! # Hot path
//!
//! [`Behavior::turn`]: look at the message's deadline, run the guest, commit, answer. What fails is told apart in `engine/`; what becomes of the message is decided here.
//!
//! Invariants: guests run only in here. A turn's effects are all seen or none. A message leaves the hand only with a fate.

mod keyed;
mod live;
mod place;

pub use keyed::KeyedRules;
pub(crate) use live::{Claim, Probation, Serving, Swap, Swapped};
use live::{Live, Prepared};
pub use place::{Multiplicity, ServiceSpec};
pub(crate) use place::{NameTaken, Placed, Post, check};

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use airssys_rt_shim::child::StopReason;
use airssys_rt_shim::exit::ExitReason;
use airssys_rt_shim::mailbox::InHand;
use airssys_rt_shim::worker::{Behavior, Flow};
use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::engine::guest::Identity;
use crate::engine::{Engines, Instance, Ran};
use crate::error::{CallError, Crash, Fault};
use crate::message::{Answer, DeadReason, Delivery, Envelope};
use crate::middleware::Metrics;
use crate::router::keyed::KeyedActor;
use crate::router::service::Route;
use crate::state::durable::NO_MESSAGE;

/// What a component actor is asked to do between two turns.
pub(crate) enum Control {
    /// Say how it is.
    Check(oneshot::Sender<Result<(), Fault>>),
    /// Let another release take over.
    Swap(Box<Swap>),
    /// Go to sleep, if there is nothing to do.
    Sleep,
}

/// One incarnation of a component actor.
pub(crate) struct ComponentActor {
    engines: Arc<Engines>,
    live: Arc<Live>,
    identity: Arc<Identity>,
    /// The keyed actor it is, where it is one.
    keyed: Option<Arc<KeyedActor>>,
    /// Whether each message's key chooses the state.
    state_per_key: bool,
    instance: Option<Instance>,
}

impl ComponentActor {
    pub(crate) fn new(engines: Arc<Engines>, live: Arc<Live>, keyed: Option<Arc<KeyedActor>>) -> Self {
        let identity = Arc::clone(&live.serving().identity);
        let state_per_key = matches!(identity.service.route, Route::Partitioned(_));
        Self { engines, live, identity, keyed, state_per_key, instance: None }
    }

    /// Starts what is live in this place. Where that is on probation and does not start, what was there before.
    async fn start(&mut self) -> Result<(), Crash> {
        loop {
            Metrics::count(&self.identity.service.metrics.started);
            let serving = self.live.serving();
            match start(&self.engines, &serving, Held::Commit).await {
                Ok(prepared) => {
                    self.serve(&serving, prepared.instance);
                    return Ok(());
                }
                Err(crash) if self.live.roll_back(&crash) => {}
                Err(crash) => return Err(crash),
            }
        }
    }

    /// Serves with this instance from now on; the one that did before.
    fn serve(&mut self, serving: &Serving, instance: Instance) -> Option<Instance> {
        self.identity = Arc::clone(&serving.identity);
        self.identity.service.message_bytes.store(serving.identity.terms.limits.message_bytes, Ordering::Relaxed);
        self.instance.replace(instance)
    }

    /// Lets another release take over, where it is not withdrawn.
    async fn swap(&mut self, swap: Swap) {
        let Swap { next, prepared, probation, claim, answer } = swap;
        if !claim.take() {
            return;
        }
        let begun = Instant::now();
        // What its start wrote stands only where nobody has written since it read.
        let stale = |prepared: &mut Prepared| {
            let turn = &prepared.instance.guest().turn;
            !turn.writes.is_empty() && turn.state.as_ref().is_some_and(|state| state.commits() != prepared.read_at)
        };
        let prepared = match prepared.and_then(|mut made| (!stale(&mut made)).then_some(made)) {
            Some(mut prepared) => commit(&mut prepared.instance, NO_MESSAGE).await.map(|()| prepared),
            None => start(&self.engines, &next, Held::Commit).await,
        };
        let answered = match prepared {
            Ok(prepared) => {
                let old = self.serve(&next, prepared.instance);
                self.live.switch(next, probation);
                Metrics::count(&self.identity.service.metrics.started);
                answer.send(Ok(Swapped { old, pause: begun.elapsed() }))
            }
            Err(crash) => answer.send(Err(crash)),
        };
        drop(answered);
    }

    /// Goes on with the release before, after the one on probation crashed.
    async fn go_on(&mut self) -> Flow {
        match self.start().await {
            Ok(()) => Flow::Continue,
            Err(crash) => Flow::Exit(exit_reason(crash)),
        }
    }

    /// Makes a turn happen that wrote to durable state.
    async fn save(&mut self, hand: InHand<'_, Box<Envelope>>, answer: Option<Bytes>) -> Flow {
        let saved = match self.instance.as_mut() {
            Some(instance) => commit(instance, hand.id).await,
            None => Ok(()),
        };
        match saved {
            Ok(()) => self.handled(hand, Ok(answer)),
            Err(crash) => self.crashed(hand, crash).await,
        }
    }

    /// The message is done with: its turn happened.
    #[inline(always)]
    fn handled(&self, hand: InHand<'_, Box<Envelope>>, answer: Answer) -> Flow {
        Metrics::count(&self.identity.service.metrics.handled);
        let envelope = *hand.done();
        if let Delivery::Call(_) = envelope.delivery {
            self.identity.mesh.answer(envelope, answer);
        }
        Flow::Continue
    }

    /// The turn over this message happened, and its actor was killed before it heard of that. Only the answer is lost.
    #[cold]
    fn happened(&self, hand: InHand<'_, Box<Envelope>>) -> Flow {
        self.handled(hand, Err(CallError::Timeout))
    }

    /// Whether the turn over a message is on disk already.
    #[cold]
    fn was_saved(&self, envelope: &Envelope) -> bool {
        self.identity.service.shelf.is_some()
            && self.identity.own.lane().state(envelope.partition()).is_some_and(|state| state.was_saved(envelope.id))
    }

    /// What becomes of the message over which the instance ended.
    async fn crashed(&mut self, hand: InHand<'_, Box<Envelope>>, crash: Crash) -> Flow {
        let service = &self.identity.service;
        let retries = self.identity.terms.retries;
        Metrics::count(&service.metrics.crashed);
        tracing::warn!(
            target: "airssys::actor",
            service = %self.identity.address(), id = hand.id, attempt = hand.attempt, crash = %crash, "crashed"
        );
        // Dropped here, so that its room and its timers are free before anybody looks.
        self.instance = None;
        if self.live.roll_back(&crash) {
            // The release that survives gets the message as if nobody had tried it.
            self.live.forgive();
            drop(hand);
            return self.go_on().await;
        }
        let again = hand.attempt < retries;
        if again {
            // It stays in hand: the next incarnation finds it first, and counts.
            drop(hand);
        } else {
            let reason = dead_reason(retries, crash.clone());
            self.identity.mesh.bury(*hand.done(), reason);
        }
        Flow::Exit(exit_reason(crash))
    }
}

/// What becomes of the effects of a start.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// They happen at once.
    Commit,
    /// They are held back until the instance serves.
    Hold,
}

/// Makes an instance that is ready to serve: `init`, then the first health check; all within the release's `start_timeout`.
pub(crate) async fn start(engines: &Engines, serving: &Serving, held: Held) -> Result<Prepared, Crash> {
    let limit = serving.identity.terms.limits.start_timeout;
    match timeout(limit, prepare(engines, serving, held)).await {
        Ok(prepared) => prepared,
        Err(_elapsed) => Err(Crash::Deadline { deadline: limit }),
    }
}

async fn prepare(engines: &Engines, serving: &Serving, held: Held) -> Result<Prepared, Crash> {
    let identity = &serving.identity;
    let deadline = identity.terms.limits.turn_deadline;
    if let Some(shelf) = &identity.service.shelf {
        shelf.settle().await;
    }
    let mut instance = Instance::new(engines, &serving.template, Arc::clone(identity)).await?;
    let mut read_at = 0;
    if !matches!(identity.service.route, Route::Partitioned(_)) {
        let state = identity.own.lane().state(None);
        read_at = state.as_ref().map_or(0, |state| state.commits());
        instance.guest().turn.state = state;
    }
    match instance.init(deadline).await {
        Ran::Done(()) if held == Held::Commit => commit(&mut instance, NO_MESSAGE).await?,
        Ran::Done(()) => {}
        Ran::Fault(fault) => return Err(Crash::Start { during: "init", fault }),
        Ran::Crashed(crash) => return Err(crash),
    }
    let effects = instance.guest().hold();
    let checked = instance.check(deadline).await;
    instance.guest().discard();
    instance.guest().resume(effects);
    match checked {
        Ran::Done(()) => Ok(Prepared { instance, read_at }),
        Ran::Fault(fault) => Err(Crash::Start { during: "health check", fault }),
        Ran::Crashed(crash) => Err(crash),
    }
}

/// Makes what the guest did over the message `id` happen. What it wrote to a durable state is waited for, outside of the guest; nothing else is.
///
/// Cut off meanwhile, it happens all the same or not at all; the next incarnation waits until that is known.
async fn commit(instance: &mut Instance, id: u64) -> Result<(), Crash> {
    match instance.guest().save(id) {
        Some(saving) => saving.done().await,
        None => {
            instance.guest().commit();
            Ok(())
        }
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

impl Behavior for ComponentActor {
    type Message = Box<Envelope>;
    type Control = Control;

    async fn init(&mut self) -> Result<(), ExitReason> {
        let started = self.start().await;
        // A start that failed is a failed start, also where it was an exit with status 0.
        started.map_err(|crash| ExitReason::Failed(Arc::new(crash)))
    }

    async fn turn(&mut self, mut hand: InHand<'_, Box<Envelope>>) -> Flow {
        let mesh = &self.identity.mesh;
        if hand.adopted() && self.was_saved(&hand) {
            return self.happened(hand);
        }
        if hand.adopted() && !self.live.was_forgiven() {
            // Its turn crashed and is tried again, or it was cut off by a kill or a panic of the host.
            hand.attempt += 1;
            if hand.attempt > self.identity.terms.retries {
                let crash = Crash::Host { detail: "the turn was cut off".to_owned() };
                mesh.bury(*hand.done(), dead_reason(self.identity.terms.retries, crash));
                return Flow::Continue;
            }
        }
        let left = match hand.deadline {
            // The one look at the clock that a turn takes, and only a turn that somebody waits for.
            Some(deadline) => match deadline.checked_duration_since(Instant::now()) {
                Some(left) if !left.is_zero() => left,
                _expired => {
                    mesh.bury(*hand.done(), DeadReason::Expired);
                    return Flow::Continue;
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
            return Flow::Continue;
        }
        let Some(instance) = self.instance.as_mut() else {
            return Flow::Exit(ExitReason::Failed(Arc::new(Crash::Host {
                detail: "a turn without an instance".to_owned(),
            })));
        };
        let guest = instance.guest();
        guest.turn.trace = hand.trace;
        guest.turn.deadline = hand.deadline;
        if self.state_per_key {
            guest.turn.state = self.identity.own.lane().state(hand.partition());
            guest.turn.key = hand.partition().map(Into::into);
        }
        match instance.handle(&hand, left, self.identity.terms.limits.turn_deadline).await {
            Ran::Done(answer) => {
                let guest = instance.guest();
                if guest.has_to_save() {
                    // Boxed: a turn that waits for no disk does not carry the wait around.
                    return Box::pin(self.save(hand, answer)).await;
                }
                guest.commit();
                self.handled(hand, Ok(answer))
            }
            Ran::Fault(fault) => {
                instance.guest().discard();
                Metrics::count(&self.identity.service.metrics.faulted);
                let envelope = *hand.done();
                match envelope.delivery {
                    Delivery::Call(_) => mesh.answer(envelope, Err(CallError::Fault(fault))),
                    _ => mesh.bury(envelope, DeadReason::Fault(fault)),
                }
                Flow::Continue
            }
            Ran::Crashed(crash) => Box::pin(self.crashed(hand, crash)).await,
        }
    }

    async fn control(&mut self, control: Control) -> Flow {
        let control = match control {
            Control::Swap(swap) => {
                self.swap(*swap).await;
                return Flow::Continue;
            }
            control => control,
        };
        let Some(instance) = self.instance.as_mut() else { return Flow::Continue };
        match control {
            Control::Check(reply) => {
                let checked = instance.check(self.identity.terms.limits.turn_deadline).await;
                instance.guest().discard();
                match checked {
                    Ran::Done(()) => drop(reply.send(Ok(()))),
                    Ran::Fault(fault) => drop(reply.send(Err(fault))),
                    Ran::Crashed(crash) => {
                        drop(reply.send(Err(Fault::Internal(crash.to_string()))));
                        self.instance = None;
                        if self.live.roll_back(&crash) {
                            return self.go_on().await;
                        }
                        return Flow::Exit(exit_reason(crash));
                    }
                }
                Flow::Continue
            }
            Control::Sleep if self.identity.mailbox.is_empty() => {
                self.stop(StopReason::Idle).await;
                Flow::Exit(ExitReason::Normal)
            }
            Control::Sleep | Control::Swap(_) => Flow::Continue,
        }
    }

    async fn idle(&mut self) -> Flow {
        let (Some(_), Route::Keyed(keyed)) = (&self.keyed, &self.identity.service.route) else { return Flow::Continue };
        if !keyed.is_crowded() {
            return Flow::Continue;
        }
        // Others wait for this one's place.
        self.stop(StopReason::Idle).await;
        Flow::Exit(ExitReason::Normal)
    }

    async fn stop(&mut self, reason: StopReason) {
        let Some(instance) = self.instance.as_mut() else { return };
        let crash = match instance.stop(reason, self.identity.terms.limits.turn_deadline).await {
            Ran::Done(()) => commit(instance, NO_MESSAGE).await.err(),
            Ran::Fault(_) => {
                instance.guest().discard();
                None
            }
            Ran::Crashed(crash) => Some(crash),
        };
        if let Some(crash) = crash {
            tracing::warn!(target: "airssys::actor", service = %self.identity.address(), crash = %crash, "crashed while it stopped");
            self.instance = None;
        }
    }
}
