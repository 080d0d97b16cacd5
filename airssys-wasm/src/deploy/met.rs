//! What a deployment met with at the actors, and what it went on without.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::taken::Taken;
use crate::actor::Rehearsed;
use crate::error::Crash;

/// What the switches of a deployment met with: the most of each.
#[derive(Debug, Default)]
pub(super) struct Met {
    pub(super) pause_ns: AtomicU64,
    pub(super) waiting: AtomicUsize,
    rehearsed: Mutex<Rehearsed>,
    left_out: Mutex<LeftOut>,
}

/// The actors of a service that a deployment could not treat like the others.
#[derive(Debug, Clone, Default)]
pub(crate) struct LeftOut {
    /// The actors that do not run: members that ended for good, and those whose group waits for another one before they
    /// are started. What is started there starts with the new release.
    pub(super) passed_over: Vec<String>,
    /// The actors that were to get the memory of the release before, and did not; and what happened when it was to be
    /// handed over.
    pub(super) without_memory: Option<Affected>,
    /// The keys and children that start neither with the new release nor with the one before; and why not with the new
    /// one. They stay as they are, and start with the new one next.
    pub(super) sick: Option<Affected>,
    /// The actors whose turn was cut off, since it was not over at the handover deadline.
    pub(super) cut_off: Option<Affected>,
}

/// Actors of a service that the same happened to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Affected {
    /// How many.
    actors: usize,
    /// The first of them.
    first: String,
    /// Why, where a release crashed there; otherwise nothing.
    why: String,
    /// That crash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crash: Option<Crash>,
}

impl Affected {
    /// One more of them.
    fn count(all: &mut Option<Self>, actor: &str, crash: Option<&Crash>) {
        let why = || crash.map(ToString::to_string).unwrap_or_default();
        let first = || Self { actors: 0, first: actor.to_owned(), why: why(), crash: crash.cloned() };
        all.get_or_insert_with(first).actors += 1;
    }

    /// How they are called in a note.
    fn names(&self) -> String {
        match self.actors {
            1 => self.first.clone(),
            actors => format!("{} and {} more", self.first, actors - 1),
        }
    }
}

impl LeftOut {
    /// The same as sentences.
    pub(crate) fn notes(&self) -> Vec<String> {
        let passed_over = (!self.passed_over.is_empty()).then(|| {
            format!(
                "passed over, since they do not run: {}; where they are started again, it is with the new release",
                self.passed_over.join(", ")
            )
        });
        let without_memory = self.without_memory.as_ref().map(|affected| {
            format!("{} took over without the memory of the release before: {}", affected.names(), &affected.why)
        });
        let cut_off = self.cut_off.as_ref().map(|affected| {
            format!("cut off the turn of {}, which was not over at the handover deadline", affected.names())
        });
        let sick = self.sick.as_ref().map(|affected| {
            let (names, why) = (affected.names(), &affected.why);
            format!("{names} did not start, and does not with the release before either: {why}; it starts with the new release next")
        });
        passed_over.into_iter().chain(sick).chain(without_memory).chain(cut_off).collect()
    }
}

impl Met {
    pub(super) fn lock_left_out(&self) -> MutexGuard<'_, LeftOut> {
        self.left_out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lock_rehearsed(&self) -> MutexGuard<'_, Rehearsed> {
        self.rehearsed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What became of an actor of this name.
    pub(super) fn see(&self, actor: &str, taken: &Taken) {
        let swapped = match taken {
            Taken::Switched(swapped) => swapped,
            Taken::PassedOver => return self.lock_left_out().passed_over.push(actor.to_owned()),
            Taken::Sick(crash) => return Affected::count(&mut self.lock_left_out().sick, actor, Some(crash)),
        };
        if let Some(crash) = &swapped.without_memory {
            Affected::count(&mut self.lock_left_out().without_memory, actor, Some(crash));
        }
        if swapped.cut_off {
            Affected::count(&mut self.lock_left_out().cut_off, actor, None);
        }
        let pause_ns = u64::try_from(swapped.pause.as_nanos()).unwrap_or(u64::MAX);
        self.pause_ns.fetch_max(pause_ns, Ordering::Relaxed);
        self.waiting.fetch_max(swapped.waiting, Ordering::Relaxed);
    }
}
