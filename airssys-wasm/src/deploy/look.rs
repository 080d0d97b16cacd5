//! A time in which the new release is looked at: its crashes, its health, and how it does beside the old one.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::decide::Event;
use super::deployment::Wish;
use super::gate::{Differs, NoTraffic, Verdict};
use super::health::{Health, Rounds, Told};
use super::order::Order;
use super::running::Running;
use super::seen::Seen;
use super::{Compared, Progress, Setback, Strategy, TooFewTurns};
use crate::actor::{Counts, Watch};

/// How often each actor is asked for its health over a probation, and the time between two of those at least and at
/// most.
const PROBES: u32 = 10;
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(5);
/// After which time the keys of a share are counted again, of which there may be many.
const COUNT_AGAIN: Duration = Duration::from_secs(5);
/// After which time at most an actor is asked again that said that it is not well.
const ASK_TWICE: Duration = Duration::from_secs(1);

/// A time in which the new release is looked at.
pub(super) struct Stage {
    /// How long it is at least.
    pub(super) least: Duration,
    /// For how long it waits for enough turns to compare; none where it does not.
    pub(super) patience: Option<Duration>,
    /// What it is where nothing was found.
    pub(super) passed: Event,
}

/// What happened while it looked.
enum Heard {
    /// The time is over.
    End(Event),
    /// Somebody wants to know when all say that they are well.
    Asked(oneshot::Sender<()>),
    /// A round of questions has begun.
    Begun,
    /// It is over, and nothing is wrong.
    Over,
    /// More failed on the new release than was to.
    Worse,
}

impl Running<'_> {
    /// Looks at the new release for a while.
    pub(super) async fn look(&mut self, stage: Stage) -> Event {
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
            let is_over = match self.listen(&stage, &mut health, ask_at).await {
                Heard::End(event) => return event,
                Heard::Asked(answer) => {
                    asked.push(answer);
                    ask_at = Instant::now();
                    continue;
                }
                Heard::Begun => {
                    answered.append(&mut asked);
                    self.count_share(&mut counted).await;
                    continue;
                }
                Heard::Over => true,
                Heard::Worse => false,
            };
            let verdict = match self.judge(&stage, begun, &before) {
                Verdict::Failed(setback) => return self.set_back(setback),
                verdict => verdict,
            };
            if !is_over {
                continue;
            }
            let (now, is_doubted) = (Instant::now(), health.is_doubted());
            ask_at = match is_doubted {
                true => now + every.min(ASK_TWICE),
                false => next_round(now, until, every),
            };
            if !is_doubted {
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

    /// What happens next while it looks.
    async fn listen(&mut self, stage: &Stage, health: &mut Rounds, ask_at: Instant) -> Heard {
        tokio::select! {
            biased;
            Some((actor, crash)) = self.failures.recv() => Heard::End(self.crashed(actor, crash)),
            Some(wish) = self.wishes.recv() => match wish {
                Wish::GoBack(why) => Heard::End(self.set_back(why)),
                Wish::Join(joined) => {
                    self.joined = Some(joined);
                    Heard::End(stage.passed)
                }
                Wish::Check(answer) => Heard::Asked(answer),
            },
            told = health.next(ask_at) => match told {
                Told::Over(Some(fault)) => Heard::End(self.set_back(Setback::Unwell(fault))),
                Told::Over(None) => Heard::Over,
                Told::Begun => Heard::Begun,
            },
            // Whatever the round waits for: those that are sick are slow to answer.
            () = is_worse(self.watch.as_deref()) => Heard::Worse,
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

    /// What is to be said of a stage that began at this moment, with what was counted before: each stage is judged by
    /// its own turns.
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

    /// What is to be said where both serve, or where the new one is shown what the old one does; also tells it. Its
    /// time, and its patience, may be over.
    fn compare(&self, old: Seen, new: Seen, time_is_over: bool, over: bool) -> Verdict {
        let gate = &self.order.options.gate;
        let verdict = match (self.rehearsed(over), gate.verdict(old, new)) {
            (Verdict::Failed(setback), _) | (_, Verdict::Failed(setback)) => Verdict::Failed(setback),
            (Verdict::Passed, Verdict::Passed) => Verdict::Passed,
            _ if over => gate.last_word(old, new),
            _ => Verdict::Unknown,
        };
        let waits = (verdict == Verdict::Unknown && time_is_over).then(|| TooFewTurns {
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

    /// What is to be said of what the two releases did differently in a rehearsal, or did not show; its patience may be
    /// over.
    fn rehearsed(&self, over: bool) -> Verdict {
        let (Strategy::Shadow { tolerate }, Some(rehearsal)) = (&self.order.options.strategy, self.rehearsal()) else {
            return Verdict::Passed;
        };
        let found = rehearsal.found();
        self.met.lock_rehearsed().clone_from(&found);
        match self.order.options.gate.differs(*tolerate, found.differing, found.compared) {
            // What is not compared any more may be what it differs over.
            Differs::Tolerated | Differs::SoFar if found.behind > 0 => {
                Verdict::Failed(Setback::Behind { compared: found.compared })
            }
            Differs::Tolerated => Verdict::Passed,
            Differs::SoFar if !over || found.differing < 2 => Verdict::Unknown,
            Differs::SoFar | Differs::TooMuch => {
                let first = found.differences.first().cloned().unwrap_or_default();
                Verdict::Failed(Setback::Differs { compared: found.compared, differing: found.differing, first })
            }
        }
    }
}

/// When all are asked next. Where it waits for more turns it is beyond its time already.
fn next_round(now: Instant, until: Instant, every: Duration) -> Instant {
    if now < until { until.min(now + every) } else { now + every }
}

/// Ends when more failed on the new release than was to, or it was outdone: there is no reason to wait for the next
/// look.
async fn is_worse(watch: Option<&Watch>) {
    match watch {
        Some(watch) => watch.new.is_worse().await,
        None => std::future::pending().await,
    }
}
