//! How an instance comes to serve in a place, and what becomes of the actor when it ends over no message.

use std::slice;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use airssys_rt_shim::child::StopReason;
use airssys_rt_shim::exit::ExitReason;
use airssys_rt_shim::link::Pid;
use airssys_rt_shim::worker::Flow;
use tokio::sync::oneshot;
use tokio::task;

use super::before::Before;
use super::decide::Event;
use super::running::Running;
use super::serving::Serving;
use super::start::{commit, reads, start};
use super::watch::{StandIn, Watch};
use super::{ComponentActor, Control, exit_reason};
use crate::engine::{Instance, Ran};
use crate::error::{Crash, Fault, Stage};
use crate::events::{Happening, text};
use crate::hint::Coded;
use crate::middleware::Metrics;
use crate::state::{NO_MESSAGE, Saved};
use crate::turn::Identity;

/// After which time one that is to fall asleep on probation, and says that it is not well, is asked again.
const ASK_TWICE: Duration = Duration::from_millis(10);

impl ComponentActor {
    /// Comes up as this incarnation: starts what is live here, or waits where nothing may serve.
    pub(super) async fn come_up(&mut self, me: Pid) -> Result<(), ExitReason> {
        if let Some(child) = self.identity.own.child() {
            child.begins(&me);
        }
        self.identity.me.store(Some(Arc::new(me)));
        if !self.live.begins() {
            if let Some(why) = self.live.damage().or_else(|| self.live.unreadable().map(|(crash, _)| crash)) {
                self.tell_suspended(&why);
            }
            self.wait();
            return Ok(());
        }
        let started = self.begin().await;
        // A start that failed is a failed start, also where it was an exit with status 0.
        started.map_err(|crash| ExitReason::Failed(Arc::new(crash)))
    }

    /// Starts what is live in this place, or what is offered to it: whatever is to take over waits for no start of what
    /// was there before, which may never end.
    pub(super) async fn begin(&mut self) -> Result<(), Crash> {
        let place = Arc::clone(&self.live);
        let _is_starting = place.starts();
        loop {
            let started = tokio::select! {
                biased;
                () = place.offered() => None,
                started = self.start() => Some(started),
            };
            match started {
                // Another release was put in while it started.
                Some(Ok(())) if self.live.comes_back() => self.instance = None,
                Some(started) => return started,
                None => {}
            }
            // What was begun is dropped, as where it is killed.
            if let Some(swap) = self.live.take_offer() {
                // Boxed, as what follows that is rare: a start is copied each time that an actor comes up.
                Box::pin(self.take_over(*swap, None)).await;
                if self.instance.is_some() || self.suspended {
                    return Ok(());
                }
            }
        }
    }

    /// Starts what is live in this place. Where that is on probation and does not start, what was there before.
    async fn start(&mut self) -> Result<(), Crash> {
        if self.live.comes_back() {
            Box::pin(self.put_back_owed()).await?;
            if self.live.returning().is_some() {
                return Box::pin(self.go_back()).await;
            }
        }
        let serving = self.live.serving();
        match self.start_live(&serving, true).await {
            Ok(()) => Ok(()),
            Err(crash) if self.tolerates() => match Box::pin(self.begin_stand_in(StandIn::Over)).await {
                true => {
                    self.count_failure();
                    Ok(())
                }
                // Neither starts, so that says nothing about the new one.
                false => Err(crash),
            },
            Err(crash) if Box::pin(self.is_sick()).await => Err(crash),
            Err(crash) if self.live.roll_back(&crash) => Box::pin(self.go_back()).await,
            // It was put in where nobody was, and did not see the turns that were committed there since; or it served
            // when the host ended, and this is what it, or another one that did not stay, has left there.
            Err(crash @ Crash::Schema { .. }) if self.live.is_unread() || self.live.is_left() => {
                self.cannot_read(serving, crash, Before::default()).await
            }
            Err(crash) => Err(crash),
        }
    }

    /// What the states were that it brings over is kept where they are to be that again.
    async fn start_live(&mut self, serving: &Arc<Serving>, keep: bool) -> Result<(), Crash> {
        Metrics::count(&self.identity.service.metrics.started);
        let mut prepared = start(&self.engines, serving).await?;
        if keep {
            // Before it happens: this incarnation may be killed while it waits for the disk.
            self.live.happens(Event::BringsOver(prepared.saves(self.live.schema_before())));
        }
        let instance = prepared.commit().await?;
        self.serve(serving, instance);
        Ok(())
    }

    /// Puts the states back to what they are to be before anything serves here. Where this incarnation ends over it,
    /// the next one does it again: the place says so.
    pub(super) async fn put_back_owed(&mut self) -> Result<(), Crash> {
        while let Some((states, spares_turns)) = self.live.owed() {
            if let Some(durable) = &self.identity.service.durable {
                durable.settle().await;
            }
            if let Some(schema) = self.live.discards_for() {
                let was = states.iter().map(|saved| saved.now(schema)).collect();
                if !self.live.happens(Event::Discards { to: states.clone(), was }) {
                    // Not after all.
                    continue;
                }
            }
            let written = states.iter().filter(|saved| saved.is_written());
            for saved in written.filter(|saved| !spares_turns || !saved.has_turns_to_spare()) {
                saved.put_back().await?;
            }
            self.live.happens(Event::ArePutBack(states));
        }
        Ok(())
    }

    /// Starts the release that came back into this place. Where turns are discarded for it that is done. Otherwise the
    /// states are put back to what they were before the other one brought them over, where no turn was committed since,
    /// and else the release has to bring them back itself. Where it cannot, nothing serves; where turns were to be
    /// discarded for it, that is a start that failed, like any other.
    pub(super) async fn go_back(&mut self) -> Result<(), Crash> {
        self.put_back_owed().await?;
        let (serving, discards) = (self.live.serving(), self.live.discards_for().is_some());
        let saved = self.live.returning().unwrap_or_default();
        if let Some(durable) = &self.identity.service.durable {
            durable.settle().await;
        }
        let written = saved.iter().filter(|saved| !discards && saved.is_written());
        let (put_back, brings_back): (Vec<_>, Vec<_>) = written.partition(|saved| saved.turns_since() == 0);
        let was: Vec<Saved> = put_back.iter().map(|saved| saved.now(saved.schema())).collect();
        for saved in &put_back {
            saved.put_back().await?;
        }
        // What it brings back itself was in its own schema before.
        match self.start_live(&serving, brings_back.is_empty()).await {
            Err(crash @ Crash::Schema { .. }) if !discards => {
                for was in was {
                    was.put_back().await?;
                }
                self.cannot_read(serving, crash, saved).await
            }
            Err(crash) => Err(crash),
            Ok(()) => {
                self.live.happens(Event::IsBack(serving));
                Ok(())
            }
        }
    }

    /// Serves nothing from now on, since the release that is live here cannot read the states, and says so. What they
    /// can be put back to is what it can read: it may be there over one that never read them.
    async fn cannot_read(&mut self, by: Arc<Serving>, crash: Crash, saved: Before) -> Result<(), Crash> {
        self.instance = None;
        let reads = !saved.is_empty() && reads(&self.engines, &by, slice::from_ref(&saved)).await.is_ok();
        // What the states were when the last host ran nobody knows any more: there is nothing to put them back to.
        let is_lost = self.live.is_left();
        let saved = if reads || is_lost { saved } else { unread(&by) };
        if !self.live.happens(Event::CannotRead { by, crash: crash.clone(), saved }) {
            // Another release was put in meanwhile, and starts next.
            return Err(crash);
        }
        self.tell_suspended(&crash);
        self.wait();
        Ok(())
    }

    /// Tells operators that nothing serves here, and why.
    fn tell_suspended(&self, why: &Crash) {
        let address = self.identity.address();
        tracing::error!(target: "airssys::state", service = %address, "suspended, what is sent to it waits: {why}");
        let (actor, reason, detail) = (text(address), why.code().to_owned(), text(why));
        let suspended = Happening::Suspended { actor, reason, detail };
        self.identity.mesh.events.publish(Some(address.service()), suspended);
    }

    /// Takes no message until a person has decided.
    fn wait(&mut self) {
        self.suspend(true);
        if let Some(sleeper) = self.identity.own.inbox.sleeper() {
            sleeper.controller().make_room();
        }
    }

    /// Says whether it takes messages: here, and to those who wait for its answers.
    pub(super) fn suspend(&mut self, is_suspended: bool) {
        self.suspended = is_suspended;
        self.identity.own.inbox.suspend(is_suspended);
        self.count_up(!is_suspended);
    }

    /// Says whether it can handle messages, to those who look how many of its service can.
    pub(super) fn count_up(&mut self, is_up: bool) {
        if self.is_up != is_up {
            self.is_up = is_up;
            let up = &self.identity.own.inbox.common().up;
            if is_up {
                up.fetch_add(1, Ordering::Relaxed)
            } else {
                up.fetch_sub(1, Ordering::Relaxed)
            };
        }
    }

    /// Serves with this instance from now on; the one that did before.
    pub(super) fn serve(&mut self, serving: &Arc<Serving>, instance: Instance) -> Option<Instance> {
        let watch = self.live.watched();
        self.serve_watched(serving, instance, watch)
    }

    /// [`ComponentActor::serve`], where it is known whether its turns are counted.
    pub(super) fn serve_watched(
        &mut self,
        serving: &Arc<Serving>,
        instance: Instance,
        watch: Option<Arc<Watch>>,
    ) -> Option<Instance> {
        if !Arc::ptr_eq(&self.identity, &serving.identity) {
            let Serving { template, identity } = &**serving;
            let (actor, sha256) = (text(identity.address()), template.digest().to_owned());
            // Here, where it happens: whoever ordered it may be gone before he looks at the answer.
            identity.mesh.events.publish(Some(identity.address().service()), Happening::Swapped { actor, sha256 });
        }
        self.identity = Arc::clone(&serving.identity);
        self.identity.service.retune(&serving.identity.terms);
        self.suspend(false);
        self.watching = watch.map(|watch| watch.begin(serving, None));
        // The one before ends first.
        self.running = None;
        let start = Arc::clone(&self.start);
        self.running = Running::begin(&self.engines, serving, move |ended, crash| {
            if let Some(start) = start.get().and_then(Weak::upgrade) {
                let _none_runs = start.control(Control::Ended(ended, crash));
            }
        });
        self.instance.replace(instance)
    }

    /// Goes on under the rules that are live here, which are for the release that it serves with, and says so.
    pub(super) fn retuned(&mut self, done: oneshot::Sender<()>) -> Flow {
        self.live.cut().forget();
        self.retune();
        let _nobody_waits = done.send(());
        Flow::Continue
    }

    fn retune(&mut self) {
        if self.watching.as_ref().is_some_and(|watching| watching.stands_in()) {
            // Another release stands in, and the one that is live here takes them up when it starts.
            return;
        }
        self.identity = Arc::clone(&self.live.serving().identity);
        self.identity.service.retune(&self.identity.terms);
        if let Some(instance) = &mut self.instance {
            instance.retune(&self.identity);
        }
    }

    /// Goes on with what is live in this place, after the instance ended and the actor did not.
    pub(super) async fn go_on(&mut self) -> Flow {
        flow(self.begin().await)
    }

    /// Goes on without an instance that may hold what was taken away: a connection, a folder. It runs no more, not even
    /// to hand its memory over.
    pub(super) async fn revoked(&mut self) -> Flow {
        self.live.cut().forget();
        if self.instance.is_none() && self.running.is_none() {
            return Flow::Continue;
        }
        self.running = None;
        self.instance = None;
        self.go_on().await
    }

    /// What becomes of the actor where its instance ended over no message.
    pub(super) async fn ended(&mut self, crash: Crash) -> Flow {
        self.instance = None;
        if let Crash::CutOff { .. } = crash {
            return self.give_way(crash).await;
        }
        if !self.serves_the_live_one() {
            return Flow::Exit(exit_reason(crash));
        }
        if self.tolerates() {
            self.count_failure();
            return self.go_on().await;
        }
        match self.live.roll_back(&crash) {
            true => self.go_on().await,
            false => Flow::Exit(exit_reason(crash)),
        }
    }

    /// What becomes of the actor whose program has ended.
    pub(super) async fn program_ended(&mut self, ended: task::Id, crash: Crash) -> Flow {
        if !self.running.as_ref().is_some_and(|running| running.is(ended)) {
            // Another one runs meanwhile.
            return Flow::Continue;
        }
        self.running = None;
        if !matches!(crash, Crash::Exit { status: 0 }) {
            Metrics::count(&self.identity.service.metrics.crashed);
            tracing::warn!(target: "airssys::actor", service = %self.identity.address(), %crash, "its program ended");
        }
        self.ended(crash).await
    }

    /// Asks the guest how it is.
    pub(super) async fn check(&mut self, reply: oneshot::Sender<Result<(), Fault>>) -> Flow {
        let stand_in = self.watching.as_ref().is_some_and(|watching| watching.stands_in());
        let Some(instance) = self.instance.as_mut() else { return Flow::Continue };
        if stand_in {
            // The release before stands in: it is not the one that is asked.
            let _nobody_waits = reply.send(Ok(()));
            return Flow::Continue;
        }
        let checked = instance.check(self.identity.terms.limits.turn_deadline).await;
        instance.turn().discard();
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

    /// Leaves its place. Not where it is on probation and says that it is not well: nobody might be awake when the
    /// deployment asks.
    pub(super) async fn sleep(&mut self) -> Flow {
        if !self.live.is_settled()
            && !self.watching.as_ref().is_some_and(|watching| watching.stands_in())
            && let Some(instance) = self.instance.as_mut()
        {
            let deadline = self.identity.terms.limits.turn_deadline;
            let mut checked = instance.check(deadline).await;
            instance.turn().discard();
            if let Ran::Fault(_) = checked {
                // One answer alone decides nothing.
                tokio::time::sleep(ASK_TWICE).await;
                checked = instance.check(deadline).await;
                instance.turn().discard();
            }
            match checked {
                Ran::Done(()) => {}
                Ran::Fault(fault) => {
                    let crash = Crash::Start { during: Stage::HealthCheck, fault };
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
            () = self.say_good_bye(StopReason::Idle) => {}
        }
        Flow::Exit(ExitReason::Normal)
    }

    /// Lets the guest say good-bye, and makes happen what it does then.
    pub(super) async fn say_good_bye(&mut self, reason: StopReason) {
        let Some(instance) = self.instance.as_mut() else { return };
        let crash = match instance.stop(reason, self.identity.terms.limits.turn_deadline).await {
            Ran::Done(()) => commit(instance, NO_MESSAGE).await.err(),
            Ran::Fault(_) => {
                instance.turn().discard();
                None
            }
            Ran::Crashed(crash) => Some(crash),
        };
        if let Some(crash) = crash {
            tracing::warn!(target: "airssys", service = %self.identity.address(), crash = %crash, "crashed while it stopped");
            self.instance = None;
        }
    }
}

/// What the states are put back to that a release cannot read, and that nobody had written to when it was put in.
fn unread(serving: &Serving) -> Before {
    let Identity { own, terms, .. } = &*serving.identity;
    let one = if own.has_state_per_key() { None } else { own.states.state(None) };
    let foreign = own.foreign_states(terms.schema).into_iter().map(|(_, state, _)| state);
    let states = one.into_iter().filter(|state| state.foreign(terms.schema).is_some()).chain(foreign);
    states.map(|state| Saved::nothing(&state, terms.schema)).collect()
}

fn flow(started: Result<(), Crash>) -> Flow {
    match started {
        Ok(()) => Flow::Continue,
        Err(crash) => Flow::Exit(exit_reason(crash)),
    }
}
