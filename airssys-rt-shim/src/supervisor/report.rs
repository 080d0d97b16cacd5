//! What a child tells its supervisor.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ractor::{ActorRef, MessagingErr};
use tokio::sync::oneshot;

use crate::link::Pid;
use crate::supervisor::record::ShutdownRecord;
use crate::supervisor::{ChildContext, ChildError, ChildStatus, Msg, Named, News, SupervisorMsg};

impl ChildContext {
    fn tell(&self, message: Msg) -> Result<(), MessagingErr<SupervisorMsg>> {
        ActorRef::from(self.supervisor.clone()).cast(SupervisorMsg(message))
    }

    /// Says that the child is up. Once is enough; a supervisor that is gone does not hear it.
    pub fn ready(&self) {
        let child = Named { id: &self.id, kind: self.kind, path: &self.path };
        self.record.tell(&News::Up { child, generation: self.generation, again: self.again });
        let message = Msg::Started { child: self.child, generation: self.generation };
        let _supervisor_is_gone = self.tell(message);
    }

    /// Says that somebody waits for the next incarnation: where the child waits for its back-off, or its supervisor
    /// does, it waits no longer. Changes nothing else, and may be said as often as one likes: with the same `once` one
    /// back-off is ended and no more.
    pub(crate) fn hurry(&self, once: &Arc<AtomicBool>) {
        let mut context = Some(self);
        while let Some(at) = context {
            let _it_is_gone = at.tell(Msg::Hurry { child: at.id.clone(), once: Arc::clone(once) });
            context = at.above.as_deref();
        }
    }

    /// Whether the child is down, and its supervisor runs.
    pub(crate) async fn is_down(&self) -> bool {
        let (reply, answer) = oneshot::channel();
        if self.tell(Msg::WhichChildren(reply)).is_err() {
            return false;
        }
        let children = answer.await.unwrap_or_default();
        children.iter().any(|child| child.id == self.id && child.status == ChildStatus::Down)
    }

    /// Starts the child again, where it is down.
    pub(crate) async fn restart(&self) -> Result<Pid, ChildError> {
        let (reply, answer) = oneshot::channel();
        let message = Msg::RestartChild { child: self.id.clone(), reply };
        self.tell(message).map_err(|_| ChildError::NotRunning)?;
        answer.await.map_err(|_| ChildError::NotRunning)?
    }
}

/// Whom a supervisor tells that it is up.
pub(crate) enum Up {
    /// The supervisor above it.
    Child(Arc<ChildContext>),
    /// The system, whose root it is.
    System { ready: Option<oneshot::Sender<()>>, name: Arc<str>, record: Arc<ShutdownRecord> },
}

impl Up {
    pub(crate) fn ready(&mut self) {
        match self {
            Self::Child(context) => context.ready(),
            Self::System { ready, .. } => {
                let _nobody_waits = ready.take().map(|ready| ready.send(()));
            }
        }
    }

    pub(crate) fn context(&self) -> Option<Arc<ChildContext>> {
        match self {
            Self::Child(context) => Some(Arc::clone(context)),
            Self::System { .. } => None,
        }
    }

    pub(crate) fn path(&self) -> &Arc<str> {
        match self {
            Self::Child(context) => &context.path,
            Self::System { name, .. } => name,
        }
    }

    pub(crate) fn record(&self) -> &Arc<ShutdownRecord> {
        match self {
            Self::Child(context) => &context.record,
            Self::System { record, .. } => record,
        }
    }
}
