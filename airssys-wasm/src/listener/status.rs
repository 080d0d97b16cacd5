//! What a client is told of a request that has no answer: a status, and a word. Never what is inside.

use http::{Method, StatusCode};

use crate::error::{CallError, Crash, NotFound, SendError};
use crate::hint::Coded;

/// An answer of the listener itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The status.
    pub(crate) status: StatusCode,
    /// A stable word for why, and where the client can do something about it, what.
    pub(crate) says: String,
    /// Whether the same request may be answered a moment later.
    pub(crate) is_transient: bool,
    /// The methods that there are, where it was asked by another one.
    pub(crate) allow: Vec<Method>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, says: impl Into<String>) -> Self {
        Self { status, says: says.into(), is_transient: false, allow: Vec::new() }
    }

    /// That the client is to come back a moment later.
    pub(crate) fn transient(says: impl Into<String>) -> Self {
        Self { is_transient: true, ..Self::new(StatusCode::SERVICE_UNAVAILABLE, says) }
    }
}

impl From<&CallError> for Refusal {
    fn from(error: &CallError) -> Self {
        Self { is_transient: is_transient(error), ..Self::new(status(error), error.code()) }
    }
}

/// The status of a call that has no answer.
fn status(error: &CallError) -> StatusCode {
    match error {
        CallError::NotSent(error) => match error {
            SendError::Overloaded { .. } | SendError::Stopped { .. } => StatusCode::SERVICE_UNAVAILABLE,
            SendError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            SendError::Denied(_) | SendError::Rejected { .. } => StatusCode::FORBIDDEN,
            SendError::Address(_) => StatusCode::BAD_REQUEST,
            SendError::NoSuchService { why: NotFound::NotSpawned, .. } => StatusCode::NOT_FOUND,
            SendError::NoSuchService { .. } => StatusCode::SERVICE_UNAVAILABLE,
        },
        CallError::Timeout => StatusCode::GATEWAY_TIMEOUT,
        CallError::Suspended { .. } | CallError::Dropped(_) => StatusCode::SERVICE_UNAVAILABLE,
        CallError::Crashed(crash) => match crash {
            Crash::Deadline { .. } | Crash::Budget { .. } | Crash::Tick | Crash::CutOff { .. } => {
                StatusCode::GATEWAY_TIMEOUT
            }
            Crash::NoInstance { .. } | Crash::StateDamaged { .. } => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_GATEWAY,
        },
        CallError::Fault(_)
        | CallError::DeadHandle(_)
        | CallError::Deadlock
        | CallError::Taken { .. }
        | CallError::Deaf
        | CallError::Failed { .. }
        | CallError::Discarded => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Whether it passes by itself: what is full gets room, and what was pushed out may come again.
fn is_transient(error: &CallError) -> bool {
    match error {
        CallError::NotSent(error) => matches!(error, SendError::Overloaded { .. }),
        CallError::Dropped(_) => true,
        CallError::Crashed(crash) => matches!(crash, Crash::NoInstance { .. }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Refusal;
    use crate::error::{CallError, Crash, Fault, SendError};

    #[test]
    fn each_way_to_have_no_answer_has_its_status() {
        let trap = Crash::Trap { trap: "unreachable".to_owned(), at: None };
        let full = SendError::Overloaded { what: "the mailbox of shop".to_owned() };
        for (error, status, is_transient) in [
            (full.into(), 503, true),
            (SendError::Stopped { service: "shop".to_owned() }.into(), 503, false),
            (SendError::TooLarge { size_bytes: 2, limit_bytes: 1 }.into(), 413, false),
            (CallError::Timeout, 504, false),
            (CallError::Crashed(Crash::Deadline { deadline: Duration::ZERO }), 504, false),
            (CallError::Crashed(trap), 502, false),
            (CallError::Crashed(Crash::NoInstance { detail: String::new() }), 503, true),
            (CallError::Dropped("overflow".to_owned()), 503, true),
            (CallError::Fault(Fault::Internal("a secret".to_owned())), 500, false),
        ] {
            let refusal = Refusal::from(&error);
            assert_eq!((refusal.status.as_u16(), refusal.is_transient), (status, is_transient), "{error}");
            assert!(!refusal.says.contains("secret"), "{error}");
        }
    }
}
