//! `wasi:random`, as the topology has it: from the machine, from a seed, or not at all.
//!
//! It stands in front of wasmtime's own, which cannot refuse, and draws up to 64 MiB in one call, which holds a thread for longer than a guest may.

use sha2::{Digest, Sha256};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};

use crate::capability::Randomness;
use crate::engine::guest::{Guest, Identity};

/// The most random bytes of one call.
const MOST: u64 = 256 << 10;

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
    pub(crate) fn new(identity: &Identity) -> Self {
        match identity.terms.baseline.randomness {
            Randomness::Real => Self::Machine,
            Randomness::Seeded(seed) => Self::Seeded(Box::new(Seeded::new(seed, identity.address().as_str()))),
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

    fn bytes(&mut self, count: u64) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }

    fn number(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }
}

fn check(count: u64) -> wasmtime::Result<()> {
    if count > MOST { Err(NoRandomness::TooMuch(count).into()) } else { Ok(()) }
}

impl random::Host for Guest {
    fn get_random_bytes(&mut self, count: u64) -> wasmtime::Result<Vec<u8>> {
        check(count)?;
        match &mut self.chance {
            Chance::Machine => random::Host::get_random_bytes(self.ctx().ctx.random(), count),
            Chance::Seeded(seeded) => Ok(seeded.bytes(count)),
            Chance::Nowhere => Err(NoRandomness::Taken.into()),
        }
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        match &mut self.chance {
            Chance::Machine => random::Host::get_random_u64(self.ctx().ctx.random()),
            Chance::Seeded(seeded) => Ok(seeded.number()),
            Chance::Nowhere => Err(NoRandomness::Taken.into()),
        }
    }
}

impl insecure::Host for Guest {
    fn get_insecure_random_bytes(&mut self, count: u64) -> wasmtime::Result<Vec<u8>> {
        check(count)?;
        match &mut self.chance {
            Chance::Machine => insecure::Host::get_insecure_random_bytes(self.ctx().ctx.random(), count),
            Chance::Seeded(seeded) => Ok(seeded.bytes(count)),
            Chance::Nowhere => Err(NoRandomness::Taken.into()),
        }
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        match &mut self.chance {
            Chance::Machine => insecure::Host::get_insecure_random_u64(self.ctx().ctx.random()),
            Chance::Seeded(seeded) => Ok(seeded.number()),
            Chance::Nowhere => Err(NoRandomness::Taken.into()),
        }
    }
}

impl insecure_seed::Host for Guest {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        match &mut self.chance {
            Chance::Machine => insecure_seed::Host::insecure_seed(self.ctx().ctx.random()),
            Chance::Seeded(seeded) => Ok((seeded.number(), seeded.number())),
            Chance::Nowhere => Err(NoRandomness::Taken.into()),
        }
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
