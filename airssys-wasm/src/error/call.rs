//! Why a call has no answer, a child is not started or stopped, or a dead letter stays where it is.

use serde::{Deserialize, Serialize};

use super::crash::Crash;
use super::fault::Fault;
use super::handle::DeadHandle;
use super::send::{NotFound, SendError};
use crate::address::{Address, AddressError};
use crate::audit::Unrecorded;
use crate::hint::{Act, Coded, Hint};

/// Why nothing was done about a child.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SupervisionError {
    /// It may not be done, there is no such child, or no room.
    #[error(transparent)]
    NotSent(#[from] SendError),
    /// The name is taken.
    #[error("there is a child {child} already")]
    Taken {
        /// Its address.
        child: Address,
    },
    /// The guest could not be told.
    #[error("this component exports no `monitoring`, and cannot be told")]
    Deaf,
}

impl From<AddressError> for SupervisionError {
    fn from(error: AddressError) -> Self {
        Self::NotSent(error.into())
    }
}

/// Why a dead letter was not sent again. It stays where it was.
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::mesh("", async |runtime, _| {
/// use airssys_wasm::error::ReplayError;
///
/// let error = runtime.replay(7).await.unwrap_err();
/// assert!(matches!(error, ReplayError::NoSuchLetter { .. }), "{error}");
/// # Ok(()) });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// It is not kept, or not any more.
    #[error("no dead letter {id} is kept")]
    NoSuchLetter {
        /// The id.
        id: u64,
    },
    /// Only its answer is dead; to send that would make no sense.
    #[error("message {id} was handled; its answer came too late, and that is what is kept")]
    Handled {
        /// The id.
        id: u64,
    },
    /// It is a request whose body was streamed, and the rest of that is gone.
    #[error("message {id} is a request of which only the begin is kept: its body was streamed")]
    Partial {
        /// The id.
        id: u64,
    },
    /// It did not leave.
    #[error(transparent)]
    NotSent(#[from] SendError),
    /// The audit is required and cannot record it. It did not leave.
    #[error(transparent)]
    Unrecorded(#[from] Unrecorded),
}

impl Coded for ReplayError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoSuchLetter { .. } => "no-such-letter",
            Self::Handled { .. } => "handled",
            Self::Partial { .. } => "partial",
            Self::NotSent(error) => error.code(),
            Self::Unrecorded(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::NoSuchLetter { .. } => Some(Act::ListDeadLetters.into()),
            Self::NotSent(error) => error.hint(),
            Self::Unrecorded(error) => error.hint(),
            Self::Handled { .. } => Some(Hint::from("there is nothing to send again; ").act(Act::DropDeadLetter)),
            Self::Partial { .. } => Some(Hint::from("whoever sent it has to send it again; ").act(Act::DropDeadLetter)),
        }
    }
}

/// Why a call has no answer.
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::mesh("", async |runtime, _| {
/// use std::time::Duration;
///
/// use airssys_wasm::error::{CallError, Fault};
///
/// let told = match runtime.call("echo", "hello", Duration::from_secs(5)).await {
///     Ok(answer) => answer.unwrap_or_default(),
///     Err(CallError::Fault(Fault::Refused(why))) => why.into(),
///     Err(error) => return Err(error.into()),
/// };
/// assert_eq!(told, "hello");
/// # Ok(()) });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CallError {
    /// It never left.
    #[error(transparent)]
    NotSent(#[from] SendError),
    /// No answer came in time. Whether it was, is or will be handled is not known.
    #[error("no answer within the deadline")]
    Timeout,
    /// No answer came in time, since nobody handles messages there until a person has decided what becomes of the
    /// state.
    #[error("no answer within the deadline: {who} is suspended, and what is sent to it waits")]
    Suspended {
        /// The one called.
        who: Address,
    },
    /// The one called, or somebody it waits for, waits for the caller. It never left.
    #[error("deadlock: the one called waits for the caller")]
    Deadlock,
    /// The one called answered with a fault.
    #[error(transparent)]
    Fault(Fault),
    /// A handle that was given with it is of no resource there.
    #[error(transparent)]
    DeadHandle(#[from] DeadHandle),
    /// The one called crashed over it.
    #[error("the one called crashed: {0}")]
    Crashed(Crash),
    /// It was dropped before it was handled.
    #[error("dropped: {0}")]
    Dropped(String),
    /// There is a child of this name already. Only layers of the dispatch stack see it: what the guest is told has a
    /// type of its own.
    #[error("there is a child {child} already")]
    Taken {
        /// Its address.
        child: Address,
    },
    /// A guest wants to know of the end of a child, and could not be told. Only layers of the dispatch stack see it.
    #[error("this component exports no `monitoring`, and cannot be told")]
    Deaf,
    /// What a service did outside of the mesh failed, such as a read of a file. Only layers of the dispatch stack see
    /// it.
    #[error("it failed: {code}")]
    Failed {
        /// The name that WASI has for that, such as `no-entry`; else what was wrong.
        code: String,
    },
    /// Whoever asked for it is gone: the turn was discarded or cut off, or the host no longer waits. Only layers of the
    /// dispatch stack see it: nobody else is there to be told.
    #[error("discarded: whoever asked for it is gone")]
    Discarded,
}

impl CallError {
    /// Whether the one called could not answer, as things were: the same call may have an answer later. It may have
    /// been carried out all the same.
    pub(crate) fn is_outage(&self) -> bool {
        match self {
            Self::Crashed(_) | Self::Dropped(_) | Self::Timeout | Self::Suspended { .. } => true,
            // A child comes and goes.
            Self::NotSent(SendError::NoSuchService { why, .. }) => *why == NotFound::NotSpawned,
            Self::NotSent(error) => matches!(error, SendError::Overloaded { .. } | SendError::Stopped { .. }),
            Self::Deadlock
            | Self::Fault(_)
            | Self::DeadHandle(_)
            | Self::Taken { .. }
            | Self::Deaf
            | Self::Failed { .. }
            | Self::Discarded => false,
        }
    }
}

impl From<SupervisionError> for CallError {
    fn from(error: SupervisionError) -> Self {
        match error {
            SupervisionError::NotSent(error) => Self::NotSent(error),
            SupervisionError::Taken { child } => Self::Taken { child },
            SupervisionError::Deaf => Self::Deaf,
        }
    }
}

impl Coded for CallError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotSent(error) => error.code(),
            Self::Timeout => "timeout",
            Self::Suspended { .. } => "suspended",
            Self::Deadlock => "deadlock",
            Self::Fault(Fault::Exit { .. }) => "exit",
            Self::Fault(_) => "fault",
            Self::DeadHandle(_) => "dead-handle",
            Self::Crashed(_) => "crashed",
            Self::Dropped(_) => "dropped",
            Self::Taken { .. } => "taken",
            Self::Deaf => "deaf",
            Self::Failed { .. } => "failed",
            Self::Discarded => "discarded",
        }
    }

    /// What to do about it, where its text does not say so.
    fn hint(&self) -> Option<Hint> {
        match self {
            Self::NotSent(error) => error.hint(),
            Self::Timeout => Some(Hint::from("it may be handled all the same; ").act(Act::WaitLonger)),
            Self::Suspended { who } => {
                let service = who.service().to_owned();
                Some(Hint::from(Act::ReadLog { service }).words("; it may be handled when that is over"))
            }
            Self::Deadlock => Some("let one of them send where it calls".into()),
            Self::Fault(fault) => fault.hint().or_else(|| Some("the service itself says no to this message".into())),
            Self::DeadHandle(_) => Some(
                "make another one: a handle ends with the instance that made it, or when it is dropped or given".into(),
            ),
            Self::Crashed(crash) => crash
                .hint()
                .or_else(|| Some(Hint::from("the message is a dead letter now: ").act(Act::ListDeadLetters))),
            Self::Dropped(_) | Self::Taken { .. } | Self::Deaf | Self::Failed { .. } | Self::Discarded => None,
        }
    }
}
