//! `airssys:actor/log`: log lines of guests, marked with the service.

use crate::engine::bindings::waiting::airssys::actor::log;
use crate::engine::guest::Guest;

impl log::Host for Guest {
    fn write(&mut self, level: log::Level, line: String) -> wasmtime::Result<()> {
        if self.identity.terms.silent {
            return Ok(());
        }
        write_line(self.identity.address().as_str(), level, &line, self.identity.terms.limits.log_line_bytes);
        Ok(())
    }
}

/// Writes one line of a guest; cut where it is too long.
pub(crate) fn write_line(service: &str, level: log::Level, line: &str, most_bytes: usize) {
    let line = &line[..line.floor_char_boundary(most_bytes.min(line.len()))];
    match level {
        log::Level::Trace => tracing::trace!(target: "airssys::guest", service, "{line}"),
        log::Level::Debug => tracing::debug!(target: "airssys::guest", service, "{line}"),
        log::Level::Info => tracing::info!(target: "airssys::guest", service, "{line}"),
        log::Level::Warn => tracing::warn!(target: "airssys::guest", service, "{line}"),
        log::Level::Error => tracing::error!(target: "airssys::guest", service, "{line}"),
    }
}
