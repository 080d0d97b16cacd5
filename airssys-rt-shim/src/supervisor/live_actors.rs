//! Which children live, kept outside of their supervisor.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use ractor::{ActorCell, ActorId};

/// The live children of a supervisor, over all its incarnations.
///
/// When a supervisor panics or is killed, ractor kills its children, but does not wait for them; the next incarnation
/// must, lest a child run twice.
#[derive(Debug, Default)]
pub(crate) struct LiveActors(Mutex<HashMap<ActorId, ActorCell>>);

impl LiveActors {
    pub(crate) fn add(&self, cell: ActorCell) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(cell.get_id(), cell);
    }

    pub(crate) fn remove(&self, actor: ActorId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&actor);
    }

    pub(crate) fn cells(&self) -> Vec<ActorCell> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
