//! The clocks of a guest, as the topology has them: the machine's, coarse, or standing still.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::capability::Clocks;

/// The clocks of one instance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time {
    clocks: Clocks,
    /// Where the monotonic one begins.
    began: Instant,
    /// The time since 1970 at that moment, in a seeded host; none where the machine says what time it is.
    wall: Option<Duration>,
}

impl Time {
    pub(crate) fn new(clocks: Clocks, wall: Option<Duration>) -> Self {
        Self { clocks, began: Instant::now(), wall }
    }

    /// How coarse they are; none where they are as fine as the machine's.
    pub(crate) fn step(&self) -> Option<Duration> {
        match self.clocks {
            Clocks::Real => None,
            Clocks::Coarse(step) => Some(step),
            Clocks::None => Some(Duration::from_secs(1)),
        }
    }

    /// The time since 1970; nothing before that.
    pub(crate) fn wall(&self) -> Duration {
        self.seen(|| match self.wall {
            Some(wall) => wall + self.began.elapsed(),
            None => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        })
    }

    /// Nanoseconds since this instance began.
    pub(crate) fn monotonic(&self) -> u64 {
        let since = self.seen(|| self.began.elapsed());
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    #[inline]
    fn seen(&self, now: impl FnOnce() -> Duration) -> Duration {
        match self.clocks {
            Clocks::Real => now(),
            Clocks::Coarse(step) => floor(now(), step),
            Clocks::None => Duration::ZERO,
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

#[cfg(test)]
mod tests {
    use super::{Clocks, Duration, Time, floor};

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

    #[test]
    fn a_clock_that_was_taken_away_stands_at_zero() {
        let time = Time::new(Clocks::None, None);
        assert_eq!((time.wall(), time.monotonic()), (Duration::ZERO, 0));
    }
}
