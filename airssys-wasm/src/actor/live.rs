//! What serves one place of a service now, and how another release takes its place.
//!
//! The place outlives its incarnations: whichever of them starts, starts with what is live here. Code, grants, limits and configuration are one value, so
//! that they switch together.
//!
//! Invariant: an incarnation's instance is of the release that was live here when the instance began to serve.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::watch::Watch;
use crate::engine::cut::Cut;
use crate::engine::guest::Identity;
use crate::engine::{Instance, Template};
use crate::error::Crash;
use crate::router::service::Route;
use crate::settings::Terms;
use crate::state::durable::NO_MESSAGE;
use crate::state::{Saved, State, Transaction};

/// A release at work: its code, and who it is with the rules it runs under.
#[derive(Debug, Clone)]
pub(crate) struct Serving {
    pub(crate) template: Arc<Template>,
    pub(crate) identity: Arc<Identity>,
}

impl Serving {
    /// Whether each message's key chooses the state.
    pub(super) fn state_per_key(&self) -> bool {
        matches!(self.identity.service.route, Route::Partitioned(_))
    }

    /// Another release in the same place, under its own rules.
    pub(crate) fn with(&self, template: &Arc<Template>, terms: &Arc<Terms>) -> Self {
        let identity = Identity { terms: Arc::clone(terms), ..(*self.identity).clone() };
        Self { template: Arc::clone(template), identity: Arc::new(identity) }
    }
}

/// What serves one place.
#[derive(Debug)]
pub(crate) struct Live {
    serving: ArcSwap<Serving>,
    /// The message that a release on probation crashed over: that try does not count.
    forgiven: AtomicU64,
    /// Cold: looked at after a crash, and by deployments.
    probation: Mutex<Option<Probation>>,
    /// Why nothing serves here, where nothing does.
    suspended: Mutex<Option<Box<Suspended>>>,
    /// Whether it crashed too often, and its next start waits.
    aside: AtomicBool,
    past: Mutex<Past>,
    /// Where the turns are counted, where two releases are compared. Looked at when an instance begins to serve.
    watch: Mutex<Option<Arc<Watch>>>,
    offer: Mutex<Offer>,
    offered: Notify,
    /// Whether an incarnation starts at this moment, and looks at no order until it has.
    starting: AtomicBool,
}

/// An incarnation starts, until this is dropped.
pub(super) struct Starting<'a>(&'a AtomicBool);

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// What is to take over. It waits in the place and not at an incarnation, which may end before it looks: whoever runs here takes it between two turns, whoever
/// starts instead of its start.
#[derive(Default)]
struct Offer {
    waiting: Option<Box<Swap>>,
    /// Whether no incarnation will look any more.
    gone: bool,
    /// Whether none runs, and none has begun to start since that was said.
    vacant: bool,
}

impl std::fmt::Debug for Offer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Offer").field("gone", &self.gone).finish_non_exhaustive()
    }
}

/// A place whose release came back and cannot read the state that there is: going on would discard turns, and only a person decides that.
#[derive(Debug)]
pub(crate) struct Suspended {
    pub(crate) crash: Crash,
    /// What the states were before.
    pub(crate) saved: Before,
}

/// What a place's states were before they were brought over to another schema. Bounded: one of each state at most for each of the two. What it costs is what
/// the states do not share with it any more, so as much as they are large, where all of their values were written anew.
pub(crate) type Before = Arc<Vec<Saved>>;

/// What the states of a place were, and whether they are to be that again. It stays when a keyed actor falls asleep.
#[derive(Debug, Clone, Default)]
pub(super) struct Past {
    /// Before the release that is live brought them over.
    pub(super) live: Before,
    /// Before one brought them over that is not live for good yet.
    pub(super) trial: Before,
    /// The schema of the release before the live one: where a state that nobody has written to yet goes back to.
    pub(super) schema: Option<u32>,
    /// The schema of the live one, where another one serves that is not live for good yet.
    pub(super) on_trial: Option<u32>,
    /// The release before is on its way back, and has yet to begin.
    pub(super) returning: Option<Returning>,
}

impl Past {
    /// Whether it is as if there had never been another schema.
    pub(super) fn is_empty(&self) -> bool {
        self.live.is_empty() && self.trial.is_empty() && self.returning.is_none()
    }

    /// The release before comes back, and with it the states from before.
    pub(super) fn restore(&mut self) {
        let saved = std::mem::take(&mut self.live);
        if !saved.is_empty() {
            self.returning = Some(Returning { saved, discard: true });
        }
    }

    /// It was to have the states from before, and is not to any more.
    pub(super) fn keep(&mut self) {
        if let Some(Returning { saved, .. }) = self.returning.take_if(|returning| returning.discard) {
            self.live = saved;
        }
    }

    /// The release before, with this schema, goes on: the state that the other one has brought over goes back to it.
    pub(super) fn take_back(&mut self, schema: u32) {
        let trial = std::mem::take(&mut self.trial);
        self.on_trial = None;
        if trial.iter().any(|saved| saved.is_foreign(schema)) {
            self.returning = Some(Returning { saved: trial, discard: false });
        }
    }

    /// The release that serves is live for good.
    pub(super) fn adopt(&mut self) {
        self.live = std::mem::take(&mut self.trial);
        self.schema = self.on_trial.take();
    }

    /// Lets go of what the states were that were forgotten since. Of a place with several states it stays as long as one of them was not.
    pub(super) fn forget(&mut self) {
        let returning = self.returning.as_mut().map(|returning| &mut returning.saved);
        for saved in [&mut self.live, &mut self.trial].into_iter().chain(returning) {
            if saved.iter().all(Saved::is_forgotten) {
                *saved = Before::default();
            }
        }
    }
}

/// How a release comes back.
#[derive(Debug, Clone)]
pub(super) struct Returning {
    pub(super) saved: Before,
    /// Whether the turns since are discarded.
    pub(super) discard: bool,
}

/// A release that has yet to show that it is sound, and the one that comes back where it is not.
#[derive(Debug)]
pub(crate) struct Probation {
    pub(crate) before: Arc<Serving>,
    pub(crate) failed: mpsc::UnboundedSender<Crash>,
}

impl Live {
    pub(crate) fn new(serving: Serving) -> Arc<Self> {
        Arc::new(Self {
            serving: ArcSwap::from_pointee(serving),
            forgiven: AtomicU64::new(NO_MESSAGE),
            probation: Mutex::default(),
            suspended: Mutex::default(),
            aside: AtomicBool::new(false),
            past: Mutex::default(),
            watch: Mutex::default(),
            offer: Mutex::default(),
            offered: Notify::new(),
            starting: AtomicBool::new(false),
        })
    }

    fn lock_offer(&self) -> MutexGuard<'_, Offer> {
        self.offer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn starts(&self) -> Starting<'_> {
        self.starting.store(true, Ordering::Release);
        Starting(&self.starting)
    }

    /// Whether an incarnation starts at this moment: it looks at what it is ordered when it has.
    pub(crate) fn is_starting(&self) -> bool {
        self.starting.load(Ordering::Acquire)
    }

    /// Offers a release to whoever runs here, or starts next. Whoever runs has to be told.
    ///
    /// # Errors
    ///
    /// Hands it back where nobody will start here by himself.
    pub(crate) fn offer(&self, swap: Box<Swap>) -> Result<(), Box<Swap>> {
        let mut offer = self.lock_offer();
        if offer.gone {
            return Err(swap);
        }
        let _nobody_waits_for_that = offer.waiting.replace(swap);
        drop(offer);
        self.offered.notify_one();
        Ok(())
    }

    pub(super) fn take_offer(&self) -> Option<Box<Swap>> {
        let mut offer = self.lock_offer();
        let taken = offer.waiting.take();
        if taken.is_some() {
            // Locked still: what takes over is not cut off for what it has taken.
            self.cut().forget();
        }
        taken
    }

    /// What cuts off the guests of this place.
    pub(crate) fn cut(&self) -> Arc<Cut> {
        Arc::clone(&self.serving.load().identity.cut)
    }

    /// Cuts off the turn that runs here, where this offer still waits for its end. Whoever takes it over has until then for it. Whether it waits.
    pub(crate) fn cut_off(&self, claim: &Arc<Claim>, by: String, until: Instant) -> bool {
        let mut offer = self.lock_offer();
        let Some(swap) = offer.waiting.as_mut().filter(|swap| Arc::ptr_eq(&swap.claim, claim)) else { return false };
        swap.until = until;
        self.cut().ask(by);
        true
    }

    /// Waits until something is offered.
    pub(super) async fn offered(&self) {
        loop {
            let offered = self.offered.notified();
            if self.lock_offer().waiting.is_some() {
                return;
            }
            offered.await;
        }
    }

    /// Takes an offer back that nobody has looked at.
    pub(crate) fn withdraw(&self, claim: &Arc<Claim>) {
        let withdrawn = {
            let mut offer = self.lock_offer();
            let withdrawn = offer.waiting.take_if(|swap| Arc::ptr_eq(&swap.claim, claim));
            if withdrawn.is_some() {
                self.cut().forget();
            }
            withdrawn
        };
        drop(withdrawn);
    }

    /// Nobody will start here any more by himself.
    pub(super) fn leave(&self) {
        let waiting = {
            let mut offer = self.lock_offer();
            offer.gone = true;
            offer.waiting.take()
        };
        drop(waiting);
    }

    /// Somebody starts here who had left for good.
    pub(super) fn come_back(&self) {
        self.lock_offer().gone = false;
    }

    /// Says that nobody runs here until somebody starts, or that somebody does.
    pub(super) fn set_vacant(&self, vacant: bool) {
        self.lock_offer().vacant = vacant;
    }

    /// Whether nobody runs here, and nobody has begun to start since that was said.
    pub(crate) fn is_vacant(&self) -> bool {
        self.lock_offer().vacant
    }

    /// Whether nobody will start here any more by himself.
    pub(crate) fn is_gone(&self) -> bool {
        self.lock_offer().gone
    }

    /// Does something where nobody runs and nobody starts by himself now. Whoever is started here all the same starts after that.
    pub(crate) fn where_empty<T>(&self, act: impl FnOnce() -> T) -> Option<T> {
        let offer = self.lock_offer();
        (offer.gone || offer.vacant).then(act)
    }

    /// Puts a release into a place where nobody runs and nobody starts by himself now: whoever is started here all the same starts with it. What the states
    /// were is given where they are to be put back then. Whether it is such a place.
    pub(crate) fn pass_over(&self, next: Arc<Serving>, probation: Option<Probation>, put_back: Option<Before>) -> bool {
        // Locked until it is done: whoever starts comes back first, and then looks at what serves.
        let offer = self.lock_offer();
        let is_empty = offer.gone || offer.vacant;
        if is_empty {
            self.switch(next, probation);
            if let Some(saved) = put_back {
                self.returns(Some(Returning { saved, discard: true }));
            }
        }
        is_empty
    }

    /// [`Live::new`] for who has slept: with what its states were, and with a release that may be on probation from its first start.
    pub(super) fn woken(serving: Serving, probation: Option<Probation>, past: Past) -> Arc<Self> {
        let live = Self::new(serving);
        *live.probation.lock().unwrap_or_else(PoisonError::into_inner) = probation;
        *live.lock_past() = past;
        live
    }

    fn lock_past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be known when this place is there again.
    pub(super) fn past(&self) -> Past {
        let mut past = self.lock_past().clone();
        if let Some(saved) = self.saved_where_suspended() {
            past.returning = Some(Returning { saved, discard: false });
        }
        past
    }

    /// What the states were before the live release brought them over.
    pub(crate) fn saved(&self) -> Before {
        Arc::clone(&self.lock_past().live)
    }

    /// What they were before one brought them over that is not live for good yet.
    pub(crate) fn saved_on_trial(&self) -> Before {
        Arc::clone(&self.lock_past().trial)
    }

    /// Keeps what the states were that a release has brought over. What is kept of it already is older, and stays.
    pub(super) fn brought_over(&self, saved: Before) {
        let mut past = self.lock_past();
        let kept = if past.on_trial.is_some() { &mut past.trial } else { &mut past.live };
        if kept.iter().all(Saved::is_forgotten) && !saved.is_empty() {
            *kept = saved;
        }
    }

    /// The schema of the release before this one.
    pub(super) fn schema_before(&self) -> Option<u32> {
        let past = self.lock_past();
        past.on_trial.or(past.schema)
    }

    /// The release that serves is live for good.
    pub(crate) fn adopt(&self) {
        self.lock_past().adopt();
    }

    /// What serves is the release that was live before as well.
    pub(super) fn same(&self) {
        self.lock_past().on_trial = None;
    }

    /// Forgets what the states were before the live release brought them over.
    pub(super) fn forget(&self) {
        let mut past = self.lock_past();
        (past.live, past.schema) = (Before::default(), None);
    }

    /// Lets go of what the states were that were forgotten since. Where nothing serves because the release cannot read them, it tries again when it starts next.
    pub(crate) fn forget_past(&self) {
        let suspended = self.suspended.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut past = self.lock_past();
        if let Some(suspended) = suspended {
            past.returning = Some(Returning { saved: suspended.saved, discard: false });
        }
        past.forget();
    }

    /// How the release here comes back, where it has yet to begin.
    pub(super) fn returning(&self) -> Option<Returning> {
        self.lock_past().returning.clone()
    }

    pub(super) fn returns(&self, returning: Option<Returning>) {
        self.lock_past().returning = returning;
    }

    /// Lets the turns here be counted, or not any more. An instance that serves already has to be told.
    pub(crate) fn watch(&self, watch: Option<Arc<Watch>>) {
        *self.watch.lock().unwrap_or_else(PoisonError::into_inner) = watch;
    }

    pub(super) fn watched(&self) -> Option<Arc<Watch>> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn serving(&self) -> Arc<Serving> {
        self.serving.load_full()
    }

    /// Puts a release into the place.
    pub(crate) fn switch(&self, next: Arc<Serving>, probation: Option<Probation>) {
        {
            let mut past = self.lock_past();
            past.on_trial = probation.as_ref().map(|probation| probation.before.identity.terms.schema);
            (past.trial, past.returning) = (Before::default(), None);
        }
        *self.probation.lock().unwrap_or_else(PoisonError::into_inner) = probation;
        self.serving.store(next);
        *self.suspended.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Puts other rules under the release that is in the place. Who starts here starts with them; who runs has to be told.
    pub(crate) fn retune(&self, terms: &Arc<Terms>) {
        let serving = self.serving();
        self.serving.store(Arc::new(serving.with(&serving.template, terms)));
    }

    /// Lets nothing serve here until a release is switched in.
    pub(super) fn suspend(&self, suspended: Suspended) {
        self.returns(None);
        *self.suspended.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(suspended));
    }

    /// Says that its next start waits, because it crashed too often; or that it begins.
    pub(super) fn set_aside(&self, aside: bool) {
        self.aside.store(aside, Ordering::Release);
    }

    /// Whether nothing runs here until a back-off is over, because it crashed too often.
    pub(crate) fn is_set_aside(&self) -> bool {
        self.aside.load(Ordering::Acquire)
    }

    /// Whether nothing serves here: a person has to decide what becomes of the state.
    pub(crate) fn is_suspended(&self) -> bool {
        self.suspended.lock().unwrap_or_else(PoisonError::into_inner).is_some() || self.damage().is_some()
    }

    /// Why the state of this place cannot be used, where it is damaged. No release serves here then.
    pub(crate) fn damage(&self) -> Option<Crash> {
        self.serving().identity.own.lane().damage()
    }

    /// Why nothing serves here, and how many turns would be discarded by putting the states back to what they were; none where something does.
    pub(crate) fn suspended(&self) -> Option<(Crash, u64)> {
        let suspended = self.suspended.lock().unwrap_or_else(PoisonError::into_inner);
        let Suspended { crash, saved } = suspended.as_deref()?;
        Some((crash.clone(), saved.iter().map(Saved::turns_since).sum()))
    }

    /// Says what the next incarnation starts with, and what the states were before the release that served. What runs now goes on as it is.
    pub(crate) fn put_back(&self, before: &Arc<Serving>, saved: Before) {
        self.switch(Arc::clone(before), None);
        self.returns(Some(Returning { saved, discard: false }));
    }

    /// Whether nothing here is on probation.
    pub(super) fn is_settled(&self) -> bool {
        self.probation.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Says what the next incarnation starts with, where this serves, and no deployment is under way; whether that was so.
    pub(crate) fn improve(&self, before: &Arc<Serving>, next: &Arc<Serving>) -> bool {
        let probation = self.probation.lock().unwrap_or_else(PoisonError::into_inner);
        // One on probation may go back, and has its own idea of where to.
        if probation.is_some() || !Arc::ptr_eq(&self.serving(), before) {
            return false;
        }
        self.serving.store(Arc::clone(next));
        true
    }

    /// Ends the probation: the release stays. Whether it was on probation still.
    pub(crate) fn settle(&self) -> bool {
        self.probation.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }

    /// What the states were before, where nothing serves here.
    pub(crate) fn saved_where_suspended(&self) -> Option<Before> {
        let suspended = self.suspended.lock().unwrap_or_else(PoisonError::into_inner);
        suspended.as_ref().map(|suspended| Arc::clone(&suspended.saved))
    }

    /// Puts the release before back over a crash, where there is one on probation: it is [`Live::returning`] then. Whether there was.
    pub(super) fn roll_back(&self, crash: &Crash) -> bool {
        let Some(probation) = self.probation.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return false;
        };
        let mut past = self.lock_past();
        let saved = std::mem::take(&mut past.trial);
        past.on_trial = None;
        past.returning = Some(Returning { saved, discard: false });
        self.serving.store(probation.before);
        let _nobody_listens = probation.failed.send(crash.clone());
        true
    }

    /// The release before, where one is on probation that it can stand in for: both read the same state.
    pub(super) fn stand_in(&self) -> Option<Arc<Serving>> {
        let probation = self.probation.lock().unwrap_or_else(PoisonError::into_inner);
        let before = &probation.as_ref()?.before;
        (before.identity.terms.schema == self.serving().identity.terms.schema).then(|| Arc::clone(before))
    }

    /// The next try of this message, which is in hand, does not count.
    pub(super) fn forgive(&self, message: u64) {
        self.forgiven.store(message, Ordering::Release);
    }

    /// Whether that was said of this message. It holds for one try only.
    pub(super) fn was_forgiven(&self, message: u64) -> bool {
        self.forgiven.swap(NO_MESSAGE, Ordering::AcqRel) == message
    }
}

/// A release that is to take an actor's place: made, initialised and checked, with its effects held back.
pub(crate) struct Swap {
    pub(crate) next: Arc<Serving>,
    /// None where the actor has to make it itself.
    pub(crate) prepared: Option<Prepared>,
    pub(crate) way: Way,
    pub(crate) memory: MemoryHandover,
    /// When the actor is to go on, with whichever release.
    pub(crate) until: Instant,
    pub(crate) claim: Arc<Claim>,
    pub(crate) answer: oneshot::Sender<Result<Swapped, NotSwapped>>,
}

/// Which way a switch goes.
pub(crate) enum Way {
    /// To a release that may go back by itself. Where it fails, the one before goes on.
    Forth(Probation),
    /// To the same release, better compiled, where that very incarnation of it serves still. It never goes back.
    Same(Probation),
    /// Back. What it cannot take over it does without, and where it cannot read the state, the place is suspended.
    Back {
        /// What the states were before; put back where no turn was committed since.
        saved: Before,
        /// Put back in any case.
        discard: bool,
        /// What served before, where it was kept.
        held: Option<Box<Held>>,
    },
    /// To the release that is there, which begins anew on a state that nobody has written to. The instance that serves is dropped without a good-bye.
    Anew {
        /// What is forgotten.
        state: Arc<State>,
        /// What [`State::forgotten`] said when that was asked for.
        known: u64,
    },
}

/// An instance that served, with what its service had committed then: it knows of nothing that came after.
pub(crate) struct Held {
    pub(super) instance: Instance,
    pub(super) commits: u64,
}

/// An instance that is ready to serve, and what its start has read.
pub(crate) struct Prepared {
    pub(crate) instance: Instance,
    /// The state's age before its start looked at the state.
    pub(super) read_at: u64,
    /// The states of keys that it brought over.
    pub(super) brought_over: Vec<BroughtOver>,
}

/// A state that was brought over to the release's schema and is not committed yet.
pub(super) struct BroughtOver {
    pub(super) state: Arc<State>,
    pub(super) writes: Transaction,
    pub(super) read_at: u64,
}

impl Prepared {
    /// Whether what it would commit stands on a state that is not there any more.
    pub(super) fn is_stale(&mut self) -> bool {
        let identity = Arc::clone(&self.instance.guest().identity);
        // A key may have come since.
        let foreign = identity.own.foreign_states(identity.terms.schema).len();
        let turn = &self.instance.guest().turn;
        foreign != self.brought_over.len()
            || self.brought_over.iter().any(|brought| brought.state.age() != brought.read_at)
            || turn.state.as_ref().is_some_and(|state| match turn.writes.is_empty() {
                // Nobody had written to it, and then the release before did.
                true => state.forgotten() > self.read_at || state.foreign(identity.terms.schema).is_some(),
                false => state.age() != self.read_at,
            })
    }

    /// What the states are that it brings over. One that nobody has written to is brought over from the schema of the release before: what is written from now
    /// on that release cannot read.
    pub(super) fn saves(&mut self, schema_before: Option<u32>) -> Before {
        let guest = self.instance.guest();
        let schema = guest.identity.terms.schema;
        let unwritten = schema_before.unwrap_or(schema);
        let own = guest.turn.state.iter().filter(|state| state.schema().unwrap_or(unwritten) != schema);
        let own = own.map(|state| Saved::before(state, unwritten, u64::from(!guest.turn.writes.is_empty())));
        let keys = self.brought_over.iter().map(|brought| Saved::before(&brought.state, unwritten, 1));
        Arc::new(keys.chain(own).collect())
    }

    /// Makes what its start did happen.
    pub(super) async fn commit(mut self) -> Result<Instance, Crash> {
        let schema = self.instance.guest().identity.terms.schema;
        for BroughtOver { state, writes, .. } in self.brought_over {
            writes.make(&state, schema).await?;
        }
        super::commit(&mut self.instance, NO_MESSAGE).await?;
        Ok(self.instance)
    }
}

/// Why the one before goes on.
#[derive(Debug)]
pub(crate) enum NotSwapped {
    /// The next one failed.
    Failed(Crash),
    /// The one before did not hand over the memory without which it is not to go.
    NoMemory(Crash),
}

impl From<Crash> for NotSwapped {
    fn from(crash: Crash) -> Self {
        Self::Failed(crash)
    }
}

/// A switch that happened.
pub(crate) struct Swapped {
    /// What served before. Dropped by who asked, not by the actor, which has messages waiting.
    pub(crate) old: Option<Box<Held>>,
    /// For how long the actor took no message over it.
    pub(crate) pause: Duration,
    /// How many messages were in its mailbox then.
    pub(crate) waiting: usize,
    /// Why it went without the memory of the one before, which was to hand it over.
    pub(crate) without_memory: Option<Crash>,
    /// Whether a turn of the one before was cut off for it.
    pub(crate) cut_off: bool,
}

/// What becomes of the memory that the release before was to hand over to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MemoryHandover {
    /// Where its `snapshot` fails, the next one takes over without it. The default: one that is sick keeps nobody out.
    #[default]
    WherePossible,
    /// Where its `snapshot` fails, it stays.
    Required,
    /// It is not asked for.
    Never,
}

const OPEN: u8 = 0;
const TAKEN: u8 = 1;
const WITHDRAWN: u8 = 2;

/// Decides between the actor that carries an order out and who loses patience with it, so that both know the same end.
#[derive(Debug, Default)]
pub(crate) struct Claim(AtomicU8);

impl Claim {
    /// The actor's side: whether it may go on. After that the order cannot be withdrawn.
    pub(super) fn take(&self) -> bool {
        self.0.compare_exchange(OPEN, TAKEN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The other side: whether the order is withdrawn. Where it is not, an answer comes.
    pub(crate) fn withdraw(&self) -> bool {
        self.0.compare_exchange(OPEN, WITHDRAWN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}
