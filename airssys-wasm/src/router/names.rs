//! Names that come and go while others are looked up; never more than a bound.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

const SHARDS: usize = 16;

/// What stands under a name, in parts, so that those who look do not meet those who change it. The names are guests',
/// so the hash is a keyed one.
#[derive(Debug)]
pub(crate) struct Names<V> {
    shards: [Mutex<HashMap<Box<str>, V>>; SHARDS],
    hasher: RandomState,
    count: AtomicUsize,
    most: AtomicUsize,
}

impl<V: Clone> Names<V> {
    /// No names yet, of which `count` are taken all the same, and never more than `most`.
    pub(super) fn new(count: usize, most: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            count: AtomicUsize::new(count),
            most: AtomicUsize::new(most),
        }
    }

    /// The part that a name is in.
    #[allow(clippy::indexing_slicing, reason = "the remainder is smaller than the number of shards")]
    pub(super) fn of(&self, name: &str) -> MutexGuard<'_, HashMap<Box<str>, V>> {
        let at = self.hasher.hash_one(name) as usize % SHARDS;
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What stands under a name.
    pub(super) fn get(&self, name: &str) -> Option<V> {
        self.of(name).get(name).cloned()
    }

    /// Counts one more; whether there may be one.
    pub(super) fn take(&self) -> bool {
        let may = self.count.fetch_add(1, Ordering::Relaxed) < self.most.load(Ordering::Relaxed);
        if !may {
            self.give_back();
        }
        may
    }

    /// Counts one less.
    pub(super) fn give_back(&self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }

    /// Takes away what stands under a name, where that is so of it.
    pub(super) fn remove(&self, name: &str, is_it: impl FnOnce(&V) -> bool) {
        let mut shard = self.of(name);
        if shard.get(name).is_some_and(is_it) {
            shard.remove(name);
            self.give_back();
        }
    }

    /// There may be so many from now on. Those that are there stay.
    pub(super) fn bound(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Shows each one, outside of the lock.
    pub(super) fn each(&self, mut see: impl FnMut(&V)) {
        for shard in &self.shards {
            let values: Vec<_> = shard.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
            values.iter().for_each(&mut see);
        }
    }
}
