//! Lines that go to `tracing`, as events on the targets `airssys::guest` and `airssys::operation`.

use super::record::Done;
use super::settings::LogLevel;
use crate::secrets::hidden;

macro_rules! at_level {
    ($level:expr, $($event:tt)+) => {
        match $level {
            LogLevel::Trace => tracing::trace!($($event)+),
            LogLevel::Debug => tracing::debug!($($event)+),
            LogLevel::Info => tracing::info!($($event)+),
            LogLevel::Warn => tracing::warn!($($event)+),
            LogLevel::Error => tracing::error!($($event)+),
            LogLevel::Off => {}
        }
    };
}

pub(super) fn said(level: LogLevel, service: &str, line: &str) {
    at_level!(level, target: "airssys::guest", service, "{line}");
}

pub(super) fn done(level: LogLevel, who: &str, done: &Done<'_>) {
    let service = if who.is_empty() { "(host)" } else { who };
    let Done { operation, target, also, bytes, trace, error, body } = *done;
    let target = &*hidden(target);
    let some = |text: &'_ str| (!text.is_empty()).then(|| hidden(text).into_owned());
    let (also, error, body) = (some(also), some(error), some(body));
    at_level!(
        level,
        target: "airssys::operation",
        service, operation, target, also, bytes, trace, error, body,
        "{operation} {target}"
    );
}
