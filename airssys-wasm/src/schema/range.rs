//! What a number may be. Files are compared with it, and the book's reference shows it.
//!
//! A number outside of its range means nothing, or is a slip of the pen: a deadline that has passed before anything
//! began, a queue for more than there is memory. Whether this machine has room for what is within is asked elsewhere.

use std::fmt;
use std::time::Duration;

/// The longest time: a year. The clock has an end, and a time beyond it is a slip of the pen.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// In nanoseconds, as times stand in the table.
pub(crate) const MILLISECOND: u64 = 1_000_000;
/// In nanoseconds.
pub(crate) const YEAR: u64 = LONGEST.as_secs() * 1_000 * MILLISECOND;

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Count,
    Bytes,
    Nanoseconds,
}

/// A number with what it counts.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::{Amount, Limits};
///
/// let memory = Limits::default().amounts().find(|(key, _)| *key == "memory");
/// assert!(matches!(memory, Some((_, Amount::Bytes(_)))));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// Of things.
    Count(u64),
    /// Of bytes.
    Bytes(u64),
    /// A length of time.
    Time(Duration),
}

impl Amount {
    pub(crate) fn of(unit: Unit, number: u64) -> Self {
        match unit {
            Unit::Count => Self::Count(number),
            Unit::Bytes => Self::Bytes(number),
            Unit::Nanoseconds => Self::Time(Duration::from_nanos(number)),
        }
    }
}

/// What the number of one key may be, both ends counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) key: &'static str,
    pub(crate) unit: Unit,
    pub(crate) least: u64,
    pub(crate) most: u64,
}

impl Range {
    /// Of a length of time.
    pub(crate) const fn time(key: &'static str, least: u64) -> Self {
        Self { key, unit: Unit::Nanoseconds, least, most: YEAR }
    }

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

/// A length of time as the table has it.
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A number that is not within its range.
///
/// # Example
///
/// ```
/// use airssys_wasm::deploy::DeployError;
/// use airssys_wasm::command::OutOfRange;
///
/// /// What is out of range, where that is why a deployment was refused.
/// fn out_of_range(error: &DeployError) -> Option<&OutOfRange> {
///     match error {
///         DeployError::Range { out } => Some(out),
///         _ => None,
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfRange {
    range: Range,
    is: u64,
}

impl OutOfRange {
    /// The key, such as `turn_deadline`.
    pub(crate) fn key(&self) -> &'static str {
        self.range.key
    }

    /// Whether it is too much; too little otherwise.
    pub(crate) fn is_too_much(&self) -> bool {
        self.is > self.range.most
    }

    /// The end of the range that it is beyond.
    pub(crate) fn end(&self) -> u64 {
        if self.is_too_much() { self.range.most } else { self.range.least }
    }

    /// What to write instead.
    pub(crate) fn hint(&self) -> String {
        let Range { key, unit, .. } = self.range;
        let end = if self.is_too_much() { "at most" } else { "at least" };
        let value = amount(unit, self.end());
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

/// A number as it is written in a file.
pub(crate) fn amount(unit: Unit, number: u64) -> String {
    match unit {
        Unit::Count => number.to_string(),
        Unit::Bytes => size_text(number),
        // A year is not written in days.
        Unit::Nanoseconds if number == YEAR => "365days".to_owned(),
        Unit::Nanoseconds => humantime::format_duration(Duration::from_nanos(number)).to_string(),
    }
}

/// A number of bytes as it is written in a file: in the largest unit that says it exactly.
pub(crate) fn size_text(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|(shift, _)| bytes != 0 && bytes.trailing_zeros() >= *shift) {
        Some((shift, unit)) => format!("{}{unit}", bytes >> shift),
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_within_and_what_is_beyond_is_told_with_what_to_write() {
        let capacity = Range { key: "capacity", unit: Unit::Count, least: 1, most: 1 << 24 };
        let bytes = Range { key: "bytes", unit: Unit::Bytes, least: 1 << 10, most: 1 << 40 };
        let time = Range::time("shutdown_timeout", MILLISECOND);
        let told = |range: Range, is: u64| range.check(is).map(|out| format!("{out}; {}", out.hint()));
        for range in [capacity, bytes, time] {
            assert_eq!((told(range, range.least), told(range, range.most)), (None, None), "{range:?}");
        }
        for (range, is, says) in [
            (capacity, 0, "`capacity` is 0, and it may be 1 to 16777216; write at least `capacity = 1`, or"),
            (capacity, u64::MAX, "`capacity` is 18446744073709551615, and it may be 1 to 16777216; write at most"),
            (bytes, 3, "`bytes` is 3B, and it may be 1KiB to 1TiB; write at least `bytes = \"1KiB\"`, or"),
            (time, 0, "is 0s, and it may be 1ms to 365days; write at least `shutdown_timeout = \"1ms\"`"),
            (time, YEAR + 1, "`shutdown_timeout = \"365days\"`"),
        ] {
            let told = told(range, is).unwrap_or_default();
            assert!(told.contains(says), "{told}");
        }
    }
}
