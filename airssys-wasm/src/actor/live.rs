//! What serves one place of a service now, and how another release takes its place.
//!
//! The place outlives its incarnations: whichever of them starts, starts with what is live here. What becomes of its
//! release is decided in `decide.rs`, who is there and what waits in `presence.rs`; both under one lock, which no turn
//! takes, and what they say is carried out here.
//!
//! Invariant: an incarnation's instance is of the release that was live here when the instance began to serve.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::before::{Before, Past, Suspended};
use super::decide::{self, Action, Event};
use super::presence::Presence;
use super::serving::{Probation, Serving};
use super::swap::{End, Ordered, Swap};
use super::watch::Watch;
use crate::error::Crash;
use crate::settings::Terms;
use crate::turn::cut::Cut;

/// What serves one place.
#[derive(Debug)]
pub(crate) struct Live {
    /// What whoever starts here starts with: as `here` says, to be read without a lock.
    serving: ArcSwap<Serving>,
    here: Mutex<Here>,
    /// Told when something is offered.
    offered: Notify,
}

#[derive(Debug)]
struct Here {
    release: decide::State<Arc<Serving>, Before>,
    presence: Presence<Box<Swap>>,
    /// Where the turns are counted, where two releases are compared. Looked at when an instance begins to serve.
    watch: Option<Arc<Watch>>,
}

/// An incarnation starts, until this is dropped.
pub(super) struct Starting<'a>(&'a Live);

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        self.0.lock().presence.has_started();
    }
}

impl Live {
    /// A place in a host that has just started; whether the release is the one that served there last.
    pub(super) fn new(serving: Serving, is_left: bool) -> Arc<Self> {
        Self::woken(serving, None, Past::at_start(is_left), None)
    }

    /// [`Live::new`] for who has slept: with what its states were, and with a release that may be on probation from its
    /// first start.
    pub(super) fn woken(
        serving: Serving,
        probation: Option<Probation>,
        past: Past,
        watch: Option<Arc<Watch>>,
    ) -> Arc<Self> {
        let serving = Arc::new(serving);
        let mut release = decide::State::new(Arc::clone(&serving), probation, past);
        // Known before anybody begins here: a damaged one keeps no release out.
        if let Some(damage) = serving.identity.own.states.damage() {
            release.decide(Event::Begins { damage: Some(damage) });
        }
        Arc::new(Self {
            serving: ArcSwap::new(serving),
            here: Mutex::new(Here { release, presence: Presence::default(), watch }),
            offered: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Here> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has it decided what becomes of this place now that this happened, and carries that out. Whether it is so, and
    /// there was something to decide.
    pub(super) fn happens(&self, event: Event<Arc<Serving>, Before>) -> bool {
        self.carry_out(&mut self.lock(), event)
    }

    /// Locked until it is carried out: what is decided later is also seen later.
    fn carry_out(&self, here: &mut Here, event: Event<Arc<Serving>, Before>) -> bool {
        match here.release.decide(event) {
            Action::Nothing => return false,
            Action::GoOn | Action::Wait => {}
            Action::Serve(release) => self.serving.store(release),
            Action::FallBack { to, failed, crash } => {
                self.serving.store(to);
                let _nobody_listens = failed.send(crash);
            }
        }
        true
    }

    pub(crate) fn serving(&self) -> Arc<Serving> {
        self.serving.load_full()
    }

    /// A release has taken over, and has brought these states over; one that may go back by itself, or the same again.
    /// Where its turns are counted.
    pub(super) fn took_over(
        &self,
        next: Arc<Serving>,
        probation: Option<Probation>,
        saved: Before,
    ) -> Option<Arc<Watch>> {
        let mut here = self.lock();
        let event = match probation {
            Some(probation) => Event::TookOver { next, probation, saved },
            None => Event::TookOverFromItself(next),
        };
        self.carry_out(&mut here, event);
        here.watch.clone()
    }

    /// Says what the next incarnation starts with, and what the states were before the release that served. Who runs
    /// has to be told.
    pub(super) fn put_back(&self, before: &Arc<Serving>, saved: Before) {
        self.happens(Event::GoesBack { next: Arc::clone(before), saved, discard: false });
    }

    /// Puts a release into a place where nobody serves with another one.
    pub(crate) fn place(&self, next: Arc<Serving>, probation: Probation) {
        self.happens(Event::Placed { next, probation });
    }

    /// Puts a release into a place where nobody runs and nobody starts by himself now: whoever is started here all the
    /// same starts with it. Whether it is such a place.
    pub(crate) fn pass_over(&self, next: Arc<Serving>, probation: Probation) -> bool {
        self.happens_where_empty(Event::PassedOver { next, probation })
    }

    /// [`Live::pass_over`] of a release that comes back: whoever is started here puts the states back to what they
    /// were.
    pub(crate) fn pass_back(&self, next: Arc<Serving>, saved: Before, discard: bool) -> bool {
        self.happens_where_empty(Event::GoesBack { next, saved, discard })
    }

    fn happens_where_empty(&self, event: Event<Arc<Serving>, Before>) -> bool {
        // Locked until it is done: whoever starts enters first, and then looks at what serves.
        let mut here = self.lock();
        here.presence.is_empty() && self.carry_out(&mut here, event)
    }

    /// Puts other rules under the release that is in the place. Who starts here starts with them; who runs has to be
    /// told.
    pub(crate) fn retune(&self, terms: &Arc<Terms>) {
        let mut here = self.lock();
        let serving = self.serving();
        self.carry_out(&mut here, Event::Retuned(Arc::new(serving.with(&serving.template, terms))));
    }

    /// Says what the next incarnation starts with, where this serves, and no deployment is under way; whether that was
    /// so.
    pub(crate) fn improve(&self, before: &Arc<Serving>, next: &Arc<Serving>) -> bool {
        self.happens(Event::Improved { from: Arc::clone(before), to: Arc::clone(next) })
    }

    /// Ends the probation: the release stays. Whether it was on probation still.
    pub(crate) fn settle(&self) -> bool {
        self.happens(Event::Proved)
    }

    /// The release that serves is live for good.
    pub(crate) fn adopt(&self) {
        self.happens(Event::Adopted);
    }

    /// Puts the release before back over a crash, where there is one on probation: it is [`Live::returning`] then.
    /// Whether there was.
    pub(super) fn roll_back(&self, crash: &Crash) -> bool {
        self.happens(Event::Crashed(crash.clone()))
    }

    /// Whether nothing here is on probation.
    pub(super) fn is_settled(&self) -> bool {
        !self.lock().release.is_on_probation()
    }

    /// Whether this is live here, and not on probation.
    pub(super) fn is_settled_on(&self, serving: &Arc<Serving>) -> bool {
        self.is_settled() && Arc::ptr_eq(&self.serving(), serving)
    }

    /// The release before, where one is on probation that it can stand in for: both read the same state.
    pub(super) fn stand_in(&self) -> Option<Arc<Serving>> {
        self.lock().release.stand_in().cloned()
    }

    /// What the states were before, where the release here comes back and has yet to begin.
    pub(super) fn returning(&self) -> Option<Before> {
        self.lock().release.past().returning().cloned()
    }

    /// What the states are put back to before anything serves here, and whether only where no turn was committed since;
    /// none where they are as they are to be.
    pub(super) fn owed(&self) -> Option<(Before, bool)> {
        let here = self.lock();
        let past = here.release.past();
        Some((past.owed()?.clone(), past.spares_turns()))
    }

    /// The schema of the release that was there, where turns are to be discarded for the one that comes back.
    pub(super) fn discards_for(&self) -> Option<u32> {
        self.lock().release.past().discards_for()
    }

    /// Turns are discarded for good.
    pub(crate) fn are_discarded(&self) {
        self.happens(Event::Discarded);
    }

    /// Whether a release of this code is here, and has nothing to come back to.
    pub(crate) fn has_come_back(&self, release: &Arc<Serving>) -> bool {
        let unreadable = self.unreadable().is_some();
        !unreadable && !self.comes_back() && Arc::ptr_eq(&self.serving().template, &release.template)
    }

    /// Whether something is to be done with the states before a release starts here as on any other day.
    pub(crate) fn comes_back(&self) -> bool {
        let here = self.lock();
        let past = here.release.past();
        past.returning().is_some() || past.owed().is_some()
    }

    /// Whether the release was put in where nobody was, and nobody has begun with it.
    pub(super) fn is_unread(&self) -> bool {
        self.lock().release.past().is_unread()
    }

    /// Whether the release served here when the host ended, and nobody has begun with it since.
    pub(super) fn is_left(&self) -> bool {
        self.lock().release.past().is_left()
    }

    /// What is to be known when this place is there again.
    pub(super) fn past(&self) -> Past {
        self.lock().release.asleep()
    }

    /// What the states were before the live release brought them over.
    pub(crate) fn saved(&self) -> Before {
        self.lock().release.past().before().cloned().unwrap_or_default()
    }

    /// What they were before one brought them over that is not live for good yet.
    pub(crate) fn saved_on_trial(&self) -> Before {
        self.lock().release.past().on_trial().cloned().unwrap_or_default()
    }

    /// The schema of the release before this one.
    pub(super) fn schema_before(&self) -> Option<u32> {
        self.lock().release.past().schema_before()
    }

    /// Lets go of what the states were that were forgotten since. Where nothing serves because the release cannot read
    /// them, it tries again when it starts next.
    pub(crate) fn forget_past(&self) {
        self.happens(Event::Forgotten);
    }

    /// Does something where nobody runs and nobody starts by himself now, and lets go of what the states were that were
    /// forgotten before. Whoever is started here all the same starts after that.
    pub(crate) fn forget_where_empty<T>(&self, begin: impl FnOnce() -> T) -> Option<T> {
        let mut here = self.lock();
        here.presence.is_empty().then(|| {
            self.carry_out(&mut here, Event::Forgotten);
            begin()
        })
    }

    /// Whether nothing serves here: a person has to decide what becomes of the state.
    pub(crate) fn is_suspended(&self) -> bool {
        self.lock().release.past().suspended().is_some()
    }

    /// What is wrong with the state of this place on disk, where nothing serves here because of that.
    pub(crate) fn damage(&self) -> Option<Crash> {
        match self.lock().release.past().suspended()? {
            Suspended::Damaged(damage) => Some(damage.clone()),
            Suspended::Unreadable { .. } => None,
        }
    }

    /// Why the release here cannot read the states, where nothing serves because of that; and what they were before.
    pub(crate) fn unreadable(&self) -> Option<(Crash, Before)> {
        match self.lock().release.past().suspended()? {
            Suspended::Unreadable { crash, saved } => Some((crash.clone(), saved.clone())),
            Suspended::Damaged(_) => None,
        }
    }

    /// Lets the turns here be counted, or not any more. An instance that serves already has to be told.
    pub(crate) fn watch(&self, watch: Option<Arc<Watch>>) {
        self.lock().watch = watch;
    }

    pub(super) fn watched(&self) -> Option<Arc<Watch>> {
        self.lock().watch.clone()
    }

    /// An incarnation begins. Whether something may serve here.
    pub(super) fn begins(&self) -> bool {
        let damage = self.serving.load().identity.own.states.damage();
        !matches!(self.lock().release.decide(Event::Begins { damage }), Action::Wait)
    }

    /// An incarnation is made, which looks at what serves after this.
    pub(super) fn enters(&self) {
        self.lock().presence.enters();
    }

    pub(super) fn starts(&self) -> Starting<'_> {
        self.lock().presence.starts();
        Starting(self)
    }

    /// Whether an incarnation starts at this moment: it looks at what it is ordered when it has.
    pub(crate) fn is_starting(&self) -> bool {
        self.lock().presence.is_starting()
    }

    /// Nobody will start here any more by himself.
    pub(super) fn leave(&self) {
        let waiting = self.lock().presence.leaves();
        drop(waiting);
    }

    /// Whether nobody will start here any more by himself.
    pub(crate) fn is_gone(&self) -> bool {
        self.lock().presence.is_gone()
    }

    /// Says that nobody runs here until somebody enters.
    pub(super) fn say_empty(&self) {
        self.lock().presence.say_empty();
    }

    /// Says that somebody runs here after all.
    pub(super) fn say_not_empty(&self) {
        self.lock().presence.say_not_empty();
    }

    /// Says that its next start waits, because it crashed too often.
    pub(super) fn set_aside(&self) {
        self.lock().presence.set_aside();
    }

    /// Whether nothing runs here until a back-off is over, because it crashed too often.
    pub(crate) fn is_set_aside(&self) -> bool {
        self.lock().presence.is_aside()
    }

    /// Offers a release to whoever runs here, or starts next. Whoever runs has to be told.
    ///
    /// # Errors
    ///
    /// Hands it back where nobody will start here by himself.
    pub(crate) fn offer(&self, swap: Box<Swap>) -> Result<(), Box<Swap>> {
        let offered = self.lock().presence.offer(swap);
        let _nobody_waits_for_that = offered?;
        self.offered.notify_one();
        Ok(())
    }

    pub(super) fn take_offer(&self) -> Option<Box<Swap>> {
        self.take(|_any| true)
    }

    /// Takes an offer back that nobody came for; its end, where somebody is carrying it out.
    pub(crate) async fn take_back(&self, ordered: Ordered) -> End {
        let claim = Arc::clone(&ordered.claim);
        let end = ordered.withdraw().await;
        let withdrawn = self.take(|swap| Arc::ptr_eq(&swap.claim, &claim));
        drop(withdrawn);
        end
    }

    fn take(&self, is_meant: impl FnOnce(&mut Box<Swap>) -> bool) -> Option<Box<Swap>> {
        let mut here = self.lock();
        let taken = here.presence.take(is_meant);
        if taken.is_some() {
            // Locked still: what takes over is not cut off for what it has taken.
            self.serving.load().identity.cut.forget();
        }
        taken
    }

    /// What cuts off the guests of this place.
    pub(crate) fn cut(&self) -> Arc<Cut> {
        Arc::clone(&self.serving.load().identity.cut)
    }

    /// Cuts off the turn that runs here, where this offer still waits for its end. Whoever takes it over has until then
    /// for it. Whether it waits.
    pub(crate) fn cut_off(&self, ordered: &Ordered, by: String, until: Instant) -> bool {
        let mut here = self.lock();
        let waiting = here.presence.waiting();
        let Some(swap) = waiting.filter(|swap| Arc::ptr_eq(&swap.claim, &ordered.claim)) else { return false };
        swap.until = until;
        self.serving.load().identity.cut.ask(by);
        true
    }

    /// Waits until something is offered.
    pub(super) async fn offered(&self) {
        loop {
            let offered = self.offered.notified();
            if self.lock().presence.waiting().is_some() {
                return;
            }
            offered.await;
        }
    }
}
