//! Messages that leave later.
//!
//! A timer is reserved (a turn will arm it when it commits), armed, queued (it ran out and its message waits in a
//! mailbox), or nowhere. Cancelling takes it out of all of them, at once: a cancelled timer never fires, and one that
//! is queued is not claimed at dequeue.
//!
//! Each belongs to an owner, and nobody else can cancel it. It refuses to hold more timers than its bound, and more of
//! one owner than that one may have.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::planted;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

#[cfg(test)]
mod tests;

/// Names a timer, for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimerId(pub u64);

/// As many timers are reserved, armed or queued as there may be, of all or of the one who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooManyTimers {
    /// In number.
    #[error("{bound} timers are set, which is the most there may be")]
    Number {
        /// The bound.
        bound: usize,
    },
    /// In what they carry.
    #[error("with it the timers that are set would carry more than {bound} bytes, which is the most there may be")]
    Bytes {
        /// The bound.
        bound: usize,
    },
}

/// How many timers there may be, and what they may carry together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Most {
    /// How many.
    pub timers: usize,
    /// Their bytes.
    pub bytes: usize,
}

impl Most {
    /// Whether there may be one more, of so many bytes, beside those.
    fn allows(self, timers: usize, held: usize, bytes: usize) -> Result<(), TooManyTimers> {
        if timers >= self.timers {
            return Err(TooManyTimers::Number { bound: self.timers });
        }
        if held.saturating_add(bytes) > self.bytes {
            return Err(TooManyTimers::Bytes { bound: self.bytes });
        }
        Ok(())
    }
}

/// One timer.
struct Set<O> {
    owner: O,
    phase: Phase,
    bytes: usize,
}

/// The timers of one owner.
#[derive(Default)]
struct Owned {
    timers: HashSet<TimerId>,
    bytes: usize,
}

/// Where a timer is.
#[derive(Clone, Copy)]
enum Phase {
    Reserved,
    Armed(Instant),
    Queued,
}

struct Table<T, O> {
    timers: HashMap<TimerId, Set<O>>,
    /// What they carry together.
    bytes: usize,
    armed: BTreeMap<(Instant, TimerId), T>,
    /// Those of each owner; nobody with none is in it.
    owned: HashMap<O, Owned>,
}

impl<T, O: Eq + Hash> Table<T, O> {
    fn remove(&mut self, id: TimerId) {
        let Some(Set { owner, phase, bytes }) = self.timers.remove(&id) else { return };
        self.bytes -= bytes;
        if let Phase::Armed(due) = phase {
            self.armed.remove(&(due, id));
        }
        if let Some(left) = self.owned.get_mut(&owner) {
            left.timers.remove(&id);
            left.bytes -= bytes;
            if left.timers.is_empty() {
                self.owned.remove(&owner);
            }
        }
    }
}

/// All timers of a system, which carry a `T` and belong to an `O`. [`Timers::run`] must be running for any to fire.
pub struct Timers<T, O> {
    table: Mutex<Table<T, O>>,
    earlier: Notify,
    next: AtomicU64,
    most: Mutex<Most>,
}

impl<T, O: Clone + Eq + Hash> Timers<T, O> {
    /// No timers yet, and never more than `most`.
    #[must_use]
    pub fn new(most: Most) -> Self {
        Self {
            table: Mutex::new(Table {
                timers: HashMap::new(),
                bytes: 0,
                armed: BTreeMap::new(),
                owned: HashMap::new(),
            }),
            earlier: Notify::new(),
            next: AtomicU64::new(1),
            most: Mutex::new(most),
        }
    }

    /// Lets there be so many from now on. Those that are set stay.
    pub fn resize(&self, most: Most) {
        *self.most.lock().unwrap_or_else(PoisonError::into_inner) = most;
    }

    /// Takes room for a timer that is armed later ([`Timers::arm`]) or never ([`Timers::cancel`]), so that arming
    /// cannot fail. It will carry so many bytes. Its owner may have `most`.
    ///
    /// # Errors
    ///
    /// [`TooManyTimers`].
    pub fn reserve(&self, owner: &O, bytes: usize, most: Most) -> Result<TimerId, TooManyTimers> {
        let of_all = *self.most.lock().unwrap_or_else(PoisonError::into_inner);
        let mut table = self.table();
        of_all.allows(table.timers.len(), table.bytes, bytes)?;
        let (timers, held) = table.owned.get(owner).map_or((0, 0), |owned| (owned.timers.len(), owned.bytes));
        most.allows(timers, held, bytes)?;
        let id = TimerId(self.next.fetch_add(1, Ordering::Relaxed));
        let owned = table.owned.entry(owner.clone()).or_default();
        owned.timers.insert(id);
        owned.bytes += bytes;
        table.bytes += bytes;
        table.timers.insert(id, Set { owner: owner.clone(), phase: Phase::Reserved, bytes });
        Ok(id)
    }

    /// Arms a reserved timer, which carries `load`. Nothing happens where it was cancelled meanwhile.
    pub fn arm(&self, id: TimerId, delay: Duration, load: T) {
        // A delay beyond what the clock can say is for ever; thirty years will do.
        let now = Instant::now();
        let due = now.checked_add(delay).unwrap_or_else(|| now + Duration::from_secs(30 * 365 * 24 * 3600));
        let mut table = self.table();
        match table.timers.get_mut(&id) {
            Some(Set { phase: phase @ Phase::Reserved, .. }) => *phase = Phase::Armed(due),
            _ => return,
        }
        table.armed.insert((due, id), load);
        if table.armed.first_key_value().is_some_and(|(first, _)| *first == (due, id)) {
            self.earlier.notify_one();
        }
    }

    /// Cancels a timer of this owner; returns whether there was one still to come.
    pub fn cancel(&self, id: TimerId, owner: &O) -> bool {
        let mut table = self.table();
        let theirs = table.timers.get(&id).is_some_and(|set| set.owner == *owner);
        if theirs {
            table.remove(id);
        }
        theirs
    }

    /// Cancels all timers of an owner that is gone.
    pub fn cancel_all(&self, owner: &O) {
        let mut table = self.table();
        let theirs: Vec<_> =
            table.owned.get(owner).map_or_else(Vec::new, |owned| owned.timers.iter().copied().collect());
        for id in theirs {
            table.remove(id);
        }
    }

    /// Takes a queued timer's message for handling; false where it was cancelled.
    pub fn claim(&self, id: TimerId) -> bool {
        let mut table = self.table();
        let queued = matches!(table.timers.get(&id), Some(Set { phase: Phase::Queued, .. }));
        if queued {
            table.remove(id);
        }
        queued
    }

    /// How many are armed.
    pub(crate) fn armed(&self) -> usize {
        self.table().armed.len()
    }

    fn table(&self) -> MutexGuard<'_, Table<T, O>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fires timers for ever, in the order in which they run out.
    pub async fn run(&self, mut fire: impl FnMut(TimerId, T)) {
        loop {
            let next = self.table().armed.first_key_value().map(|(key, _)| key.0);
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
        let mut table = self.table();
        let (&(due, id), _) = table.armed.first_key_value()?;
        if due > Instant::now() {
            return None;
        }
        let load = table.armed.remove(&(due, id))?;
        if planted::is_nth("timer-lost", 3) {
            table.remove(id);
            drop(table);
            return self.pop_due();
        }
        if let Some(set) = table.timers.get_mut(&id) {
            set.phase = Phase::Queued;
        }
        Some((id, load))
    }
}

impl<T, O: Clone + Eq + Hash> std::fmt::Debug for Timers<T, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Timers").field("armed", &self.armed()).field("most", &self.most).finish_non_exhaustive()
    }
}
