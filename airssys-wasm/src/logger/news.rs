//! What is told of a log, and by which clock.

use std::sync::OnceLock;
use std::time::SystemTime;

/// Says what time it is.
pub(crate) type Clock = Box<dyn Fn() -> SystemTime + Send + Sync>;
/// Tells somebody how a log is, by its name.
pub(crate) type Tell = dyn Fn(&str, LogNews, &str) + Send + Sync;

/// What is told of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogNews {
    /// It cannot be written.
    Broken,
    /// It can again.
    Mended,
    /// Lines are missing.
    Lost,
}

impl LogNews {
    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Broken => "broken",
            Self::Mended => "mended",
            Self::Lost => "lost",
        }
    }
}

/// What time it is, by that clock or by the system's.
pub(super) fn now(clock: &OnceLock<Clock>) -> SystemTime {
    clock.get().map_or_else(SystemTime::now, |clock| clock())
}
