//! `airssys:actor/log`: what a guest writes to the log.

use crate::engine::bindings::async_lane::airssys::actor::log;
use crate::engine::guest::Guest;
use crate::turn::{HostCall, Level};

impl log::Host for Guest {
    fn write(&mut self, level: log::Level, line: String) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Trace => Level::Trace,
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        Ok(self.turn.perform_now(HostCall::Log { level, line }).nothing()?)
    }
}
