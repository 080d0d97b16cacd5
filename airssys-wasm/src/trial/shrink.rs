//! A run that fails, made shorter: what can be left out of it is, as long as the same does not hold.
//!
//! It starts from the [explicit plan](super::explicit) of the run and leaves out parts of it, large ones first: pauses,
//! faults, kills, acts and messages. Each candidate is a run of its own. Where messages are left out, turns have other
//! numbers. So a candidate is run with its faults at the times at which they came before, and then with their numbers.
//! What it was in the end is written by number. Acts and messages are left out only as far as nothing fails without the
//! faults.

mod candidate;
mod times;

use std::collections::HashSet;
use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use self::candidate::{Candidate, Failing, Judge, said};
use self::times::{moments, rounded, spread};
use super::file::Plan;
use super::jobs::in_order;
use super::{TrialError, Tried, run};
use crate::seeded::{Fault, FaultKind, Moment};
use crate::topology::Topology;

/// The steps into which times are rounded, the largest first, in milliseconds.
const ROUND: [u64; 4] = [1_000, 100, 10, 1];

/// How far a run is made shorter.
///
/// # Example
///
/// ```
/// use airssys_wasm::trial::Bounds;
///
/// let short = Bounds { runs: 50, ..Bounds::default() };
/// assert!(short.time > std::time::Duration::from_secs(1));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The most runs that are tried; 2000 by default. Where this is what ends it, the result is the same each time.
    pub runs: u64,
    /// The longest time; 30 s by default.
    pub time: Duration,
    /// How many threads run candidates, from 1; 1 by default. The result does not depend on it.
    pub jobs: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { runs: 2_000, time: Duration::from_secs(30), jobs: 1 }
    }
}

/// How long a plan is.
///
/// # Example
///
/// ```
/// use airssys_wasm::trial::Size;
///
/// let size = Size { messages: 2, faults: 1, ..Size::default() };
/// assert_eq!((size.steps(), size.to_string()), (3, "2 messages and 1 fault".to_owned()));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Size {
    /// What is said to the mesh.
    pub messages: usize,
    /// What goes wrong.
    pub faults: usize,
    /// How often the host is killed.
    pub kills: usize,
    /// What an operator does.
    pub acts: usize,
    /// The turns that wait before they begin.
    pub pauses: usize,
}

impl Size {
    fn of(plan: &Plan) -> Self {
        Self {
            messages: plan.workloads.len(),
            faults: plan.faults.len(),
            kills: plan.kills.len(),
            acts: plan.acts.len(),
            pauses: plan.pauses.len(),
        }
    }

    /// All of them together.
    ///
    /// # Example
    ///
    /// ```
    /// assert_eq!(airssys_wasm::trial::Size::default().steps(), 0);
    /// ```
    #[must_use]
    pub fn steps(&self) -> usize {
        self.messages + self.faults + self.kills + self.acts + self.pauses
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.messages, "message", true),
            (self.faults, "fault", true),
            (self.kills, "kill", false),
            (self.acts, "act", false),
            (self.pauses, "pause", false),
        ];
        let told: Vec<String> = parts
            .iter()
            .filter(|(count, _, always)| *always || *count > 0)
            .map(|(count, what, _)| format!("{count} {what}{}", if *count == 1 { "" } else { "s" }))
            .collect();
        let (last, first) = told.split_last().map_or(("", &[][..]), |(last, first)| (last.as_str(), first));
        write!(f, "{} and {last}", first.join(", "))
    }
}

/// How far it is.
///
/// # Example
///
/// ```
/// use airssys_wasm::trial::{Progress, Size};
///
/// fn line(Progress { runs, size, .. }: &Progress) -> String {
///     format!("{size} after {runs} runs")
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// How many runs were tried.
    pub runs: u64,
    /// The shortest plan so far.
    pub size: Size,
}

/// A run that fails and that was made shorter.
///
/// # Example
///
/// ```
/// use airssys_wasm::trial::Shrunk;
///
/// fn line(Shrunk { from, to, runs, .. }: &Shrunk) -> String {
///     format!("from {from} to {to}, in {runs} runs")
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Shrunk {
    /// How long it was.
    pub from: Size,
    /// How long it is.
    pub to: Size,
    /// How many runs that took.
    pub runs: u64,
    /// Whether runs or time ended before all was tried.
    pub is_cut_short: bool,
    /// The test file that is this run.
    pub file: String,
    /// What came of it.
    pub tried: Tried,
}

struct Shrinker<'a> {
    judge: Judge<'a>,
    bounds: Bounds,
    begun: Instant,
    runs: u64,
    is_over: bool,
    tell: &'a mut dyn FnMut(&Progress),
}

/// Makes a failing run of a plan shorter; none where it does not fail again as it is written.
pub(super) fn shrink(
    (plan, topology): (&Plan, &Topology),
    failure: &Tried,
    bounds: Bounds,
    cache: Option<&Path>,
    tell: &mut dyn FnMut(&Progress),
) -> Result<Option<Shrunk>, TrialError> {
    let Some(broken) = failure.broken.first() else { return Ok(None) };
    let plan = &plan.forced(&failure.forced);
    let seeded = run::seeded(plan, failure.seed).keep_choices();
    run::run(plan, topology, &seeded, cache)?;
    let plan = plan.explicit(failure.seed, seeded.choices());
    let (seed, broken, begun, hold) = (failure.seed, broken.clone(), Instant::now(), HashSet::new());
    let mut judge = Judge { topology, cache, seed, broken, holds_in_peace: true, said: said(&plan), hold };
    judge.holds_in_peace = !judge.fails_in_peace(&plan);
    let mut shrinker = Shrinker { judge, bounds, begun, runs: 0, is_over: false, tell };
    let from = Size::of(&plan);
    let Some(failing) = shrinker.first(vec![vec![Candidate { plan, due: None }]]) else { return Ok(None) };
    let shortest = shrinker.shortest(failing);
    let Failing { plan, tried, .. } = shrinker.plainest(shortest);
    Ok(Some(Shrunk {
        from,
        to: Size::of(&plan),
        runs: shrinker.runs,
        is_cut_short: shrinker.is_over,
        file: plan.written(),
        tried,
    }))
}

impl Shrinker<'_> {
    /// Leaves out what can be, until nothing can.
    fn shortest(&mut self, mut failing: Failing) -> Failing {
        loop {
            let before = Size::of(&failing.plan);
            failing = self.least(
                failing,
                |failing| failing.choices.pauses.len(),
                |candidate, keep| {
                    retain(&mut candidate.plan.pauses, keep);
                    retain(&mut candidate.choices.pauses, keep);
                },
            );
            failing = self.least(
                failing,
                |failing| failing.choices.faults.len(),
                |candidate, keep| {
                    retain(&mut candidate.plan.faults, keep);
                    retain(&mut candidate.choices.faults, keep);
                },
            );
            failing = self.least(
                failing,
                |failing| failing.plan.kills.len(),
                |candidate, keep| {
                    retain(&mut candidate.plan.kills, keep);
                },
            );
            failing = self.least(
                failing,
                |failing| failing.plan.acts.len(),
                |candidate, keep| {
                    retain(&mut candidate.plan.acts, keep);
                },
            );
            failing = self.least(
                failing,
                |failing| failing.plan.workloads.len(),
                |candidate, keep| {
                    retain(&mut candidate.plan.workloads, keep);
                },
            );
            if self.is_over || Size::of(&failing.plan) == before {
                return failing;
            }
        }
    }

    /// Leaves out of one list what can be: halves first, then ever smaller parts.
    fn least(
        &mut self,
        mut failing: Failing,
        length: impl Fn(&Failing) -> usize,
        keep: impl Fn(&mut Failing, &dyn Fn(usize) -> bool),
    ) -> Failing {
        let mut parts = 1;
        loop {
            let all = length(&failing);
            if all == 0 || self.is_over {
                return failing;
            }
            let size = all.div_ceil(parts);
            let without = |from: usize| {
                let mut shorter = failing.clone();
                keep(&mut shorter, &|at| !(from..from + size).contains(&at));
                let Failing { plan, choices, .. } = shorter;
                let by_number = Candidate { plan: plan.clone(), due: None };
                vec![Candidate { plan, due: Some(choices) }, by_number]
            };
            match self.first((0..all).step_by(size).map(without).collect()) {
                Some(shorter) => {
                    failing = shorter;
                    parts = (parts - 1).max(2);
                }
                None if size == 1 => return failing,
                None => parts = (parts * 2).min(all),
            }
        }
    }

    /// Makes what is left plain: moments of crashes that say no instruction, and early and round times.
    fn plainest(&mut self, mut failing: Failing) -> Failing {
        for at in 0..failing.plan.faults.len() {
            let plainer = [Moment::After, Moment::Before].map(|moment| {
                let mut plan = failing.plan.clone();
                if let Some(fault) = plan.faults.get_mut(at) {
                    (fault.at, fault.instruction) = (Some(moment), None);
                }
                plan
            });
            let is_during = |fault: &&Fault| fault.kind == FaultKind::Crash && fault.at == Some(Moment::During);
            if failing.plan.faults.get(at).as_ref().is_some_and(is_during) {
                failing = self.first_plain(plainer.into()).unwrap_or(failing);
            }
        }
        // All at once, one after the other.
        let spread = ROUND.iter().rev().map(|step| spread(&failing.plan, Duration::from_millis(*step)));
        if let Some(spread) = self.first_plain(spread.collect()) {
            return spread;
        }
        for at in 0..moments(&failing.plan).len() {
            let rounded = ROUND.iter().map(|step| rounded(&failing.plan, at, Duration::from_millis(*step)));
            failing = self.first_plain(rounded.collect()).unwrap_or(failing);
        }
        failing
    }

    fn first_plain(&mut self, plans: Vec<Plan>) -> Option<Failing> {
        self.first(plans.into_iter().map(|plan| vec![Candidate { plan, due: None }]).collect())
    }

    /// The first of these that fails in the same way, each of which is tried in more than one manner.
    fn first(&mut self, each: Vec<Vec<Candidate>>) -> Option<Failing> {
        let Self { judge, bounds, begun, runs, is_over, tell } = self;
        let (mut found, mut hold) = (None, Vec::new());
        let attempt = |manners: &Vec<Candidate>| judge.attempt(manners);
        let _until_one_fails = in_order(&each, bounds.jobs, attempt, |manners, (count, failing)| {
            if *runs >= bounds.runs || begun.elapsed() >= bounds.time {
                *is_over = true;
                return ControlFlow::Break(());
            }
            *runs += count;
            if let Some(failing) = failing {
                tell(&Progress { runs: *runs, size: Size::of(&failing.plan) });
                found = Some(failing);
                return ControlFlow::Break(());
            }
            hold.extend(manners.iter().map(Candidate::mark));
            ControlFlow::Continue(())
        });
        judge.hold.extend(hold);
        if let Some(Failing { plan, .. }) = &found {
            judge.said = said(plan);
        }
        found
    }
}

/// Keeps those of which the place is to be kept.
fn retain<T>(all: &mut Vec<T>, keep: &dyn Fn(usize) -> bool) {
    let mut at = 0;
    all.retain(|_| {
        at += 1;
        keep(at - 1)
    });
}

#[cfg(test)]
mod tests {
    use super::Size;

    #[test]
    fn a_size_is_told_in_words() {
        let size = Size { messages: 1, faults: 0, kills: 2, acts: 0, pauses: 1 };
        assert_eq!(size.to_string(), "1 message, 0 faults, 2 kills and 1 pause");
        assert_eq!(size.steps(), 4);
    }
}
