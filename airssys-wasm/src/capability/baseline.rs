//! What every guest has without a grant, and how much of it an operator leaves: time and chance.

use std::time::Duration;

/// What a service's clocks show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Clocks {
    /// The machine's time. The default.
    #[default]
    Real,
    /// The machine's time, rounded down to a multiple of this.
    Coarse(Duration),
    /// Nothing: they stand at zero. A wait lasts as long as it says all the same, so that nobody waits in vain for a
    /// moment that never comes.
    None,
}

/// Where a service's random numbers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Randomness {
    /// From the machine. The default.
    #[default]
    Real,
    /// From this number and the actor's address: each of its instances draws the same ones, in the same order, wherever
    /// it runs.
    Seeded(u64),
    /// From nowhere: who asks for one is ended. There is no error that a guest could be given, and no number that would
    /// not pass for a random one.
    None,
}

/// What a guest has of time and chance. The default is all of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Baseline {
    /// Its clocks.
    pub(crate) clocks: Clocks,
    /// Its random numbers.
    pub(crate) randomness: Randomness,
}
