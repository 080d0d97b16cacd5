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
mod shadow;
mod share;
mod spawned;
mod watch;

pub(crate) use keyed::{Roster, Waking};
pub use live::MemoryHandover;
pub(crate) use live::{Before, Claim, Held, Live, NotSwapped, Prepared, Probation, Serving, Swap, Swapped, Way};
use live::{BroughtOver, Returning, Suspended};
pub use place::ServiceSpec;
pub(crate) use place::{NameTaken, Placed, Post, check};
pub(crate) use shadow::Rehearsal;
pub use shadow::{Difference, Rehearsed};
pub(crate) use share::ALL;
pub(crate) use watch::{Counts, Tally, Watch};
use watch::{Lent, Watching};

use std::sync::Arc;
use std::time::Duration;

use airssys_rt_shim::child::StopReason;
use airssys_rt_shim::exit::ExitReason;
use airssys_rt_shim::link::Pid;
use airssys_rt_shim::mailbox::InHand;
use airssys_rt_shim::worker::{Behavior, Flow};
use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::engine::guest::Identity;
use crate::engine::{Engines, Instance, Ran};
use crate::error::{CallError, Crash, Fault};
use crate::message::{Answer, DeadReason, Delivery, Envelope};
use crate::middleware::Metrics;
use crate::router::keyed::KeyedActor;
use crate::router::service::Route;
use crate::settings::Terms;
use crate::state::State;
use crate::state::durable::NO_MESSAGE;

/// After which time one that is to fall asleep on probation, and says that it is not well, is asked again.
const ASK_TWICE: Duration = Duration::from_millis(10);

/// What a component actor is asked to do between two turns.
pub(crate) enum Control {
    /// Say how it is.
    Check(oneshot::Sender<Result<(), Fault>>),
    /// Let another release take over.
    Swap(Box<Swap>),
    /// Take what is offered to the place.
    Offered,
    /// Count turns where the place says now, or nowhere any more.
    Watch,
    /// Go on under the rules that are live in this place now, with the same instance; then say so.
    Retune(oneshot::Sender<()>),
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
    /// Whether messages wait until a person has decided.
    suspended: bool,
    /// Where turns are counted and shown, while two releases are compared.
    watching: Option<Box<Watching>>,
}

impl ComponentActor {
    pub(crate) fn new(engines: Arc<Engines>, live: Arc<Live>, keyed: Option<Arc<KeyedActor>>) -> Self {
        let identity = Arc::clone(&live.serving().identity);
        let state_per_key = matches!(identity.service.route, Route::Partitioned(_));
        Self { engines, live, identity, keyed, state_per_key, instance: None, suspended: false, watching: None }
    }

    /// Starts what is live in this place, or what is offered to it: whatever is to take over waits for no start of what was there before, which may never end.
    async fn begin(&mut self) -> Result<(), Crash> {
        let place = Arc::clone(&self.live);
        let _is_starting = place.starts();
        loop {
            let started = tokio::select! {
                biased;
                () = place.offered() => None,
                started = self.start() => Some(started),
            };
            if let Some(started) = started {
                return started;
            }
            // What was begun is dropped, as where it is killed.
            if let Some(swap) = self.live.take_offer() {
                self.take_over(*swap, None).await;
                if self.instance.is_some() || self.suspended {
                    return Ok(());
                }
            }
        }
    }

    /// Starts what is live in this place. Where that is on probation and does not start, what was there before.
    async fn start(&mut self) -> Result<(), Crash> {
        if let Some(Returning { saved, discard }) = self.live.returning() {
            return self.go_back(&saved, discard).await;
        }
        match self.start_live(true).await {
            Ok(()) => Ok(()),
            Err(crash) if self.bears() => match self.lend(Lent::Over).await {
                true => {
                    self.count_failure();
                    Ok(())
                }
                // Neither starts, so that says nothing about the new one.
                false => Err(crash),
            },
            Err(crash) if self.is_sick().await => Err(crash),
            Err(crash) if self.live.roll_back(&crash) => match self.live.returning() {
                Some(Returning { saved, discard }) => self.go_back(&saved, discard).await,
                None => Err(crash),
            },
            Err(crash) => Err(crash),
        }
    }

    /// Whether this is one of many, and the release before, where it can be told, does not start here either: that says nothing about the one on probation.
    async fn is_sick(&mut self) -> bool {
        match self.live.stand_in().filter(|_| self.roams()) {
            Some(before) => start(&self.engines, &before).await.is_err(),
            None => false,
        }
    }

    /// Whether it comes and goes, as a key or a child.
    fn roams(&self) -> bool {
        matches!(self.identity.service.route, Route::Keyed(_) | Route::Spawned(_))
    }

    /// Whether what serves is what is live here; where it did not start when it was to take over, the one before serves on.
    fn serves_the_live_one(&self) -> bool {
        Arc::ptr_eq(&self.identity, &self.live.serving().identity)
    }

    /// Whether a release is on probation here whose crashes are counted and compared, and decide nothing alone; the release before can stand in for it.
    fn bears(&self) -> bool {
        let watch = self.live.watched();
        watch.is_some_and(|watch| watch.bears(&self.live.serving())) && self.live.stand_in().is_some()
    }

    /// The new release did not start, or is not well.
    fn count_failure(&self) {
        if let Some(watch) = self.live.watched() {
            watch.new.fail();
        }
    }

    /// Lets the release before serve here for a while. Whether it starts.
    async fn lend(&mut self, lent: Lent) -> bool {
        let Some(before) = self.live.stand_in() else { return false };
        Metrics::count(&self.identity.service.metrics.started);
        let started = match start(&self.engines, &before).await {
            Ok(prepared) => prepared.commit().await,
            Err(crash) => Err(crash),
        };
        match started {
            Ok(instance) => {
                drop(self.serve(&before, instance));
                self.watching = self.live.watched().map(|watch| watch.lend(lent));
                true
            }
            Err(crash) => {
                let service = self.identity.address();
                tracing::warn!(target: "airssys::deploy", %service, %crash, "the release before does not start either");
                false
            }
        }
    }

    /// Lets the new release serve again, where the one before stands in for it and has done what it was to do. Where that does not start, the one before goes
    /// on while the new one is on probation.
    #[cold]
    async fn relieve(&mut self) -> Result<(), Crash> {
        let serving = self.live.serving();
        let started = match start(&self.engines, &serving).await {
            Ok(prepared) => prepared.commit().await,
            Err(crash) => Err(crash),
        };
        Metrics::count(&self.identity.service.metrics.started);
        match started {
            Ok(instance) => drop(self.serve(&serving, instance)),
            Err(_) if self.bears() => self.count_failure(),
            Err(crash) => return Err(crash),
        }
        Ok(())
    }

    /// Whether the release before stands in here and the new one is to be tried again.
    fn is_to_relieve(&self) -> bool {
        self.watching.as_ref().is_some_and(|watching| watching.tries_again())
    }

    /// What the states were that it brings over is kept where they are to be that again.
    async fn start_live(&mut self, keep: bool) -> Result<(), Crash> {
        Metrics::count(&self.identity.service.metrics.started);
        let serving = self.live.serving();
        let mut prepared = start(&self.engines, &serving).await?;
        if keep {
            // Before it happens: this incarnation may be killed while it waits for the disk.
            self.live.brought_over(prepared.saves(self.live.schema_before()));
        }
        let instance = prepared.commit().await?;
        self.serve(&serving, instance);
        Ok(())
    }

    /// Starts the release that came back into this place. The states are put back to what they were before the other one brought them over, where no turn was
    /// committed since or where those are to be discarded; otherwise the release has to bring them back itself, and where it does not, nothing serves.
    async fn go_back(&mut self, saved: &Before, discard: bool) -> Result<(), Crash> {
        // Where this incarnation ends over it, the next one goes on.
        self.live.returns(Some(Returning { saved: Arc::clone(saved), discard }));
        if let Some(shelf) = &self.identity.service.shelf {
            shelf.settle().await;
        }
        let (mut put_back, mut brings_back) = (Vec::new(), false);
        for saved in saved.iter().filter(|saved| saved.is_written()) {
            let turns = saved.turns_since();
            if discard || turns == 0 {
                put_back.push((saved, saved.put_back().await?, turns));
            } else {
                brings_back = true;
            }
        }
        // What it brings back itself was in its own schema before.
        match self.start_live(!brings_back).await {
            Err(crash @ Crash::Schema { .. }) => {
                for (saved, put_back, turns) in &put_back {
                    saved.undo(put_back, *turns).await?;
                }
                tracing::error!(target: "airssys::deploy", service = %self.identity.address(), crash = %crash, "suspended");
                self.live.suspend(Suspended { crash, saved: Arc::clone(saved) });
                self.instance = None;
                self.suspended = true;
                if let Route::Keyed(keyed) = &self.identity.service.route {
                    keyed.room.notify_one();
                }
                Ok(())
            }
            Err(crash) => Err(crash),
            Ok(()) => {
                self.live.returns(None);
                Ok(())
            }
        }
    }

    /// Serves with this instance from now on; the one that did before.
    fn serve(&mut self, serving: &Serving, instance: Instance) -> Option<Instance> {
        self.identity = Arc::clone(&serving.identity);
        self.identity.service.retune(&serving.identity.terms.limits);
        self.suspended = false;
        self.watching = self.live.watched().map(|watch| watch.begin(serving, None));
        self.instance.replace(instance)
    }

    /// Goes on under the rules that are live here, which are for the release that it serves with.
    fn retune(&mut self) {
        if self.watching.as_ref().is_some_and(|watching| watching.is_lent()) {
            // Another release stands in, and the one that is live here takes them up when it starts.
            return;
        }
        self.identity = Arc::clone(&self.live.serving().identity);
        self.identity.service.retune(&self.identity.terms.limits);
        if let Some(instance) = &mut self.instance {
            instance.retune(&self.identity);
        }
    }

    /// Lets another release take over, where it is not withdrawn.
    async fn swap(&mut self, swap: Swap, cut_off: Option<Crash>) -> Flow {
        self.take_over(swap, cut_off).await;
        if self.instance.is_some() || self.suspended {
            return Flow::Continue;
        }
        // The one that was to hand over ended over it.
        self.go_on().await
    }

    /// Lets another release take over, where it is not withdrawn and does not fail. There may be no instance before it, and none after it. What was cut off
    /// for it hands nothing over.
    async fn take_over(&mut self, swap: Swap, cut_off: Option<Crash>) {
        let Swap { next, prepared, way, memory, until, claim, answer } = swap;
        if !claim.take() {
            return;
        }
        let begun = Instant::now();
        let waiting = self.identity.mailbox.len();
        let was_cut_off = cut_off.is_some();
        let hands_over = self.live.serving().template.hands_over() && next.template.hands_over();
        let lost = cut_off.filter(|_| hands_over && memory != MemoryHandover::Never);
        let swapped = match way {
            Way::Forth(probation) => self.forth(&next, prepared, probation, memory, until).await,
            Way::Same(probation) => {
                let same = Arc::ptr_eq(&self.live.serving(), &probation.before) && !self.suspended;
                let swapped = if same && self.live.is_settled() {
                    self.forth(&next, prepared, probation, memory, until).await
                } else {
                    Err(Crash::Host { detail: "another release serves here".to_owned() }.into())
                };
                if swapped.is_ok() {
                    self.live.settle();
                    self.live.same();
                }
                swapped
            }
            Way::Back { saved, discard, held } => self.back(next, &saved, discard, held, until).await,
            Way::Anew { state, known } => self.forget(&state, known).await,
        };
        let swapped = swapped.map(|(old, without_memory)| {
            let without_memory = without_memory.or(lost);
            Swapped { old, pause: begun.elapsed(), waiting, without_memory, cut_off: was_cut_off }
        });
        let _nobody_waits_any_more = answer.send(swapped);
    }

    async fn forth(
        &mut self,
        next: &Arc<Serving>,
        prepared: Option<Prepared>,
        probation: Probation,
        memory: MemoryHandover,
        until: Instant,
    ) -> Result<Left, NotSwapped> {
        if let (None, Some(shelf)) = (&self.instance, &self.identity.service.shelf) {
            // A start that was cut off may have left something on its way to the disk.
            shelf.settle().await;
        }
        let (snapshot, without_memory) = self.memory(next, memory, until).await?;
        let commits = self.identity.own.lane().commits();
        // What its start wrote stands only where nobody has written since it read.
        let prepared = prepared.and_then(|mut made| (!made.is_stale()).then_some(made));
        let mut prepared = take_over(&self.engines, next, prepared, snapshot, until).await?;
        let saved = prepared.saves(Some(probation.before.identity.terms.schema));
        // Of one that was on its way back itself.
        let returning = self.live.returning();
        if !saved.is_empty() {
            // Where this incarnation is killed while it waits for the disk, the next one is of the release before.
            self.live.returns(Some(Returning { saved: Arc::clone(&saved), discard: false }));
        }
        let committed = prepared.commit().await;
        self.live.returns(returning.filter(|_| committed.is_err()));
        let instance = committed?;
        let old = self.serve(next, instance).map(|instance| Box::new(Held { instance, commits }));
        self.live.switch(Arc::clone(next), Some(probation));
        self.live.brought_over(saved);
        Metrics::count(&self.identity.service.metrics.started);
        Ok((old, without_memory))
    }

    /// Forgets the state, and the instance with all that it knows of it. Whoever asked for this starts what is live here; that comes after it on its way to the disk.
    async fn forget(&mut self, state: &Arc<State>, known: u64) -> Result<Left, NotSwapped> {
        (self.instance, self.watching) = (None, None);
        if let Some(saving) = state.forget(known) {
            saving.done().await?;
        }
        self.live.forget_past();
        self.suspended = false;
        Ok((None, None))
    }

    /// What the instance hands over, or why it hands nothing over where it was to and need not.
    async fn memory(
        &mut self,
        next: &Serving,
        memory: MemoryHandover,
        until: Instant,
    ) -> Result<(Option<Bytes>, Option<Crash>), NotSwapped> {
        let half = Instant::now() + until.saturating_duration_since(Instant::now()) / 2;
        let taken = match memory {
            MemoryHandover::Never => return Ok((None, None)),
            MemoryHandover::Required => self.snapshot(next, until).await,
            // Where it does not come to an end, there is time left to do without it.
            MemoryHandover::WherePossible => self.snapshot(next, half).await,
        };
        match taken {
            Ok(snapshot) => Ok((snapshot, None)),
            Err(crash) if memory == MemoryHandover::Required => Err(NotSwapped::NoMemory(crash)),
            Err(crash) => {
                let service = self.identity.address();
                tracing::warn!(target: "airssys::deploy", %service, %crash, "hands nothing over: the next one begins without its memory");
                Ok((None, Some(crash)))
            }
        }
    }

    async fn back(
        &mut self,
        next: Arc<Serving>,
        saved: &Before,
        discard: bool,
        held: Option<Box<Held>>,
        until: Instant,
    ) -> Result<Left, NotSwapped> {
        // It goes back also where nothing can be handed over.
        let (snapshot, mut without_memory) = self.memory(&next, MemoryHandover::WherePossible, until).await?;
        let commits = self.identity.own.lane().commits();
        let old = self.instance.take().map(|instance| Box::new(Held { instance, commits }));
        if discard && !Arc::ptr_eq(&self.live.serving().template, &next.template) {
            self.live.forget();
        }
        self.live.switch(Arc::clone(&next), None);
        match held.filter(|held| held.commits == commits && !discard) {
            Some(held) => drop(self.serve(&next, held.instance)),
            None => self.go_back(saved, discard).await?,
        }
        if let (Some(snapshot), Some(instance)) = (snapshot, self.instance.as_mut()) {
            match instance.restore(&snapshot, left(until, next.identity.terms.limits.turn_deadline)).await {
                Ran::Done(()) => commit(instance, NO_MESSAGE).await?,
                Ran::Fault(fault) => {
                    instance.guest().discard();
                    tracing::warn!(target: "airssys::deploy", service = %self.identity.address(), %fault, "went back without its memory");
                    without_memory = Some(Crash::Start { during: "restore", fault });
                }
                Ran::Crashed(crash) => {
                    tracing::warn!(target: "airssys::deploy", service = %self.identity.address(), %crash, "went back without its memory");
                    without_memory = Some(crash);
                    self.instance = None;
                }
            }
        }
        Ok((old, without_memory))
    }

    /// What this instance hands over to the next one, where both do that.
    async fn snapshot(&mut self, next: &Serving, until: Instant) -> Result<Option<Bytes>, Crash> {
        let Some(instance) = self.instance.as_mut().filter(|_| next.template.hands_over()) else { return Ok(None) };
        instance.guest().turn.deadline = None;
        let taken = instance.snapshot(left(until, self.identity.terms.limits.turn_deadline)).await;
        if let Ran::Crashed(crash) = taken {
            self.instance = None;
            return Err(crash);
        }
        instance.guest().discard();
        match taken {
            Ran::Done(taken) => Ok(taken),
            Ran::Fault(fault) => Err(Crash::Start { during: "snapshot", fault }),
            Ran::Crashed(crash) => Err(crash),
        }
    }

    /// Lets its turns be counted, or shown, where the place says so, or not any more.
    async fn watch(&mut self) -> Flow {
        if self.watching.as_ref().is_some_and(|watching| watching.is_over())
            && let Err(crash) = self.relieve().await
        {
            return Flow::Exit(exit_reason(crash));
        }
        let (watch, serving) = (self.live.watched(), self.live.serving());
        let mut memory = None;
        if let Some(next) = watch.as_ref().and_then(|watch| watch.shadow_of(&serving)) {
            let until = Instant::now() + self.identity.terms.limits.turn_deadline;
            memory = self.snapshot(&next, until).await.unwrap_or_default();
        }
        if self.instance.is_none() && !self.suspended {
            // It ended over what it was to hand over.
            return self.go_on().await;
        }
        self.watching = watch.map(|watch| watch.begin(&serving, memory));
        Flow::Continue
    }

    /// Lets what waits for this place have it, after the guest was cut off for that: another release, or the same one under other rules.
    #[cold]
    async fn give_way(&mut self, crash: Crash) -> Flow {
        self.instance = None;
        self.live.cut().forget();
        match self.live.take_offer() {
            Some(swap) => self.swap(*swap, Some(crash)).await,
            None => self.go_on().await,
        }
    }

    /// Goes on with what is live in this place, after the instance ended and the actor did not.
    async fn go_on(&mut self) -> Flow {
        flow(self.begin().await)
    }

    /// What becomes of the actor where its instance ended over no message.
    async fn ended(&mut self, crash: Crash) -> Flow {
        self.instance = None;
        if let Crash::CutOff { .. } = crash {
            return self.give_way(crash).await;
        }
        if !self.serves_the_live_one() {
            return Flow::Exit(exit_reason(crash));
        }
        if self.bears() {
            self.count_failure();
            return self.go_on().await;
        }
        match self.live.roll_back(&crash) {
            true => self.go_on().await,
            false => Flow::Exit(exit_reason(crash)),
        }
    }

    /// Leaves its place. Not where it is on probation and says that it is not well: nobody might be awake when the deployment asks.
    async fn sleep(&mut self) -> Flow {
        if !self.live.is_settled()
            && !self.watching.as_ref().is_some_and(|watching| watching.is_lent())
            && let Some(instance) = self.instance.as_mut()
        {
            let deadline = self.identity.terms.limits.turn_deadline;
            let mut checked = instance.check(deadline).await;
            instance.guest().discard();
            if let Ran::Fault(_) = checked {
                // One answer alone decides nothing.
                tokio::time::sleep(ASK_TWICE).await;
                checked = instance.check(deadline).await;
                instance.guest().discard();
            }
            match checked {
                Ran::Done(()) => {}
                Ran::Fault(fault) => {
                    let crash = Crash::Start { during: "health check", fault };
                    self.instance = None;
                    return match self.live.roll_back(&crash) {
                        true => self.go_on().await,
                        false => Flow::Exit(exit_reason(crash)),
                    };
                }
                Ran::Crashed(crash) => return self.ended(crash).await,
            }
        }
        let place = Arc::clone(&self.live);
        tokio::select! {
            biased;
            // Who wakes here next wakes with that: it waits for no good-bye, which may take long.
            () = place.offered() => self.instance = None,
            () = self.stop(StopReason::Idle) => {}
        }
        Flow::Exit(ExitReason::Normal)
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
        let is_cut_off = matches!(crash, Crash::CutOff { .. });
        let says_nothing = is_cut_off || !self.serves_the_live_one();
        let lent = says_nothing || self.watching.as_ref().is_some_and(|watching| watching.is_lent());
        let crashed = self.watching.as_ref().and_then(|watching| watching.crashed());
        if !lent && self.bears() {
            // The one before says whether it crashes over this message, too.
            if self.lend(crashed.map_or(Lent::Over, Lent::For)).await {
                self.live.forgive(hand.id);
                drop(hand);
                return Flow::Continue;
            }
        } else if !lent && self.live.roll_back(&crash) {
            // The release that survives gets the message as if nobody had tried it.
            self.live.forgive(hand.id);
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
        if is_cut_off {
            // The try counts as for any crash; the end of this incarnation does not.
            return self.give_way(crash).await;
        }
        Flow::Exit(exit_reason(crash))
    }
}

/// What served before, and why nothing of its memory was handed over where it was to.
type Left = (Option<Box<Held>>, Option<Crash>);

/// How long something may take that is to be over at an instant.
fn left(until: Instant, most: Duration) -> Duration {
    until.saturating_duration_since(Instant::now()).min(most)
}

/// Makes an instance that is ready to serve: the state is brought over where it is in another schema, then `init`, then the first health check; all within
/// the release's `start_timeout`. Its effects are held back until it is committed.
pub(crate) async fn start(engines: &Engines, serving: &Serving) -> Result<Prepared, Crash> {
    let limit = serving.identity.terms.limits.start_timeout;
    let until = Instant::now() + limit;
    let late = |_elapsed| Crash::late_start(limit);
    let mut instance = timeout_at(until, make(engines, serving)).await.map_err(late)??;
    let (read_at, brought_over) = bring_all_over(&mut instance, serving, until).await?;
    timeout_at(until, begin(&mut instance, serving)).await.map_err(late)??;
    Ok(Prepared { instance, read_at, brought_over })
}

/// Makes the instance where it is not made, and gives it what the one before hands over.
async fn take_over(
    engines: &Engines,
    next: &Serving,
    prepared: Option<Prepared>,
    snapshot: Option<Bytes>,
    until: Instant,
) -> Result<Prepared, Crash> {
    let mut prepared = match prepared {
        Some(prepared) => prepared,
        None => match timeout_at(until, start(engines, next)).await {
            Ok(prepared) => prepared?,
            Err(_elapsed) => {
                return Err(Crash::Start {
                    during: "the handover",
                    fault: Fault::Unavailable("its start was not over at the handover deadline".to_owned()),
                });
            }
        },
    };
    let Some(snapshot) = snapshot else { return Ok(prepared) };
    match prepared.instance.restore(&snapshot, left(until, next.identity.terms.limits.turn_deadline)).await {
        Ran::Done(()) => Ok(prepared),
        Ran::Fault(fault) => Err(Crash::Start { during: "restore", fault }),
        Ran::Crashed(crash) => Err(crash),
    }
}

async fn make(engines: &Engines, serving: &Serving) -> Result<Instance, Crash> {
    if let Some(shelf) = &serving.identity.service.shelf {
        shelf.settle().await;
    }
    if let Some(damage) = serving.identity.own.lane().damage() {
        return Err(damage);
    }
    Instance::new(engines, &serving.template, Arc::clone(&serving.identity)).await
}

/// Lets a new instance bring over what is in another schema; how far its state was read, and what was brought over of a pool's.
async fn bring_all_over(
    instance: &mut Instance,
    serving: &Serving,
    until: Instant,
) -> Result<(u64, Vec<BroughtOver>), Crash> {
    let Identity { terms, own, service, .. } = &*serving.identity;
    let (mut read_at, mut brought_over) = (0, Vec::new());
    if matches!(service.route, Route::Partitioned(_)) {
        for (key, state, from) in own.foreign_states(terms.schema) {
            let read_at = state.age();
            instance.guest().turn.state = Some(Arc::clone(&state));
            instance.guest().turn.key = Some(key);
            bring_over(instance, from, terms, until).await?;
            brought_over.push(BroughtOver {
                state,
                writes: std::mem::take(&mut instance.guest().turn.writes),
                read_at,
            });
        }
        instance.guest().turn.state = None;
        instance.guest().turn.key = None;
    } else if let Some(state) = own.lane().state(None) {
        read_at = state.age();
        let from = state.foreign(terms.schema);
        instance.guest().turn.state = Some(state);
        if let Some(from) = from {
            bring_over(instance, from, terms, until).await?;
        }
    }
    Ok((read_at, brought_over))
}

async fn begin(instance: &mut Instance, serving: &Serving) -> Result<(), Crash> {
    let deadline = serving.identity.terms.limits.turn_deadline;
    match instance.init(deadline).await {
        Ran::Done(()) => {}
        Ran::Fault(fault) => return Err(Crash::Start { during: "init", fault }),
        Ran::Crashed(crash) => return Err(crash),
    }
    let effects = instance.guest().hold();
    let checked = instance.check(deadline).await;
    instance.guest().discard();
    instance.guest().resume(effects);
    match checked {
        Ran::Done(()) => Ok(()),
        Ran::Fault(fault) => Err(Crash::Start { during: "health check", fault }),
        Ran::Crashed(crash) => Err(crash),
    }
}

/// Lets a guest bring the state of its turn over. Any way to fail is one, also to be late: the state is not the release's.
async fn bring_over(instance: &mut Instance, found: u32, terms: &Terms, until: Instant) -> Result<(), Crash> {
    let (wanted, limits) = (terms.schema, &terms.limits);
    let migrated = match timeout_at(until, instance.migrate(found, limits.turn_deadline)).await {
        Ok(migrated) => migrated,
        Err(_elapsed) => Some(Ran::Crashed(Crash::late_start(limits.start_timeout))),
    };
    let detail = match migrated {
        Some(Ran::Done(())) => {
            instance.guest().turn.writes.bring_over();
            return Ok(());
        }
        Some(Ran::Fault(fault)) => format!("its migrate failed: {fault}"),
        Some(Ran::Crashed(crash)) => format!("its migrate crashed: {crash}"),
        None => "it exports no upgrade, and cannot bring it over".to_owned(),
    };
    Err(Crash::Schema { found, wanted, detail })
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

fn flow(started: Result<(), Crash>) -> Flow {
    match started {
        Ok(()) => Flow::Continue,
        Err(crash) => Flow::Exit(exit_reason(crash)),
    }
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

    async fn init(&mut self, me: Pid) -> Result<(), ExitReason> {
        if let Some(child) = self.identity.own.child() {
            child.begins(&me);
        }
        self.identity.me.store(Some(Arc::new(me)));
        if self.live.is_suspended() {
            self.suspended = true;
            if let Some(damage) = self.live.damage() {
                tracing::error!(target: "airssys::state", service = %self.identity.address(), "suspended, what is sent to it waits: {damage}");
            }
            if let Route::Keyed(keyed) = &self.identity.service.route {
                keyed.room.notify_one();
            }
            return Ok(());
        }
        let started = self.begin().await;
        // A start that failed is a failed start, also where it was an exit with status 0.
        started.map_err(|crash| ExitReason::Failed(Arc::new(crash)))
    }

    fn takes_messages(&self) -> bool {
        !self.suspended
    }

    async fn turn(&mut self, mut hand: InHand<'_, Box<Envelope>>) -> Flow {
        if self.is_to_relieve()
            && let Err(crash) = Box::pin(self.relieve()).await
        {
            self.live.forgive(hand.id);
            drop(hand);
            return Flow::Exit(exit_reason(crash));
        }
        if self.watching.as_ref().is_some_and(|watching| watching.begins_again())
            && let Flow::Exit(reason) = Box::pin(self.watch()).await
        {
            self.live.forgive(hand.id);
            drop(hand);
            return Flow::Exit(reason);
        }
        let mesh = &self.identity.mesh;
        if hand.adopted() && self.was_saved(&hand) {
            return self.happened(hand);
        }
        if hand.adopted() && !self.live.was_forgiven(hand.id) {
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
            let state = self.identity.own.lane().state(hand.partition());
            if let Some(damage) = state.as_ref().and_then(|state| state.damage()) {
                // Other keys wait behind it in the same mailbox.
                mesh.bury(*hand.done(), DeadReason::Crashed(damage));
                return Flow::Continue;
            }
            guest.turn.state = state;
            guest.turn.key = hand.partition().map(Into::into);
        }
        // Looked at by nobody but who compares two releases.
        let begun = self.watching.as_ref().map(|watching| watching.begin(instance.guest()));
        let ran = instance.handle(&hand, left, self.identity.terms.limits.turn_deadline).await;
        if let (Some(watching), Some(begun)) = (self.watching.as_mut(), begun) {
            watching.end(begun, &hand, left, &ran, instance.guest());
        }
        match ran {
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
            Control::Swap(swap) => return self.swap(*swap, None).await,
            Control::Offered => {
                return match self.live.take_offer() {
                    Some(swap) => self.swap(*swap, None).await,
                    None => Flow::Continue,
                };
            }
            Control::Watch => {
                return Box::pin(self.watch()).await;
            }
            Control::Retune(done) => {
                self.live.cut().forget();
                self.retune();
                let _nobody_waits = done.send(());
                return Flow::Continue;
            }
            control => control,
        };
        let lent = self.watching.as_ref().is_some_and(|watching| watching.is_lent());
        let Some(instance) = self.instance.as_mut() else { return Flow::Continue };
        match control {
            // The release before stands in: it is not the one that is asked.
            Control::Check(reply) if lent => {
                let _nobody_waits = reply.send(Ok(()));
                Flow::Continue
            }
            Control::Check(reply) => {
                let checked = instance.check(self.identity.terms.limits.turn_deadline).await;
                instance.guest().discard();
                match checked {
                    Ran::Done(()) => drop(reply.send(Ok(()))),
                    Ran::Fault(fault) => drop(reply.send(Err(fault))),
                    Ran::Crashed(crash) => {
                        drop(reply.send(Err(Fault::Internal(crash.to_string()))));
                        return Box::pin(self.ended(crash)).await;
                    }
                }
                Flow::Continue
            }
            // Boxed, as others here: what is done once in a life is not carried around all the time.
            Control::Sleep if self.identity.mailbox.is_empty() => Box::pin(self.sleep()).await,
            Control::Sleep | Control::Swap(_) | Control::Offered | Control::Watch | Control::Retune(_) => {
                Flow::Continue
            }
        }
    }

    async fn idle(&mut self) -> Flow {
        if self.is_to_relieve()
            && let Err(crash) = Box::pin(self.relieve()).await
        {
            return Flow::Exit(exit_reason(crash));
        }
        let (Some(_), Route::Keyed(keyed)) = (&self.keyed, &self.identity.service.route) else { return Flow::Continue };
        if !keyed.is_crowded() {
            return Flow::Continue;
        }
        // Others wait for this one's place.
        Box::pin(self.sleep()).await
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
