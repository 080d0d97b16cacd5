//! What a quota allows: so many messages, bytes and operations a second. Plain data, and the reckoning of it, which
//! knows no clock.

use std::time::Duration;

use toml::Spanned;

use crate::operation::{Operation, Operations};
use crate::schema::{Bytes, Count, Humane, MILLISECOND, Word, Words, schema};

/// A quota, which services use by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) name: String,
    /// Messages a second; 0 for no bound.
    pub(crate) messages: u64,
    /// Bytes a second, of messages and operations together.
    pub(crate) bytes: u64,
    /// Operations a second.
    pub(crate) operations: u64,
    /// For how long of these seconds all may come at once.
    pub(crate) burst: Duration,
    pub(crate) then: Then,
    pub(crate) each: Each,
}

impl Default for Rate {
    fn default() -> Self {
        Self {
            name: String::new(),
            messages: 0,
            bytes: 0,
            operations: 0,
            burst: Duration::from_secs(1),
            then: Then::default(),
            each: Each::default(),
        }
    }
}

/// The most that a quota allows of anything in a second.
const MOST: u64 = 1_000_000_000_000;
/// The same of bytes.
const MOST_BYTES: u64 = 1 << 40;
/// The longest burst, in nanoseconds: an hour.
const LONGEST_BURST: u64 = 3_600 * 1_000 * MILLISECOND;

schema! {
    of Rate, written WrittenRate {
        /// its name, by which services use it: `quota` of a `[[service]]`
        name: Spanned<String> => name, needed "required", kind "name";
        /// messages a second: sends, calls, and publications
        messages: Count<u64> => messages, in 0..=MOST, by InPlace, default "`0`: no bound";
        /// bytes a second: those of messages, those that are written to files and state, and those that are asked for
        /// where it is read
        bytes: Bytes => bytes, in 0..=MOST_BYTES, by InPlace, default "`0`: no bound";
        /// operations a second: each with a file, a socket, an HTTP request, or the service's state
        operations: Count<u64> => operations, in 0..=MOST, by InPlace, default "`0`: no bound";
        /// how much may come at once: as much as is allowed in this time, and one at least
        burst: Humane => burst, in MILLISECOND..=LONGEST_BURST, by InPlace, default "`\"1s\"`";
        /// what becomes of more: `reject` it, with an error that names the quota; `delay` it until it is allowed, where
        /// whoever asks can wait; or `drop` messages, of which a call is told so
        then: Word<Then> => then, by InPlace, default "`\"reject\"`";
        /// whose it is: one for all services that use it together (`all`), or one for each `sender`, or for each
        /// `target` that they write to or work with
        each: Word<Each> => each, by InPlace, default "`\"all\"`";
    }
}

/// What becomes of what is more than is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Then {
    #[default]
    Reject,
    /// It waits until it is allowed, where it can.
    Delay,
    Drop,
}

impl Words for Then {
    const WHAT: &'static str = "way to treat what is too much";
    const LIST: &'static str = "reject, delay, drop";
    const ALL: &'static [(&'static str, Self)] =
        &[("reject", Self::Reject), ("delay", Self::Delay), ("drop", Self::Drop)];
}

/// Whose a quota is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Each {
    /// That of all who use it.
    #[default]
    All,
    /// One for each who sends, or does something.
    Sender,
    /// One for each that it is about.
    Target,
}

impl Words for Each {
    const WHAT: &'static str = "way to share a quota";
    const LIST: &'static str = "all, sender, target";
    const ALL: &'static [(&'static str, Self)] =
        &[("all", Self::All), ("sender", Self::Sender), ("target", Self::Target)];
}

/// What counts as a message.
pub(crate) const MESSAGES: Operations =
    Operations::of(Operation::Send).and(Operation::Call).and(Operation::Invoke).and(Operation::Publish);

impl Rate {
    /// What it is about.
    pub(crate) fn applies_to(&self) -> Operations {
        let of = |is_bound: bool, what: Operations| if is_bound { what } else { Operations::NONE };
        let operations = Operations::FILES | Operations::SOCKETS | Operations::STATE | Operation::Http.into();
        of(self.messages > 0 || self.bytes > 0, MESSAGES) | of(self.operations > 0 || self.bytes > 0, operations)
    }
}

/// How much of a quota something takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Takes {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) operations: u64,
}

/// How much of a quota is taken: for each of the three, until when what was taken is made good, in time since the quota
/// began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Taken([Duration; 3]);

/// What is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMuch {
    /// Of what.
    pub(crate) what: &'static str,
    /// How much is allowed a second.
    pub(crate) allowed: u64,
    /// How long it takes until it is allowed.
    pub(crate) wait: Duration,
}

impl Taken {
    /// Takes it, where there is enough of all three; else nothing is taken.
    ///
    /// What is more than a whole burst is allowed when nothing is taken: else it never would be.
    pub(crate) fn take(&mut self, rate: &Rate, takes: Takes, now: Duration) -> Result<(), TooMuch> {
        let next = self.next(rate, takes, now);
        let too_much = next.iter().filter(|next| !next.wait.is_zero()).max_by_key(|next| next.wait);
        if let Some(&Next { what, allowed, wait, .. }) = too_much {
            return Err(TooMuch { what, allowed, wait });
        }
        self.0 = next.map(|next| next.until);
        Ok(())
    }

    /// Takes it before it is allowed: whoever does waits until then.
    pub(crate) fn borrow(&mut self, rate: &Rate, takes: Takes, now: Duration) {
        self.0 = self.next(rate, takes, now).map(|next| next.until);
    }

    /// Whether nothing is taken any more.
    pub(crate) fn is_good(&self, now: Duration) -> bool {
        self.0.iter().all(|until| *until <= now)
    }

    fn next(&self, rate: &Rate, takes: Takes, now: Duration) -> [Next; 3] {
        let [messages, bytes, operations] = self.0;
        let one = |what, until: Duration, allowed: u64, takes: u64| {
            if allowed == 0 || takes == 0 {
                return Next { until, ..Next::default() };
            }
            let nanos = u128::from(takes) * 1_000_000_000 / u128::from(allowed);
            let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            let owed = until.saturating_sub(now);
            let wait = owed.saturating_add(cost).saturating_sub(rate.burst.max(cost));
            Next { what, allowed, wait, until: until.max(now).saturating_add(cost) }
        };
        [
            one("messages", messages, rate.messages, takes.messages),
            one("bytes", bytes, rate.bytes, takes.bytes),
            one("operations", operations, rate.operations, takes.operations),
        ]
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Next {
    what: &'static str,
    allowed: u64,
    wait: Duration,
    until: Duration,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Rate, Taken, Takes, TooMuch};

    const NOW: Duration = Duration::from_secs(100);

    fn rate() -> Rate {
        Rate { messages: 10, bytes: 1_000, ..Rate::default() }
    }

    fn messages(messages: u64, bytes: u64) -> Takes {
        Takes { messages, bytes, operations: 0 }
    }

    #[test]
    fn a_burst_is_allowed_at_once_and_then_as_much_as_a_second_allows() {
        let mut taken = Taken::default();
        let many =
            |taken: &mut Taken, now| (0..100).take_while(|_| taken.take(&rate(), messages(1, 0), now).is_ok()).count();
        assert_eq!(many(&mut taken, NOW), 10);
        assert_eq!(many(&mut taken, NOW + Duration::from_millis(99)), 0);
        assert_eq!(many(&mut taken, NOW + Duration::from_millis(500)), 5);
        assert_eq!(many(&mut taken, NOW + Duration::from_secs(60)), 10, "what is not taken is not kept");
    }

    #[test]
    fn all_of_it_is_taken_or_nothing() {
        let mut taken = Taken::default();
        assert_eq!(taken.take(&rate(), messages(1, 900), NOW), Ok(()));
        let before = taken;
        let too_much = taken.take(&rate(), messages(1, 200), NOW);
        assert_eq!(too_much, Err(TooMuch { what: "bytes", allowed: 1_000, wait: Duration::from_millis(100) }));
        assert_eq!(taken, before);
        assert_eq!(taken.take(&rate(), messages(1, 200), NOW + Duration::from_millis(100)), Ok(()));
    }

    #[test]
    fn what_is_more_than_a_burst_is_allowed_when_nothing_is_taken() {
        let mut taken = Taken::default();
        assert_eq!(taken.take(&rate(), messages(1, 5_000), NOW), Ok(()));
        let wait = taken.take(&rate(), messages(1, 1), NOW).map_err(|too_much| too_much.wait);
        assert_eq!(wait, Err(Duration::from_millis(4_001)));
        assert!(!taken.is_good(NOW + Duration::from_secs(4)) && taken.is_good(NOW + Duration::from_secs(5)));
    }

    #[test]
    fn who_borrows_lets_those_after_it_wait_longer() {
        let mut taken = Taken::default();
        for _ in 0..10 {
            taken.borrow(&rate(), messages(1, 0), NOW);
        }
        for wait in [100, 200, 300] {
            let too_much = taken.take(&rate(), messages(1, 0), NOW).map_err(|too_much| too_much.wait);
            assert_eq!(too_much, Err(Duration::from_millis(wait)));
            taken.borrow(&rate(), messages(1, 0), NOW);
        }
    }
}
