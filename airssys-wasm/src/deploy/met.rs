//! What a deployment met with at the actors, and what it went on without.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::taken::Taken;
use crate::actor::Rehearsed;
use crate::error::Crash;

/// What the switches of a deployment met with: the most of each.
#[derive(Debug, Default)]
pub(super) struct Met {
    pub(super) pause_ns: AtomicU64,
    pub(super) waiting: AtomicUsize,
    pub(super) rehearsed: Mutex<Rehearsed>,
    left_out: Mutex<LeftOut>,
}

/// What a deployment went on without, since what was there before is stopped or sick.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOut {
    /// The actors that do not run: members that ended for good, and those whose group waits for another one before they
    /// are started. What is started there starts with the new release.
    pub passed_over: Vec<String>,
    /// The actors that were to get the memory of the release before, and did not.
    pub without_memory: Option<WithoutMemory>,
    /// The keys and children that start neither with the new release nor with the one before. They stay as they are,
    /// and start with the new one next.
    pub sick: Option<Sick>,
    /// The actors whose turn was cut off, since it was not over at the handover deadline.
    pub cut_off: Option<CutOff>,
}

/// Actors that start with neither release.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sick {
    /// How many.
    pub actors: usize,
    /// The first of them.
    pub first: String,
    /// Why it does not start with the new one.
    pub crash: Crash,
}

/// Actors whose turn was cut off for the release that took over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CutOff {
    /// How many.
    pub actors: usize,
    /// The first of them.
    pub first: String,
}

/// Actors whose new release began without the memory of the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WithoutMemory {
    /// How many.
    pub actors: usize,
    /// The first of them.
    pub first: String,
    /// What happened there when the memory was to be handed over.
    pub crash: Crash,
}

impl LeftOut {
    /// A sentence for each.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let passed_over = (!self.passed_over.is_empty()).then(|| {
            format!(
                "passed over, since they do not run: {}; where they are started again, it is with the new release",
                self.passed_over.join(", ")
            )
        });
        let without_memory = self.without_memory.as_ref().map(|WithoutMemory { actors, first, crash }| {
            let others = and_more(*actors);
            format!("{first}{others} took over without the memory of the release before: {crash}")
        });
        let cut_off = self.cut_off.as_ref().map(|CutOff { actors, first }| {
            let others = and_more(*actors);
            format!("cut off the turn of {first}{others}, which was not over at the handover deadline")
        });
        let sick = self.sick.as_ref().map(|Sick { actors, first, crash }| {
            let others = and_more(*actors);
            format!("{first}{others} did not start, and does not with the release before either: {crash}; it starts with the new release next")
        });
        passed_over.into_iter().chain(sick).chain(without_memory).chain(cut_off).collect()
    }
}

fn and_more(actors: usize) -> String {
    if actors == 1 { String::new() } else { format!(" and {} more", actors - 1) }
}

impl Met {
    pub(super) fn lock_left_out(&self) -> MutexGuard<'_, LeftOut> {
        self.left_out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn rehearsed(&self, found: &Rehearsed) {
        self.rehearsed.lock().unwrap_or_else(PoisonError::into_inner).clone_from(found);
    }

    /// What became of an actor of this name.
    pub(super) fn see(&self, actor: &str, taken: &Taken) {
        let swapped = match taken {
            Taken::Switched(swapped) => swapped,
            Taken::PassedOver => return self.lock_left_out().passed_over.push(actor.to_owned()),
            Taken::Sick(crash) => {
                let mut left_out = self.lock_left_out();
                let first = || Sick { actors: 0, first: actor.to_owned(), crash: crash.clone() };
                left_out.sick.get_or_insert_with(first).actors += 1;
                return;
            }
        };
        if let Some(crash) = &swapped.without_memory {
            let mut left_out = self.lock_left_out();
            let first = || WithoutMemory { actors: 0, first: actor.to_owned(), crash: crash.clone() };
            left_out.without_memory.get_or_insert_with(first).actors += 1;
        }
        if swapped.cut_off {
            let mut left_out = self.lock_left_out();
            let first = || CutOff { actors: 0, first: actor.to_owned() };
            left_out.cut_off.get_or_insert_with(first).actors += 1;
        }
        let pause_ns = u64::try_from(swapped.pause.as_nanos()).unwrap_or(u64::MAX);
        self.pause_ns.fetch_max(pause_ns, Ordering::Relaxed);
        self.waiting.fetch_max(swapped.waiting, Ordering::Relaxed);
    }
}
