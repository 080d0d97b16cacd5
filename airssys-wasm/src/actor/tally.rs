//! The turns of one release, counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// Eight buckets an octave of nanoseconds: a time is told to an eighth.
const BUCKETS: usize = 64 * 8;

/// The turns of one release, counted by all actors that serve with it.
#[derive(Debug)]
pub(crate) struct Tally {
    turns: AtomicU64,
    failed: AtomicU64,
    outdone: AtomicU64,
    /// How often the release before had to stand in. Two of these that nobody has judged, and it goes on to: the
    /// release is not tried again before.
    setbacks: AtomicU64,
    /// As many of these were judged.
    judged: AtomicU64,
    /// From so many failed turns on whoever judges looks at once. Nobody does, from the beginning.
    tolerated: AtomicU64,
    /// Told then. Where it was told already, that is once.
    is_worse: Notify,
    took: [AtomicU64; BUCKETS],
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            turns: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            outdone: AtomicU64::new(0),
            setbacks: AtomicU64::new(0),
            judged: AtomicU64::new(0),
            tolerated: AtomicU64::new(u64::MAX),
            is_worse: Notify::new(),
            took: [const { AtomicU64::new(0) }; BUCKETS],
        }
    }
}

impl Tally {
    /// A turn is over: it took so long, and failed or did not.
    pub(super) fn count(&self, took: Duration, failed: bool) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.took[bucket(nanos)].fetch_add(1, Ordering::Relaxed);
        self.turns.fetch_add(1, Ordering::Relaxed);
        if failed {
            self.count_failed();
        }
    }

    /// It crashed over a message that the other release then handled.
    pub(super) fn outdo(&self, took: Duration) {
        self.outdone.fetch_add(1, Ordering::Relaxed);
        self.setbacks.fetch_add(1, Ordering::Relaxed);
        self.count(took, true);
        self.is_worse.notify_one();
    }

    /// A start failed, which counts as a turn that did. It has no time that could be compared.
    pub(super) fn fail(&self) {
        self.setbacks.fetch_add(1, Ordering::Relaxed);
        self.turns.fetch_add(1, Ordering::Relaxed);
        self.count_failed();
        self.is_worse.notify_one();
    }

    fn count_failed(&self) {
        let failed = self.failed.fetch_add(1, Ordering::Relaxed) + 1;
        if failed >= self.tolerated.load(Ordering::Relaxed) {
            self.is_worse.notify_one();
        }
    }

    /// Ends when it has become worse than it was to be, since the last time that this ended.
    pub(crate) async fn is_worse(&self) {
        self.is_worse.notified().await;
    }

    /// So many of its setbacks were judged, and are borne; it is to be looked at again at once when so many turns have
    /// failed.
    pub(crate) fn has_been_judged(&self, setbacks: u64, failed: u64) {
        self.tolerated.store(failed, Ordering::Relaxed);
        self.judged.store(setbacks, Ordering::Relaxed);
    }

    /// Whether it is not to be tried again before it was judged: it does no more harm than is needed for a verdict.
    pub(super) fn awaits_verdict(&self) -> bool {
        self.setbacks.load(Ordering::Relaxed).saturating_sub(self.judged.load(Ordering::Relaxed)) > 1
    }

    /// What it has counted so far.
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            turns: self.turns.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            outdone: self.outdone.load(Ordering::Relaxed),
            setbacks: self.setbacks.load(Ordering::Relaxed),
            took: self.took.iter().map(|count| count.load(Ordering::Relaxed)).collect(),
        }
    }
}

/// What was counted up to some moment, or between two of them; nothing, by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) turns: u64,
    pub(crate) failed: u64,
    pub(crate) outdone: u64,
    /// How often the release before had to stand in, since the beginning.
    pub(crate) setbacks: u64,
    took: Vec<u64>,
}

impl Counts {
    /// What has come on top of what there was at an earlier moment.
    pub(crate) fn since(mut self, before: &Self) -> Self {
        self.turns = self.turns.saturating_sub(before.turns);
        self.failed = self.failed.saturating_sub(before.failed);
        self.outdone = self.outdone.saturating_sub(before.outdone);
        for (now, before) in self.took.iter_mut().zip(&before.took) {
            *now = now.saturating_sub(*before);
        }
        self
    }

    /// The time within which this share of the turns was over, up to an eighth more; zero where there was none.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let all: u64 = self.took.iter().sum();
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank"
        )]
        let rank = ((all as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (at, count) in self.took.iter().enumerate() {
            seen += count;
            if seen >= rank && *count > 0 {
                return Duration::from_nanos(most(at));
            }
        }
        Duration::ZERO
    }
}

fn bucket(nanos: u64) -> usize {
    let octave = nanos.max(1).ilog2() as usize;
    let eighth = if octave >= 3 { (nanos >> (octave - 3)) & 7 } else { (nanos << (3 - octave)) & 7 };
    octave * 8 + usize::try_from(eighth).unwrap_or_default()
}

/// The longest time in a bucket.
fn most(bucket: usize) -> u64 {
    let (octave, eighth) = (bucket / 8, (bucket % 8) as u128);
    let above = ((1_u128 << octave) * (9 + eighth)).div_ceil(8);
    u64::try_from(above.saturating_sub(1)).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Tally, bucket, most};

    #[test]
    fn a_quantile_is_told_to_an_eighth() {
        let tally = Tally::default();
        for micros in 1..=1_000 {
            tally.count(Duration::from_micros(micros), micros % 10 == 0);
        }
        let counts = tally.counts();
        assert_eq!((counts.turns, counts.failed), (1_000, 100));
        for (share, exact) in [(0.5, 500), (0.95, 950), (1.0, 1_000)] {
            let (told, exact) = (counts.quantile(share), Duration::from_micros(exact));
            assert!(told >= exact && told <= exact.mul_f64(1.13), "{share}: {told:?} for {exact:?}");
        }
    }

    #[test]
    fn no_time_is_beyond_the_end_of_its_bucket() {
        for nanos in (0..64).flat_map(|bit| [1_u64 << bit, (1 << bit) + 1, (1 << bit) - 1]).chain([u64::MAX]) {
            assert!(most(bucket(nanos)) >= nanos, "{nanos}: {} of {}", most(bucket(nanos)), bucket(nanos));
        }
        assert_eq!(Tally::default().counts().quantile(0.5), Duration::ZERO);
    }

    #[test]
    fn what_came_later_is_not_thinned_out_by_what_was_before() {
        let tally = Tally::default();
        (0..10_000).for_each(|_| tally.count(Duration::from_micros(1), false));
        let before = tally.counts();
        (0..10).for_each(|_| tally.count(Duration::from_secs(1), true));
        let since = tally.counts().since(&before);
        assert_eq!((since.turns, since.failed), (10, 10));
        assert!(since.quantile(0.01) >= Duration::from_secs(1), "{:?}", since.quantile(0.01));
        assert_eq!(tally.counts().since(&tally.counts()).quantile(0.5), Duration::ZERO);
    }
}
