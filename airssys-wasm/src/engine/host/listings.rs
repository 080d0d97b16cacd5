//! The listings of folders that an instance has open, and what they take.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::vec;

use wasmtime_wasi::p2::bindings::filesystem::types::DirectoryEntry;

use crate::limits::{ENTRY_BYTES, LISTING_BYTES};

/// Of one instance.
#[derive(Debug, Default)]
pub(in crate::engine) struct Listings {
    bytes: Arc<AtomicUsize>,
    /// Those that are resources, by their numbers in the table.
    open: Vec<(u32, Listed)>,
    /// What is left of those that are told in order: in a seeded host, all.
    sorted: HashMap<u32, vec::IntoIter<DirectoryEntry>>,
}

/// What one of them takes, until it is dropped.
#[derive(Debug)]
pub(in crate::engine) struct Listed {
    of_all: Arc<AtomicUsize>,
    bytes: usize,
}

impl Listings {
    /// One more, which takes nothing yet.
    pub(in crate::engine) fn begin(&self) -> Listed {
        Listed { of_all: Arc::clone(&self.bytes), bytes: 0 }
    }

    pub(super) fn open(&mut self, listing: u32, listed: Listed) {
        self.open.push((listing, listed));
    }

    /// Has one told as these.
    pub(super) fn sorted(&mut self, listing: u32, entries: Vec<DirectoryEntry>) {
        self.sorted.insert(listing, entries.into_iter());
    }

    /// The next of one that is told in order, or its end.
    pub(super) fn next(&mut self, listing: u32) -> Option<Option<DirectoryEntry>> {
        self.sorted.get_mut(&listing).map(Iterator::next)
    }

    pub(super) fn close(&mut self, listing: u32) {
        self.open.retain(|(open, _)| *open != listing);
        self.sorted.remove(&listing);
    }
}

impl Listed {
    /// Counts an entry whose name has so many bytes; false where all listings of the instance would come to too much.
    pub(in crate::engine) fn take(&mut self, name_bytes: usize) -> bool {
        let bytes = name_bytes.saturating_add(ENTRY_BYTES);
        let has_room = self.of_all.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= LISTING_BYTES;
        self.bytes += bytes;
        has_room
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.of_all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{ENTRY_BYTES, LISTING_BYTES, Listings};

    #[test]
    fn all_listings_of_an_instance_have_one_bound_and_give_their_room_back() {
        let mut listings = Listings::default();
        let half = LISTING_BYTES / 2 - ENTRY_BYTES;
        let (mut one, mut other) = (listings.begin(), listings.begin());
        assert!(one.take(half) && other.take(half));
        assert!(!one.take(0), "there is no room for one more");
        drop(one);
        assert!(other.take(half));
        listings.open(7, other);
        assert!(!listings.begin().take(0));
        listings.close(7);
        assert!(listings.begin().take(half));
    }
}
