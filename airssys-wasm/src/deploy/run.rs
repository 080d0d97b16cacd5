//! Carries a deployment out: what `decide` says is done here, to actors that run, sleep, crash and hang meanwhile.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use airssys_rt_shim::planted;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::decide::{self, Action, Event};
use super::deployment::{Joined, Wish};
use super::look::Stage;
use super::met::Met;
use super::order::{Begun, Order, Posts};
use super::report::Report;
use super::running::Running;
use super::strategy::Rolling;
use super::{Deployment, Progress, Setback, Strategy};
use crate::actor::{Rehearsal, Watch};

/// How long it waits before it looks again at actors that go back.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// The probation of one of several, which somebody else ends.
const UNENDING: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A deployment, and the task that carries it out; `ended` is told its end before anybody else.
pub(crate) fn begin(order: Order, number: u64, ended: impl FnOnce(&Progress) + Send + 'static) -> Deployment {
    let actors = order.posts.fixed().len();
    let begins = Progress::Switching { switched: 0, actors };
    let (told, progress) = Report::begin(begins, order.posts.events(), &order.page.service, &order.page.next);
    let (wish, wishes) = mpsc::unbounded_channel();
    let (failed, failures) = mpsc::unbounded_channel();
    let met = Arc::<Met>::default();
    let digests = Arc::new((order.page.live.digest.clone(), order.page.next.digest.clone()));
    let service = order.page.service.as_str().into();
    let meets = Arc::clone(&met);
    tokio::spawn(async move {
        let mut running = Running {
            told: &told,
            met: meets,
            watch: watch(&order),
            failed,
            failures,
            wishes,
            before: Vec::new(),
            first: None,
            held: (0..actors).map(|_| None).collect(),
            setback: None,
            joined: None,
            woken: None,
            order,
        };
        let end = running.run().await;
        ended(&end);
        told.say(end);
    });
    // Whoever follows it is told at once where it is.
    let mut progress = progress;
    progress.mark_changed();
    Deployment { number, service, digests, progress, wish, met }
}

/// Where turns are counted, where the two releases are compared.
fn watch(order: &Order) -> Option<Arc<Watch>> {
    match &order.options.strategy {
        Strategy::Canary { .. } | Strategy::Rolling(Rolling { compare: true, .. }) => {
            Some(Watch::new(&order.template, None))
        }
        Strategy::Shadow { .. } => {
            let rehearsal = Rehearsal::new(&order.engines, &order.template, &order.terms);
            Some(Watch::new(&order.template, Some(rehearsal)))
        }
        _ => None,
    }
}

impl Running<'_> {
    async fn run(&mut self) -> Progress {
        let batches = self.order.batches();
        if let Some(end) = self.begin(&batches).await {
            return end;
        }
        let (mut deployment, mut action) = decide::Deployment::begin(batches.clone(), self.rehearsal().is_some());
        loop {
            let event = match self.carry_out(action, &batches, deployment.have()).await {
                ControlFlow::Continue(event) => event,
                ControlFlow::Break(end) => return end,
            };
            // What happened beside it comes first, so that nothing is switched that is to go back.
            let mut next = None;
            while let Ok((actor, crash)) = self.failures.try_recv() {
                next = deployment.next(self.crashed(actor, crash)).or(next);
            }
            if let Ok(Wish::GoBack(why)) = self.wishes.try_recv() {
                next = deployment.next(self.set_back(why)).or(next);
            }
            next = deployment.next(event).or(next);
            match next {
                Some(next) => action = next,
                None => unreachable!("an action's own event always says what is next"),
            }
        }
    }

    /// What comes before the first actor is switched; its end where it comes to none.
    async fn begin(&mut self, batches: &[usize]) -> Option<Progress> {
        if let Err(reason) = self.order.try_states().await {
            // Before the intent is on disk, which would count as carried out where keys that have slept for long are in
            // that schema still.
            self.setback = Some(reason);
            return Some(self.end_on_old().await);
        }
        let begun = match self.order.begun.take() {
            Some(begun) => begun,
            None => {
                let first = self.order.first();
                Begun { written: self.order.begin(self.order.step(batches, 0)).await, first }
            }
        };
        if let Err(error) = begun.written {
            return Some(Progress::RolledBack { reason: Setback::NotRecorded(error) });
        }
        // One that panicked is made again, by whoever needs it.
        self.first = match begun.first {
            Some(first) => first.await.ok(),
            None => None,
        };
        self.before = self.order.posts.fixed().iter().map(|post| post.live.serving()).collect();
        self.count_turns(self.watch.clone().as_ref()).await;
        None
    }

    /// Does what is to be done, and says what happened; its end where it is over.
    async fn carry_out(&mut self, action: Action, batches: &[usize], have: usize) -> ControlFlow<Progress, Event> {
        let restores = self.order.restore.is_some();
        ControlFlow::Continue(match action {
            Action::Rehearse => self.rehearse().await,
            Action::Switch(batch) => match self.make_step(batches, batch).await {
                Ok(()) => Event::Switched,
                Err(setback) => {
                    self.setback.get_or_insert(setback);
                    Event::NotSwitched
                }
            },
            // Nobody goes back by himself from a state that others were to be discarded for.
            Action::Pass if restores => Event::Passed,
            Action::Watch if restores => Event::Proved,
            Action::Settle if restores => Event::Settled,
            Action::Pass => self.bake(batches, have).await,
            Action::Watch => {
                self.told.say(Progress::Probation);
                let least = if self.order.page.set.is_some() { UNENDING } else { self.order.options.probation };
                let least = if planted::is("probation-ends-early") { least / 2 } else { least };
                self.look(Stage { least, patience: None, passed: Event::Proved }).await
            }
            Action::Revert(actor) => {
                self.revert(actor).await;
                Event::Reverted
            }
            Action::Settle => self.settle().await,
            // On disk before anybody is told.
            Action::Record => match self.record().await {
                Ok(()) => Event::Recorded,
                Err(setback) => {
                    self.setback = self.setback.take().or(setback);
                    Event::Cancelled
                }
            },
            Action::Live => {
                self.adopt();
                self.count_turns(None).await;
                return ControlFlow::Break(Progress::Live);
            }
            Action::Old => {
                self.count_turns(None).await;
                return ControlFlow::Break(self.end_on_old().await);
            }
        })
    }

    /// Shows the new release what the old one does.
    async fn rehearse(&mut self) -> Event {
        self.told.say(Progress::Rehearsing { compared: None, waits: None });
        let (least, patience) = (self.order.options.gate.bake, Some(self.order.options.gate.patience));
        let event = self.look(Stage { least, patience, passed: Event::Rehearsed }).await;
        // What the old one did stays, to be compared with what the new one does on probation.
        self.watch = self.watch.take().map(|watch| watch.after_rehearsal());
        self.count_turns(self.watch.clone().as_ref()).await;
        event
    }

    /// Looks at those that have the new release before others get it.
    async fn bake(&mut self, batches: &[usize], done: usize) -> Event {
        let gate = &self.order.options.gate;
        let (least, patience) = match &self.order.options.strategy {
            Strategy::InPlace | Strategy::BlueGreen | Strategy::Shadow { .. } => (Duration::ZERO, None),
            Strategy::Rolling(Rolling { bake, compare, .. }) => (*bake, compare.then_some(gate.patience)),
            Strategy::Canary { .. } => (gate.bake, Some(gate.patience)),
        };
        if least.is_zero() && patience.is_none() {
            return Event::Passed;
        }
        let step = batches.iter().position(|have| *have == done).map_or(0, |at| at + 1);
        let (have, of) = self.order.posts.share(&self.order.template).await;
        let steps = batches.len();
        self.told.say(Progress::Baking { step, steps, have, of, compared: None, waits: None });
        self.look(Stage { least, patience, passed: Event::Passed }).await
    }

    /// Takes all actors off probation.
    async fn settle(&mut self) -> Event {
        // One that crashed at this very moment has gone back, and says so.
        let gone_back = match &self.order.posts {
            Posts::Fixed(posts) => posts.iter().filter(|post| !post.live.settle()).count(),
            Posts::Keyed(roster) => roster.settle(),
        };
        if gone_back == 0 {
            return Event::Settled;
        }
        match self.failures.recv().await {
            Some((actor, crash)) => self.crashed(actor, crash),
            None => Event::Cancelled,
        }
    }

    /// Writes down that the new release is live; one of a set when it is to be. Why not, where it is not that nobody
    /// said so.
    async fn record(&mut self) -> Result<(), Option<Setback>> {
        if let Some(Joined { settled, verdict }) = self.joined.take() {
            let _nobody_waits_any_more = settled.send(());
            match verdict.await {
                Ok(verdict) => verdict.map_err(Some)?,
                Err(_dropped) => return Err(None),
            }
        }
        let notes = self.met.lock_left_out().notes();
        self.order.write_down(|page| page.prove(notes)).await.or_else(|error| {
            // The first of the set was written and decides about all, also at the next start.
            if self.order.page.follows() {
                tracing::error!(target: "airssys::deploy", error, "the end of a deployment is not written down");
                return Ok(());
            }
            Err(Some(Setback::NotRecorded(error)))
        })
    }

    /// Writes down that the old release is live, and says so.
    async fn end_on_old(&mut self) -> Progress {
        // One that crashed goes back by itself, and may find that it cannot read what was committed since.
        let until = Instant::now() + self.order.options.handover_deadline;
        while self.order.posts.come_back() && Instant::now() < until {
            sleep(LOOK_AGAIN).await;
        }
        let end = self.gone_back();
        if let Progress::RolledBack { reason } | Progress::Suspended { reason, .. } = &end {
            let reason = reason.to_string();
            if let Err(error) = self.order.write_down(|page| page.go_back(reason)).await {
                tracing::error!(target: "airssys::deploy", error, "the end of a deployment is not written down");
            }
        }
        end
    }

    /// The end where the old release came back.
    fn gone_back(&mut self) -> Progress {
        let reason = self.setback.take().unwrap_or(Setback::Cancelled);
        let suspended = self.order.posts.unreadable();
        let turns = suspended.iter().map(|(_, saved)| saved.turns_since()).sum();
        match suspended.into_iter().next() {
            Some((crash, _)) => Progress::Suspended { reason, crash, turns },
            None => Progress::RolledBack { reason },
        }
    }

    /// The new release is live, for good: what the states were before it is what they can be put back to now. Where
    /// they were put back for it, that is forgotten.
    fn adopt(&self) {
        match &self.order.posts {
            Posts::Keyed(roster) => roster.adopt(),
            Posts::Fixed(posts) if self.order.restore.is_none() => posts.iter().for_each(|post| post.live.adopt()),
            Posts::Fixed(posts) => posts.iter().for_each(|post| post.live.are_discarded()),
        }
    }
}
