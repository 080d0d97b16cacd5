//! Errors by name: what `prober_protocol::Refusal` promises.

use std::fmt::Display;

use airssys_sdk::config::ConfigError;
use airssys_sdk::prelude::*;
use airssys_sdk::state::StateError;
use prober_protocol::Refusal;

/// Turns an error into its name. Not `From`: both the errors and the refusal are foreign here.
pub(crate) trait Name<T> {
    /// The value, or the name of the error.
    fn name(self) -> Result<T, Refusal>;
}

impl<T> Name<T> for Result<T, SendError> {
    fn name(self) -> Result<T, Refusal> {
        self.map_err(|error| named(send(&error), error))
    }
}

impl<T> Name<T> for Result<T, CallError> {
    fn name(self) -> Result<T, Refusal> {
        self.map_err(|error| named(&call(&error), error))
    }
}

impl<T> Name<T> for Result<T, StateError> {
    fn name(self) -> Result<T, Refusal> {
        self.map_err(|error| named(state(&error), error))
    }
}

impl<T> Name<T> for Result<T, ConfigError> {
    fn name(self) -> Result<T, Refusal> {
        self.map_err(|error| named("config", error))
    }
}

impl<T> Name<T> for std::io::Result<T> {
    fn name(self) -> Result<T, Refusal> {
        // WASI's `nospc`, which Rust has a kind for, and not on this target.
        let kind = |error: &std::io::Error| match error.raw_os_error() {
            Some(51) => std::io::ErrorKind::StorageFull,
            _ => error.kind(),
        };
        self.map_err(|error| named(&format!("io/{:?}", kind(&error)), error))
    }
}

pub(crate) fn named(name: &str, error: impl Display) -> Refusal {
    Refusal { name: name.to_owned(), text: error.to_string() }
}

fn send(error: &SendError) -> &'static str {
    match error {
        SendError::Denied(_) => "denied",
        SendError::NoSuchService(_) => "no-such-service",
        SendError::Overloaded => "overloaded",
        SendError::TooLarge { .. } => "too-large",
        SendError::Stopped => "stopped",
        SendError::Unwritable(_) => "unwritable",
        _ => "unknown",
    }
}

fn call(error: &CallError) -> String {
    match error {
        CallError::NotSent(error) => format!("not-sent/{}", send(error)),
        CallError::Timeout => "timeout".to_owned(),
        CallError::Deadlock => "deadlock".to_owned(),
        CallError::Fault(Fault::Invalid(_)) => "fault/invalid".to_owned(),
        CallError::Fault(Fault::Refused(_)) => "fault/refused".to_owned(),
        CallError::Fault(Fault::Unavailable(_)) => "fault/unavailable".to_owned(),
        CallError::Fault(Fault::Internal(_)) => "fault/internal".to_owned(),
        CallError::Crashed(_) => "crashed".to_owned(),
        CallError::Dropped(_) => "dropped".to_owned(),
        CallError::Unreadable(_) => "unreadable".to_owned(),
        _ => "unknown".to_owned(),
    }
}

fn state(error: &StateError) -> &'static str {
    match error {
        StateError::NoState => "no-state",
        StateError::Denied => "state-denied",
        StateError::Store(_) => "store",
        StateError::Unwritable(_) => "unwritable",
        StateError::Unreadable { .. } => "unreadable",
        _ => "unknown",
    }
}
