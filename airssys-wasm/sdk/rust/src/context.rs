//! What a handler may know of the message besides its body.

use crate::Timer;
use crate::bindings::actor::airssys::actor::types as wit;
use crate::bindings::lifecycle::exports::airssys::actor::lifecycle as wit_lifecycle;

/// What is known of a message besides its body. A handler that asks for `&Context` gets it.
///
/// # Example
///
/// ```
/// use airssys_sdk::prelude::*;
///
/// #[component]
/// fn greet(name: String, context: &Context) -> String {
///     format!("{name}, sent by {:?}", context.sender)
/// }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Context {
    /// Unique while the host runs.
    pub id: u64,
    /// The address of the service that sent it, set by the host; none where the sender is outside of the mesh.
    pub sender: Option<String>,
    /// The key that it is addressed to: that of a keyed service, or the partition key.
    pub key: Option<String>,
    /// How it came.
    pub delivery: Delivery,
    /// How often its handling was begun before and ended in a crash; 0 the first time.
    pub attempt: u32,
}

/// How a message came.
///
/// # Example
///
/// ```
/// use airssys_sdk::{Context, Delivery};
///
/// assert_eq!(Context::default().delivery, Delivery::Send);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// Nobody waits for an answer.
    #[default]
    Send,
    /// Somebody waits for the answer.
    Call {
        /// The milliseconds that were left to give it when the turn began.
        left_ms: u64,
    },
    /// It was published.
    Publish {
        /// The topic.
        topic: String,
    },
    /// A timer has run out.
    Timer(Timer),
}

/// Why an instance is asked to stop.
///
/// # Example
///
/// ```
/// use airssys_sdk::prelude::*;
///
/// fn goodbye(reason: StopReason) -> &'static str {
///     match reason {
///         StopReason::Shutdown => "for good",
///         StopReason::Restart => "back in a moment",
///         StopReason::Idle => "until the next message",
///         _ => "for a reason that is news to me",
///     }
/// }
/// # assert_eq!(goodbye(StopReason::Idle), "until the next message");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// The service is stopped, or the whole mesh is.
    Shutdown,
    /// The supervisor restarts the service because of a sibling.
    Restart,
    /// The keyed actor was idle for its time; its state stays.
    Idle,
}

impl From<wit_lifecycle::StopReason> for StopReason {
    fn from(reason: wit_lifecycle::StopReason) -> Self {
        match reason {
            wit_lifecycle::StopReason::Shutdown => Self::Shutdown,
            wit_lifecycle::StopReason::Restart => Self::Restart,
            wit_lifecycle::StopReason::Idle => Self::Idle,
        }
    }
}

impl From<wit::Delivery> for Delivery {
    fn from(delivery: wit::Delivery) -> Self {
        match delivery {
            wit::Delivery::Send => Self::Send,
            wit::Delivery::Call(left_ms) => Self::Call { left_ms },
            wit::Delivery::Publish(topic) => Self::Publish { topic },
            wit::Delivery::Timer(id) => Self::Timer(Timer::from(id)),
        }
    }
}
