//! The clocks that WASI itself looks at, to say how fine they are and until when something waits: the guest's own. What
//! a guest reads passes the door.

use std::time::Duration;

use wasmtime_wasi::clocks::{MonotonicClock, WallClock};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtxBuilder};

use crate::turn::Time;

/// Sets the clocks of a context. Only what is read changes; waits are the host's, and last as long as they say.
pub(super) fn set(time: Time, wasi: &mut WasiCtxBuilder) {
    wasi.wall_clock(Shown(time)).monotonic_clock(Shown(time));
}

struct Shown(Time);

impl HostWallClock for Shown {
    fn resolution(&self) -> Duration {
        self.0.step().unwrap_or_else(|| WallClock::new().resolution())
    }

    fn now(&self) -> Duration {
        self.0.wall()
    }
}

impl HostMonotonicClock for Shown {
    fn resolution(&self) -> u64 {
        let nanoseconds = |step: Duration| u64::try_from(step.as_nanos()).unwrap_or(u64::MAX).max(1);
        self.0.step().map_or_else(|| MonotonicClock::new().resolution(), nanoseconds)
    }

    fn now(&self) -> u64 {
        self.0.monotonic()
    }
}
