//! What people write in `airssys.toml` and `Component.toml`, as tables: each key with its type, its default, what it
//! may be, how it is changed while the host runs, and what the book says about it. [`schema!`] makes of a table what is
//! parsed, written, compared, checked and shown.
//!
//! Invariant: a key stands in one table. Who needs to know something about all keys asks the table.

mod key;
mod range;
mod reference;
mod table;
mod written;

pub(crate) use key::{Key, Number};
pub use range::{Amount, OutOfRange};
pub(crate) use range::{MILLISECOND, Range, Unit, YEAR, nanoseconds, size_text};
pub(crate) use reference::markdown;
pub(crate) use table::{Schema, kind_of, schema, unit_of};
pub(crate) use written::{Bytes, Count, Humane, Word, Words, Written, parse_time};

use serde::{Deserialize, Serialize};

/// How a change is brought about. The later ones take more with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeMode {
    /// Under what runs: the same instances, the same mailboxes.
    InPlace,
    /// By a deployment: a new instance takes over between two messages, and goes back where it does not start, crashes
    /// or is not well. Address, mailbox and state stay.
    Deployment,
    /// What waits is handled, then all instances are stopped and others are started. Messages wait meanwhile. Address
    /// and state stay.
    Restart,
    /// What is new is started, and what is gone is stopped.
    StartOrStop,
    /// Not while the host runs.
    NotRunning,
}

impl ChangeMode {
    /// As the tables of the book say it.
    fn told(self) -> &'static str {
        match self {
            Self::InPlace => "in place",
            Self::Deployment => "by a deployment",
            Self::Restart => "by a restart",
            Self::StartOrStop => "started or stopped",
            Self::NotRunning => "not at all",
        }
    }
}
