//! Where a supervisor can be found, whichever incarnation of it runs. What it can be asked is in `ask.rs`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use ractor::ActorCell;
use tokio::sync::watch;

/// Speaks to one supervisor, whichever incarnation of it runs. Cheap to clone.
///
/// Nothing here waits longer than the child takes that it is about: see
/// [`ChildSpec::start_timeout`](crate::child::ChildSpec::start_timeout) and
/// [`ChildSpec::shutdown`](crate::child::ChildSpec::shutdown).
#[derive(Clone, Default)]
pub struct SupervisorHandle(Arc<Shared>);

/// Whether a supervisor can be spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standing {
    /// It was not started yet.
    #[default]
    Expected,
    /// It was started, for the so-manyth time. One that ends stands here until it is started again, or is gone.
    Started(u64),
    /// It is gone, and will not be started again by itself.
    Gone,
}

/// What all handles to one supervisor share, over all its incarnations.
#[derive(Default)]
struct Shared {
    actor: ArcSwapOption<ActorCell>,
    started: AtomicU64,
    standing: watch::Sender<Standing>,
}

impl SupervisorHandle {
    pub(crate) fn set(&self, supervisor: ActorCell) {
        self.0.actor.store(Some(Arc::new(supervisor)));
        let times = self.0.started.fetch_add(1, Ordering::Relaxed) + 1;
        self.0.standing.send_replace(Standing::Started(times));
    }

    /// The incarnation that runs, where one does.
    pub(crate) fn actor(&self) -> Option<ActorCell> {
        self.0.actor.load_full().map(|actor| ActorCell::clone(&actor))
    }

    pub(crate) fn clear(&self) {
        self.0.actor.store(None);
        self.0.standing.send_replace(Standing::Gone);
    }

    /// Whether it can be spoken to, and when that changes.
    #[must_use]
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.0.standing.subscribe()
    }
}

impl fmt::Debug for SupervisorHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SupervisorHandle").field(&self.0.actor.load().as_ref().map(|actor| actor.get_id())).finish()
    }
}
