//! Carries a deployment out: what `decide` says is done here, to actors that run, sleep, crash and hang meanwhile.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::decide::{self, Action, Batch, Event};
use super::gate::{Differs, NoTraffic, Seen, Verdict};
use super::health::{Health, Rounds, Told};
use super::order::{Begun, Order, Posts, Restore};
use super::report::Report;
use super::strategy::Rolling;
use super::switch::{Failed, forward};
use super::taken::Taken;
use super::{Compared, Deployment, Joined, Met, Progress, Setback, Strategy, Waits, Wish};
use crate::actor::{Control, Counts, Held, Post, Prepared, Rehearsal, Roster, Serving, Waking, Watch};
use crate::error::Crash;
use crate::settings::ALL;

/// The probation of one of several, which somebody else ends.
const UNENDING: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// How often each actor is asked for its health over a probation, and the time between two of those at least and at most.
const PROBES: u32 = 10;
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(5);
/// After which time the keys of a share are counted again, of which there may be many.
const COUNT_AGAIN: Duration = Duration::from_secs(5);
/// After which time at most an actor is asked again that said that it is not well.
const ASK_TWICE: Duration = Duration::from_secs(1);

/// A deployment, and the task that carries it out; `ended` is told its end before anybody else.
pub(crate) fn begin(order: Order, ended: impl FnOnce(&Progress) + Send + 'static) -> Deployment {
    let actors = order.posts.fixed().len();
    let begins = Progress::Switching { switched: 0, actors };
    let (told, progress) = Report::begin(begins, order.posts.events(), &order.page.service, &order.page.next);
    let (wish, wishes) = mpsc::unbounded_channel();
    let (failed, failures) = mpsc::unbounded_channel();
    let met = Arc::<Met>::default();
    let meets = Arc::clone(&met);
    tokio::spawn(async move {
        let watch = match &order.options.strategy {
            Strategy::Canary(_) | Strategy::Rolling(Rolling { compare: true, .. }) => {
                Some(Watch::new(&order.template, None))
            }
            Strategy::Shadow(_) => {
                let rehearsal = Rehearsal::new(&order.engines, &order.template, &order.terms);
                Some(Watch::new(&order.template, Some(rehearsal)))
            }
            _ => None,
        };
        let mut running = Running {
            told: &told,
            met: meets,
            watch,
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
    Deployment { progress, wish, met }
}

struct Running<'a> {
    order: Order,
    told: &'a Report,
    met: Arc<Met>,
    /// Where turns are counted, where the two releases are compared.
    watch: Option<Arc<Watch>>,
    failed: Failed,
    failures: mpsc::UnboundedReceiver<(usize, Crash)>,
    wishes: mpsc::UnboundedReceiver<Wish>,
    /// What each actor served with before.
    before: Vec<Arc<Serving>>,
    /// An instance for the first actor, or why there is none.
    first: Option<Result<Prepared, Crash>>,
    /// What served before, where it is kept until the probation is over.
    held: Vec<Option<Box<Held>>>,
    setback: Option<Setback>,
    /// Who is told that it is off probation, where it is one of a set, and what says what becomes of it then.
    joined: Option<Joined>,
    /// What the actors of a keyed service wake with, that have the new release.
    woken: Option<Waking>,
}

/// A time in which the new release is looked at.
struct Stage {
    /// How long it is at least.
    least: Duration,
    /// For how long it waits for enough turns to compare; none where it does not.
    patience: Option<Duration>,
    /// What it is where nothing was found.
    passed: Event,
}

impl Running<'_> {
    async fn run(&mut self) -> Progress {
        if let Err(reason) = self.order.try_states().await {
            // Before the intent is on disk, which would count as carried out where keys that have slept for long are in that schema still.
            self.setback = Some(reason);
            return self.end_on_old().await;
        }
        let batches = self.order.batches();
        let begun = match self.order.begun.take() {
            Some(begun) => begun,
            None => {
                let first = self.order.first();
                Begun { written: self.order.begin(self.order.step(&batches, 0)).await, first }
            }
        };
        if let Err(error) = begun.written {
            return Progress::RolledBack { reason: Setback::NotRecorded(error) };
        }
        // One that panicked is made again, by whoever needs it.
        self.first = match begun.first {
            Some(first) => first.await.ok(),
            None => None,
        };
        self.before = self.order.posts.fixed().iter().map(|post| post.live.serving()).collect();
        self.count_turns(self.watch.clone().as_ref()).await;
        let (mut deployment, mut action) = decide::Deployment::begin(batches.clone(), self.rehearsal().is_some());
        loop {
            let event = match action {
                Action::Rehearse => {
                    self.told.say(Progress::Rehearsing { compared: None, waits: None });
                    let (least, patience) = (self.order.options.gate.bake, Some(self.order.options.gate.patience));
                    let event = self.look(Stage { least, patience, passed: Event::Rehearsed }).await;
                    // What the old one did stays, to be compared with what the new one does on probation.
                    self.watch = self.watch.take().map(|watch| watch.after_rehearsal());
                    self.count_turns(self.watch.clone().as_ref()).await;
                    event
                }
                Action::Switch(batch) => match self.make_step(&batches, batch).await {
                    Ok(()) => Event::Switched,
                    Err(setback) => {
                        self.setback.get_or_insert(setback);
                        Event::NotSwitched
                    }
                },
                // Nobody goes back by himself from a state that others were to be discarded for.
                Action::Pass if self.order.restore.is_some() => Event::Passed,
                Action::Watch if self.order.restore.is_some() => Event::Proved,
                Action::Settle if self.order.restore.is_some() => Event::Settled,
                Action::Pass => {
                    let (least, patience) = match &self.order.options.strategy {
                        Strategy::InPlace | Strategy::BlueGreen | Strategy::Shadow(_) => (Duration::ZERO, None),
                        Strategy::Rolling(Rolling { bake, compare, .. }) => {
                            (*bake, compare.then_some(self.order.options.gate.patience))
                        }
                        Strategy::Canary(_) => (self.order.options.gate.bake, Some(self.order.options.gate.patience)),
                    };
                    if least.is_zero() && patience.is_none() {
                        Event::Passed
                    } else {
                        let done = deployment.have();
                        let step = batches.iter().position(|have| *have == done).map_or(0, |at| at + 1);
                        let steps = batches.len();
                        let (have, of) = self.order.posts.share(&self.order.template).await;
                        self.told.say(Progress::Baking { step, steps, have, of, compared: None, waits: None });
                        self.look(Stage { least, patience, passed: Event::Passed }).await
                    }
                }
                Action::Watch => {
                    self.told.say(Progress::Probation);
                    let least = if self.order.page.set.is_some() { UNENDING } else { self.order.options.probation };
                    self.look(Stage { least, patience: None, passed: Event::Proved }).await
                }
                Action::Revert(actor) => {
                    self.revert(actor).await;
                    Event::Reverted
                }
                Action::Settle => {
                    // One that crashed at this very moment has gone back, and says so.
                    let gone_back = match &self.order.posts {
                        Posts::Fixed(posts) => posts.iter().filter(|post| !post.live.settle()).count(),
                        Posts::Keyed(roster) => roster.settle(),
                    };
                    match gone_back {
                        0 => Event::Settled,
                        _ => match self.failures.recv().await {
                            Some((actor, crash)) => {
                                self.setback.get_or_insert(Setback::Crashed(crash));
                                self.crashed(actor)
                            }
                            None => Event::Cancelled,
                        },
                    }
                }
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
                    return Progress::Live;
                }
                Action::Old => {
                    self.count_turns(None).await;
                    return self.end_on_old().await;
                }
            };
            // What happened beside it comes first, so that nothing is switched that is to go back.
            let mut next = None;
            while let Ok((actor, crash)) = self.failures.try_recv() {
                self.setback.get_or_insert(Setback::Crashed(crash));
                next = deployment.next(self.crashed(actor)).or(next);
            }
            if let Ok(Wish::GoBack(why)) = self.wishes.try_recv() {
                self.setback.get_or_insert(why);
                next = deployment.next(Event::Cancelled).or(next);
            }
            next = deployment.next(event).or(next);
            match next {
                Some(next) => action = next,
                None => unreachable!("an action's own event always says what is next"),
            }
        }
    }

    /// Looks at the new release for a while: at its crashes, its health, and how it does beside the old one.
    async fn look(&mut self, stage: Stage) -> Event {
        let begun = Instant::now();
        let until = begun + stage.least;
        let every = (stage.least / PROBES).clamp(SHORTEST, LONGEST);
        // There is nothing to wait for.
        let at_once = stage.least.is_zero() && stage.patience.is_none();
        let before = self.counts();
        if let Some(watch) = &self.watch {
            watch.new.has_been_judged(before.1.setbacks, before.1.failed.saturating_add(2));
        }
        let Order { posts, template, options, .. } = &self.order;
        let mut health = Rounds::Between(Health::new(posts, template, options.handover_deadline));
        // Whoever is not well is asked again: two answers in a row count.
        let mut ask_at = if at_once { begun } else { until.min(begun + every) };
        // Who waits for the end of a round: of the next one, and of the one that is under way.
        let (mut asked, mut answered) = (Vec::<oneshot::Sender<()>>::new(), Vec::new());
        let mut counted = begun;
        loop {
            let mut fault = None;
            let is_over = tokio::select! {
                biased;
                Some((actor, crash)) = self.failures.recv() => {
                    self.setback.get_or_insert(Setback::Crashed(crash));
                    return self.crashed(actor);
                }
                Some(wish) = self.wishes.recv() => match wish {
                    Wish::GoBack(why) => {
                        self.setback.get_or_insert(why);
                        return Event::Cancelled;
                    }
                    Wish::Join(joined) => {
                        self.joined = Some(joined);
                        return stage.passed;
                    }
                    Wish::Check(answer) => {
                        asked.push(answer);
                        ask_at = Instant::now();
                        continue;
                    }
                },
                told = health.next(ask_at) => match told {
                    Told::Over(wrong) => {
                        fault = wrong;
                        true
                    }
                    Told::Begun => {
                        answered.append(&mut asked);
                        self.count_share(&mut counted).await;
                        continue;
                    }
                },
                // Whatever the round waits for: those that are sick are slow to answer.
                () = is_worse(self.watch.as_deref()) => false,
            };
            if let Some(fault) = fault {
                self.setback.get_or_insert(Setback::Unwell(fault));
                return Event::Cancelled;
            }
            let verdict = match self.judge(&stage, begun, &before) {
                Verdict::Failed(setback) => {
                    self.setback.get_or_insert(setback);
                    return Event::Cancelled;
                }
                verdict => verdict,
            };
            if !is_over {
                continue;
            }
            // Where it waits for more turns it is beyond its time already.
            let now = Instant::now();
            ask_at = match health.is_doubted() {
                true => now + every.min(ASK_TWICE),
                false if now < until => until.min(now + every),
                false => now + every,
            };
            if !health.is_doubted() {
                for answer in answered.drain(..) {
                    let _nobody_waits_any_more = answer.send(());
                }
                if now >= until && verdict == Verdict::Passed {
                    return stage.passed;
                }
            }
            if !asked.is_empty() {
                ask_at = now;
            }
        }
    }

    /// Counts again who has the new release, where that was long ago or nobody had it.
    async fn count_share(&mut self, counted: &mut Instant) {
        let is_due = match &*self.told.now() {
            Progress::Baking { have, .. } => *have == 0 || counted.elapsed() >= COUNT_AGAIN,
            _ => false,
        };
        if !is_due {
            return;
        }
        let now = self.order.posts.share(&self.order.template).await;
        *counted = Instant::now();
        self.told.add(|progress| match progress {
            Progress::Baking { have, of, .. } => {
                let is_other = (*have, *of) != now;
                (*have, *of) = now;
                is_other
            }
            _ => false,
        });
    }

    /// What the two releases have done so far.
    fn counts(&self) -> (Counts, Counts) {
        self.watch.as_ref().map(|watch| (watch.old.counts(), watch.new.counts())).unwrap_or_default()
    }

    /// What is to be said of a stage that began at this moment, with what was counted before: each stage is judged by its own turns.
    fn judge(&self, stage: &Stage, begun: Instant, before: &(Counts, Counts)) -> Verdict {
        let Some(watch) = &self.watch else { return Verdict::Passed };
        let seen = |counts: Counts| {
            let (turns, failed, outdone) = (counts.turns, counts.failed, counts.outdone);
            Seen { turns, failed, outdone, p95: counts.quantile(0.95) }
        };
        let (old, new) = (watch.old.counts(), watch.new.counts());
        let (setbacks, gate) = (new.setbacks, &self.order.options.gate);
        let new = seen(new.since(&before.1));
        let (old, verdict) = match stage.patience {
            Some(patience) => {
                let old = seen(old.since(&before.0));
                (old, self.compare(old, new, begun.elapsed() >= stage.least, begun.elapsed() >= patience))
            }
            // On probation nobody serves with the old one any more: all that it did is what there is to compare with.
            None => {
                let old = seen(old);
                let verdict = match gate.verdict(old, new) {
                    Verdict::Failed(setback) => Verdict::Failed(setback),
                    _ if begun.elapsed() >= stage.least => gate.is_worse(old, new),
                    _ => Verdict::Passed,
                };
                (old, verdict)
            }
        };
        // One that failed is not to try again.
        if !matches!(verdict, Verdict::Failed(_)) {
            let failures = before.1.failed.saturating_add(gate.failures_to_come(old, new));
            watch.new.has_been_judged(setbacks, failures);
        }
        verdict
    }

    /// What is to be said where both serve, or where the new one is shown what the old one does; also tells it. Its time, and its patience, may be over.
    fn compare(&self, old: Seen, new: Seen, time_is_over: bool, over: bool) -> Verdict {
        let gate = &self.order.options.gate;
        let verdict = match (self.rehearsed(over), gate.verdict(old, new)) {
            (Verdict::Failed(setback), _) | (_, Verdict::Failed(setback)) => Verdict::Failed(setback),
            (Verdict::Passed, Verdict::Passed) => Verdict::Passed,
            _ if over => gate.last_word(old, new),
            _ => Verdict::Unknown,
        };
        let waits = (verdict == Verdict::Unknown && time_is_over).then(|| Waits {
            samples: gate.samples,
            no_traffic: gate.no_traffic,
            held: over && gate.no_traffic == NoTraffic::Hold,
        });
        self.told.add(|progress| match progress {
            Progress::Baking { compared, waits: told, .. } | Progress::Rehearsing { compared, waits: told } => {
                let is_other = compared.replace(Compared { old, new }) != *compared || *told != waits;
                *told = waits;
                is_other
            }
            _ => false,
        });
        verdict
    }

    /// What is to be said of what the two releases did differently in a rehearsal, or did not show; its patience may be over.
    fn rehearsed(&self, over: bool) -> Verdict {
        let (Strategy::Shadow(shadow), Some(rehearsal)) = (&self.order.options.strategy, self.rehearsal()) else {
            return Verdict::Passed;
        };
        let found = rehearsal.found();
        self.met.rehearsed(&found);
        match self.order.options.gate.differs(shadow.tolerate, found.differing, found.compared) {
            // What is not compared any more may be what it differs over.
            Differs::Tolerated | Differs::SoFar if found.behind > 0 => {
                Verdict::Failed(Setback::Behind { compared: found.compared })
            }
            Differs::Tolerated => Verdict::Passed,
            Differs::SoFar if !over || found.differing < 2 => Verdict::Unknown,
            Differs::SoFar | Differs::TooMuch => {
                let first = found.differences.first().map(ToString::to_string).unwrap_or_default();
                Verdict::Failed(Setback::Differs { compared: found.compared, differing: found.differing, first })
            }
        }
    }

    fn rehearsal(&self) -> Option<&Arc<Rehearsal>> {
        self.watch.as_ref()?.rehearsal.as_ref()
    }

    /// Lets the turns of all actors be counted, or not any more.
    async fn count_turns(&mut self, watch: Option<&Arc<Watch>>) {
        if self.watch.is_none() {
            return;
        }
        let awake;
        let posts: Vec<&Post> = match &self.order.posts {
            Posts::Fixed(posts) => {
                posts.iter().for_each(|post| post.live.watch(watch.cloned()));
                posts.iter().collect()
            }
            Posts::Keyed(roster) => {
                awake = roster.watch(watch);
                awake.iter().map(|post| &**post).collect()
            }
        };
        for post in posts {
            // Who does not run looks for himself when he starts.
            let _none_runs = post.order(Control::Watch);
        }
    }

    /// Switches a batch; of several each is written down before.
    async fn make_step(&mut self, batches: &[usize], batch: Batch) -> Result<(), Setback> {
        if let Some(step) = self.order.step(batches, batch.from).filter(|_| batch.from > 0) {
            self.order.write_down(|page| page.begin(Some(step))).await.map_err(Setback::NotRecorded)?;
        }
        self.switch(batch).await
    }

    /// Writes down that the new release is live; one of a set when it is to be. Why not, where it is not that nobody said so.
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
        let turns = suspended.iter().map(|(_, turns)| turns).sum();
        match suspended.into_iter().next() {
            Some((crash, _)) => Progress::Suspended { reason, crash, turns },
            None => Progress::RolledBack { reason },
        }
    }

    /// The new release is live, for good: what the states were before it is what they can be put back to now.
    fn adopt(&self) {
        match &self.order.posts {
            Posts::Keyed(roster) => roster.adopt(),
            Posts::Fixed(posts) if self.order.restore.is_none() => posts.iter().for_each(|post| post.live.adopt()),
            // Whoever had his states put back has forgotten them.
            Posts::Fixed(_) => {}
        }
    }

    /// An actor went back by itself. Of a keyed service the others have to be asked to.
    fn crashed(&self, actor: usize) -> Event {
        match self.order.posts {
            Posts::Fixed(_) => Event::Crashed(actor),
            Posts::Keyed(_) => Event::Cancelled,
        }
    }

    /// Lets the new release take these actors over, or all of the share that are awake; all or none.
    async fn switch(&mut self, batch: Batch) -> Result<(), Setback> {
        match &self.order.posts {
            Posts::Fixed(posts) => {
                let posts = Arc::clone(posts);
                let seats: Vec<(usize, usize)> =
                    (batch.from..batch.to).map(|actor| (actor, self.order.seat(actor))).collect();
                let places: Vec<(usize, &Post)> = seats.iter().map(|(actor, seat)| (*actor, &posts[*seat])).collect();
                let actors = posts.len();
                let first = self.first.take();
                let done = self.order.switch_several(&places, first, &self.failed, |switched| {
                    self.told.say(Progress::Switching { switched: batch.from + switched, actors });
                });
                let (done, failed) = done.await;
                for (at, took) in done {
                    let seat = seats[at].1;
                    self.met.see(&posts[seat].name, &took);
                    // Dropped only now: it takes its memory apart.
                    let old = if let Taken::Switched(took) = took { took.old } else { None };
                    self.held[seat] = old.filter(|_| matches!(self.order.options.strategy, Strategy::BlueGreen));
                    if failed.is_some() {
                        self.revert(seats[at].0).await;
                    }
                }
                failed.map_or(Ok(()), Err)
            }
            Posts::Keyed(roster) => {
                let roster = Arc::clone(roster);
                let switched = self.switch_share(&roster, batch).await;
                if switched.is_err() {
                    self.revert_all(&roster).await;
                }
                switched
            }
        }
    }

    async fn switch_share(&mut self, roster: &Arc<Roster>, batch: Batch) -> Result<(), Setback> {
        let Order { template, terms, .. } = &self.order;
        let mut next = Waking { template: Arc::clone(template), terms: Arc::clone(terms), probation: None };
        let awake = match self.order.restore {
            Some(Restore::Suspended) => roster.awake().into_iter().filter(|post| post.live.unreadable().is_some()).collect(),
            Some(Restore::BroughtOver) => roster.restore(&next),
            None => {
                if let Some(woken) = &self.woken {
                    next.clone_from(woken);
                } else {
                    let (told, crashes) = mpsc::unbounded_channel();
                    forward(crashes, 0, &self.failed);
                    next.probation = Some((Box::new(roster.waking()), told));
                    self.woken = Some(next.clone());
                }
                let share = self.order.options.strategy.shares().get(batch.to - 1).copied().unwrap_or(ALL);
                let keys = Arc::clone(roster);
                // It goes through all keys.
                let let_in = crate::blocking::spawn(move || keys.let_in(&next, share)).await;
                let_in.map_err(|panic| Setback::NotStarted(Crash::Host { detail: panic.to_string() }))?
            }
        };
        let places: Vec<(usize, &Post)> = awake.iter().map(|post| (0, &**post)).collect();
        let actors = awake.len();
        let (done, failed) = self
            .order
            .switch_several(&places, None, &self.failed, |switched| {
                self.told.say(Progress::Switching { switched, actors });
            })
            .await;
        done.iter().for_each(|(at, took)| self.met.see(&awake[*at].name, took));
        match failed {
            Some(setback) => Err(setback),
            None => {
                if self.order.restore == Some(Restore::BroughtOver) {
                    self.order.bring_back(roster).await;
                }
                Ok(())
            }
        }
    }

    /// Puts the old release back under this actor, or all that are awake.
    async fn revert(&mut self, actor: usize) {
        match &self.order.posts {
            Posts::Fixed(posts) => {
                let seat = self.order.seat(actor);
                let held = self.held.get_mut(seat).and_then(Option::take);
                if let (Some(post), Some(before)) = (posts.get(seat), self.before.get(seat)) {
                    self.order.revert_one(post, before, held).await;
                }
            }
            Posts::Keyed(roster) => {
                let roster = Arc::clone(roster);
                self.revert_all(&roster).await;
            }
        }
    }

    async fn revert_all(&mut self, roster: &Roster) {
        let (before, awake) = roster.take_back();
        for post in awake {
            let serving = post.live.serving();
            if Arc::ptr_eq(&serving.template, &self.order.template) {
                let old = Arc::new(serving.with(&before.template, &before.terms));
                self.order.revert_one(&post, &old, None).await;
            }
        }
        self.order.bring_back(roster).await;
    }
}

/// Ends when more failed on the new release than was to, or it was outdone: there is no reason to wait for the next look.
async fn is_worse(watch: Option<&Watch>) {
    match watch {
        Some(watch) => watch.new.is_worse().await,
        None => std::future::pending().await,
    }
}
