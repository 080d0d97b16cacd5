//! Children of one's own: spawn, stop, monitor, link.
//!
//! Everything is held back until the turn commits. Each is checked by the host against what this service was granted:
//! `spawn = ["worker/*"]`, under `[requests]` of its `Component.toml` and in the topology.

use std::fmt;

use crate::bindings::monitoring::exports::airssys::actor::monitoring as told;
use crate::bindings::supervision::airssys::actor::supervision as host;

/// Starts a child of `service`, whose actors are spawned, under this name when the turn commits; its address. Name and
/// place are taken now. What this turn sends to the child arrives; a [`call`](crate::call) in this turn does not find
/// it yet.
///
/// # Example
///
/// ```no_run
/// use airssys_sdk::prelude::*;
///
/// #[derive(Default)]
/// struct Foreman;
///
/// #[component]
/// impl Foreman {
///     fn handle(&mut self, job: String) -> Result<()> {
///         let worker = spawn("worker", &job)?;
///         monitor(&worker)?;
///         send(&worker, "begin")?;
///         Ok(())
///     }
///
///     fn down(&mut self, down: Down) -> Result<()> {
///         match down.reason {
///             DownReason::Normal => info!("{} is done", down.child),
///             reason if down.restarted => {
///                 warn!("{} is being tried again: {reason}", down.child);
///                 monitor(&down.child)?;
///             }
///             reason => error!("{} has failed: {reason}", down.child),
///         }
///         Ok(())
///     }
/// }
/// ```
///
/// # Errors
///
/// See [`SupervisionError`].
pub fn spawn(service: &str, name: &str) -> Result<String, SupervisionError> {
    Ok(host::spawn(service, name)?)
}

/// Stops a child in order when the turn commits. It may finish its turn and say good-bye within the `shutdown` time-out
/// of its service; what waits in its mailbox is a dead letter.
///
/// # Example
///
/// ```no_run
/// # use airssys_sdk::prelude::*;
/// # fn example() -> Result<()> {
/// stop("worker/7")?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// See [`SupervisionError`].
pub fn stop(child: &str) -> Result<(), SupervisionError> {
    Ok(host::stop(child)?)
}

/// Has this component's `down` called, once, when the child ends: the incarnation of it that runs when the turn
/// commits, or the next one where none runs. Where there is no such child, `down` is called at once. Monitoring twice
/// is monitoring once. It lasts until it is told or taken back, also across a restart of this service.
///
/// # Example
///
/// See [`spawn`].
///
/// # Errors
///
/// See [`SupervisionError`].
pub fn monitor(child: &str) -> Result<(), SupervisionError> {
    Ok(host::monitor(child)?)
}

/// Takes a monitor back when the turn commits. What is on its way by then still comes.
///
/// # Example
///
/// ```no_run
/// # use airssys_sdk::prelude::*;
/// # fn example() -> Result<()> {
/// demonitor("worker/7")?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// See [`SupervisionError`].
pub fn demonitor(child: &str) -> Result<(), SupervisionError> {
    Ok(host::demonitor(child)?)
}

/// Ties this actor's life to the child's, when the turn commits: when one ends other than by its own exit with status
/// 0, the other is ended at once with the same reason. Their supervisors decide who is started again; the link is not
/// there any more then. Linking twice is linking once.
///
/// # Example
///
/// ```no_run
/// # use airssys_sdk::prelude::*;
/// # fn example() -> Result<()> {
/// let worker = spawn("worker", "7")?;
/// link(&worker)?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// See [`SupervisionError`].
pub fn link(child: &str) -> Result<(), SupervisionError> {
    Ok(host::link(child)?)
}

/// A child that ended: what `down` is called with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Down {
    /// Its address.
    pub child: String,
    /// Why it ended.
    pub reason: DownReason,
    /// Whether its supervisor has started it again. Then a monitor of it is a new one; where it is false, its name is
    /// free.
    pub restarted: bool,
}

/// Why a child ended.
///
/// # Example
///
/// ```
/// use airssys_sdk::DownReason;
///
/// let reason = DownReason::Crashed { code: "trap".into(), detail: "trap: unreachable".into() };
/// assert_eq!(reason.to_string(), "crashed: trap: unreachable");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DownReason {
    /// It was done: it exited with status 0.
    Normal,
    /// It was stopped in order, by somebody or with its supervisor; or one that it was linked with was.
    Stopped,
    /// It did not stop in time, or was to be stopped without being asked.
    Killed,
    /// It crashed, did not start, or one crashed that it was linked with.
    Crashed {
        /// A stable word for the kind, such as `trap`, `deadline` or `start`.
        code: String,
        /// What is known of it, for people.
        detail: String,
    },
    /// There was no such child when the monitor was set.
    NoChild,
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("normal"),
            Self::Stopped => f.write_str("stopped"),
            Self::Killed => f.write_str("killed"),
            Self::Crashed { detail, .. } => write!(f, "crashed: {detail}"),
            Self::NoChild => f.write_str("no such child"),
        }
    }
}

impl From<told::DownNotice> for Down {
    fn from(told::DownNotice { child, reason, restarted }: told::DownNotice) -> Self {
        let reason = match reason {
            told::DownReason::Normal => DownReason::Normal,
            told::DownReason::Stopped => DownReason::Stopped,
            told::DownReason::Killed => DownReason::Killed,
            told::DownReason::Crashed(told::Crash { code, detail }) => DownReason::Crashed { code, detail },
            told::DownReason::NoChild => DownReason::NoChild,
        };
        Self { child, reason, restarted }
    }
}

/// Why nothing was done about a child.
///
/// # Example
///
/// ```
/// use airssys_sdk::{Fault, SupervisionError};
///
/// assert!(matches!(Fault::from(SupervisionError::Taken), Fault::Unavailable(_)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SupervisionError {
    /// The service was not granted this. The text names the grant that is missing. Trying again will not help.
    Denied(String),
    /// There is no child of this address, or no service whose actors are spawned.
    NoSuchChild(String),
    /// There is a child of this name already, or another turn is about to spawn it.
    Taken,
    /// The service has as many children as it may, or this turn holds as many effects, or this service as many
    /// monitors, as it may.
    Overloaded,
    /// This component has no `down`, so that it could not be told.
    Deaf,
}

impl fmt::Display for SupervisionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(what) => write!(f, "not granted: {what}"),
            Self::NoSuchChild(what) => write!(f, "no such child: {what}"),
            Self::Taken => write!(f, "there is a child of this name already"),
            Self::Overloaded => write!(f, "there are as many children, effects or monitors as there may be"),
            Self::Deaf => write!(f, "this component has no `down` to be told by"),
        }
    }
}

impl std::error::Error for SupervisionError {}

impl From<host::SupervisionError> for SupervisionError {
    fn from(error: host::SupervisionError) -> Self {
        match error {
            host::SupervisionError::Denied(what) => Self::Denied(what),
            host::SupervisionError::NoSuchChild(what) => Self::NoSuchChild(what),
            host::SupervisionError::Taken => Self::Taken,
            host::SupervisionError::Overloaded => Self::Overloaded,
            host::SupervisionError::Deaf => Self::Deaf,
        }
    }
}
