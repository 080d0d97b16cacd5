//! What each number that an operator, an author or an embedder chooses may be: the only table of it. Files and topologies made in code are compared with
//! it, and the book's reference shows it.
//!
//! A number outside of its range means nothing, or is a slip of the pen: a deadline that has passed before anything began, a queue for more than there is
//! memory. Whether this machine has room for what is within is asked elsewhere.

use std::fmt;
use std::time::Duration;

use super::{Limits, NODE_BYTES, size_text};

/// The longest time: a year. The clock has an end, and a time beyond it is a slip of the pen.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const MILLISECOND: u64 = 1_000_000;
const YEAR: u64 = LONGEST.as_secs() * 1_000 * MILLISECOND;
/// The most bytes that a host can be told to hold of something.
const HELD: u64 = 1 << 40;
/// What a guest's own memory cannot exceed.
const GUEST: u64 = 4 << 30;

/// The sync lane runs on the stack of a worker thread, which usually has 2 MiB.
pub(crate) const MOST_SYNC_STACK: u64 = 1 << 20;

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Count,
    Bytes,
    Nanoseconds,
}

/// What the number of one key may be, both ends counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) key: &'static str,
    unit: Unit,
    pub(crate) least: u64,
    pub(crate) most: u64,
}

const fn count(key: &'static str, least: u64, most: u64) -> Range {
    Range { key, unit: Unit::Count, least, most }
}

const fn bytes(key: &'static str, least: u64, most: u64) -> Range {
    Range { key, unit: Unit::Bytes, least, most }
}

const fn time(key: &'static str, least: u64) -> Range {
    Range { key, unit: Unit::Nanoseconds, least, most: YEAR }
}

/// Of the whole mesh.
pub(crate) const RESERVE_TIMEOUT: Range = time("reserve_timeout", 0);
pub(crate) const SHUTDOWN_TIMEOUT: Range = time("shutdown_timeout", MILLISECOND);
pub(crate) const DEAD_LETTERS: Range = count("dead_letters", 0, 100_000_000);
pub(crate) const DEAD_LETTER_BYTES: Range = bytes("dead_letter_bytes", 0, HELD);
pub(crate) const ALL_TIMERS: Range = count("timers", 0, 100_000_000);
pub(crate) const ALL_TIMER_BYTES: Range = bytes("timer_bytes", 0, HELD);
/// Of supervisors, keys and children. Each restart within the period is remembered.
pub(crate) const INTENSITY: Range = count("intensity", 0, 1_000_000);
pub(crate) const PERIOD: Range = time("period", MILLISECOND);
pub(crate) const SHUTDOWN: Range = time("shutdown", 0);
/// Of back-offs; that they are above zero, and that one is not less than the other, is looked at with them.
pub(crate) const INITIAL: Range = time("initial", 0);
pub(crate) const MAX: Range = time("max", 0);
pub(crate) const RESET_AFTER: Range = time("reset_after", 0);
/// Of services.
pub(crate) const INSTANCES: Range = count("instances", 1, 1_024);
pub(crate) const RETRIES: Range = count("retries", 0, 1_000_000);
pub(crate) const CAPACITY: Range = count("capacity", 1, 1 << 24);
pub(crate) const MAILBOX_BYTES: Range = bytes("bytes", 1 << 10, HELD);
pub(crate) const ALL_MAILBOX_BYTES: Range = bytes("all_bytes", 1 << 10, HELD);
pub(crate) const MAX_AWAKE: Range = count("max_awake", 1, 10_000_000);
pub(crate) const IDLE_TIMEOUT: Range = time("idle_timeout", 0);
pub(crate) const MAX_KEYS: Range = count("max_keys", 1, 100_000_000);
pub(crate) const MAX_CHILDREN: Range = count("max_children", 1, 10_000_000);

/// Of a granted folder.
pub(crate) const FOLDER: Range = bytes("max", NODE_BYTES, 1 << 50);

/// Of deployments.
pub(crate) const HANDOVER_DEADLINE: Range = time("handover_deadline", MILLISECOND);
pub(crate) const PROBATION: Range = time("probation", 0);
pub(crate) const BAKE: Range = time("bake", 0);
pub(crate) const PATIENCE: Range = time("patience", 0);

/// Each limit with what it may be.
pub(crate) fn of_limits(limits: &Limits) -> [(Range, u64); 21] {
    // Each by its name, so that a new limit does not compile without a place here.
    let Limits {
        memory_bytes,
        memories,
        table_elements,
        tables,
        core_instances,
        stack_bytes,
        turn_deadline,
        turn_budget,
        start_timeout,
        message_bytes,
        boundary_bytes,
        state_bytes,
        all_state_bytes,
        effects,
        effect_bytes,
        timers,
        timer_bytes,
        subscriptions,
        monitors,
        resources,
        log_line_bytes,
    } = limits;
    [
        (bytes("memory", 0, GUEST), *memory_bytes),
        (count("memories", 0, 16), wide(*memories)),
        (count("table_elements", 0, 10_000_000), wide(*table_elements)),
        (count("tables", 0, 1_000), wide(*tables)),
        (count("core_instances", 0, 10_000), wide(*core_instances)),
        (bytes("stack", 16 << 10, 64 << 20), wide(*stack_bytes)),
        (time("turn_deadline", MILLISECOND), nanoseconds(*turn_deadline)),
        (time("turn_budget", MILLISECOND), nanoseconds(*turn_budget)),
        (time("start_timeout", MILLISECOND), nanoseconds(*start_timeout)),
        (bytes("message", 0, GUEST), *message_bytes),
        (bytes("boundary", 1 << 10, GUEST), wide(*boundary_bytes)),
        (bytes("state", 0, HELD), wide(*state_bytes)),
        (bytes("all_state", 0, HELD), wide(*all_state_bytes)),
        (count("effects", 0, 1_000_000), wide(*effects)),
        (bytes("effect_bytes", 0, HELD), wide(*effect_bytes)),
        (count("timers", 0, 10_000_000), wide(*timers)),
        (bytes("timer_bytes", 0, HELD), wide(*timer_bytes)),
        (count("subscriptions", 0, 1_000_000), wide(*subscriptions)),
        (count("monitors", 0, 1_000_000), wide(*monitors)),
        (count("resources", 0, 1_000_000), wide(*resources)),
        (bytes("log_line", 16, 16 << 20), wide(*log_line_bytes)),
    ]
}

/// A number as the table has it.
pub(crate) fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// A length of time as the table has it.
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Range {
    /// The same, with another end.
    pub(crate) fn up_to(self, most: u64) -> Self {
        Self { most, ..self }
    }

    /// Nothing, or by what the number is outside.
    pub(crate) fn check(self, is: u64) -> Option<OutOfRange> {
        let outside = is < self.least || is > self.most;
        outside.then_some(OutOfRange { range: self, is })
    }
}

/// A number that is not within its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfRange {
    range: Range,
    is: u64,
}

impl OutOfRange {
    /// The key, such as `turn_deadline`.
    #[must_use]
    pub fn key(&self) -> &'static str {
        self.range.key
    }

    /// Whether it is too much; too little otherwise.
    #[must_use]
    pub fn is_too_much(&self) -> bool {
        self.is > self.range.most
    }

    /// Whether it is a stack that only another lane has room for.
    pub(crate) fn is_for_sync_stack(&self) -> bool {
        self.range.key == "stack" && self.range.most == MOST_SYNC_STACK && self.is_too_much()
    }

    /// What to write instead.
    #[must_use]
    pub fn hint(&self) -> String {
        let Range { key, unit, least, most } = self.range;
        let (end, value) = if self.is_too_much() { ("at most", most) } else { ("at least", least) };
        let value = amount(unit, value);
        // A size and a time are texts.
        let value = if unit == Unit::Count { value } else { format!("{value:?}") };
        format!("write {end} `{key} = {value}`, or leave it out for the default")
    }
}

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Range { key, unit, least, most } = self.range;
        let [is, least, most] = [self.is, least, most].map(|number| amount(unit, number));
        write!(f, "`{key}` is {is}, and it may be {least} to {most}")
    }
}

fn amount(unit: Unit, number: u64) -> String {
    match unit {
        Unit::Count => number.to_string(),
        Unit::Bytes => size_text(number),
        // A year is not written in days.
        Unit::Nanoseconds if number == YEAR => "365days".to_owned(),
        Unit::Nanoseconds => humantime::format_duration(Duration::from_nanos(number)).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_within() {
        for (range, is) in of_limits(&Limits::default()) {
            assert_eq!(range.check(is), None, "{}", range.key);
        }
    }

    #[test]
    fn both_ends_are_within_and_what_is_beyond_is_told_with_what_to_write() {
        let told = |range: Range, is: u64| range.check(is).map(|out| format!("{out}; {}", out.hint()));
        for range in [CAPACITY, MAILBOX_BYTES, SHUTDOWN_TIMEOUT] {
            assert_eq!((told(range, range.least), told(range, range.most)), (None, None), "{range:?}");
        }
        for (range, is, says) in [
            (CAPACITY, 0, "`capacity` is 0, and it may be 1 to 16777216; write at least `capacity = 1`, or"),
            (CAPACITY, u64::MAX, "`capacity` is 18446744073709551615, and it may be 1 to 16777216; write at most"),
            (MAILBOX_BYTES, 3, "`bytes` is 3B, and it may be 1KiB to 1TiB; write at least `bytes = \"1KiB\"`, or"),
            (SHUTDOWN_TIMEOUT, 0, "is 0s, and it may be 1ms to 365days; write at least `shutdown_timeout = \"1ms\"`"),
            (SHUTDOWN_TIMEOUT, YEAR + 1, "`shutdown_timeout = \"365days\"`"),
        ] {
            let told = told(range, is).unwrap_or_default();
            assert!(told.contains(says), "{told}");
        }
    }
}
