//! Where the random numbers of an instance come from, as the topology has it: from the machine, from a seed, or from
//! nowhere.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::capability::Randomness;

/// The most random bytes of one call.
const MOST: u64 = 256 << 10;
/// How much is taken from the machine at a time: a number has a sixteenth of what asking for it costs.
const POOL: usize = 128;

/// Random numbers were asked for that there are not. The guest ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub(crate) enum NoRandomness {
    #[error("it asked for randomness, which the topology takes away from it")]
    Taken,
    #[error("it asked for {0} random bytes at once; the most is {MOST}")]
    TooMuch(u64),
    #[error("the machine has no randomness: {0}")]
    Machine(String),
}

/// Where an instance's random numbers come from.
#[derive(Debug)]
pub(super) enum Chance {
    Machine(Machine),
    Seeded(Box<Seeded>),
    Nowhere,
}

impl Chance {
    /// That of the actor with this address.
    pub(super) fn new(randomness: Randomness, address: &str) -> Self {
        match randomness {
            Randomness::Real => Self::Machine(Machine::default()),
            Randomness::Seeded(seed) => Self::Seeded(Box::new(Seeded::new(seed, address))),
            Randomness::None => Self::Nowhere,
        }
    }

    /// So many random bytes.
    pub(super) fn bytes(&mut self, count: u64) -> Result<Vec<u8>, NoRandomness> {
        let length = usize::try_from(count).ok().filter(|_| count <= MOST).ok_or(NoRandomness::TooMuch(count))?;
        let mut bytes = vec![0; length];
        match self {
            Self::Machine(_) => fill(&mut bytes)?,
            Self::Seeded(seeded) => bytes.fill_with(|| seeded.byte()),
            Self::Nowhere => return Err(NoRandomness::Taken),
        }
        Ok(bytes)
    }

    /// A random number of 64 bits.
    pub(super) fn number(&mut self) -> Result<u64, NoRandomness> {
        match self {
            Self::Machine(machine) => machine.number(),
            Self::Seeded(seeded) => Ok(seeded.number()),
            Self::Nowhere => Err(NoRandomness::Taken),
        }
    }
}

fn fill(bytes: &mut [u8]) -> Result<(), NoRandomness> {
    getrandom::fill(bytes).map_err(|error| NoRandomness::Machine(error.to_string()))
}

/// The machine's random numbers, each of which is given out once. Nothing is kept for a guest that never asks.
#[derive(Default)]
pub(super) struct Machine(Vec<u8>);

impl Machine {
    fn number(&mut self) -> Result<u64, NoRandomness> {
        if self.0.is_empty() {
            self.0.resize(POOL, 0);
            if let Err(none) = fill(&mut self.0) {
                self.0.clear();
                return Err(none);
            }
        }
        // What was given out is not kept.
        let at = self.0.len().saturating_sub(8);
        let mut number = [0; 8];
        for (to, from) in number.iter_mut().zip(self.0.drain(at..)) {
            *to = from;
        }
        Ok(u64::from_le_bytes(number))
    }
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").finish_non_exhaustive()
    }
}

/// The digests of a seed, an address and a counter, one after the other: the same on each machine and in each version
/// of the host, and what one actor draws says nothing of what another does.
#[derive(Debug)]
pub(crate) struct Seeded {
    start: Sha256,
    block: [u8; 32],
    used: usize,
    next_block: u64,
}

impl Seeded {
    fn new(seed: u64, address: &str) -> Self {
        let start = Sha256::new_with_prefix(seed.to_le_bytes()).chain_update(address).chain_update([0]);
        Self { start, block: [0; 32], used: 32, next_block: 0 }
    }

    fn byte(&mut self) -> u8 {
        if self.used == self.block.len() {
            self.block = self.start.clone().chain_update(self.next_block.to_le_bytes()).finalize().into();
            self.next_block = self.next_block.wrapping_add(1);
            self.used = 0;
        }
        let byte = self.block.get(self.used).copied().unwrap_or_default();
        self.used += 1;
        byte
    }

    fn number(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use super::{Chance, Machine, NoRandomness, Randomness, Seeded};

    #[test]
    fn a_seed_means_the_same_for_ever() {
        let mut seeded = Seeded::new(42, "dice");
        assert_eq!([seeded.number(), seeded.number()], [15_624_909_907_588_985_049, 15_629_689_112_855_400_677]);
        let dice = || Chance::new(Randomness::Seeded(42), "dice");
        let (mut whole, mut parts) = (dice(), dice());
        assert_eq!(
            whole.bytes(100).unwrap(),
            [1, 60, 39].map(|count| parts.bytes(count).unwrap()).concat(),
            "however it is drawn"
        );
        assert_ne!(Seeded::new(42, "dice").number(), Seeded::new(43, "dice").number());
        assert_ne!(Seeded::new(42, "dice/a").number(), Seeded::new(42, "dice/b").number());
    }

    #[test]
    fn no_number_of_the_machine_is_given_out_twice() {
        let mut machine = Machine::default();
        let drawn: std::collections::BTreeSet<u64> = (0..100).map(|_| machine.number().unwrap()).collect();
        assert_eq!(drawn.len(), 100);
    }

    #[test]
    fn what_is_too_much_or_was_taken_away_is_refused() {
        let (most, too_many) = (256 << 10, (256 << 10) + 1);
        let mut machine = Chance::new(Randomness::Real, "dice");
        assert_eq!(machine.bytes(most).unwrap().len() as u64, most);
        assert_eq!(machine.bytes(too_many), Err(NoRandomness::TooMuch(too_many)));
        let mut nowhere = Chance::new(Randomness::None, "dice");
        assert_eq!((nowhere.bytes(1), nowhere.number()), (Err(NoRandomness::Taken), Err(NoRandomness::Taken)));
    }
}
