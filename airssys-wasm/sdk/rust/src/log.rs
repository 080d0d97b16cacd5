//! Log lines, which the host marks with the service's name. They are written at once, whatever becomes of the turn.
//!
//! Use the macros: [`trace!`](crate::trace), [`debug!`](crate::debug), [`info!`](crate::info), [`warn!`](crate::warn!),
//! [`error!`](crate::error).

use std::borrow::Cow;
use std::fmt::Arguments;

use crate::bindings::actor::airssys::actor::log as host;

/// How much a line matters.
///
/// # Example
///
/// ```
/// use airssys_sdk::log::Level;
///
/// assert!(Level::Error > Level::Info);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every step.
    Trace,
    /// For the developer.
    Debug,
    /// For the operator.
    Info,
    /// Something is not as it should be, and work goes on.
    Warn,
    /// Something failed.
    Error,
}

/// Writes a line. Never fails and never waits; a line that is longer than the host's limit is cut.
///
/// # Example
///
/// ```no_run
/// use airssys_sdk::log::{self, Level};
///
/// log::write(Level::Info, format_args!("{} orders", 3));
/// ```
pub fn write(level: Level, line: Arguments<'_>) {
    let level = match level {
        Level::Trace => host::Level::Trace,
        Level::Debug => host::Level::Debug,
        Level::Info => host::Level::Info,
        Level::Warn => host::Level::Warn,
        Level::Error => host::Level::Error,
    };
    // A line without arguments is not copied.
    let line = line.as_str().map_or_else(|| Cow::Owned(line.to_string()), Cow::Borrowed);
    host::write(level, &line);
}

/// Writes a log line for each step.
///
/// # Example
///
/// ```no_run
/// airssys_sdk::trace!("step {}", 1);
/// ```
#[macro_export]
macro_rules! trace {
    ($($line:tt)+) => { $crate::log::write($crate::log::Level::Trace, ::std::format_args!($($line)+)) };
}

/// Writes a log line for the developer.
///
/// # Example
///
/// ```no_run
/// airssys_sdk::debug!("cache holds {} entries", 1);
/// ```
#[macro_export]
macro_rules! debug {
    ($($line:tt)+) => { $crate::log::write($crate::log::Level::Debug, ::std::format_args!($($line)+)) };
}

/// Writes a log line for the operator.
///
/// # Example
///
/// ```no_run
/// airssys_sdk::info!("ready");
/// ```
#[macro_export]
macro_rules! info {
    ($($line:tt)+) => { $crate::log::write($crate::log::Level::Info, ::std::format_args!($($line)+)) };
}

/// Writes a log line where something is not as it should be.
///
/// # Example
///
/// ```no_run
/// airssys_sdk::warn!("no rates for {}", "EUR");
/// ```
#[macro_export]
macro_rules! warn {
    ($($line:tt)+) => { $crate::log::write($crate::log::Level::Warn, ::std::format_args!($($line)+)) };
}

/// Writes a log line where something failed.
///
/// # Example
///
/// ```no_run
/// airssys_sdk::error!("gave up after {} attempts", 3);
/// ```
#[macro_export]
macro_rules! error {
    ($($line:tt)+) => { $crate::log::write($crate::log::Level::Error, ::std::format_args!($($line)+)) };
}
