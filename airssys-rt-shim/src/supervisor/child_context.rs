//! What a child is told when it is started: its supervisor, and which incarnation of it this is.

use std::fmt;
use std::sync::Arc;

use ractor::ActorCell;

use crate::exit::ExitSlot;
use crate::link::Pid;
use crate::monitor::ExitWatch;
use crate::supervisor::key::{ChildId, ChildKey, ChildKind, Generation};
use crate::supervisor::record::ShutdownRecord;

/// One incarnation of a child: under which supervisor it stands, by which name and as which generation. A child reports
/// through it.
#[derive(Clone)]
pub struct ChildContext {
    /// The supervisor. What it can be told is in `report.rs`: children need not know it.
    pub(crate) supervisor: ActorCell,
    /// The context of the supervisor itself; none where it is the root.
    pub(crate) above: Option<Arc<ChildContext>>,
    pub(crate) id: ChildId,
    pub(crate) child: ChildKey,
    pub(crate) generation: Generation,
    /// Whether the supervisor starts it again, without somebody's wish.
    pub(crate) again: bool,
    pub(crate) kind: ChildKind,
    pub(crate) path: Arc<str>,
    pub(crate) watch: ExitWatch,
    pub(crate) record: Arc<ShutdownRecord>,
}

impl ChildContext {
    /// The supervisor's ractor actor, to which the child is linked when it is spawned.
    #[must_use]
    pub fn supervisor_cell(&self) -> ActorCell {
        self.supervisor.clone()
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

impl fmt::Debug for ChildContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildContext")
            .field("path", &self.path)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}
