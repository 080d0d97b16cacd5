//! What a guest says when it does not do what it was asked for.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::hint::{Coded, Hint};
use crate::schema::size_text;

/// Why a guest's handler returned an error. An ordinary answer.
///
/// # Example
///
/// ```
/// use airssys_wasm::error::Fault;
/// use airssys_wasm::hint::Coded;
///
/// let fault = Fault::Refused("sold out".to_owned());
/// assert_eq!((fault.code(), fault.to_string().as_str()), ("refused", "refused: sold out"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The message makes no sense to it.
    #[error("invalid: {0}")]
    Invalid(String),
    /// It was understood, and the answer is no.
    #[error("refused: {0}")]
    Refused(String),
    /// Something that it needs was not there.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// It failed in a way that it did not foresee.
    #[error("internal: {0}")]
    Internal(String),
    /// It is a command, and exited with another status than 0.
    #[error("exited with status {status}{}", Said(.stderr))]
    Exit {
        /// The status.
        status: i32,
        /// The last line that it wrote to its stderr, or nothing.
        stderr: String,
    },
    /// It is a command, and wrote more to its stdout than an answer may have.
    #[error("oversized: more on its stdout than the limit `boundary`, {}", size_text(*.limit_bytes))]
    Oversized {
        /// The limit.
        limit_bytes: u64,
    },
}

impl Coded for Fault {
    fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid",
            Self::Refused(_) => "refused",
            Self::Unavailable(_) => "unavailable",
            Self::Internal(_) => "internal",
            Self::Exit { .. } => "exit",
            Self::Oversized { .. } => "oversized",
        }
    }

    /// What to do about it, where its text does not say so.
    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Exit { .. } => Some("all that it wrote to its stderr is in the log of its service".into()),
            Self::Oversized { .. } => {
                Some("let it write less, or raise `boundary` under the limits of its service".into())
            }
            _ => None,
        }
    }
}

struct Said<'a>(&'a str);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}
