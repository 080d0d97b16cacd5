//! Where a child sits: under which supervisor, as which incarnation.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ractor::{ActorCell, ActorRef};
use tokio::sync::oneshot;

use crate::child::ChildId;
use crate::exit::ExitSlot;
use crate::link::Pid;
use crate::monitor::ExitWatch;
use crate::supervisor::decide::{ChildKey, Generation};
use crate::supervisor::{ChildError, ChildStatus, Msg, SupervisorMsg};
use crate::system::ShutdownRecord;

/// The place of one incarnation of a child.
#[derive(Clone)]
pub struct Seat {
    pub(crate) supervisor: ActorRef<SupervisorMsg>,
    /// Where the supervisor itself sits; none where it is the root.
    pub(crate) above: Option<Arc<Seat>>,
    pub(crate) id: ChildId,
    pub(crate) child: ChildKey,
    pub(crate) generation: Generation,
    pub(crate) path: Arc<str>,
    pub(crate) watch: ExitWatch,
    pub(crate) record: Arc<ShutdownRecord>,
}

impl Seat {
    /// The supervisor's ractor actor, to which the child is linked when it is spawned.
    #[must_use]
    pub fn supervisor_cell(&self) -> ActorCell {
        self.supervisor.get_cell()
    }

    /// Says that the child is up. Once is enough; a supervisor that is gone does not hear it.
    pub fn ready(&self) {
        let message = Msg::Started { child: self.child, generation: self.generation };
        let _supervisor_is_gone = self.supervisor.cast(SupervisorMsg(message));
    }

    /// Says that somebody waits for the next incarnation: where the child waits for its back-off, or its supervisor does, it waits no longer. Changes
    /// nothing else, and may be said as often as one likes: with the same `once` one back-off is ended and no more.
    pub(crate) fn hurry(&self, once: &Arc<AtomicBool>) {
        let mut seat = Some(self);
        while let Some(at) = seat {
            let message = Msg::Hurry { child: at.id.clone(), once: Arc::clone(once) };
            let _it_is_gone = at.supervisor.cast(SupervisorMsg(message));
            seat = at.above.as_deref();
        }
    }

    /// Whether the child is down, and its supervisor runs.
    pub(crate) async fn is_down(&self) -> bool {
        let (reply, answer) = oneshot::channel();
        if self.supervisor.cast(SupervisorMsg(Msg::WhichChildren(reply))).is_err() {
            return false;
        }
        let children = answer.await.unwrap_or_default();
        children.iter().any(|child| child.id == self.id && child.status == ChildStatus::Down)
    }

    /// Starts the child again, where it is down.
    pub(crate) async fn restart(&self) -> Result<Pid, ChildError> {
        let (reply, answer) = oneshot::channel();
        let message = Msg::RestartChild { child: self.id.clone(), reply };
        self.supervisor.cast(SupervisorMsg(message)).map_err(|_| ChildError::NotRunning)?;
        answer.await.map_err(|_| ChildError::NotRunning)?
    }

    /// The names from the root down to the child, with slashes between them.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Which incarnation of the child this is; the first is 1.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// What learns of the end of this incarnation, however it comes.
    #[must_use]
    pub fn watch(&self) -> &ExitWatch {
        &self.watch
    }

    /// Names this incarnation, for links and monitors.
    #[must_use]
    pub fn pid(&self, cell: ActorCell, exit: ExitSlot) -> Pid {
        Pid::new(cell, exit, self.watch.clone())
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").field("path", &self.path).field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// Whom a supervisor tells that it is up.
pub(crate) enum Up {
    /// The supervisor above it.
    Seat(Arc<Seat>),
    /// The system, whose root it is.
    System { ready: Option<oneshot::Sender<()>>, name: Arc<str>, record: Arc<ShutdownRecord> },
}

impl Up {
    pub(crate) fn ready(&mut self) {
        match self {
            Self::Seat(seat) => seat.ready(),
            Self::System { ready, .. } => {
                let _nobody_waits = ready.take().map(|ready| ready.send(()));
            }
        }
    }

    pub(crate) fn seat(&self) -> Option<Arc<Seat>> {
        match self {
            Self::Seat(seat) => Some(Arc::clone(seat)),
            Self::System { .. } => None,
        }
    }

    pub(crate) fn path(&self) -> &Arc<str> {
        match self {
            Self::Seat(seat) => &seat.path,
            Self::System { name, .. } => name,
        }
    }

    pub(crate) fn record(&self) -> &Arc<ShutdownRecord> {
        match self {
            Self::Seat(seat) => &seat.record,
            Self::System { record, .. } => record,
        }
    }
}
