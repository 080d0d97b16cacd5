//! Why what is written is no call.

use super::block;

/// Why a text is no call of a function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoCall {
    /// It is not written as a call is, or an argument is none of its type.
    #[error("at character {at}: {detail}")]
    Text {
        /// Where, counted from 1.
        at: usize,
        /// What is wrong there.
        detail: String,
    },
    /// An argument is none of its type, or there are more or fewer.
    #[error("{detail}")]
    Arguments {
        /// Which one, what is wanted, and what it is.
        detail: String,
    },
    /// It names no function.
    #[error("there is no function `{name}`{}", There(.there))]
    Unknown {
        /// What it names.
        name: String,
        /// Those that there are.
        there: Vec<String>,
    },
    /// It names several.
    #[error("`{name}` is one of several functions: {}", .which.join(", "))]
    Ambiguous {
        /// What it names.
        name: String,
        /// Those that are called so.
        which: Vec<String>,
    },
}

impl From<block::Mismatch> for NoCall {
    fn from(mismatch: block::Mismatch) -> Self {
        Self::Arguments { detail: mismatch.to_string() }
    }
}

struct There<'a>(&'a [String]);

impl std::fmt::Display for There<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            [] => f.write_str("; it exports none"),
            there => write!(f, "; it exports {}", there.join(", ")),
        }
    }
}
