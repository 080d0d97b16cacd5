//! Why a message does not leave.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::address::AddressError;
use crate::hint::{Act, Coded, Hint};
use crate::operation::Operation;

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
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::mesh("", async |runtime, _| {
/// use airssys_wasm::error::{NotFound, SendError};
///
/// match runtime.send("echo/alice", "hello").await {
///     Err(SendError::NoSuchService { why: NotFound::TakesNoKey, address }) => assert_eq!(address, "echo/alice"),
///     other => panic!("{other:?}"),
/// }
/// # Ok(()) });
/// ```
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

impl Coded for AddressError {
    fn code(&self) -> &'static str {
        match self {
            Self::Service { .. } => "bad-service",
            Self::Key { .. } => "bad-key",
        }
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

    /// What to do about it, where its text does not say so.
    fn hint(&self) -> Option<Hint> {
        match self {
            Self::NoSuchService { why: NotFound::Unknown | NotFound::SpawnsNobody, .. } => {
                Some(Act::ListServices.into())
            }
            Self::NoSuchService { why: NotFound::NotSpawned, .. } => {
                Some("a child is there from when a service has spawned it until it ends".into())
            }
            Self::Overloaded { .. } => Some("try again later; where it stays full, let it hold more".into()),
            Self::TooLarge { .. } => Some("send less at a time, or raise `message` in the topology".into()),
            Self::Stopped { service } => Some(Act::Start { service: service.clone() }.into()),
            Self::Denied(_) | Self::Address(_) | Self::NoSuchService { .. } | Self::Rejected { .. } => None,
        }
    }
}
