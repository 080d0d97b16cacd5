//! The one place where it is told that something was denied: a message, a file, a socket, a name, an HTTP request.

use crate::address::Address;
use crate::error::Denied;
use crate::events::{Events, Happening, text};

/// Tells of it, in the log and as an event. Whoever keeps a record of denials hears of each of them here.
#[cold]
pub(crate) fn deny(events: &Events, who: &Address, denied: &Denied) {
    let (operation, target) = (denied.operation, text(&denied.target));
    tracing::warn!(
        target: "airssys::audit", service = %who, %operation, %target, missing = %denied.missing, "denied"
    );
    let what = Happening::Denied {
        actor: text(who),
        operation: operation.to_string(),
        target,
        missing: text(&denied.missing),
    };
    events.publish(Some(who.service()), what);
}
