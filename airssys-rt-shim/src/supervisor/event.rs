//! The words in which decisions are asked for and given: events go in, actions come out.

use std::sync::Arc;
use std::time::Duration;

use crate::child::{ChildId, ChildKind, ChildSpec, StartChild, StopReason};
use crate::exit::ExitReason;
use crate::supervisor::error::{ChildError, StartError};
use crate::supervisor::key::{ChildKey, Generation, ReplyId};
use crate::supervisor::spec::SupervisorSpec;

/// What somebody wants of a supervisor.
#[derive(Debug, Clone)]
pub enum Command {
    /// Adds a child behind all others and starts it.
    StartChild(ChildSpec),
    /// Stops a child for now; its spec stays, unless it is temporary or the supervisor dynamic.
    TerminateChild(ChildId),
    /// Starts a child that is down.
    RestartChild(ChildId),
    /// Forgets a child that is down.
    DeleteChild(ChildId),
    /// Takes another spec, and starts and stops nobody.
    Change(Box<SupervisorSpec>),
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The supervisor is there: it starts its children.
    Begin,
    /// A child is ready.
    Started {
        /// Which one.
        child: ChildKey,
        /// Which incarnation of it.
        generation: Generation,
    },
    /// A child ended, or could not be spawned. Before it was ready, that is a failed start.
    Exited {
        /// Which one.
        child: ChildKey,
        /// Which incarnation of it.
        generation: Generation,
        /// Why.
        reason: ExitReason,
    },
    /// Time has passed, perhaps up to [`crate::supervisor::decide::State::next_deadline`].
    Tick,
    /// Somebody waits for a child that waits for its back-off.
    Hurry {
        /// The child's name.
        child: ChildId,
    },
    /// Somebody wants something.
    Command {
        /// Who.
        reply: ReplyId,
        /// What.
        command: Command,
    },
    /// It is to stop, its children first.
    Shutdown(StopReason),
    /// It is to stop at once: its children are killed without being asked.
    Abort,
}

/// Why a child is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillReason {
    /// It is to be stopped so.
    Brutal,
    /// It did not stop in time.
    StopTimedOut,
    /// It was not ready in time.
    StartTimedOut,
    /// The supervisor is to stop at once.
    Aborted,
}

/// Why a supervisor ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It was asked to.
    Shutdown,
    /// Its significant children have ended.
    AutoShutdown,
    /// One restart too many.
    GaveUp {
        /// The child it was for.
        child: ChildId,
    },
    /// One of its first children did not start.
    StartFailed(StartError),
    /// It was to stop at once.
    Aborted,
}

impl Outcome {
    /// What its own supervisor sees.
    #[must_use]
    pub fn exit_reason(&self) -> ExitReason {
        match self {
            Self::Shutdown | Self::AutoShutdown | Self::GaveUp { .. } => ExitReason::Shutdown,
            Self::StartFailed(error) => ExitReason::Failed(Arc::new(error.clone())),
            Self::Aborted => ExitReason::Killed,
        }
    }
}

/// What is to be done, in this order.
#[derive(Debug, Clone)]
pub enum Action {
    /// Spawn an incarnation.
    Start {
        /// Of which child.
        child: ChildKey,
        /// Which incarnation.
        generation: Generation,
    },
    /// Ask a child to stop.
    Stop {
        /// Which one.
        child: ChildKey,
        /// What to tell it.
        why: StopReason,
    },
    /// Kill a child.
    Kill {
        /// Which one.
        child: ChildKey,
        /// Why.
        why: KillReason,
        /// Whether it was killed already: a supervisor that was told to stop at once, and did not.
        again: bool,
    },
    /// Forget the running incarnation of a child: it was killed and does not go.
    Abandon {
        /// Of which child.
        child: ChildKey,
    },
    /// Say that a child will not be started again by itself.
    Gone {
        /// Which one.
        child: ChildId,
        /// Whom to tell.
        start: Arc<dyn StartChild>,
    },
    /// Say that a child ended too often, and is started again by itself only after a while.
    SetAside {
        /// Which one.
        child: ChildKey,
        /// Whom to tell.
        start: Arc<dyn StartChild>,
        /// How long it waits.
        delay: Duration,
    },
    /// Answer a command, with the child it was about.
    Reply {
        /// Whom.
        to: ReplyId,
        /// With what; a change is about no child in particular.
        answer: Result<Option<ChildKey>, ChildError>,
    },
    /// All first children are up.
    Ready,
    /// The supervisor is done; no child is left. Always the last one.
    Exit(Outcome),
}

/// What a child is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildStatus {
    /// Nothing, until somebody restarts it.
    Down,
    /// It comes up.
    Starting,
    /// It is up.
    Running,
    /// It was asked to stop or killed.
    Stopping,
    /// It ended and will be started again.
    Restarting,
    /// It ended too often, and is started again after a back-off.
    SetAside,
}

impl ChildStatus {
    /// Its name in listings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Restarting => "restarting",
            Self::SetAside => "set aside",
        }
    }
}

/// A child as the decisions see it.
#[derive(Debug, Clone)]
pub struct ChildFacts {
    /// Its key.
    pub key: ChildKey,
    /// Its name.
    pub id: ChildId,
    /// What it is.
    pub kind: ChildKind,
    /// What it is doing.
    pub status: ChildStatus,
    /// How many times it was started again without somebody's wish.
    pub restarts: u64,
    /// Why it ended last.
    pub last_exit: Option<ExitReason>,
    /// For how long it has been up.
    pub uptime: Option<Duration>,
}
