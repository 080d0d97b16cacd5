//! Rounds of host and floor in turn.

use std::time::{Duration, Instant};

use crate::{Bench, Side};

/// Rounds at the beginning that do not count: caches, branch predictors and pools warm up in them.
const WARM_UP: usize = if crate::SMOKE { 0 } else { 2 };

/// One row's figures, a pair a round.
#[derive(Debug, Default)]
pub(crate) struct Series {
    pub(crate) ours: Vec<f64>,
    pub(crate) floor: Vec<f64>,
}

/// Measures host and floor in turn. Both run as tasks of the runtime's workers, where those who embed it would call it.
/// Where only one side is wanted, it stands for the other one too.
pub(crate) async fn interleaved<O, F, T>(
    bench: &Bench,
    mut ours: impl FnMut() -> O,
    mut floor: impl FnMut() -> F,
) -> Vec<(T, T)>
where
    O: Future<Output = T> + Send + 'static,
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let mut pairs = Vec::with_capacity(WARM_UP + bench.rounds);
    for _ in 0..WARM_UP + bench.rounds {
        let pair = match bench.only {
            None => (on_a_worker(ours()).await, on_a_worker(floor()).await),
            Some(Side::Ours) => (on_a_worker(ours()).await, on_a_worker(ours()).await),
            Some(Side::Floor) => (on_a_worker(floor()).await, on_a_worker(floor()).await),
        };
        pairs.push(pair);
    }
    pairs.split_off(WARM_UP)
}

/// Runs it as a task, and hands its panic on.
pub(crate) async fn on_a_worker<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> T {
    tokio::spawn(task).await.expect("the task did not panic")
}

/// The figures of each round, taken from what it measured.
pub(crate) fn series<T>(rounds: &[(T, T)], figure: impl Fn(&T) -> f64) -> Series {
    Series {
        ours: rounds.iter().map(|(ours, _)| figure(ours)).collect(),
        floor: rounds.iter().map(|(_, floor)| figure(floor)).collect(),
    }
}

/// Nanoseconds an operation, of so many that took so long together.
#[allow(clippy::cast_precision_loss, reason = "counts and nanoseconds are far below 2^52")]
pub(crate) fn nanos_each(took: Duration, operations: usize) -> f64 {
    took.as_nanos() as f64 / operations as f64
}

/// How long each of many operations took.
#[derive(Debug)]
pub(crate) struct Latencies(Vec<u64>);

impl Latencies {
    pub(crate) fn with_capacity(operations: usize) -> Self {
        Self(Vec::with_capacity(operations))
    }

    pub(crate) fn since(&mut self, begun: Instant) {
        self.push(begun.elapsed());
    }

    pub(crate) fn push(&mut self, took: Duration) {
        self.0.push(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// To be called when all are in.
    pub(crate) fn sorted(mut self) -> Self {
        self.0.sort_unstable();
        self
    }

    /// The `percent`th percentile in nanoseconds.
    #[allow(clippy::cast_precision_loss, reason = "latencies are far below 2^52 nanoseconds")]
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let at = (self.0.len() * percent / 100).min(self.0.len() - 1);
        self.0[at] as f64
    }
}

/// The middle one.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

/// The smallest and the largest one.
pub(crate) fn extent(figures: &[f64]) -> [f64; 2] {
    [figures.iter().copied().fold(f64::INFINITY, f64::min), figures.iter().copied().fold(f64::NEG_INFINITY, f64::max)]
}
