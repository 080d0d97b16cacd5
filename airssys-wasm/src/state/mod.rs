//! The private state of a service: committed values, and what the turn that runs now would change.
//!
//! Invariant: committed values change only in [`Transaction::commit`], all at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

#[cfg(test)]
mod tests;

/// Keys in one page of a listing.
const PAGE: usize = 1_000;

/// The committed state of one actor, or of one key. It belongs to the address and outlives instances.
#[derive(Debug, Default)]
pub struct State {
    values: Mutex<BTreeMap<Box<str>, Bytes>>,
    /// Commits that changed something.
    commits: AtomicU64,
}

impl State {
    /// How many keys it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether it has no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// All committed values, by key.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<Box<str>, Bytes> {
        self.lock().clone()
    }

    /// How many commits have changed something. Who reads twice and finds the same number has read one state.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::SeqCst)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Box<str>, Bytes>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A value that cannot be incremented: it is not eight bytes, or the sum does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IncrementError {
    /// It holds something else than a number.
    #[error("the value has {length} bytes; a number has 8, little-endian")]
    NotANumber {
        /// How many bytes it has.
        length: usize,
    },
    /// The sum is larger than 64 bits hold.
    #[error("the sum is larger than 64 bits hold")]
    Overflow,
}

/// What a turn would change. It reads its own writes; nobody else does before the commit. Dropped, it changes nothing.
#[derive(Debug, Clone, Default)]
pub struct Transaction {
    writes: BTreeMap<Box<str>, Option<Bytes>>,
}

impl Transaction {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, state: &State, key: &str) -> Option<Bytes> {
        match self.writes.get(key) {
            Some(written) => written.clone(),
            None => state.lock().get(key).cloned(),
        }
    }

    /// Sets a key.
    pub fn set(&mut self, key: &str, value: Bytes) {
        self.writes.insert(key.into(), Some(value));
    }

    /// Removes a key; nothing happens where there is none.
    pub fn delete(&mut self, key: &str) {
        self.writes.insert(key.into(), None);
    }

    /// Adds to a number, which starts at 0. Numbers are eight bytes, little-endian.
    ///
    /// # Errors
    ///
    /// [`IncrementError`].
    pub fn increment(&mut self, state: &State, key: &str, delta: u64) -> Result<u64, IncrementError> {
        let old = match self.get(state, key) {
            None => 0,
            Some(bytes) => {
                let length = bytes.len();
                u64::from_le_bytes(bytes.as_ref().try_into().map_err(|_| IncrementError::NotANumber { length })?)
            }
        };
        let new = old.checked_add(delta).ok_or(IncrementError::Overflow)?;
        self.set(key, Bytes::copy_from_slice(&new.to_le_bytes()));
        Ok(new)
    }

    /// A page of the keys in order, from the `cursor`-th on, and the cursor of the next page.
    #[must_use]
    pub fn keys(&self, state: &State, cursor: u64) -> (Vec<String>, Option<u64>) {
        let start = usize::try_from(cursor).unwrap_or(usize::MAX);
        let committed = state.lock();
        let fresh = self
            .writes
            .iter()
            .filter(|(key, value)| value.is_some() && !committed.contains_key(*key))
            .map(|(key, _)| key);
        let mut all: Vec<&Box<str>> =
            committed.keys().filter(|key| !matches!(self.writes.get(*key), Some(None))).chain(fresh).collect();
        all.sort_unstable();
        let page: Vec<String> = all.iter().skip(start).take(PAGE).map(|key| key.to_string()).collect();
        let next = start.saturating_add(page.len());
        let more = next < all.len();
        (page, more.then_some(next as u64))
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Forgets all writes.
    pub fn discard(&mut self) {
        self.writes.clear();
    }

    /// Makes all writes at once.
    pub fn commit(&mut self, state: &State) {
        if self.writes.is_empty() {
            return;
        }
        let mut committed = state.lock();
        for (key, value) in std::mem::take(&mut self.writes) {
            match value {
                Some(value) => committed.insert(key, value),
                None => committed.remove(&key),
            };
        }
        state.commits.fetch_add(1, Ordering::SeqCst);
    }
}
