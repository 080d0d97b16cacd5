//! One thing that an operator gives, for a time or for good, and may take away while it is used.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use airssys_rt_shim::planted;

/// What became of a grant: whether it is granted no more, and whether anybody used it. All copies are one: those of the
/// release that serves, of the one before it, and of what runs beside its turns. What is compared is what was written:
/// it is equal to any other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mark(Arc<Marks>);

#[derive(Debug, Default)]
struct Marks {
    is_revoked: AtomicBool,
    is_used: AtomicBool,
}

// Who was told of it asks after it: that is all the order there is to keep, so each of these is relaxed.
impl Mark {
    /// Takes it away, from the next question on.
    pub(crate) fn revoke(&self) {
        self.0.is_revoked.store(!planted::is("revoked-grant-used"), Ordering::Relaxed);
    }

    /// Gives it back: for who tries what comes of its absence.
    pub(super) fn restore(&self) {
        self.0.is_revoked.store(false, Ordering::Relaxed);
    }

    /// Whether it is taken away. One load.
    pub(crate) fn is_revoked(&self) -> bool {
        self.0.is_revoked.load(Ordering::Relaxed)
    }

    /// Notes that something was let through by it. One load, and one store the first time: many cores may ask at once,
    /// and none of them is to have to fetch the line for each.
    pub(crate) fn note_use(&self) {
        if !self.is_used() {
            self.0.is_used.store(true, Ordering::Relaxed);
        }
    }

    /// Which grant it is of: all copies have the same number.
    pub(super) fn id(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// Whether something was let through by it.
    pub(crate) fn is_used(&self) -> bool {
        self.0.is_used.load(Ordering::Relaxed)
    }
}

impl PartialEq for Mark {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Mark {}

/// One line of a list of grants: `carts/*`, or `carts/* until 2027-01-01T00:00:00Z`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given<T> {
    /// What is granted.
    pub(crate) what: T,
    /// Until when; none for good. No decision looks at a clock: whoever has one takes away what is over.
    pub(crate) until: Option<SystemTime>,
    /// What became of it.
    pub(crate) mark: Mark,
}

impl<T> From<T> for Given<T> {
    fn from(what: T) -> Self {
        Self { what, until: None, mark: Mark::default() }
    }
}

impl From<&str> for Given<String> {
    fn from(what: &str) -> Self {
        what.to_owned().into()
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

/// A grant with its end.
pub(super) fn with_until(what: impl fmt::Display, until: Option<SystemTime>) -> String {
    until.map_or_else(|| what.to_string(), |until| format!("{what}{UNTIL}{}", time_text(until)))
}

impl<T: fmt::Display> fmt::Display for Given<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&with_until(&self.what, self.until))
    }
}

/// What of these is granted now. Allocates nothing.
pub(crate) fn in_force<T>(all: &[Given<T>]) -> impl Iterator<Item = &T> {
    all.iter().filter(|given| !given.mark.is_revoked()).map(|given| &given.what)
}
