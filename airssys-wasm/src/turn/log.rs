//! Log lines of guests, marked with the service.

use super::{Identity, Level, Turn};
use crate::logger::LogLevel;
use crate::secrets::{hidden, hidden_cut};

impl Turn {
    pub(super) fn log(&self, level: Level, line: &str) {
        if !self.identity.terms.silent {
            write_line(&self.identity, level, line);
        }
    }
}

/// Writes one line of a guest; cut where it is too long.
pub(crate) fn write_line(identity: &Identity, level: Level, line: &str) {
    let (service, most) = (identity.address().as_str(), identity.terms.limits.log_line_bytes);
    if line.len() > most {
        identity.reach("log_line", format_args!("a line of its log is cut to {most} bytes"));
    }
    // Before it is cut: no half of a secret is known as one.
    let line = if line.len() < most { hidden(line) } else { hidden_cut(line) };
    let line = &line[..line.floor_char_boundary(most.min(line.len()))];
    identity.mesh.stack.logger.said(service, importance(level), line);
}

fn importance(level: Level) -> LogLevel {
    match level {
        Level::Trace => LogLevel::Trace,
        Level::Debug => LogLevel::Debug,
        Level::Info => LogLevel::Info,
        Level::Warn => LogLevel::Warn,
        Level::Error => LogLevel::Error,
    }
}
