//! Where the random numbers of an instance come from, as the topology has it: from the machine, from a seed, or from nowhere.

use sha2::{Digest, Sha256};

use crate::capability::Randomness;

/// The most random bytes of one call.
pub(super) const MOST: u64 = 256 << 10;

/// Random numbers were asked for that there are not. The guest ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoRandomness {
    #[error("it asked for randomness, which the topology takes away from it")]
    Taken,
    #[error("it asked for {0} random bytes at once; the most is {MOST}")]
    TooMuch(u64),
}

/// Where an instance's random numbers come from.
#[derive(Debug)]
pub(crate) enum Chance {
    Machine,
    Seeded(Box<Seeded>),
    Nowhere,
}

impl Chance {
    /// That of the actor with this address.
    pub(crate) fn new(randomness: Randomness, address: &str) -> Self {
        match randomness {
            Randomness::Real => Self::Machine,
            Randomness::Seeded(seed) => Self::Seeded(Box::new(Seeded::new(seed, address))),
            Randomness::None => Self::Nowhere,
        }
    }
}

/// The digests of a seed, an address and a counter, one after the other: the same on each machine and in each version of the host, and what one
/// actor draws says nothing of what another does.
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

    pub(super) fn bytes(&mut self, count: u64) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }

    pub(super) fn number(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }
}

#[cfg(test)]
mod tests {
    use super::Seeded;

    #[test]
    fn a_seed_means_the_same_for_ever() {
        let mut seeded = Seeded::new(42, "dice");
        assert_eq!([seeded.number(), seeded.number()], [15_624_909_907_588_985_049, 15_629_689_112_855_400_677]);
        let (mut whole, mut parts) = (Seeded::new(42, "dice"), Seeded::new(42, "dice"));
        assert_eq!(
            whole.bytes(100),
            [parts.bytes(1), parts.bytes(60), parts.bytes(39)].concat(),
            "however it is drawn"
        );
        assert_ne!(Seeded::new(42, "dice").number(), Seeded::new(43, "dice").number());
        assert_ne!(Seeded::new(42, "dice/a").number(), Seeded::new(42, "dice/b").number());
    }
}
