//! Whether a new release does as well as the old one beside it. Pure.

use std::time::Duration;

use super::Setback;

/// What the new release of a canary, or of a shadow, has to show before it, or more of it, is let in.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Gate {
    /// How long each step lasts at least; default 10 s.
    pub bake: Duration,
    /// How many turns each of the two releases must have been seen over; default 100.
    pub samples: u64,
    /// How long a step waits for them; default 10 min. Then the old release comes back.
    pub patience: Duration,
    /// By how much the share of the new release's turns that fail may be larger than that of the old one's; default 0.01.
    pub errors: f64,
    /// How many times as long as the old one's the new release's turns may take, at the 95th percentile; default 1.5. One millisecond more is always allowed:
    /// below that the machine's noise decides. Not looked at where one of the two is compiled by the baseline compiler.
    pub latency: f64,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            bake: Duration::from_secs(10),
            samples: 100,
            patience: Duration::from_secs(600),
            errors: 0.01,
            latency: 1.5,
        }
    }
}

/// What is always allowed beyond the factor.
const SLACK: Duration = Duration::from_millis(1);

/// What is known of one release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Its turns.
    pub turns: u64,
    /// Those that ended in an error or a crash.
    pub failed: u64,
    /// The 95th percentile of what a turn took, up to an eighth more.
    pub p95: Duration,
}

impl Seen {
    #[allow(clippy::cast_precision_loss, reason = "a share of counts")]
    fn failing(&self) -> f64 {
        self.failed as f64 / self.turns.max(1) as f64
    }
}

/// What a gate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Too little is known.
    Unknown,
    Passed,
    Failed(Setback),
}

impl Gate {
    /// Compares two releases.
    pub(crate) fn verdict(&self, old: Seen, new: Seen) -> Verdict {
        if new.turns < self.samples || old.turns < self.samples {
            return Verdict::Unknown;
        }
        if new.failing() > old.failing() + self.errors {
            return Verdict::Failed(Setback::Failing { old, new });
        }
        if self.latency.is_finite() && new.p95 > old.p95.mul_f64(self.latency.clamp(0.0, 1e6)) + SLACK {
            return Verdict::Failed(Setback::Slow { old, new });
        }
        Verdict::Passed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Gate, Seen, Setback, Verdict};

    fn seen(turns: u64, failed: u64, p95_ms: u64) -> Seen {
        Seen { turns, failed, p95: Duration::from_millis(p95_ms) }
    }

    #[test]
    fn a_gate_compares() {
        let gate = Gate { samples: 100, errors: 0.01, latency: 2.0, ..Gate::default() };
        let cases = [
            ("too few of the new", seen(1_000, 0, 5), seen(99, 99, 500), "unknown"),
            ("too few of the old", seen(99, 0, 5), seen(100, 0, 5), "unknown"),
            ("as good", seen(1_000, 10, 5), seen(100, 1, 5), "passed"),
            ("within the margin", seen(1_000, 0, 5), seen(100, 1, 5), "passed"),
            ("beyond the margin", seen(1_000, 0, 5), seen(100, 2, 5), "failing"),
            ("no worse than the old, which is bad", seen(1_000, 500, 5), seen(100, 50, 5), "passed"),
            ("twice as slow and the slack", seen(1_000, 0, 5), seen(100, 0, 11), "passed"),
            ("slower than that", seen(1_000, 0, 5), seen(100, 0, 12), "slow"),
            ("noise", seen(1_000, 0, 0), seen(100, 0, 1), "passed"),
        ];
        for (name, old, new, expected) in cases {
            let said = match gate.verdict(old, new) {
                Verdict::Unknown => "unknown",
                Verdict::Passed => "passed",
                Verdict::Failed(Setback::Failing { .. }) => "failing",
                Verdict::Failed(Setback::Slow { .. }) => "slow",
                Verdict::Failed(_) => "something else",
            };
            assert_eq!(said, expected, "{name}");
        }
    }
}
