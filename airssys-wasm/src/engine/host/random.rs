//! `wasi:random`, as the topology has it: from the machine, from a seed, or not at all.
//!
//! It stands in front of wasmtime's own, which cannot refuse, and draws up to 64 MiB in one call, which holds a thread for longer than a guest may.

use wasmtime_wasi::WasiView;
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};

use crate::engine::chance::{Chance, MOST, NoRandomness};
use crate::engine::guest::Guest;

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
