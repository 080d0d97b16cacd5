//! Messages that leave later.
//!
//! A timer is reserved (a turn will arm it when it commits), armed, queued (it ran out and its message waits in a mailbox), or nowhere.
//! Cancelling takes it out of all of them, at once: a cancelled timer never fires, and one that is queued is not claimed at dequeue.
//!
//! It refuses to hold more timers than its bound.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

#[cfg(test)]
mod tests;

/// Names a timer, for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimerId(pub u64);

/// As many timers are armed or queued as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{bound} timers are set, which is the most there may be")]
pub struct TooManyTimers {
    /// The bound.
    pub bound: usize,
}

struct Table<T> {
    reserved: HashSet<TimerId>,
    armed: BTreeMap<(Instant, TimerId), T>,
    due: HashMap<TimerId, Instant>,
    queued: HashSet<TimerId>,
}

/// All timers of a system. [`Timers::run`] must be running for any to fire.
pub struct Timers<T> {
    table: Mutex<Table<T>>,
    earlier: Notify,
    next: AtomicU64,
    bound: usize,
}

impl<T> Timers<T> {
    /// No timers yet, and never more than `bound`.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        Self {
            table: Mutex::new(Table {
                reserved: HashSet::new(),
                armed: BTreeMap::new(),
                due: HashMap::new(),
                queued: HashSet::new(),
            }),
            earlier: Notify::new(),
            next: AtomicU64::new(1),
            bound,
        }
    }

    /// Takes room for a timer that is armed later ([`Timers::arm`]) or never ([`Timers::cancel`]), so that arming cannot fail.
    ///
    /// # Errors
    ///
    /// [`TooManyTimers`].
    pub fn reserve(&self) -> Result<TimerId, TooManyTimers> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if table.reserved.len() + table.due.len() + table.queued.len() >= self.bound {
            return Err(TooManyTimers { bound: self.bound });
        }
        let id = TimerId(self.next.fetch_add(1, Ordering::Relaxed));
        table.reserved.insert(id);
        Ok(id)
    }

    /// Arms a reserved timer, which carries `load`. Nothing happens where it was cancelled meanwhile.
    pub fn arm(&self, id: TimerId, delay: Duration, load: T) {
        // A delay beyond what the clock can say is for ever; thirty years will do.
        let now = Instant::now();
        let due = now.checked_add(delay).unwrap_or_else(|| now + Duration::from_secs(30 * 365 * 24 * 3600));
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if !table.reserved.remove(&id) {
            return;
        }
        table.due.insert(id, due);
        table.armed.insert((due, id), load);
        if table.armed.first_key_value().is_some_and(|(first, _)| *first == (due, id)) {
            self.earlier.notify_one();
        }
    }

    /// Cancels a timer; returns whether it was still to come.
    pub fn cancel(&self, id: TimerId) -> bool {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(due) = table.due.remove(&id) {
            table.armed.remove(&(due, id));
            return true;
        }
        table.reserved.remove(&id) || table.queued.remove(&id)
    }

    /// Takes a queued timer's message for handling; false where it was cancelled.
    pub fn claim(&self, id: TimerId) -> bool {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).queued.remove(&id)
    }

    /// How many are armed.
    pub fn armed(&self) -> usize {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).armed.len()
    }

    /// Fires timers for ever, in the order in which they run out.
    pub async fn run(&self, mut fire: impl FnMut(TimerId, T)) {
        loop {
            let next =
                self.table.lock().unwrap_or_else(PoisonError::into_inner).armed.first_key_value().map(|(key, _)| key.0);
            match next {
                None => self.earlier.notified().await,
                Some(due) if due > Instant::now() => {
                    tokio::select! {
                        () = sleep_until(due) => {}
                        () = self.earlier.notified() => {}
                    }
                }
                Some(_) => {
                    while let Some((id, load)) = self.pop_due() {
                        fire(id, load);
                    }
                }
            }
        }
    }

    fn pop_due(&self) -> Option<(TimerId, T)> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let (&(due, id), _) = table.armed.first_key_value()?;
        if due > Instant::now() {
            return None;
        }
        let load = table.armed.remove(&(due, id))?;
        table.due.remove(&id);
        table.queued.insert(id);
        Some((id, load))
    }
}

impl<T> std::fmt::Debug for Timers<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Timers").field("armed", &self.armed()).field("bound", &self.bound).finish_non_exhaustive()
    }
}
