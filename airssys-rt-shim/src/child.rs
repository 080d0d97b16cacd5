//! What a supervisor knows of a child: a spec, which is data, and the running incarnation of it.
//!
//! The two kinds of children are [`crate::worker`]s and nested [`crate::supervisor`]s. A supervisor treats them alike:
//! it starts them, asks them to stop, kills them, and is told when they are up and when they are gone.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ractor::ActorCell;

use crate::exit::{ExitSlot, Failure};
pub use crate::supervisor::key::{ChildId, ChildKind};
use crate::supervisor::{ChildContext, SupervisorHandle};

/// Whether a child that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Restart {
    /// Always. The default.
    #[default]
    Permanent,
    /// Only where it did not end normally.
    Transient,
    /// Never, also not because of a sibling; its spec is forgotten once it ended.
    Temporary,
}

/// How a child is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Killed without being asked.
    BrutalKill,
    /// Asked, and killed when it is still there after this long.
    Timeout(Duration),
    /// Asked, and waited for. For supervisors, which bound their own children.
    Infinity,
}

impl Shutdown {
    /// The default of a worker: five seconds.
    pub const WORKER: Self = Self::Timeout(Duration::from_secs(5));
    /// The default of a supervisor.
    pub const SUPERVISOR: Self = Self::Infinity;
}

/// Everything a supervisor needs to know of a child before it runs.
#[derive(Clone)]
pub struct ChildSpec {
    /// Its name among its siblings.
    pub id: ChildId,
    /// How to start it.
    pub start: Arc<dyn StartChild>,
    /// Whether it is started again; default permanent.
    pub restart: Restart,
    /// Whether its end by itself counts for the supervisor's auto-shutdown; default no.
    pub significant: bool,
    /// How it is stopped.
    pub shutdown: Shutdown,
    /// How long it may take to be up before it is killed, which is a failed start. Default a minute for a worker; none
    /// for a supervisor, whose children are bounded themselves. (OTP waits for ever.)
    pub start_timeout: Option<Duration>,
    /// What it is.
    pub kind: ChildKind,
}

/// What [`ChildSpec::worker`] allows for a start.
const WORKER_START_TIMEOUT: Duration = Duration::from_secs(60);

impl ChildSpec {
    /// A permanent worker that gets five seconds to stop.
    #[must_use]
    pub fn worker(id: impl Into<ChildId>, start: Arc<dyn StartChild>) -> Self {
        Self {
            id: id.into(),
            start,
            restart: Restart::Permanent,
            significant: false,
            shutdown: Shutdown::WORKER,
            start_timeout: Some(WORKER_START_TIMEOUT),
            kind: ChildKind::Worker,
        }
    }

    /// A permanent supervisor that gets all the time it needs to stop.
    #[must_use]
    pub fn supervisor(id: impl Into<ChildId>, start: Arc<dyn StartChild>) -> Self {
        Self {
            shutdown: Shutdown::SUPERVISOR,
            start_timeout: None,
            kind: ChildKind::Supervisor,
            ..Self::worker(id, start)
        }
    }
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec")
            .field("id", &self.id)
            .field("restart", &self.restart)
            .field("significant", &self.significant)
            .field("shutdown", &self.shutdown)
            .field("start_timeout", &self.start_timeout)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Why a running child is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// For good, or for now, by somebody's wish or because its supervisor ends.
    Shutdown,
    /// Because of a sibling; it is started again.
    Restart,
    /// It was idle for its time, and sleeps until the next message.
    Idle,
}

/// One incarnation of a child that was spawned and may still be starting.
pub struct Incarnation {
    /// The ractor actor.
    pub cell: ActorCell,
    /// Where it leaves its exit reason.
    pub exit: ExitSlot,
    /// Asks it to stop. Returns at once; it may be called more than once.
    pub stop: Box<dyn Fn(StopReason) + Send + Sync>,
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incarnation").field("actor", &self.cell.get_id()).finish_non_exhaustive()
    }
}

/// What [`StartChild::start`] gives: boxed, since a supervisor holds children of many kinds.
pub type Starting = Pin<Box<dyn Future<Output = Result<Incarnation, Failure>> + Send>>;

/// Starts incarnations of one child.
pub trait StartChild: Send + Sync + 'static {
    /// Spawns a ractor actor linked to `context.supervisor_cell()`.
    ///
    /// It must not wait for the child to be ready: whatever takes time happens in the child's own task, which then says
    /// [`ChildContext::ready`]. A child that ends before it said so has failed to start, and its exit reason is the
    /// cause.
    fn start(&self, context: ChildContext) -> Starting;

    /// Told when the child is gone and nothing will start it again by itself: what waits for it need not wait any
    /// longer.
    ///
    /// It must be quick, may be told more than once, and may still be followed by a start: somebody restarts the child
    /// by hand, a sibling's failure starts the whole group, or the supervisor itself is started again.
    fn gone(&self) {}

    /// Told when the child ended too often and is started again by itself only after `delay`. It must be quick.
    fn set_aside(&self, _delay: Duration) {}

    /// Whether somebody stopped the child until further notice: no supervisor starts it by itself then, also where its
    /// group or the supervisor itself is started. Whoever asks for it by name starts it.
    fn is_stopped(&self) -> bool {
        false
    }

    /// Says whether it is stopped until further notice. It stops and starts nothing, and has no effect where the child
    /// cannot be.
    fn set_stopped(&self, _is_stopped: bool) {}

    /// The supervisor that it starts, where it starts one, so that the tree can be looked at.
    fn supervisor(&self) -> Option<SupervisorHandle> {
        None
    }
}

impl fmt::Debug for dyn StartChild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StartChild")
    }
}
