//! What a supervisor's actor is told.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ractor::ActorId;
use tokio::sync::oneshot;

use crate::child::{ChildId, ChildSpec, StopReason};
use crate::exit::ExitReason;
use crate::link::Pid;
use crate::supervisor::decide::{ChildKey, Generation};
use crate::supervisor::{ChildError, ChildInfo, Counts, SupervisorSpec};

/// The message type of a supervisor's actor, which says nothing to others.
pub(crate) struct SupervisorMsg(pub(crate) Msg);

type Answer<T> = oneshot::Sender<Result<T, ChildError>>;

pub(crate) enum Msg {
    Begin,
    Started {
        child: ChildKey,
        generation: Generation,
    },
    NotSpawned {
        child: ChildKey,
        generation: Generation,
        cause: ExitReason,
    },
    /// An actor ended; what it left in its exit slot goes before `fallback`.
    Ended {
        actor: ActorId,
        fallback: ExitReason,
    },
    Tick,
    /// Somebody waits for this child: where it waits for its back-off, it waits no longer. Of all those with the same
    /// `once` the first that does something counts.
    Hurry {
        child: ChildId,
        once: Arc<AtomicBool>,
    },
    StartChild {
        spec: ChildSpec,
        reply: Answer<Pid>,
    },
    RestartChild {
        child: ChildId,
        reply: Answer<Pid>,
    },
    TerminateChild {
        child: ChildId,
        reply: Answer<()>,
    },
    DeleteChild {
        child: ChildId,
        reply: Answer<()>,
    },
    Change {
        spec: Box<SupervisorSpec>,
        reply: Answer<()>,
    },
    WhichChildren(oneshot::Sender<Vec<ChildInfo>>),
    CountChildren(oneshot::Sender<Counts>),
    Shutdown(StopReason),
    Abort,
}

/// Who waits for the answer to a command.
pub(crate) enum Waiting {
    Pid(Answer<Pid>),
    Done(Answer<()>),
}
