//! Errors of the host as answers: `{"error": NAME, "text": TEXT}`, where the text is what the error carries.

use airssys_sdk::config::ConfigError;
use airssys_sdk::prelude::*;
use airssys_sdk::state::StateError;
use serde_json::{Value, json};

/// The value as an answer; or the error.
pub(crate) fn told<T: Serialize, E: Named>(result: Result<T, E>) -> Value {
    match result {
        Ok(value) => json!(value),
        Err(error) => {
            let (name, text) = error.named();
            json!({ "error": name, "text": text })
        }
    }
}

/// An error with a name.
pub(crate) trait Named {
    /// Its name, and what it carries.
    fn named(self) -> (String, String);
}

impl Named for SendError {
    fn named(self) -> (String, String) {
        let (name, text) = match self {
            Self::Denied(text) => ("denied", text),
            Self::NoSuchService(text) => ("no-such-service", text),
            Self::Overloaded => ("overloaded", String::new()),
            Self::TooLarge { limit_bytes } => ("too-large", limit_bytes.to_string()),
            Self::Stopped => ("stopped", String::new()),
            other => ("unknown", other.to_string()),
        };
        (name.to_owned(), text)
    }
}

impl Named for CallError {
    fn named(self) -> (String, String) {
        let (name, text) = match self {
            Self::NotSent(error) => {
                let (name, text) = error.named();
                return (format!("not-sent/{name}"), text);
            }
            Self::Timeout => ("timeout", String::new()),
            Self::Deadlock => ("deadlock", String::new()),
            Self::Fault(Fault::Invalid(reason)) => ("fault/invalid", reason),
            Self::Fault(Fault::Refused(reason)) => ("fault/refused", reason),
            Self::Fault(Fault::Unavailable(reason)) => ("fault/unavailable", reason),
            Self::Fault(Fault::Internal(reason)) => ("fault/internal", reason),
            Self::Crashed(how) => ("crashed", how),
            Self::Dropped(why) => ("dropped", why),
            other => ("unknown", other.to_string()),
        };
        (name.to_owned(), text)
    }
}

impl Named for StateError {
    fn named(self) -> (String, String) {
        let (name, text) = match self {
            Self::NoState => ("no-state", String::new()),
            Self::Denied => ("state-denied", String::new()),
            Self::Store(why) => ("state", why),
            other => ("unknown", other.to_string()),
        };
        (name.to_owned(), text)
    }
}

impl Named for SupervisionError {
    fn named(self) -> (String, String) {
        let (name, text) = match self {
            Self::Denied(text) => ("denied", text),
            Self::NoSuchChild(text) => ("no-such-child", text),
            Self::Taken => ("taken", String::new()),
            Self::Overloaded => ("overloaded", String::new()),
            Self::Deaf => ("deaf", String::new()),
            other => ("unknown", other.to_string()),
        };
        (name.to_owned(), text)
    }
}

impl Named for ConfigError {
    fn named(self) -> (String, String) {
        ("config".to_owned(), self.to_string())
    }
}

impl Named for std::io::Error {
    fn named(self) -> (String, String) {
        ("io".to_owned(), self.to_string())
    }
}
