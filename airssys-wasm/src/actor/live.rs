//! What serves one place of a service now, and how another release takes its place.
//!
//! The place outlives its incarnations: whichever of them starts, starts with what is live here.
//!
//! Invariant: an incarnation's instance is of the release that was live here when the instance began to serve.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::past::{Before, Past, Returning, Suspended};
use super::serving::Serving;
use super::swap::{Claim, Probation, Swap};
use super::watch::Watch;
use crate::engine::cut::Cut;
use crate::error::Crash;
use crate::settings::Terms;
use crate::state::Saved;
use crate::state::durable::NO_MESSAGE;

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
