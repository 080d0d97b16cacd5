//! `wasi:random`, which passes the door: from the machine, from a seed, or not at all.
//!
//! It stands in front of wasmtime's own, which cannot refuse, and draws up to 64 MiB in one call, which holds a thread
//! for longer than a guest may.

use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};

use crate::engine::guest::Guest;
use crate::turn::HostCall;

impl Guest {
    pub(in crate::engine) fn random_bytes(&mut self, count: u64) -> wasmtime::Result<Vec<u8>> {
        Ok(self.turn.perform_now(HostCall::RandomBytes { count }).bytes_drawn()??)
    }

    pub(in crate::engine) fn random_number(&mut self) -> wasmtime::Result<u64> {
        Ok(self.turn.perform_now(HostCall::RandomNumber).number_drawn()??)
    }
}

impl random::Host for Guest {
    fn get_random_bytes(&mut self, count: u64) -> wasmtime::Result<Vec<u8>> {
        self.random_bytes(count)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.random_number()
    }
}

impl insecure::Host for Guest {
    fn get_insecure_random_bytes(&mut self, count: u64) -> wasmtime::Result<Vec<u8>> {
        self.random_bytes(count)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.random_number()
    }
}

impl insecure_seed::Host for Guest {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((self.random_number()?, self.random_number()?))
    }
}
