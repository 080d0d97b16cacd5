//! `airssys:actor/messaging`: what leaves, and when. In the sync lane nothing waits, so there is no call.

use crate::engine::bindings::async_lane::airssys::actor::types as wit;
use crate::engine::bindings::{async_lane, sync_lane};
use crate::engine::guest::Guest;
use crate::error::{CallError, Fault, SendError};
use crate::limits::{REASON_BYTES, cut};
use crate::message::Answer;
use crate::turn::{HostCall, Reply};

type Sent = wasmtime::Result<Result<(), wit::SendError>>;
type Answered = wasmtime::Result<Result<Option<Vec<u8>>, wit::CallError>>;

impl async_lane::airssys::actor::messaging::Host for Guest {
    async fn send(&mut self, to: String, key: Option<String>, body: Vec<u8>) -> Sent {
        sent(self.turn.perform(HostCall::Send { to, key, body: body.into() }).await)
    }

    async fn call(&mut self, to: String, key: Option<String>, body: Vec<u8>, timeout_ms: u64) -> Answered {
        let call = HostCall::Call { to, key, body: body.into(), timeout_ms };
        Ok(answered(self.turn.perform(call).await.answer()?))
    }

    fn publish(&mut self, topic: String, body: Vec<u8>) -> Sent {
        sent(self.turn.perform_now(HostCall::Publish { topic, body: body.into() }))
    }

    fn subscribe(&mut self, pattern: String) -> Sent {
        sent(self.turn.perform_now(HostCall::Subscribe { pattern }))
    }

    fn unsubscribe(&mut self, pattern: String) -> Sent {
        sent(self.turn.perform_now(HostCall::Unsubscribe { pattern }))
    }

    fn send_after(&mut self, delay_ms: u64, body: Vec<u8>) -> wasmtime::Result<Result<u64, wit::SendError>> {
        let set = self.turn.perform_now(HostCall::SendAfter { delay_ms, body: body.into() }).timer()?;
        Ok(set.map_err(|error| to_wit(&error)))
    }

    fn cancel(&mut self, timer: u64) -> wasmtime::Result<bool> {
        Ok(self.turn.perform_now(HostCall::Cancel { timer }).cancelled()?)
    }

    fn self_address(&mut self) -> wasmtime::Result<String> {
        Ok(self.turn.perform_now(HostCall::SelfAddress).text()?.unwrap_or_default())
    }
}

impl sync_lane::airssys::actor::messaging::Host for Guest {
    fn send(&mut self, to: String, key: Option<String>, body: Vec<u8>) -> Sent {
        sent(self.turn.perform_now(HostCall::Send { to, key, body: body.into() }))
    }

    fn call(&mut self, _: String, _: Option<String>, _: Vec<u8>, _: u64) -> Answered {
        Err(wasmtime::Error::msg("a guest in the sync lane cannot call: it cannot wait for the answer"))
    }

    fn publish(&mut self, topic: String, body: Vec<u8>) -> Sent {
        async_lane::airssys::actor::messaging::Host::publish(self, topic, body)
    }

    fn subscribe(&mut self, pattern: String) -> Sent {
        async_lane::airssys::actor::messaging::Host::subscribe(self, pattern)
    }

    fn unsubscribe(&mut self, pattern: String) -> Sent {
        async_lane::airssys::actor::messaging::Host::unsubscribe(self, pattern)
    }

    fn send_after(&mut self, delay_ms: u64, body: Vec<u8>) -> wasmtime::Result<Result<u64, wit::SendError>> {
        async_lane::airssys::actor::messaging::Host::send_after(self, delay_ms, body)
    }

    fn cancel(&mut self, timer: u64) -> wasmtime::Result<bool> {
        async_lane::airssys::actor::messaging::Host::cancel(self, timer)
    }

    fn self_address(&mut self) -> wasmtime::Result<String> {
        async_lane::airssys::actor::messaging::Host::self_address(self)
    }
}

fn sent(reply: Reply) -> Sent {
    match reply {
        // It would have had to wait for room.
        Reply::Waits => Ok(Err(wit::SendError::Overloaded)),
        reply => Ok(reply.sent()?.map_err(|error| to_wit(&error))),
    }
}

fn answered(answer: Answer) -> Result<Option<Vec<u8>>, wit::CallError> {
    answer.map(|body| body.map(Vec::from)).map_err(|error| call_error_to_wit(&error))
}

fn to_wit(error: &SendError) -> wit::SendError {
    match error {
        SendError::Denied(denied) => wit::SendError::Denied(denied.to_string()),
        SendError::Address(_) | SendError::NoSuchService { .. } => wit::SendError::NoSuchService(error.to_string()),
        SendError::Overloaded { .. } => wit::SendError::Overloaded,
        SendError::TooLarge { limit_bytes, .. } => wit::SendError::TooLarge(*limit_bytes),
        SendError::Stopped { .. } => wit::SendError::Stopped,
        SendError::Rejected { .. } => wit::SendError::Denied(error.to_string()),
    }
}

fn call_error_to_wit(error: &CallError) -> wit::CallError {
    match error {
        CallError::NotSent(error) => wit::CallError::NotSent(to_wit(error)),
        CallError::Timeout | CallError::Suspended { .. } => wit::CallError::Timeout,
        CallError::Deadlock => wit::CallError::Deadlock,
        CallError::Fault(fault) => wit::CallError::Fault(fault_to_wit(fault)),
        // Of a call of bytes only where a layer says so.
        CallError::DeadHandle(dead) => wit::CallError::Fault(wit::Fault::Invalid(dead.to_string())),
        CallError::Crashed(crash) => wit::CallError::Crashed(crash.to_string()),
        CallError::Dropped(why) => wit::CallError::Dropped(why.clone()),
        // Of a call only where a layer says so.
        CallError::Taken { .. } | CallError::Deaf | CallError::Failed { .. } => {
            wit::CallError::NotSent(wit::SendError::Denied(error.to_string()))
        }
        CallError::Discarded => wit::CallError::Dropped(error.to_string()),
    }
}

fn fault_to_wit(fault: &Fault) -> wit::Fault {
    match fault.clone() {
        Fault::Invalid(text) => wit::Fault::Invalid(text),
        Fault::Refused(text) => wit::Fault::Refused(text),
        Fault::Unavailable(text) => wit::Fault::Unavailable(text),
        Fault::Internal(text) => wit::Fault::Internal(text),
        // The contract has no word for the end of a command.
        ended @ (Fault::Exit { .. } | Fault::Oversized { .. }) => wit::Fault::Internal(ended.to_string()),
    }
}

/// A guest's fault, as the host knows it.
pub(crate) fn fault_from_wit(fault: wit::Fault) -> Fault {
    // Kept in dead letters and passed on to whoever called, who may have a smaller boundary.
    let cut = |text| cut(text, REASON_BYTES);
    match fault {
        wit::Fault::Invalid(text) => Fault::Invalid(cut(text)),
        wit::Fault::Refused(text) => Fault::Refused(cut(text)),
        wit::Fault::Unavailable(text) => Fault::Unavailable(cut(text)),
        wit::Fault::Internal(text) => Fault::Internal(cut(text)),
    }
}
