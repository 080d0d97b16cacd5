//! How an instance ends by itself, which is for its supervisor.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::fault::Fault;
use crate::hint::{Act, Coded, Hint};
use crate::schema::size_text;

/// How a component instance ended by itself. The supervisor decides what comes next. Where a limit is why, the text
/// names the limit's key and what it is.
///
/// # Example
///
/// ```
/// use airssys_wasm::error::{Crash, Fault, Stage};
/// use airssys_wasm::hint::Coded;
///
/// let crash = Crash::Start { during: Stage::Init, fault: Fault::Internal("no such table".to_owned()) };
/// assert_eq!(crash.code(), "start");
/// assert!(crash.to_string().contains("init"), "{crash}");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Crash {
    /// It trapped. A guest's panic is `unreachable`.
    #[error("trap: {trap}{}", At(.at.as_deref()))]
    Trap {
        /// Which trap.
        trap: String,
        /// The guest function, where the binary names it.
        at: Option<String>,
    },
    /// It called itself too deep.
    #[error("stack overflow{}: the limit `stack` is {}", At(.at.as_deref()), size_text(*.limit_bytes))]
    StackOverflow {
        /// The limit.
        limit_bytes: u64,
        /// The guest function, where the binary names it.
        at: Option<String>,
    },
    /// It was refused memory and did not live with that.
    #[error("out of memory: the limit `memory` is {}", size_text(*.limit_bytes))]
    OutOfMemory {
        /// The limit.
        limit_bytes: u64,
    },
    /// It was refused elements of a table and did not live with that.
    #[error("out of memory: the limit `table_elements` is {limit_elements}")]
    OutOfElements {
        /// The limit.
        limit_elements: usize,
    },
    /// Its memory was not made larger though its limits allow that: it has reached its own maximum, or the host has no
    /// more.
    #[error("out of memory: {detail}")]
    NoMemory {
        /// What the engine said.
        detail: String,
    },
    /// The turn took too long, waiting included.
    #[error("turn deadline passed: the limit `turn_deadline` is {}", humantime::format_duration(*.deadline))]
    Deadline {
        /// The deadline.
        deadline: Duration,
    },
    /// Somebody had waited for the end of the turn for long enough, and it was cut off.
    #[error("the turn was cut off for {by}")]
    CutOff {
        /// What was to be, and how long it had waited.
        by: String,
    },
    /// The turn computed too long.
    #[error("turn budget used up: the limit `turn_budget` is {}", humantime::format_duration(*.budget))]
    Budget {
        /// The budget.
        budget: Duration,
    },
    /// The turn computed longer than one may in the sync lane, whatever its budget is.
    #[error(
        "turn budget used up: in the sync lane a turn computes for one tick of 2ms at most, and `lane` of its Component.toml is \"sync\""
    )]
    Tick,
    /// It handed more bytes to the host in one call than it may.
    #[error("oversized: too much in one call or answer: the limit `boundary` is {}", size_text(*.limit_bytes))]
    Oversized {
        /// The limit.
        limit_bytes: u64,
    },
    /// `init`, the first health check, `snapshot` or `restore` returned a fault, or all of its start was not over in
    /// time.
    #[error("{during} failed: {fault}")]
    Start {
        /// What it was to do then.
        during: Stage,
        /// What it said.
        fault: Fault,
    },
    /// Its state is in a schema that it did not bring over.
    #[error("its state has the schema {found}, and this release keeps schema {wanted}: {detail}")]
    Schema {
        /// The schema of the state.
        found: u32,
        /// The release's own.
        wanted: u32,
        /// What its `migrate` said, or that it has none.
        detail: String,
    },
    /// It asked to exit.
    #[error("exit with status {status}")]
    Exit {
        /// The status; only 0 and 1 can be told apart.
        status: i32,
    },
    /// What the turn wrote to its durable state is not on disk, as far as anybody knows. The guest believes that it is.
    #[error("the turn's state was not saved: {detail}")]
    NotDurable {
        /// Why not.
        detail: String,
    },
    /// Its durable state is damaged. It is not started on an empty one.
    #[error("its state is damaged: {detail}")]
    StateDamaged {
        /// What was found.
        detail: String,
    },
    /// A function that another service was to carry out failed there, and no value of its type says so.
    #[error("{detail}")]
    Wire {
        /// Which wire, and what became of the call.
        detail: String,
    },
    /// There is no room for another live instance.
    #[error("no room for another instance: {detail}")]
    NoInstance {
        /// What is used up.
        detail: String,
    },
    /// A test of the tree wanted it so: no host but a seeded one ends an instance like this.
    #[error("a fault of the test: a crash {moment}")]
    Planned {
        /// When: `before the turn`, `during the turn` or `after the turn`.
        moment: String,
    },
    /// The host's own fault, or one of wasmtime's that has no class of its own.
    #[error("host: {detail}")]
    Host {
        /// What was said.
        detail: String,
    },
}

impl Crash {
    /// A start that was not over in time.
    pub(crate) fn late_start(limit: Duration) -> Self {
        let limit = humantime::format_duration(limit);
        let fault = Fault::Unavailable(format!("it was not over in time: the limit `start_timeout` is {limit}"));
        Self::Start { during: Stage::Start, fault }
    }

    /// The key of the limit that is why, where one is.
    pub(crate) fn limit(&self) -> Option<&'static str> {
        Some(match self {
            Self::StackOverflow { .. } => "stack",
            Self::OutOfMemory { .. } => "memory",
            Self::OutOfElements { .. } => "table_elements",
            Self::Deadline { .. } => "turn_deadline",
            Self::Budget { .. } | Self::Tick => "turn_budget",
            Self::Oversized { .. } => "boundary",
            Self::NoInstance { .. } => "instances",
            _ => return None,
        })
    }
}

impl Coded for Crash {
    fn code(&self) -> &'static str {
        match self {
            Self::Trap { .. } => "trap",
            Self::StackOverflow { .. } => "stack-overflow",
            Self::OutOfMemory { .. } | Self::OutOfElements { .. } | Self::NoMemory { .. } => "out-of-memory",
            Self::Deadline { .. } => "deadline",
            Self::CutOff { .. } => "cut-off",
            Self::Budget { .. } | Self::Tick => "budget",
            Self::Oversized { .. } => "oversized",
            Self::Start { .. } => "start",
            Self::Schema { .. } => "schema",
            Self::Exit { .. } => "exit",
            Self::NotDurable { .. } => "not-durable",
            Self::StateDamaged { .. } => "state-damaged",
            Self::Wire { .. } => "wire",
            Self::NoInstance { .. } => "no-instance",
            Self::Planned { .. } => "planned",
            Self::Host { .. } => "host",
        }
    }

    /// What to do about it, where it is not the component that is to be mended.
    fn hint(&self) -> Option<Hint> {
        match self {
            Self::StateDamaged { .. } => Some(Hint::from(Act::VerifyState).words("; ").act(Act::LoadState)),
            Self::NoInstance { .. } => {
                Some("raise vm.max_map_count (sysctl), or let fewer keyed actors be awake".into())
            }
            _ => None,
        }
    }
}

/// A step of how a component instance begins, or takes over from another one.
///
/// # Example
///
/// ```
/// use airssys_wasm::error::{Crash, Stage};
///
/// /// Whether it is the way that it was started that fails, and not what it is to do.
/// fn is_no_start(crash: &Crash) -> bool {
///     matches!(crash, Crash::Start { during: Stage::Init | Stage::Start | Stage::HealthCheck, .. })
/// }
///
/// assert!(!is_no_start(&Crash::Tick));
/// assert_eq!(Stage::HealthCheck.to_string(), "health check");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Stage {
    /// Its `init`.
    Init,
    /// Its health check: the first one, or the last one before it sleeps.
    HealthCheck,
    /// The `snapshot` that it was to hand over.
    Snapshot,
    /// The `restore` of what it was to take over.
    Restore,
    /// All of its start.
    Start,
    /// All of its handover.
    Handover,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Init => "init",
            Self::HealthCheck => "health check",
            Self::Snapshot => "snapshot",
            Self::Restore => "restore",
            Self::Start => "the start",
            Self::Handover => "the handover",
        })
    }
}

struct At<'a>(Option<&'a str>);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(function) => write!(f, " in {function}"),
            None => Ok(()),
        }
    }
}
