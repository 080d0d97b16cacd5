//! What a guest asks of its host, and what it is told: plain values, which the door compares, and which can be written down.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::chance::NoRandomness;
use crate::error::{SendError, SupervisionError};
use crate::limits::REASON_BYTES;
use crate::message::Answer;
use crate::shown::beginning;

/// Something that a guest asks of its host. Its strings and bodies are those of the guest, as it wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum HostCall {
    Send {
        to: String,
        key: Option<String>,
        #[serde(with = "octets")]
        body: Bytes,
    },
    Call {
        to: String,
        key: Option<String>,
        #[serde(with = "octets")]
        body: Bytes,
        timeout_ms: u64,
    },
    Publish {
        topic: String,
        #[serde(with = "octets")]
        body: Bytes,
    },
    Subscribe {
        pattern: String,
    },
    Unsubscribe {
        pattern: String,
    },
    SendAfter {
        delay_ms: u64,
        #[serde(with = "octets")]
        body: Bytes,
    },
    Cancel {
        timer: u64,
    },
    SelfAddress,
    Spawn {
        service: String,
        name: String,
    },
    Stop {
        child: String,
    },
    Monitor {
        child: String,
    },
    Demonitor {
        child: String,
    },
    Link {
        child: String,
    },
    /// Opens the bucket of this name; the others are about the one bucket that there is.
    OpenState {
        name: String,
    },
    GetState {
        key: String,
    },
    SetState {
        key: String,
        #[serde(with = "octets")]
        value: Bytes,
    },
    DeleteState {
        key: String,
    },
    IncrementState {
        key: String,
        by: u64,
    },
    StateKeys {
        cursor: Option<u64>,
    },
    Config {
        key: String,
    },
    AllConfig,
    Log {
        level: Level,
        line: String,
    },
    WallClock,
    MonotonicClock,
    RandomBytes {
        count: u64,
    },
    RandomNumber,
    /// The variables of its environment.
    Environment,
}

/// How loud a guest's line in the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// What a guest is told.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// It is held back until the commit, or done.
    Sent(Result<(), SendError>),
    Answer(Answer),
    Timer(Result<u64, SendError>),
    Cancelled(bool),
    /// About the child of this address.
    Child(Result<String, SupervisionError>),
    /// The state was opened, or written to.
    Kept(Result<(), StateError>),
    Value(Option<Bytes>),
    Number(Result<u64, StateError>),
    /// A page of keys, and the cursor of the next one.
    Keys(Result<(Vec<String>, Option<u64>), StateError>),
    Text(Option<String>),
    Pairs(Vec<(String, String)>),
    /// Since 1970.
    Time(Duration),
    Nanoseconds(u64),
    BytesDrawn(Result<Vec<u8>, NoRandomness>),
    NumberDrawn(Result<u64, NoRandomness>),
    Nothing,
    /// Nothing was done: it would have to wait, and this turn may not.
    Waits,
}

/// Why nothing was done about the state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StateError {
    #[error("the turns of this service have no state")]
    NoState,
    #[error("a guest has its own state alone")]
    NotItsOwn,
    #[error("{0}")]
    Failed(String),
}

/// A reply of a kind that does not answer what was asked.
#[derive(Debug, thiserror::Error)]
#[error("the host answered with {0:?}, which is no answer to what was asked")]
pub(crate) struct WrongKind(Reply);

/// Makes a function that takes a reply of one kind apart.
macro_rules! kinds {
    ($($name:ident: $kind:ident($value:ty);)*) => {
        impl Reply {
            $(
                #[inline]
                pub(crate) fn $name(self) -> Result<$value, WrongKind> {
                    match self {
                        Self::$kind(value) => Ok(value),
                        other => Err(WrongKind(other)),
                    }
                }
            )*
        }
    };
}

kinds! {
    sent: Sent(Result<(), SendError>);
    answer: Answer(Answer);
    timer: Timer(Result<u64, SendError>);
    cancelled: Cancelled(bool);
    child: Child(Result<String, SupervisionError>);
    kept: Kept(Result<(), StateError>);
    value: Value(Option<Bytes>);
    number: Number(Result<u64, StateError>);
    keys: Keys(Result<(Vec<String>, Option<u64>), StateError>);
    text: Text(Option<String>);
    pairs: Pairs(Vec<(String, String)>);
    time: Time(Duration);
    nanoseconds: Nanoseconds(u64);
    bytes_drawn: BytesDrawn(Result<Vec<u8>, NoRandomness>);
    number_drawn: NumberDrawn(Result<u64, NoRandomness>);
}

impl HostCall {
    /// What it takes to be kept, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Send { to, key, body } | Self::Call { to, key, body, .. } => {
                to.len() + key.as_ref().map_or(0, String::len) + body.len()
            }
            Self::Publish { topic, body } => topic.len() + body.len(),
            Self::Subscribe { pattern } | Self::Unsubscribe { pattern } => pattern.len(),
            Self::SendAfter { body, .. } => body.len(),
            Self::Spawn { service, name } => service.len() + name.len(),
            Self::Stop { child } | Self::Monitor { child } | Self::Demonitor { child } | Self::Link { child } => {
                child.len()
            }
            Self::OpenState { name } => name.len(),
            Self::GetState { key }
            | Self::DeleteState { key }
            | Self::IncrementState { key, .. }
            | Self::Config { key } => key.len(),
            Self::SetState { key, value } => key.len() + value.len(),
            Self::Log { line, .. } => line.len(),
            Self::Cancel { .. }
            | Self::SelfAddress
            | Self::StateKeys { .. }
            | Self::AllConfig
            | Self::WallClock
            | Self::MonotonicClock
            | Self::RandomBytes { .. }
            | Self::RandomNumber
            | Self::Environment => 0,
        }
    }

    /// Whether somebody else sees it, or decides what it is told. The rest a guest has from itself: its state, its configuration, its log, and what it has of time and chance.
    pub(crate) fn is_of_the_mesh(&self) -> bool {
        match self {
            Self::Send { .. }
            | Self::Call { .. }
            | Self::Publish { .. }
            | Self::Subscribe { .. }
            | Self::Unsubscribe { .. }
            | Self::SendAfter { .. }
            | Self::Cancel { .. }
            | Self::Spawn { .. }
            | Self::Stop { .. }
            | Self::Monitor { .. }
            | Self::Demonitor { .. }
            | Self::Link { .. } => true,
            Self::SelfAddress
            | Self::OpenState { .. }
            | Self::GetState { .. }
            | Self::SetState { .. }
            | Self::DeleteState { .. }
            | Self::IncrementState { .. }
            | Self::StateKeys { .. }
            | Self::Config { .. }
            | Self::AllConfig
            | Self::Log { .. }
            | Self::WallClock
            | Self::MonotonicClock
            | Self::RandomBytes { .. }
            | Self::RandomNumber
            | Self::Environment => false,
        }
    }

    /// Whether the other one asks the same. For how long it would wait for an answer makes no difference.
    pub(crate) fn asks_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Call { to, key, body, timeout_ms: _ },
                Self::Call { to: other_to, key: other_key, body: other_body, timeout_ms: _ },
            ) => (to, key, body) == (other_to, other_key, other_body),
            (one, other) => one == other,
        }
    }
}

impl std::fmt::Display for HostCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let to = |to: &str, key: &Option<String>| match key {
            Some(key) => format!("{to} with the key {key}"),
            None => to.to_owned(),
        };
        match self {
            Self::Send { to: address, key, body } => write!(f, "send {} to {}", beginning(body), to(address, key)),
            Self::Call { to: address, key, body, .. } => {
                write!(f, "call {} with {}", to(address, key), beginning(body))
            }
            Self::Publish { topic, body } => write!(f, "publish {} on {topic}", beginning(body)),
            Self::Subscribe { pattern } => write!(f, "subscribe to {pattern}"),
            Self::Unsubscribe { pattern } => write!(f, "unsubscribe from {pattern}"),
            Self::SendAfter { delay_ms, body } => {
                let delay = Duration::from_millis(*delay_ms);
                write!(f, "send itself {} after {delay:?}", beginning(body))
            }
            Self::Cancel { timer } => write!(f, "cancel the timer {timer}"),
            Self::SelfAddress => f.write_str("ask for its address"),
            Self::Spawn { service, name } => write!(f, "spawn {service}/{name}"),
            Self::Stop { child } => write!(f, "stop {child}"),
            Self::Monitor { child } => write!(f, "monitor {child}"),
            Self::Demonitor { child } => write!(f, "demonitor {child}"),
            Self::Link { child } => write!(f, "link to {child}"),
            Self::OpenState { name } => write!(f, "open the state {name:?}"),
            Self::GetState { key } => write!(f, "get {key}"),
            Self::SetState { key, value } => write!(f, "set {key} to {}", beginning(value)),
            Self::DeleteState { key } => write!(f, "delete {key}"),
            Self::IncrementState { key, by } => write!(f, "increment {key} by {by}"),
            Self::StateKeys { cursor: None } => f.write_str("list its keys"),
            Self::StateKeys { cursor: Some(cursor) } => write!(f, "list its keys from {cursor}"),
            Self::Config { key } => write!(f, "read the configuration of {key}"),
            Self::AllConfig => f.write_str("read its configuration"),
            Self::Log { line, .. } => write!(f, "log {}", beginning(line.as_bytes())),
            Self::WallClock => f.write_str("ask for the time"),
            Self::MonotonicClock => f.write_str("ask how long it has been"),
            Self::RandomBytes { count } => write!(f, "draw {count} random bytes"),
            Self::RandomNumber => f.write_str("draw a random number"),
            Self::Environment => f.write_str("read its environment"),
        }
    }
}

impl Reply {
    /// What it takes to be kept, in bytes: of what others say. What the host says itself is short.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Answer(Ok(answer)) => answer.as_ref().map_or(0, Bytes::len),
            Self::Answer(Err(_)) => REASON_BYTES,
            Self::Child(Ok(child)) => child.len(),
            _ => 0,
        }
    }
}

/// Bytes as a list of numbers, as any format writes them.
mod octets {
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        bytes[..].serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        Vec::deserialize(deserializer).map(Bytes::from)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use super::{HostCall, Level};

    #[test]
    fn what_is_written_down_is_what_is_read() {
        let (to, key, body) = ("goal".to_owned(), Some("k".to_owned()), bytes::Bytes::from_static(&[0, 128, 255]));
        for call in [
            HostCall::Send { to: to.clone(), key: key.clone(), body: body.clone() },
            HostCall::Call { to, key, body: body.clone(), timeout_ms: u64::MAX },
            HostCall::SetState { key: "k".to_owned(), value: body },
            HostCall::StateKeys { cursor: Some(7) },
            HostCall::AllConfig,
            HostCall::Log { level: Level::Warn, line: "a\nb".to_owned() },
        ] {
            let written = serde_json::to_string(&call).unwrap();
            assert_eq!(serde_json::from_str::<HostCall>(&written).unwrap(), call, "{written}");
        }
    }

    #[test]
    fn for_how_long_it_would_wait_makes_no_difference() {
        let call = |to: &str, timeout_ms| HostCall::Call {
            to: to.to_owned(),
            key: None,
            body: bytes::Bytes::new(),
            timeout_ms,
        };
        assert!(call("a", 1).asks_the_same(&call("a", 2)));
        assert!(!call("a", 1).asks_the_same(&call("b", 1)));
    }
}
