//! Counts restarts within a sliding window.

use std::collections::VecDeque;
use std::time::Duration;

use crate::planted;

/// The restarts that are not older than the period. It never holds more than the intensity plus one.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    intensity: usize,
    period: Duration,
    restarts: VecDeque<Duration>,
}

impl Window {
    pub(crate) fn new(intensity: u32, period: Duration) -> Self {
        let intensity = usize::try_from(intensity).unwrap_or(usize::MAX);
        Self { intensity, period, restarts: VecDeque::new() }
    }

    /// Bears another number of restarts within another time. Those that were counted stay.
    pub(crate) fn change(&mut self, intensity: u32, period: Duration) {
        let restarts = std::mem::take(&mut self.restarts);
        *self = Self { restarts, ..Self::new(intensity, period) };
    }

    /// How many restarts it bears, and in how long.
    pub(crate) fn bounds(&self) -> (u32, Duration) {
        (u32::try_from(self.intensity).unwrap_or(u32::MAX), self.period)
    }

    /// When the restarts were that are counted, and perhaps some more.
    pub(crate) fn counted(&self) -> Vec<Duration> {
        self.restarts.iter().copied().collect()
    }

    /// Another one with the same bounds, in which nothing is counted yet.
    pub(crate) fn fresh(&self) -> Self {
        Self { restarts: VecDeque::new(), ..*self }
    }

    /// Counts a restart; false when that is one too many.
    pub(crate) fn add(&mut self, now: Duration) -> bool {
        // A restart exactly one period ago still counts, as in OTP.
        while !planted::is("window-never-forgets")
            && self.restarts.front().is_some_and(|&then| now.saturating_sub(then) > self.period)
        {
            self.restarts.pop_front();
        }
        self.restarts.push_back(now);
        self.restarts.len() <= self.intensity + usize::from(planted::is("one-restart-too-many"))
    }
}
