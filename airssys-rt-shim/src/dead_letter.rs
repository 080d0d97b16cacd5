//! What could not be delivered: counted for ever, kept while there is room.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// A bounded store of letters; the oldest goes when a new one finds no room, and stays counted.
///
/// # Example
///
/// ```
/// use airssys_rt_shim::dead_letter::DeadLetters;
///
/// let letters = DeadLetters::new(2);
/// for letter in ["a", "b", "c"] {
///     letters.push(letter);
/// }
/// assert_eq!(letters.total(), 3);
/// assert_eq!(letters.list(|letter| *letter), ["b", "c"]);
///
/// let taken = letters.take(|letter| *letter == "b").unwrap();
/// letters.put_back(taken);
/// assert_eq!((letters.total(), letters.list(|letter| *letter)), (3, vec!["c", "b"]));
/// ```
#[derive(Debug)]
pub struct DeadLetters<L> {
    kept: Mutex<VecDeque<L>>,
    capacity: AtomicUsize,
    total: AtomicU64,
}

impl<L> DeadLetters<L> {
    /// A store that keeps the last `capacity` letters.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { kept: Mutex::default(), capacity: AtomicUsize::new(capacity), total: AtomicU64::new(0) }
    }

    /// Keeps so many from now on; where that is fewer, the oldest ones go. They stay counted.
    pub fn resize(&self, capacity: usize) {
        self.capacity.store(capacity, Ordering::Relaxed);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let too_many = kept.len().saturating_sub(capacity);
        kept.drain(..too_many);
    }

    /// Adds a letter.
    pub fn push(&self, letter: L) {
        self.total.fetch_add(1, Ordering::Relaxed);
        self.keep(letter);
    }

    /// Takes out the youngest letter for which this is so. It stays counted.
    pub fn take(&self, which: impl FnMut(&L) -> bool) -> Option<L> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().rposition(which)?;
        kept.remove(at)
    }

    /// Puts back, as the youngest one, a letter that was taken out; it is not counted again.
    pub fn put_back(&self, letter: L) {
        self.keep(letter);
    }

    fn keep(&self, letter: L) {
        let capacity = self.capacity.load(Ordering::Relaxed);
        if capacity == 0 {
            return;
        }
        let oldest = {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let oldest = if kept.len() >= capacity { kept.pop_front() } else { None };
            kept.push_back(letter);
            oldest
        };
        // Dropped outside of the lock: a letter may hold a large body.
        drop(oldest);
    }

    /// How many there ever were.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// A view of each letter that is kept, oldest first.
    pub fn list<T>(&self, view: impl FnMut(&L) -> T) -> Vec<T> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().map(view).collect()
    }
}
