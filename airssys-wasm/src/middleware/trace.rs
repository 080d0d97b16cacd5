//! Tells of each message, where somebody listens on target `airssys::dispatch` at level trace.

use tracing::trace;

use super::{Context, Layer};
use crate::address::Address;
use crate::message::Answer;

/// The layer that tells. Where nobody listens it costs one load.
#[derive(Debug)]
pub(crate) struct Trace;

impl Layer for Trace {
    fn name(&self) -> &'static str {
        "trace"
    }

    fn priority(&self) -> i32 {
        700
    }

    fn after(&self, context: &Context<'_>, outcome: &Answer) {
        let who = context.sender.map_or("host", Address::as_str);
        match outcome {
            Ok(_) => {
                trace!(target: "airssys::dispatch", who, operation = context.operation.name(), target = context.target, trace = context.trace, "ok")
            }
            Err(error) => {
                trace!(target: "airssys::dispatch", who, operation = context.operation.name(), target = context.target, trace = context.trace, %error, "not ok");
            }
        }
    }
}
