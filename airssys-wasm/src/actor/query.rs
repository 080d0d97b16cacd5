//! Queries: functions that are declared to have no effects. Each runs on an instance of its own, of the release that is
//! live, on what was committed last; what it would do is refused, or discarded.
//!
//! A query runs beside the turns of its place where it may, also where that is a key that sleeps and goes on sleeping.
//! Otherwise it waits in the mailbox and comes at its turn, and is no other then. Invariant: nothing of what it does is
//! seen, and its crash ends its instance alone; where the release is on probation, it speaks against that as any crash
//! does.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use airssys_rt_shim::worker::Flow;
use tokio::time::Instant;

use super::asked::{Asked, Trial};
use super::{ComponentActor, Hand, Post, Roster, Serving};
use crate::engine::{Answered, Engines, Instance, Ran};
use crate::error::{CallError, Crash, Stage};
use crate::message::{DeadReason, Delivery, Envelope};
use crate::middleware::Metrics;
use crate::router::inbox::Inbox;
use crate::settings::Terms;
use crate::state::State;
use crate::turn::Identity;
use crate::typed::FunctionType;

impl ComponentActor {
    /// Runs a query that waited in the mailbox.
    pub(super) async fn query(&mut self, hand: Hand<'_>, left: Duration) -> Flow {
        let serving = self.live.serving();
        let state = serving.identity.own.states.state(hand.partition()).map(|state| state.copy());
        let asked = Asked { serving, watch: self.live.watched(), trial: Trial::None };
        let begun = Instant::now();
        let ran = run(&self.engines, &asked.serving, &hand, left, state).await;
        let crash = asked.heard(begun.elapsed(), &ran).filter(|crash| self.live.roll_back(crash)).is_some();
        settle(&asked.serving.identity, hand.done(), ran);
        if crash {
            self.instance = None;
            return Box::pin(self.go_on()).await;
        }
        Flow::Continue
    }
}

/// Finds what answers a query of these actors. It does not keep them: whoever takes them away ends it.
pub(super) fn of_actors(actors: &Arc<[Post]>) -> impl Fn(&Inbox, &FunctionType) -> Option<Asked> + use<> {
    let actors: Weak<[Post]> = Arc::downgrade(actors);
    move |inbox, function| {
        let actors = actors.upgrade()?;
        actors.iter().find(|post| std::ptr::eq(&post.live.serving().identity.own.inbox, inbox))?.asked(function)
    }
}

/// Finds what answers a query of those that come and go, as [`of_actors`].
pub(super) fn of_those_who_come(roster: &Arc<Roster>) -> impl Fn(&Inbox, &FunctionType) -> Option<Asked> + use<> {
    let roster = Arc::downgrade(roster);
    move |inbox, function| roster.upgrade()?.asked(inbox.address(), function)
}

/// Runs queries beside turns, where there is something that answers them.
pub(super) fn beside(
    engines: &Arc<Engines>,
    find: impl Fn(&Inbox, &FunctionType) -> Option<Asked> + Send + Sync + 'static,
) -> impl Fn(&Inbox, Box<Envelope>) -> Result<(), Box<Envelope>> + Send + Sync + 'static {
    let (engines, running) = (Arc::clone(engines), Arc::<AtomicUsize>::default());
    move |inbox, envelope| {
        let found = match (&envelope.function, &envelope.delivery) {
            (Some(function), Delivery::Call(_)) => find(inbox, function),
            _ => None,
        };
        let ready = found.and_then(|asked| Some((committed(&asked.serving, &envelope)?, asked)));
        let Some((state, asked)) = ready else { return Err(envelope) };
        let most = asked.serving.identity.terms.max_queries;
        let Some(running) = Running::begin(&running, most) else { return Err(envelope) };
        let engines = Arc::clone(&engines);
        tokio::spawn(async move {
            let begun = Instant::now();
            let left = envelope.deadline.map_or(Duration::MAX, |until| until.duration_since(begun));
            let ran = run(&engines, &asked.serving, &envelope, left, state).await;
            if let Some(crash) = asked.heard(begun.elapsed(), &ran) {
                asked.speak_against(crash);
            }
            settle(&asked.serving.identity, envelope, ran);
            drop(running);
        });
        Ok(())
    }
}

/// The state as it was committed last, where there is one; none where the query has to wait for what becomes of it.
fn committed(serving: &Serving, envelope: &Envelope) -> Option<Option<State>> {
    let Identity { terms, own, .. } = &*serving.identity;
    let state = own.states.state(envelope.partition());
    if own.states.damage().is_some() || state.as_ref().is_some_and(|state| state.damage().is_some()) {
        return None;
    }
    // One copy, so that a query sees one commit, and none that comes while it runs.
    let state = state.map(|state| state.copy());
    // Another release is taking over, or a key has slept since one did: whoever serves next brings the state over, and
    // has the query then.
    let is_foreign = state.as_ref().is_some_and(|state| state.foreign(terms.schema).is_some());
    (!is_foreign).then_some(state)
}

/// One of those that run beside turns.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn begin(running: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let more = |now| (now < most).then_some(now + 1);
        running.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Self(Arc::clone(running)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Runs a query on an instance of its own.
async fn run(
    engines: &Engines,
    serving: &Serving,
    envelope: &Envelope,
    left: Duration,
    state: Option<State>,
) -> Ran<Answered> {
    let Identity { terms, .. } = &*serving.identity;
    let deadline = terms.limits.turn_deadline;
    let terms = match terms.policy.without_effects() {
        Some(policy) => Arc::new(Terms { policy, ..(**terms).clone() }),
        None => Arc::clone(terms),
    };
    // Whoever cuts off what serves the place does not mean this.
    let identity = Identity { terms, cut: Arc::default(), ..(*serving.identity).clone() };
    let mut instance = match Instance::new(engines, &serving.template, Arc::new(identity)).await {
        Ok(instance) => instance,
        Err(crash) => return Ran::Crashed(crash),
    };
    let turn = instance.turn();
    turn.state = state.map(Arc::new);
    turn.key = serving.state_per_key().then(|| envelope.partition().unwrap_or_default().into());
    turn.trace = envelope.trace;
    match instance.init(deadline).await {
        Ran::Done(()) => {}
        Ran::Fault(fault) => {
            return Ran::Crashed(Crash::Start { during: Stage::Init, fault });
        }
        Ran::Crashed(crash) => return Ran::Crashed(crash),
    }
    let turn = instance.turn();
    turn.deadline = envelope.deadline;
    turn.begin_query();
    instance.record_message(envelope, left);
    let ran = instance.handle(envelope, left, deadline).await;
    instance.recorded_message(&ran);
    ran
}

/// What becomes of a query that has run: as of any message, but that nobody else ends over it.
fn settle(identity: &Identity, envelope: Box<Envelope>, ran: Ran<Answered>) {
    let (mesh, metrics) = (&identity.mesh, &identity.service.metrics);
    match ran {
        Ran::Done(Answered { body, .. }) => {
            Metrics::count(&metrics.handled);
            mesh.answer(envelope, Ok(body));
        }
        Ran::Fault(fault) => {
            Metrics::count(&metrics.faulted);
            match envelope.delivery {
                Delivery::Call(_) => mesh.answer(envelope, Err(CallError::Fault(fault))),
                _ => mesh.bury(*envelope, DeadReason::Fault(fault)),
            }
        }
        Ran::Crashed(crash) => {
            Metrics::count(&metrics.crashed);
            let (service, id) = (identity.address(), envelope.id);
            tracing::warn!(target: "airssys::actor", %service, id, %crash, "a query crashed");
            mesh.bury(*envelope, DeadReason::Crashed(crash));
        }
    }
}
