//! How what failed is tried again: so many times, with how much time between, after which errors. Plain data, and the
//! reckoning of it, which knows no clock and no chance.

use std::time::Duration;

use toml::Spanned;

use crate::operation::{Operation, Operations};
use crate::schema::{Count, Humane, MILLISECOND, schema};

/// A policy, which services use by its name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RetryPolicy {
    pub(crate) name: String,
    /// How often it is tried, the first time among them.
    pub(crate) attempts: u32,
    /// The time before the second try.
    pub(crate) delay: Duration,
    /// How much longer each further one is.
    pub(crate) factor: f64,
    /// The longest of them.
    pub(crate) max_delay: Duration,
    /// Which part of each is left to chance.
    pub(crate) jitter: f64,
    /// After which errors.
    pub(crate) errors: Vec<String>,
    /// What is tried again.
    pub(crate) applies_to: Vec<Operation>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            name: String::new(),
            attempts: 3,
            delay: Duration::from_millis(100),
            factor: 2.0,
            max_delay: Duration::from_secs(30),
            jitter: 0.5,
            errors: ["overloaded", "stopped", "unavailable"].map(str::to_owned).to_vec(),
            applies_to: vec![Operation::Send, Operation::Call, Operation::Invoke],
        }
    }
}

/// The longest time between two tries, in nanoseconds: an hour.
const LONGEST: u64 = 3_600 * 1_000 * MILLISECOND;

schema! {
    of RetryPolicy, written WrittenRetry {
        /// its name, by which services use it: `retry` of a `[[service]]`
        name: Spanned<String> => name, needed "required", kind "name";
        /// how often it is tried, the first time among them
        attempts: Count<u32> => attempts, in 1..=1_000, by InPlace, default "`3`";
        /// how much time goes by before it is tried the second time
        delay: Humane => delay, in 0..=LONGEST, by InPlace, default "`\"100ms\"`";
        /// how much longer each further time is
        factor: Spanned<f64> => factor, by InPlace, kind "number, `1.0` to `100.0`", default "`2.0`";
        /// the longest of these times
        max_delay: Humane => max_delay, in 0..=LONGEST, by InPlace, default "`\"30s\"`";
        /// which part of each time is left to chance, so that not all try again at once: with `0.0` none, with `1.0` it
        /// is anything from nothing up to the time
        jitter: Spanned<f64> => jitter, by InPlace, kind "number, `0.0` to `1.0`", default "`0.5`";
        /// after which errors, by their codes: see [tried again](layers.md#tried-again). A denial is never tried again
        errors: Vec<Spanned<String>> => errors, by InPlace, kind "list of words",
            default "`[\"overloaded\", \"stopped\", \"unavailable\"]`";
        /// what is tried again: `send`, `call`, `invoke`, or all three by `messages`; `file-open` and the like, or
        /// `files`
        applies_to: Vec<Spanned<String>> => applies_to, by InPlace, kind "list of words", default "`[\"messages\"]`";
    }
}

/// The errors after which something may be tried again: those of messages, and those of files.
pub(crate) const ERRORS: &[&str] = &[
    "timeout",
    "suspended",
    "crashed",
    "dropped",
    "overloaded",
    "stopped",
    "no-such-service",
    "rejected",
    "unavailable",
    "internal",
    "access",
    "busy",
    "exist",
    "insufficient-memory",
    "insufficient-space",
    "interrupted",
    "io",
    "no-entry",
    "not-empty",
    "would-block",
];

impl RetryPolicy {
    /// What can be tried again.
    pub(crate) const ABOUT: Operations =
        Operations::of(Operation::Send).and(Operation::Call).and(Operation::Invoke).and_all(Operations::FILES);

    /// What is tried again.
    pub(crate) fn about(&self) -> Operations {
        self.applies_to.iter().fold(Operations::NONE, |all, one| all.and(*one))
    }

    /// How long to wait after so many failures, of which the last is the one at hand; `chance` is any number. None
    /// where it is not tried again.
    ///
    /// The time grows by a factor up to a bound, and a part of it is left to chance. With all of it, that is the "full
    /// jitter" of M. Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015), with half of it the
    /// "equal jitter".
    pub(crate) fn wait(&self, failures: u32, chance: u64) -> Option<Duration> {
        if failures >= self.attempts {
            return None;
        }
        let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let grown = Duration::try_from_secs_f64(self.delay.as_secs_f64() * self.factor.powi(exponent));
        let delay = grown.unwrap_or(self.max_delay).min(self.max_delay);
        // As many bits as a float has.
        #[allow(clippy::cast_precision_loss, reason = "no more bits than it has")]
        let part = (chance >> 11) as f64 / (1_u64 << 53) as f64;
        Some(delay.mul_f64(1.0 - self.jitter * part))
    }
}

/// The next number of a row that looks like chance, and what the row goes on with: SplitMix64, of G. Steele, D. Lea and
/// C. Flood, "Fast Splittable Pseudorandom Number Generators" (2014).
pub(crate) fn chance(seed: u64) -> (u64, u64) {
    let seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31), seed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::print_stderr, clippy::unwrap_used, reason = "a test says so by panicking, and prints its seed")]

    use std::time::Duration;

    use super::{RetryPolicy, chance};

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn policy() -> RetryPolicy {
        let (delay, max_delay) = (MS(100), MS(1_000));
        RetryPolicy { attempts: 7, delay, max_delay, jitter: 0.0, ..RetryPolicy::default() }
    }

    #[test]
    fn the_time_grows_up_to_its_bound_and_then_it_is_given_up() {
        let waits: Vec<_> = (1..=7).map(|failures| policy().wait(failures, 7)).collect();
        assert_eq!(
            waits,
            [100, 200, 400, 800, 1_000, 1_000].map(|ms| Some(MS(ms))).into_iter().chain([None]).collect::<Vec<_>>()
        );
        let once = RetryPolicy { attempts: 1, ..policy() };
        assert_eq!(once.wait(1, 0), None);
        let wild = RetryPolicy { factor: 100.0, attempts: u32::MAX, ..policy() };
        assert_eq!(wild.wait(u32::MAX - 1, 0), Some(MS(1_000)), "it is no number any more");
    }

    #[test]
    fn a_part_of_it_is_left_to_chance() {
        let mut seed = 0;
        getrandom::fill(std::slice::from_mut(&mut seed)).unwrap();
        let mut state = u64::from(seed);
        eprintln!("seed {state}");
        for (jitter, least) in [(0.0, 100), (0.5, 50), (1.0, 0)] {
            let policy = RetryPolicy { jitter, ..policy() };
            let (mut low, mut high) = (MS(1_000), MS(0));
            for _ in 0..1_000 {
                let (number, next) = chance(state);
                state = next;
                let wait = policy.wait(1, number).unwrap();
                assert!(wait >= MS(least) && wait <= MS(100), "{jitter}: {wait:?}");
                (low, high) = (low.min(wait), high.max(wait));
            }
            let spread = MS(100 - least).mul_f64(0.9);
            assert!(high - low >= spread, "{jitter}: {low:?} to {high:?}");
        }
        assert_eq!(chance(0), (0xe220_a839_7b1d_cdaf, 0x9e37_79b9_7f4a_7c15), "as others have it");
    }
}
