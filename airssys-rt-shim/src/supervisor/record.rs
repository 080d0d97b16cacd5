//! What all supervisors of a system share: how it ended, and who is told what happens.

use std::any::Any;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::supervisor::key::ChildId;
use crate::supervisor::news::{Listener, News};

/// How a system ended: who had to be killed during a shutdown, and for whom the root gave up. One a system; empty, and
/// next to free, until then.
#[derive(Debug, Default)]
pub(crate) struct ShutdownRecord {
    killed: Mutex<Option<Killed>>,
    gave_up: OnceLock<ChildId>,
    listener: Option<Listener>,
}

#[derive(Debug, Default)]
struct Killed {
    in_order: Vec<Arc<str>>,
    still_there: HashSet<Arc<str>>,
}

impl ShutdownRecord {
    pub(crate) fn told_to(listener: Option<Listener>) -> Self {
        Self { listener, ..Self::default() }
    }

    pub(crate) fn tell(&self, news: &News<'_>) {
        if let Some(listener) = &self.listener {
            listener.tell(news);
        }
    }

    /// What is beside the listener, where it is of this type.
    pub(crate) fn beside<T: Any>(&self) -> Option<&T> {
        self.listener.as_ref()?.beside()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Killed>> {
        self.killed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn gave_up(&self, child: &ChildId) {
        let _first_one_stays = self.gave_up.set(child.clone());
    }

    /// For whom the root gave up, where it did.
    pub(crate) fn whom(&self) -> Option<ChildId> {
        self.gave_up.get().cloned()
    }

    pub(crate) fn open(&self) {
        self.lock().get_or_insert_default();
    }

    pub(crate) fn killed(&self, path: &Arc<str>) {
        if let Some(killed) = &mut *self.lock() {
            killed.in_order.push(Arc::clone(path));
            killed.still_there.insert(Arc::clone(path));
        }
    }

    pub(crate) fn gone(&self, path: &Arc<str>) {
        if let Some(killed) = &mut *self.lock() {
            killed.still_there.remove(path);
        }
    }

    pub(crate) fn read(&self) -> (Vec<String>, Vec<String>) {
        let record = self.lock();
        let Some(killed) = &*record else {
            return Default::default();
        };
        let text = |path: &Arc<str>| path.to_string();
        let unresponsive = killed.in_order.iter().filter(|path| killed.still_there.contains(*path));
        (killed.in_order.iter().map(text).collect(), unresponsive.map(text).collect())
    }
}
