//! One thing that an operator gives, for a time or for good, and may take away while it is used.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

/// Whether what was granted is granted no more. All copies are one: those of the release that serves, of the one before
/// it, and of what runs beside its turns. What is compared is what was written: it is equal to any other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Revoked(Arc<AtomicBool>);

impl Revoked {
    /// Takes it away, from the next question on.
    pub(crate) fn revoke(&self) {
        // Who was told of it asks after it: that is all the order there is to keep.
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it is taken away. One load.
    pub(crate) fn is_revoked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl PartialEq for Revoked {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Revoked {}

/// One line of a list of grants: `carts/*`, or `carts/* until 2027-01-01T00:00:00Z`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given<T> {
    /// What is granted.
    pub(crate) what: T,
    /// Until when; none for good. No decision looks at a clock: whoever has one takes away what is over.
    pub(crate) until: Option<SystemTime>,
    /// Whether it is no more.
    pub(crate) revoked: Revoked,
}

impl<T> From<T> for Given<T> {
    fn from(what: T) -> Self {
        Self { what, until: None, revoked: Revoked::default() }
    }
}

/// What stands before the end of a grant.
const UNTIL: &str = " until ";

impl<T: FromStr<Err: fmt::Display>> FromStr for Given<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (what, until) = match text.rsplit_once(UNTIL) {
            Some((what, time)) => (what, Some(parse_time(time)?)),
            None => (text, None),
        };
        let what: T = what.parse().map_err(|why: T::Err| why.to_string())?;
        Ok(Self { until, ..what.into() })
    }
}

/// A grant without its end.
pub(crate) fn before_until(text: &str) -> &str {
    text.rsplit_once(UNTIL).map_or(text, |(what, _)| what)
}

/// The end of a grant, as it is written.
pub(crate) fn parse_time(text: &str) -> Result<SystemTime, String> {
    humantime::parse_rfc3339(text).map_err(|why| format!("{text:?} is no time such as \"2027-01-01T00:00:00Z\": {why}"))
}

/// The same, for a file.
pub(crate) fn time_text(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

impl<T: fmt::Display> fmt::Display for Given<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.what.fmt(f)?;
        self.until.map_or(Ok(()), |until| write!(f, "{UNTIL}{}", time_text(until)))
    }
}

/// What of these is granted now. Allocates nothing.
pub(crate) fn in_force<T>(all: &[Given<T>]) -> impl Iterator<Item = &T> {
    all.iter().filter(|given| !given.revoked.is_revoked()).map(|given| &given.what)
}
