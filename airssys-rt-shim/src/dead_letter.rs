//! What could not be delivered: counted for ever, kept while there is room.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A store of letters that is bounded in their number and their bytes; the oldest ones go when a new one finds no room,
/// and stay counted.
///
/// # Example
///
/// ```
/// use airssys_rt_shim::dead_letter::DeadLetters;
///
/// let letters = DeadLetters::new(2, 100, |letter: &&str| letter.len());
/// for letter in ["a", "b", "c"] {
///     letters.push(letter);
/// }
/// assert_eq!(letters.total(), 3);
/// assert_eq!(letters.list(|letter| *letter), ["b", "c"]);
///
/// let taken = letters.take(|letter| *letter == "b").unwrap();
/// letters.put_back(taken);
/// assert_eq!((letters.total(), letters.list(|letter| *letter)), (3, vec!["c", "b"]));
///
/// letters.resize(2, 4);
/// letters.push("four");
/// assert_eq!(letters.list(|letter| *letter), ["four"], "there are bytes for no other");
/// letters.push("fifth");
/// let kept = letters.list(|letter| *letter);
/// assert_eq!((letters.total(), kept), (5, vec!["four"]), "one that is too large for all of it is only counted");
/// ```
#[derive(Debug)]
pub struct DeadLetters<L> {
    kept: Mutex<Kept<L>>,
    capacity: AtomicUsize,
    most_bytes: AtomicUsize,
    size: fn(&L) -> usize,
    total: AtomicU64,
}

/// What is kept, and how many bytes that is.
#[derive(Debug)]
struct Kept<L> {
    letters: VecDeque<L>,
    bytes: usize,
}

impl<L> Kept<L> {
    /// Takes out the oldest ones until so many of so many bytes are left.
    fn shrink(&mut self, capacity: usize, most_bytes: usize, size: fn(&L) -> usize) -> Vec<L> {
        let mut gone = Vec::new();
        while self.letters.len() > capacity || self.bytes > most_bytes {
            let Some(oldest) = self.letters.pop_front() else { break };
            self.bytes -= size(&oldest);
            gone.push(oldest);
        }
        gone
    }
}

impl<L> DeadLetters<L> {
    /// A store that keeps the last `capacity` letters, as long as they have `most_bytes` together. `size` says how many
    /// one has, and always the same.
    #[must_use]
    pub fn new(capacity: usize, most_bytes: usize, size: fn(&L) -> usize) -> Self {
        Self {
            kept: Mutex::new(Kept { letters: VecDeque::new(), bytes: 0 }),
            capacity: AtomicUsize::new(capacity),
            most_bytes: AtomicUsize::new(most_bytes),
            size,
            total: AtomicU64::new(0),
        }
    }

    /// Keeps so many and so much from now on; where that is less, the oldest ones go. They stay counted.
    pub fn resize(&self, capacity: usize, most_bytes: usize) {
        self.capacity.store(capacity, Ordering::Relaxed);
        self.most_bytes.store(most_bytes, Ordering::Relaxed);
        // Dropped outside of the lock: a letter may hold a large body.
        drop(self.kept().shrink(capacity, most_bytes, self.size));
    }

    fn kept(&self) -> MutexGuard<'_, Kept<L>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a letter.
    pub fn push(&self, letter: L) {
        self.total.fetch_add(1, Ordering::Relaxed);
        self.keep(letter);
    }

    /// Takes out the youngest letter for which this is so. It stays counted.
    pub fn take(&self, which: impl FnMut(&L) -> bool) -> Option<L> {
        let mut kept = self.kept();
        let at = kept.letters.iter().rposition(which)?;
        let letter = kept.letters.remove(at)?;
        kept.bytes -= (self.size)(&letter);
        Some(letter)
    }

    /// Puts back, as the youngest one, a letter that was taken out; it is not counted again.
    pub fn put_back(&self, letter: L) {
        self.keep(letter);
    }

    fn keep(&self, letter: L) {
        let (capacity, most_bytes) = (self.capacity.load(Ordering::Relaxed), self.most_bytes.load(Ordering::Relaxed));
        let bytes = (self.size)(&letter);
        // One that is too large alone is no reason to lose all others.
        if capacity == 0 || bytes > most_bytes {
            return;
        }
        let gone = {
            let mut kept = self.kept();
            let gone = kept.shrink(capacity - 1, most_bytes - bytes, self.size);
            kept.bytes += bytes;
            kept.letters.push_back(letter);
            gone
        };
        // Dropped outside of the lock: a letter may hold a large body.
        drop(gone);
    }

    /// How many there ever were.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// A view of each letter that is kept, oldest first.
    pub fn list<T>(&self, view: impl FnMut(&L) -> T) -> Vec<T> {
        self.kept().letters.iter().map(view).collect()
    }
}
