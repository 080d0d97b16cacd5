//! Log lines of guests, marked with the service.

use super::{Level, Turn};

impl Turn {
    pub(super) fn log(&self, level: Level, line: &str) {
        let terms = &self.identity.terms;
        if !terms.silent {
            write_line(self.identity.address().as_str(), level, line, terms.limits.log_line_bytes);
        }
    }
}

/// Writes one line of a guest; cut where it is too long.
pub(crate) fn write_line(service: &str, level: Level, line: &str, most_bytes: usize) {
    let line = &line[..line.floor_char_boundary(most_bytes.min(line.len()))];
    match level {
        Level::Trace => tracing::trace!(target: "airssys::guest", service, "{line}"),
        Level::Debug => tracing::debug!(target: "airssys::guest", service, "{line}"),
        Level::Info => tracing::info!(target: "airssys::guest", service, "{line}"),
        Level::Warn => tracing::warn!(target: "airssys::guest", service, "{line}"),
        Level::Error => tracing::error!(target: "airssys::guest", service, "{line}"),
    }
}
