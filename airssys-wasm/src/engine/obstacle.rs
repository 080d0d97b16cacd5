//! Why this host cannot run a component: what the component has, what is allowed or known here, and what to do about
//! it.

use std::fmt;

use super::contract::HANDLER;
use crate::hint::{Act, Coded, Hint};
use crate::limits::{Limits, MOST_SYNC_STACK, OutOfRange};
use crate::schema::{Schema, size_text};

/// One thing that keeps a host from running a component.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::{Absence, Obstacle};
/// use airssys_wasm::hint::Coded;
///
/// let obstacle = Obstacle::Import { import: "acme:db/store@1.0.0".to_owned(), why: Absence::Unknown };
/// assert_eq!(obstacle.code(), "AC105");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Obstacle {
    /// It uses a proposal of WebAssembly that the engine is built without.
    Feature {
        /// What the proposal is called.
        name: &'static str,
    },
    /// It begins with more than a limit allows.
    Limit {
        /// The key of `[limits]`.
        key: &'static str,
        /// What it takes: bytes for `memory`, otherwise a number.
        takes: u64,
        /// What the limit allows.
        allows: u64,
    },
    /// A limit is one that no host can keep. The most that `stack` may be depends on the lane.
    Range(OutOfRange),
    /// It takes more than any host gives, whatever the limits say.
    TooMuch {
        /// What it takes.
        what: &'static str,
        /// How much of it.
        takes: u64,
        /// The most that there is.
        most: u64,
    },
    /// What it puts into a memory or a table at its start lies beyond what that begins with: it would never start.
    Segment {
        /// `data` or `element`.
        kind: &'static str,
        /// Where the segment ends: a byte, or an element.
        end: u64,
        /// `memory` or `table`.
        of: &'static str,
        /// What that begins with.
        has: u64,
    },
    /// It imports what is not there.
    Import {
        /// The import.
        import: String,
        /// Why it is not there.
        why: Absence,
    },
    /// It is of WASI 0.3, and this host was built without it.
    LeftOut,
    /// Its functions may be async, and its manifest asks for the sync lane.
    Tasks,
    /// It does not export the handler.
    NoHandler {
        /// What it exports of the contract instead.
        found: Vec<String>,
    },
    /// It exports an interface of the contract in another shape.
    Export {
        /// The interface.
        export: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The engine does not know something that it does.
    Unknown {
        /// What the engine said.
        detail: String,
    },
}

/// Why an import is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Absence {
    /// Nobody provides an interface of this name.
    Unknown,
    /// The interface is there in another version.
    Version {
        /// The interface that is there.
        known: String,
    },
    /// It is linked only where the release requests something.
    NotRequested {
        /// The key under `[requests]`.
        key: String,
    },
    /// It is another service's affair, and has a function whose values cannot cross: resources of the host, streams or
    /// futures, or it is `async`.
    NotPlain,
    /// It can wait, and the sync lane cannot.
    Waits,
    /// It is there, and is not what the component expects.
    Shape {
        /// How it differs.
        detail: String,
    },
}

/// The most that the engine keeps for one instance, in bytes: a record for each function that is passed on, each
/// import, each global.
pub(super) const MOST_RECORDS: u64 = 8 << 20;

const SMALLER: &str = "make it smaller, or part it into several components";

/// Whether no limit of this key allows so much.
fn is_beyond_range(key: &str, takes: u64) -> bool {
    Limits::KEYS.iter().any(|known| known.key == key && known.check(takes).is_some())
}

impl Coded for Obstacle {
    /// A stable name, such as `AC105`.
    fn code(&self) -> &'static str {
        match self {
            Self::Import { .. } | Self::Tasks => "AC105",
            Self::NoHandler { .. } | Self::Export { .. } => "AC106",
            Self::Range(_) => "AC107",
            Self::Limit { .. } | Self::TooMuch { .. } | Self::Segment { .. } => "AC109",
            Self::Feature { .. } | Self::LeftOut | Self::Unknown { .. } => "AC110",
        }
    }

    fn hint(&self) -> Option<Hint> {
        let words = match self {
            Self::Feature { name } => {
                format!("build it without {name}: such as by another target or other flags of its compiler")
            }
            Self::LeftOut => {
                "use a host that was built with it: it is the feature `wasi-0-3` of airssys-wasm, which the command airssys has"
                    .to_owned()
            }
            Self::Limit { key, takes, .. } if is_beyond_range(key, *takes) => SMALLER.to_owned(),
            Self::Limit { key, takes, .. } => {
                let enough = if *key == "memory" { format!("{:?}", size_text(*takes)) } else { takes.to_string() };
                format!(
                    "raise it to at least `{key} = {enough}` under [limits] of its Component.toml or [service.limits] of the topology"
                )
            }
            Self::Range(out) => {
                let lane = if out.key() == "stack" && out.is_too_much() && out.end() == MOST_SYNC_STACK { ", or remove `lane = \"sync\"` from its Component.toml" } else { "" };
                format!("{}{lane}", out.hint())
            }
            Self::Segment { of, .. } => {
                format!("build it with a {of} that begins larger; was it changed after it was built?")
            }
            Self::TooMuch { .. } => SMALLER.to_owned(),
            Self::Import { why: Absence::Version { known }, .. } => {
                format!("build it for {known}, such as with the SDK that belongs to this host")
            }
            Self::Import { why: Absence::Unknown, import } => format!(
                "it needs a host that has {import}; leave the import out, or wait for a version of airssys that has it"
            ),
            Self::Import { why: Absence::NotPlain, .. } => {
                "make its functions take and return values without resources of WASI, streams and futures".to_owned()
            }
            Self::Import { why: Absence::NotRequested { key }, .. } if key == "processes" => {
                "add `processes` under [requests] in its Component.toml, with the names of the programs that it starts, such as \"convert\"".to_owned()
            }
            Self::Import { why: Absence::NotRequested { key }, .. } if key == "files" => {
                "add `files` under [requests] in its Component.toml, with the folders that it works in, such as \"/data\" = \"read-write\"".to_owned()
            }
            Self::Import { why: Absence::NotRequested { .. }, .. } => {
                "add `spawn` under [requests] in its Component.toml, with the children that it spawns, such as \"worker/*\"".to_owned()
            }
            Self::Import { why: Absence::Waits, .. } | Self::Tasks => {
                "remove `lane = \"sync\"` from its Component.toml, or build it with `[build] wasi = false` and without calls".to_owned()
            }
            Self::NoHandler { found } if found.is_empty() => {
                return Some(Hint::from(Act::WriteNew).words(", or export the handler interface"));
            }
            Self::NoHandler { .. } | Self::Export { .. } | Self::Import { why: Absence::Shape { .. }, .. } => {
                "build it with the SDK that belongs to this host".to_owned()
            }
            Self::Unknown { .. } => "build it without what the engine names".to_owned(),
        };
        Some(words.into())
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Feature { name } => write!(f, "it uses {name}, which this host's engine is built without"),
            Self::Limit { key: "memory", takes, allows } => write!(
                f,
                "its memory begins with {} ({} pages), and the limit `memory` is {}",
                size_text(*takes),
                takes.div_ceil(crate::limits::PAGE),
                size_text(*allows)
            ),
            Self::Limit { key: "table_elements", takes, allows } => {
                write!(f, "its tables begin with {takes} elements, and the limit `table_elements` is {allows}")
            }
            Self::Limit { key, takes, allows } => {
                write!(f, "it has {takes} {}, and the limit `{key}` is {allows}", key.replace('_', " "))
            }
            Self::Range(out) => write!(f, "{out}"),
            Self::Segment { kind, end, of, has } => {
                write!(f, "it never starts: a segment of its {kind} ends at {end}, and its {of} begins with {has}")
            }
            Self::TooMuch { what, takes, most } => write!(f, "it takes {takes} {what}, and the most is {most}"),
            Self::Import { import, why } => write!(f, "it imports {import}, {why}"),
            Self::LeftOut => f.write_str(
                "it needs WASI 0.3 (async functions, streams, futures), and this host was built without the feature `wasi-0-3`",
            ),
            Self::Tasks => f.write_str("its functions may be async (WASI 0.3), and the sync lane cannot wait for them"),
            Self::NoHandler { found } if found.is_empty() => write!(f, "it does not export {HANDLER}"),
            Self::NoHandler { found } => {
                write!(f, "it does not export {HANDLER} (it exports {})", found.join(", "))
            }
            Self::Export { export, detail } => {
                write!(f, "its export {export} is another one than this host calls: {detail}")
            }
            Self::Unknown { detail } => write!(f, "the engine does not take it: {detail}"),
        }
    }
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("which nobody provides"),
            Self::Version { known } if known.starts_with("airssys:") => {
                write!(f, "which is of another version of the contract: this host has {known}")
            }
            Self::Version { known } => write!(f, "which is of another version: this host has {known}"),
            Self::NotRequested { .. } => f.write_str("which it does not request"),
            Self::NotPlain => f.write_str(
                "which is no interface of values and resources of its own alone, and nothing else crosses from one service to another",
            ),
            Self::Waits => f.write_str("which can wait, and the sync lane cannot"),
            Self::Shape { detail } => write!(f, "which this host has in another shape: {detail}"),
        }
    }
}
