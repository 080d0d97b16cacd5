//! What a query is refused: all that somebody else would see, and all that it would leave behind.

use std::sync::Arc;

use super::effect::forget;
use super::{HostCall, Reply, StateRefused, Turn};
use crate::error::{CallError, Denied, SendError, SupervisionError};
use crate::operation::Operation;

const WHY: &str = "a query has no effects";

impl Turn {
    /// From here on this turn is a query: what it would do is refused. What its instance's start would have done does
    /// not happen, and what that wrote is there to be read.
    pub(crate) fn begin_query(&mut self) {
        self.effect_bytes = 0;
        forget(&Arc::clone(&self.identity), self.trace, &mut self.effects);
        self.is_query = true;
    }

    /// What a query is told that asks for an effect; none where it is none.
    #[cold]
    pub(super) fn refused_to_a_query(&self, call: &HostCall) -> Option<Reply> {
        let denied = || {
            let own = self.identity.address().to_string();
            let (operation, target) = match call.permission() {
                Some((operation, target)) => (operation, target.into_owned()),
                // A timer is a message to itself.
                None => (Operation::Send, own.clone()),
            };
            SendError::Denied(Box::new(Denied { who: own, operation, target, missing: WHY.to_owned() }))
        };
        let failed = || StateRefused::Failed(WHY.to_owned());
        Some(match call {
            HostCall::Send { .. }
            | HostCall::Publish { .. }
            | HostCall::Subscribe { .. }
            | HostCall::Unsubscribe { .. } => Reply::Sent(Err(denied())),
            HostCall::Call { .. } | HostCall::Invoke { .. } => Reply::Answer(Err(CallError::NotSent(denied()))),
            HostCall::SendAfter { .. } => Reply::Timer(Err(denied())),
            HostCall::Cancel { .. } => Reply::Cancelled(false),
            HostCall::Spawn { .. }
            | HostCall::Stop { .. }
            | HostCall::Monitor { .. }
            | HostCall::Demonitor { .. }
            | HostCall::Link { .. } => Reply::Child(Err(SupervisionError::NotSent(denied()))),
            HostCall::SetState { .. } | HostCall::DeleteState { .. } => Reply::Kept(Err(failed())),
            HostCall::IncrementState { .. } => Reply::Number(Err(failed())),
            HostCall::Http { .. } => Reply::Allowed(false),
            _ => return None,
        })
    }
}
