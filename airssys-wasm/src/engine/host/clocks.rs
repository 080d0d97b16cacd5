//! `wasi:clocks`: what is read passes the door. What is waited for is WASI's.

use wasmtime::component::Resource;
use wasmtime_wasi::clocks::WasiClocksView as _;
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::{self, Datetime};

use crate::engine::guest::Guest;
use crate::turn::{HostCall, Maker};

impl wall_clock::Host for Guest {
    fn now(&mut self) -> wasmtime::Result<Datetime> {
        let now = self.turn.perform_now(HostCall::WallClock).time()?;
        Ok(Datetime { seconds: now.as_secs(), nanoseconds: now.subsec_nanos() })
    }

    fn resolution(&mut self) -> wasmtime::Result<Datetime> {
        wall_clock::Host::resolution(&mut self.clocks())
    }
}

impl monotonic_clock::Host for Guest {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.turn.perform_now(HostCall::MonotonicClock).nanoseconds()?)
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        monotonic_clock::Host::resolution(&mut self.clocks())
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let pollable = self.clocks().subscribe_instant(when)?;
        self.turn.name_pollable(pollable.rep(), Maker::Instant);
        Ok(pollable)
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let pollable = self.clocks().subscribe_duration(duration)?;
        self.turn.name_pollable(pollable.rep(), Maker::Duration);
        Ok(pollable)
    }
}
