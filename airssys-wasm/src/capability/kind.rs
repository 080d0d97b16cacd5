//! The kinds of what is asked for and granted: the keys of `[requests]` and of `[service.grants]`, each once.

use std::str::FromStr;

use crate::operation::Operation;

/// One key of both lists. Those of messages come first: their rules are patterns of addresses or topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Send,
    Call,
    Publish,
    Subscribe,
    Spawn,
    Files,
    Environment,
    Sockets,
    Bind,
    Http,
    Processes,
}

impl Kind {
    /// All of them, in the order of the book.
    pub(crate) const ALL: [Self; 11] = [
        Self::Send,
        Self::Call,
        Self::Publish,
        Self::Subscribe,
        Self::Spawn,
        Self::Files,
        Self::Environment,
        Self::Sockets,
        Self::Bind,
        Self::Http,
        Self::Processes,
    ];

    /// How many of them are those of messages.
    pub(crate) const OF_MESSAGES: usize = 5;

    /// Its key.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Call => "call",
            Self::Publish => "publish",
            Self::Subscribe => "subscribe",
            Self::Spawn => "spawn",
            Self::Files => "files",
            Self::Environment => "environment",
            Self::Sockets => "sockets",
            Self::Bind => "bind",
            Self::Http => "http",
            Self::Processes => "processes",
        }
    }

    /// What is asked for and granted for this to be done with an address or a topic; none where nobody is granted it.
    pub(crate) fn of(operation: Operation) -> Option<Self> {
        match operation {
            Operation::Send => Some(Self::Send),
            Operation::Call => Some(Self::Call),
            Operation::Publish => Some(Self::Publish),
            Operation::Subscribe => Some(Self::Subscribe),
            Operation::Spawn | Operation::Stop | Operation::Monitor | Operation::Link => Some(Self::Spawn),
            _ => None,
        }
    }

    /// Whether a service may do it with its own address without a grant.
    pub(crate) fn is_free_to_oneself(self) -> bool {
        (self as usize) < Self::OF_MESSAGES && self != Self::Spawn
    }
}

/// Why there is no such line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoLine {
    /// There is no such key.
    #[error("{key:?} is no kind of grant: the kinds are {}", Kind::ALL.map(Kind::name).join(", "))]
    Key {
        /// What was asked for.
        key: String,
    },
    /// It cannot be written so.
    #[error("{0}")]
    Text(String),
}

impl FromStr for Kind {
    type Err = NoLine;

    fn from_str(text: &str) -> Result<Self, NoLine> {
        let known = Self::ALL.into_iter().find(|kind| kind.name() == text);
        known.ok_or_else(|| NoLine::Key { key: text.to_owned() })
    }
}
