//! An instance in a seeded host: what it computes is counted in instructions and not in time, so that it ends at the
//! same one in each run.

use wasmtime::Store;

use super::{Instance, Ran};
use crate::engine::guest::Guest;
use crate::error::Crash;
use crate::seeded::Moment;

/// What stands for a tick of the engines' clock, in instructions: about as many as a processor does in it.
const TICK: u64 = 4_000_000;

/// Gives a new instance what it may compute until its first turn, and lets others go on after each tick of it where it
/// can.
pub(super) fn meter(store: &mut Store<Guest>, yields: bool) -> Result<(), Crash> {
    let budget = budget(store);
    let metered = store.set_fuel(budget).and_then(|()| store.fuel_async_yield_interval(yields.then_some(TICK)));
    metered.map_err(|error| Crash::Host { detail: format!("{error:#}") })
}

impl Instance {
    /// Gives it what it may compute in one turn, or less where it is to crash; what it has computed since it was given
    /// that before.
    pub(crate) fn refuel(&mut self, crash: Option<(u64, Crash)>) -> u64 {
        let store = &mut self.store;
        let budget = budget(store);
        let used = budget.saturating_sub(store.get_fuel().unwrap_or_default());
        let (fuel, planned) = match crash {
            Some((instructions, crash)) => (instructions.min(budget), Some(Box::new(crash))),
            None => (budget, None),
        };
        store.data_mut().planned = planned;
        store.data_mut().limiter.refuses = false;
        // It fails where the engine counts nothing, and that of a seeded host does.
        let _it_counts = store.set_fuel(fuel);
        used
    }
}

impl Instance {
    /// Gives it no more memory in the turn that is about to begin.
    pub(crate) fn refuse_memory(&mut self) {
        self.store.data_mut().limiter.refuses = true;
    }

    /// A moment of its life begins, in which the seed may have it crash.
    pub(super) fn life(&mut self, moment: Moment) -> Option<Crash> {
        let identity = &self.store.data().turn.identity;
        // What is none in a host that is not seeded.
        let instructions = identity.mesh.seeded.as_ref()?.life(identity.address().as_str(), moment)?;
        let crash = Crash::Planned { moment: moment.to_string() };
        self.refuel(Some((instructions, crash.clone())));
        Some(crash)
    }

    /// The moment is over: what was over before that instruction crashes now.
    pub(super) fn lived<T>(&mut self, planned: Option<Crash>, ran: Ran<T>) -> Ran<T> {
        match (planned, ran) {
            (Some(crash), Ran::Done(_) | Ran::Fault(_)) => Ran::Crashed(crash),
            (_, ran) => ran,
        }
    }
}

/// All of a turn, and of a start where that may take longer.
fn budget(store: &Store<Guest>) -> u64 {
    let limits = &store.data().turn.identity.terms.limits;
    limits.budget_ticks().max(limits.start_ticks()).saturating_mul(TICK)
}
