//! Log lines of guests, marked with the service.

use super::{Identity, Level, Turn};

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
    let line = &line[..line.floor_char_boundary(most.min(line.len()))];
    match level {
        Level::Trace => tracing::trace!(target: "airssys::guest", service, "{line}"),
        Level::Debug => tracing::debug!(target: "airssys::guest", service, "{line}"),
        Level::Info => tracing::info!(target: "airssys::guest", service, "{line}"),
        Level::Warn => tracing::warn!(target: "airssys::guest", service, "{line}"),
        Level::Error => tracing::error!(target: "airssys::guest", service, "{line}"),
    }
}
