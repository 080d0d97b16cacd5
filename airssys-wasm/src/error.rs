//! Errors, by fate: returned to whoever asked, or a crash that goes to the supervisor.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::address::{Address, AddressError};
use crate::hint::{Act, Coded, Hint, Hinted};
use crate::operation::Operation;
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
}

impl Coded for Fault {
    fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid",
            Self::Refused(_) => "refused",
            Self::Unavailable(_) => "unavailable",
            Self::Internal(_) => "internal",
        }
    }
}

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
            Self::Host { .. } => "host",
        }
    }
}

impl Hinted for Crash {
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

/// A capability that was needed and not granted.
///
/// # Example
///
/// ```
/// use airssys_wasm::error::{Denied, SendError};
///
/// /// Who is to be told of it: the operator, where a grant is missing.
/// fn missing(error: &SendError) -> Option<&str> {
///     match error {
///         SendError::Denied(denied) => {
///             let Denied { missing, .. } = &**denied;
///             Some(missing)
///         }
///         _ => None,
///     }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{who} may not {operation} {target}: {missing}")]
pub struct Denied {
    /// The service.
    pub who: String,
    /// What it wanted to do.
    pub operation: Operation,
    /// The address, topic or pattern.
    pub target: String,
    /// Which grant or request is missing.
    pub missing: String,
}

/// Why a message did not leave. Nothing was sent.
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::mesh("", async |runtime, _| {
/// use airssys_wasm::error::{NotFound, SendError};
///
/// let error = runtime.send("nobody", "hello").await.unwrap_err();
/// assert!(matches!(error, SendError::NoSuchService { why: NotFound::Unknown, .. }), "{error}");
/// assert!(!error.is_transient());
/// # Ok(()) });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SendError {
    /// The sender was not granted this. Final: it is never tried again.
    #[error(transparent)]
    Denied(Box<Denied>),
    /// The target is no address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Nobody has this address.
    #[error("no service {address:?}{why}")]
    NoSuchService {
        /// What was asked for.
        address: String,
        /// What is wrong with that.
        why: NotFound,
    },
    /// No room came in time, or the sender holds as many effects, timers, subscriptions or monitors as it may.
    #[error("{what} is full")]
    Overloaded {
        /// The mailbox's address, or what else is full.
        what: String,
    },
    /// The body is too large.
    #[error("the message has {size_bytes} bytes; {limit_bytes} is the most")]
    TooLarge {
        /// Its size.
        size_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// The service is known and takes no messages any more.
    #[error("service {service:?} is stopped")]
    Stopped {
        /// Its name.
        service: String,
    },
    /// A middleware layer said no.
    #[error("{layer} rejected it: {reason}")]
    Rejected {
        /// The layer.
        layer: Cow<'static, str>,
        /// What it said.
        reason: String,
    },
}

/// Why nobody has an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NotFound {
    /// There is no service of this name.
    Unknown,
    /// It is the address of a service that has an actor a key.
    NeedsKey,
    /// It is the address of a key, and the service has none.
    TakesNoKey,
    /// Nobody has spawned the child, or it is gone.
    NotSpawned,
    /// There is no service of this name whose actors are spawned.
    SpawnsNobody,
    /// It was to be the address of a child, and has no name.
    NeedsName,
    /// It was to be a pattern of topics.
    NoPattern,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "",
            Self::NeedsKey => ": this service has an actor a key, and one of them is addressed as service/key",
            Self::TakesNoKey => ": this service is not keyed, and is addressed without the slash",
            Self::NotSpawned => ": nobody has spawned it, or it is gone",
            Self::SpawnsNobody => ": there is no service of this name whose actors are spawned",
            Self::NeedsName => ": a child is addressed as service/name",
            Self::NoPattern => ": a topic pattern was expected",
        })
    }
}

impl SendError {
    /// Whether trying again later may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Overloaded { .. })
    }
}

impl Coded for SendError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::Address(_) | Self::NoSuchService { .. } => "no-such-service",
            Self::Overloaded { .. } => "overloaded",
            Self::TooLarge { .. } => "too-large",
            Self::Stopped { .. } => "stopped",
            Self::Rejected { .. } => "rejected",
        }
    }
}

/// Why nothing was done about a child.
///
/// # Example
///
/// ```
/// use airssys_wasm::error::{CallError, SupervisionError};
///
/// /// Whether a child of that name runs already.
/// fn is_taken(error: &CallError) -> bool {
///     matches!(error, CallError::Supervision(SupervisionError::Taken { .. }))
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SupervisionError {
    /// It may not be done, there is no such child, or no room.
    #[error(transparent)]
    NotSent(#[from] SendError),
    /// The name is taken.
    #[error("there is a child {child} already")]
    Taken {
        /// Its address.
        child: Address,
    },
    /// The guest could not be told.
    #[error("this component exports no `monitoring`, and cannot be told")]
    Deaf,
}

impl Coded for SupervisionError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotSent(error) => error.code(),
            Self::Taken { .. } => "taken",
            Self::Deaf => "deaf",
        }
    }
}

impl From<AddressError> for SupervisionError {
    fn from(error: AddressError) -> Self {
        Self::NotSent(error.into())
    }
}

/// Why a dead letter was not sent again. It stays where it was.
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::mesh("", async |runtime, _| {
/// use airssys_wasm::error::ReplayError;
///
/// let error = runtime.replay(7).await.unwrap_err();
/// assert!(matches!(error, ReplayError::NoSuchLetter { .. }), "{error}");
/// # Ok(()) });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// It is not kept, or not any more.
    #[error("no dead letter {id} is kept")]
    NoSuchLetter {
        /// The id.
        id: u64,
    },
    /// Only its answer is dead; to send that would make no sense.
    #[error("message {id} was handled; its answer came too late, and that is what is kept")]
    Handled {
        /// The id.
        id: u64,
    },
    /// It did not leave.
    #[error(transparent)]
    NotSent(#[from] SendError),
}

impl Coded for ReplayError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoSuchLetter { .. } => "no-such-letter",
            Self::Handled { .. } => "handled",
            Self::NotSent(error) => error.code(),
        }
    }
}

/// Why a call has no answer.
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::mesh("", async |runtime, _| {
/// use std::time::Duration;
///
/// use airssys_wasm::error::{CallError, Fault};
///
/// let told = match runtime.call("echo", "hello", Duration::from_secs(5)).await {
///     Ok(answer) => answer.unwrap_or_default(),
///     Err(CallError::Fault(Fault::Refused(why))) => why.into(),
///     Err(error) => return Err(error.into()),
/// };
/// assert_eq!(told, "hello");
/// # Ok(()) });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CallError {
    /// It never left.
    #[error(transparent)]
    NotSent(#[from] SendError),
    /// No answer came in time. Whether it was, is or will be handled is not known.
    #[error("no answer within the deadline")]
    Timeout,
    /// The one called, or somebody it waits for, waits for the caller. It never left.
    #[error("deadlock: the one called waits for the caller")]
    Deadlock,
    /// The one called answered with a fault.
    #[error(transparent)]
    Fault(Fault),
    /// The one called crashed over it.
    #[error("the one called crashed: {0}")]
    Crashed(Crash),
    /// It was dropped before it was handled.
    #[error("dropped: {0}")]
    Dropped(String),
    /// Nothing was done about a child. Only layers of the dispatch stack see it: what the guest is told has a type of
    /// its own.
    #[error(transparent)]
    Supervision(SupervisionError),
    /// Whoever asked for it is gone: the turn was discarded or cut off, or the host no longer waits. Only layers of the
    /// dispatch stack see it: nobody else is there to be told.
    #[error("discarded: whoever asked for it is gone")]
    Discarded,
}

impl From<SupervisionError> for CallError {
    fn from(error: SupervisionError) -> Self {
        match error {
            SupervisionError::NotSent(error) => Self::NotSent(error),
            other => Self::Supervision(other),
        }
    }
}

impl Coded for CallError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotSent(error) => error.code(),
            Self::Timeout => "timeout",
            Self::Deadlock => "deadlock",
            Self::Fault(_) => "fault",
            Self::Crashed(_) => "crashed",
            Self::Dropped(_) => "dropped",
            Self::Supervision(error) => error.code(),
            Self::Discarded => "discarded",
        }
    }
}
