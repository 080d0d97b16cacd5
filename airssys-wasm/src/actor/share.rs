//! The part of a service's keys, or children, that has a new release while the rest has the old one.
//!
//! Invariant: a key that is in a share is in each larger share too. A share has at least one of the keys that are
//! known, where there are any.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::settings::ALL;

/// Some of all addresses: those with a small hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Share {
    /// How many, in ten-thousandths of all that there may be.
    size: u32,
    /// One that is in it whatever its hash, since no other one was.
    always: Option<Box<str>>,
    /// Whether one that is known is in it.
    is_taken: bool,
}

impl Share {
    pub(super) fn new(size: u32) -> Self {
        Self { size, always: None, is_taken: false }
    }

    /// A larger one, with what is in this one.
    pub(super) fn grown(&self, size: u32) -> Self {
        Self { size: size.max(self.size), ..self.clone() }
    }

    pub(super) fn has(&self, address: &str) -> bool {
        rank(address) < self.size || self.is_always(address)
    }

    /// Whether it has one that begins to be known; the first one, where it has none.
    pub(super) fn admits(&mut self, address: &str) -> bool {
        if !self.is_taken && !self.has(address) {
            self.always = Some(address.into());
        }
        self.is_taken |= self.has(address);
        self.has(address)
    }

    /// Makes sure that one of those that are known is in it, where there are any: where none is, the one that a larger
    /// share would have first.
    pub(super) fn take_one(&mut self, known: &Known) {
        self.is_taken = known.have > 0;
        if let (false, Some((_, first))) = (self.is_taken, &known.first) {
            self.always = Some(first.clone());
            self.is_taken = true;
        }
    }

    /// The next one that begins to be known is in it, since none that is known is any more.
    pub(super) fn is_empty_again(&mut self) {
        self.is_taken = false;
    }

    fn is_always(&self, address: &str) -> bool {
        self.always.as_deref() == Some(address)
    }
}

/// How many of those that are known are in a share.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) have: usize,
    pub(super) all: usize,
    /// The one with the smallest hash.
    first: Option<(u32, Box<str>)>,
}

impl Known {
    pub(super) fn see(&mut self, address: &str, share: &Share) {
        self.all += 1;
        self.have += usize::from(share.has(address));
        let rank = rank(address);
        if self.first.as_ref().is_none_or(|(first, known)| (rank, address) < (*first, known)) {
            self.first = Some((rank, address.into()));
        }
    }
}

/// Where an address stands among all, in ten-thousandths.
fn rank(address: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    address.hash(&mut hasher);
    u32::try_from(hasher.finish() % u64::from(ALL)).unwrap_or(ALL)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ALL, Known, Share, rank};

    fn known(addresses: &[String], share: &Share) -> Known {
        let mut known = Known::default();
        addresses.iter().for_each(|address| known.see(address, share));
        known
    }

    proptest! {
        #[test]
        fn a_share_has_one_where_there_is_one_and_keeps_what_it_has(
            addresses in prop::collection::btree_set("[a-z]{1,8}", 0..20),
            mut sizes in prop::collection::vec(0..ALL, 1..5),
        ) {
            let addresses: Vec<String> = addresses.into_iter().collect();
            sizes.sort_unstable();
            sizes.push(ALL);
            let mut share = Share::new(0);
            let mut before: Vec<&String> = Vec::new();
            for size in sizes {
                share = share.grown(size);
                share.take_one(&known(&addresses, &share));
                let now: Vec<&String> = addresses.iter().filter(|address| share.has(address)).collect();
                prop_assert_eq!(now.is_empty(), addresses.is_empty());
                prop_assert!(before.iter().all(|address| now.contains(address)), "{:?}, then {:?}", before, now);
                let by_hash = addresses.iter().filter(|address| rank(address) < size).count();
                prop_assert!(now.len() <= by_hash + 1, "no more than one beside those of its size");
                before = now;
            }
            prop_assert_eq!(before.len(), addresses.len());
        }
    }

    #[test]
    fn the_first_that_comes_is_in_a_share_that_has_none_and_the_next_is_not() {
        let mut share = Share::new(0);
        share.take_one(&Known::default());
        assert!(share.admits("a") && !share.admits("b") && share.admits("a"));
        // It is gone, and nothing of it is remembered.
        share.is_empty_again();
        assert!(share.admits("c") && !share.admits("d"));
    }
}
