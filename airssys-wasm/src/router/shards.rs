//! Names that come and go while others are looked up.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};

const SHARDS: usize = 16;

/// A map in parts, so that those who look do not meet those who change it. The names are guests', so the hash is a keyed one.
#[derive(Debug)]
pub(super) struct Shards<V> {
    shards: [Mutex<HashMap<Box<str>, V>>; SHARDS],
    hasher: RandomState,
}

impl<V> Default for Shards<V> {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), hasher: RandomState::new() }
    }
}

impl<V: Clone> Shards<V> {
    /// The part that a name is in.
    #[allow(clippy::indexing_slicing, reason = "the remainder is smaller than the number of shards")]
    pub(super) fn of(&self, name: &str) -> MutexGuard<'_, HashMap<Box<str>, V>> {
        let at = self.hasher.hash_one(name) as usize % SHARDS;
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows each one, outside of the lock.
    pub(super) fn each(&self, mut see: impl FnMut(&V)) {
        for shard in &self.shards {
            let values: Vec<_> = shard.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
            values.iter().for_each(&mut see);
        }
    }
}
