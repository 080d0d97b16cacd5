//! WASI 0.3's functions that pass the door, as those of 0.2 do: the same clocks, randomness and environment.

use wasmtime::component::{Accessor, HasSelf};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use wasmtime_wasi::p3::bindings::cli::environment;
use wasmtime_wasi::p3::bindings::clocks::monotonic_clock::{self, HostWithStore};
use wasmtime_wasi::p3::bindings::clocks::system_clock::{self, Instant};
use wasmtime_wasi::p3::bindings::random::{insecure, insecure_seed, random};

use crate::engine::guest::Guest;
use crate::turn::HostCall;

impl system_clock::Host for Guest {
    fn now(&mut self) -> wasmtime::Result<Instant> {
        let now = self.turn.perform_now(HostCall::WallClock).time()?;
        Ok(Instant { seconds: now.as_secs().try_into()?, nanoseconds: now.subsec_nanos() })
    }

    fn get_resolution(&mut self) -> wasmtime::Result<u64> {
        system_clock::Host::get_resolution(&mut self.clocks())
    }
}

impl monotonic_clock::Host for Guest {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.turn.perform_now(HostCall::MonotonicClock).nanoseconds()?)
    }

    fn get_resolution(&mut self) -> wasmtime::Result<u64> {
        monotonic_clock::Host::get_resolution(&mut self.clocks())
    }
}

impl HostWithStore<Guest> for HasSelf<Guest> {
    async fn wait_until(tasks: &Accessor<Guest, Self>, when: u64) -> wasmtime::Result<()> {
        WasiClocks::wait_until(&tasks.with_getter(|guest| guest.clocks()), when).await
    }

    async fn wait_for(tasks: &Accessor<Guest, Self>, duration: u64) -> wasmtime::Result<()> {
        WasiClocks::wait_for(&tasks.with_getter(|guest| guest.clocks()), duration).await
    }
}

impl environment::Host for Guest {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        wasmtime_wasi::p2::bindings::cli::environment::Host::get_environment(self)
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        wasmtime_wasi::p2::bindings::cli::environment::Host::get_arguments(self)
    }

    fn get_initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        wasmtime_wasi::p2::bindings::cli::environment::Host::initial_cwd(self)
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
    fn get_insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((self.random_number()?, self.random_number()?))
    }
}
