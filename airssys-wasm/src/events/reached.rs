//! Limits that were reached a short while ago, so that whoever reaches one a million times a second is told of once.
//! And what stays full, so that it is told of once until there was room again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// How long a limit that was told is only counted.
const QUIET: Duration = Duration::from_secs(1);
/// How many services are kept for one limit. What there is no room for is told each time.
const MOST_SERVICES: usize = 1_024;

/// Whether it was told of something that it is full.
#[derive(Debug, Default)]
pub(crate) struct Full(AtomicBool);

impl Full {
    /// That it is full: `tell` is done where it was not told yet, and says whether it was told now.
    pub(crate) fn reached(&self, tell: impl FnOnce() -> bool) {
        if !self.0.load(Ordering::Relaxed) && tell() {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// That there is room. Only read where that is nothing new, as it is nearly always.
    pub(crate) fn has_room(&self) {
        if self.0.load(Ordering::Relaxed) {
            self.0.store(false, Ordering::Relaxed);
        }
    }
}

/// Of each limit and each service.
#[derive(Debug, Default)]
pub(super) struct Reached(HashMap<&'static str, HashMap<Box<str>, Since>>);

/// When it was told last, and how many times it was reached since.
#[derive(Debug)]
struct Since {
    told: Instant,
    times: u64,
}

impl Reached {
    /// Counts once more; how many times it was since it was told last, where it is to be told now.
    pub(super) fn count(&mut self, service: &str, limit: &'static str, now: Instant) -> Option<u64> {
        let services = self.0.entry(limit).or_default();
        if let Some(since) = services.get_mut(service) {
            since.times += 1;
            if now.saturating_duration_since(since.told) < QUIET {
                return None;
            }
            since.told = now;
            return Some(std::mem::take(&mut since.times));
        }
        if services.len() >= MOST_SERVICES {
            services.retain(|_, since| now.saturating_duration_since(since.told) < QUIET);
        }
        if services.len() < MOST_SERVICES {
            services.insert(service.into(), Since { told: now, times: 0 });
        }
        Some(1)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Full, MOST_SERVICES, Reached};

    #[test]
    fn what_is_reached_again_soon_is_counted_and_told_later() {
        let mut reached = Reached::default();
        let begin = Instant::now();
        let after = |ms| begin + Duration::from_millis(ms);
        assert_eq!(reached.count("a", "memory", begin), Some(1));
        assert_eq!(reached.count("a", "memory", after(1)), None);
        assert_eq!(reached.count("a", "memory", after(999)), None);
        assert_eq!((reached.count("b", "memory", after(2)), reached.count("a", "stack", after(2))), (Some(1), Some(1)));
        assert_eq!(reached.count("a", "memory", after(1_000)), Some(3));
        assert_eq!(reached.count("a", "memory", after(1_001)), None);
    }

    #[test]
    fn what_stays_full_is_told_once_until_there_was_room() {
        let (full, mut told) = (Full::default(), 0);
        let mut reach = |full: &Full, is_told| {
            full.reached(|| {
                told += 1;
                is_told
            });
            told
        };
        // The first one came too soon after another one to be told.
        assert_eq!([false, true, true, true].map(|is_told| reach(&full, is_told)), [1, 2, 2, 2]);
        full.has_room();
        full.has_room();
        assert_eq!([true, true].map(|is_told| reach(&full, is_told)), [3, 3]);
    }

    #[test]
    fn so_many_services_are_kept_and_no_more() {
        let mut reached = Reached::default();
        let begin = Instant::now();
        for service in 0..2 * MOST_SERVICES {
            assert_eq!(reached.count(&service.to_string(), "memory", begin), Some(1));
        }
        assert_eq!(reached.0["memory"].len(), MOST_SERVICES);
        assert_eq!(reached.count("later", "memory", begin + Duration::from_secs(1)), Some(1));
        assert_eq!(reached.0["memory"].len(), 1);
    }
}
