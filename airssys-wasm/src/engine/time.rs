//! The clocks of a guest that are not the machine's.

use std::time::Duration;

use wasmtime_wasi::clocks::{MonotonicClock, WallClock};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtxBuilder};

use crate::capability::Clocks;

/// Sets the clocks of a context. Only what is read changes; waits are the host's, and last as long as they say.
pub(super) fn set(clocks: Clocks, wasi: &mut WasiCtxBuilder) {
    match clocks {
        Clocks::Real => {}
        Clocks::Coarse(step) => {
            let step_ns = u64::try_from(step.as_nanos()).unwrap_or(u64::MAX).max(1);
            wasi.wall_clock(CoarseWall(step))
                .monotonic_clock(CoarseMonotonic { clock: MonotonicClock::new(), step_ns });
        }
        Clocks::None => {
            wasi.wall_clock(Stopped).monotonic_clock(Stopped);
        }
    }
}

/// Rounds down; a step of zero rounds nothing.
fn floor(time: Duration, step: Duration) -> Duration {
    let rest = time.as_nanos().checked_rem(step.as_nanos()).unwrap_or(0);
    let (seconds, nanos) = (rest / 1_000_000_000, rest % 1_000_000_000);
    // Both fit: the rest is no larger than the time.
    time.saturating_sub(Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanos).unwrap_or(0)))
}

struct CoarseWall(Duration);

impl HostWallClock for CoarseWall {
    fn resolution(&self) -> Duration {
        self.0
    }

    fn now(&self) -> Duration {
        floor(WallClock::new().now(), self.0)
    }
}

struct CoarseMonotonic {
    clock: MonotonicClock,
    step_ns: u64,
}

impl HostMonotonicClock for CoarseMonotonic {
    fn resolution(&self) -> u64 {
        self.step_ns
    }

    fn now(&self) -> u64 {
        let now = self.clock.now();
        now - now % self.step_ns
    }
}

/// A clock that nobody wound up.
struct Stopped;

impl HostWallClock for Stopped {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

impl HostMonotonicClock for Stopped {
    fn resolution(&self) -> u64 {
        1_000_000_000
    }

    fn now(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, floor};

    #[test]
    fn a_coarse_clock_rounds_down() {
        let time = Duration::new(1_700_000_007, 654_321_987);
        for (step, shows) in [
            (Duration::from_secs(10), Duration::from_secs(1_700_000_000)),
            (Duration::from_millis(1), Duration::new(1_700_000_007, 654_000_000)),
            (Duration::from_nanos(1), time),
            (Duration::ZERO, time),
            (Duration::from_secs(1 << 40), Duration::ZERO),
        ] {
            assert_eq!(floor(time, step), shows, "{step:?}");
        }
    }
}
