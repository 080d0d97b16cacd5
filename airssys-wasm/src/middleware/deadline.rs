//! Refuses what nobody wants any more.

use bytes::Bytes;

use super::{Context, Layer, Verdict};
use crate::error::CallError;

/// The deadline check at dispatch; the actor checks once more when it takes the message.
#[derive(Debug)]
pub(crate) struct Deadline;

impl Layer for Deadline {
    fn name(&self) -> &'static str {
        "deadline"
    }

    fn priority(&self) -> i32 {
        900
    }

    fn before(&self, context: &mut Context<'_>, _body: &mut Bytes) -> Verdict {
        let Some(deadline) = context.deadline else { return Verdict::Continue };
        // `<`, so that a deadline of now still goes: who has no time left at all is told by the wait itself.
        if deadline < context.when() { Verdict::Reject(CallError::Timeout) } else { Verdict::Continue }
    }
}
