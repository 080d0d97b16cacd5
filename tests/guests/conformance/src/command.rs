//! The commands that the guest understands: JSON objects whose `do` says which one.

use std::collections::BTreeMap;

use airssys_sdk::Fault;
use airssys_sdk::log::Level as SdkLevel;
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Command {
    Echo { value: Value },
    Nothing,
    All { of: Vec<Command> },
    Count,
    Context,
    Address,
    Remember { value: Value },
    Recall,
    Fault { kind: Kind, reason: String },
    Trap,
    Exit { status: i32 },
    Spin,
    FaultIfSet { key: String, kind: Kind, reason: String },
    TellAttempt { to: String },
    KeepContext { key: String },
    Sleep { ms: u64 },
    Get { key: String },
    Set { key: String, value: Value },
    Delete { key: String },
    Exists { key: String },
    Increment { key: String, by: u64 },
    Keys,
    GetMany { keys: Vec<String> },
    SetMany { values: BTreeMap<String, Value> },
    DeleteMany { keys: Vec<String> },
    Append { key: String, value: Value },
    Send { to: String, key: Option<String>, body: Value },
    Call { to: String, key: Option<String>, body: Value, timeout_ms: u64 },
    Publish { topic: String, body: Value },
    Subscribe { pattern: String },
    Unsubscribe { pattern: String },
    SendAfter { delay_ms: u64, body: Value },
    Cancel,
    Log { level: Level, line: String },
    Config { key: String },
    ConfigAll,
    Spawn { service: String, name: String },
    Stop { child: String },
    Monitor { child: String },
    Demonitor { child: String },
    Link { child: String },
    Environment { name: String },
    ReadFile { path: String },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Invalid,
    Refused,
    Unavailable,
    Internal,
}

impl Kind {
    pub(crate) fn of(&self, reason: String) -> Fault {
        match self {
            Self::Invalid => Fault::Invalid(reason),
            Self::Refused => Fault::Refused(reason),
            Self::Unavailable => Fault::Unavailable(reason),
            Self::Internal => Fault::Internal(reason),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl From<Level> for SdkLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Trace => Self::Trace,
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warn => Self::Warn,
            Level::Error => Self::Error,
        }
    }
}
