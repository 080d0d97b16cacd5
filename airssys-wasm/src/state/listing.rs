//! Goes through the keys of a state, a page at a time.
//!
//! A cursor stands for the key that its page ended with, and not for a number of keys: so who deletes or sets keys
//! between two pages misses none and gets none twice. It is a hash of that key, the same wherever the same turn runs.
//! The key may be gone by then, so a state knows those that it gave out last.
//!
//! Invariant: a cursor that nobody knows any more is an error, and never another place.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

/// Keys in one page.
const PAGE: usize = 1_000;
/// Keys that a state remembers, where the cursors that it gave out last stand for them.
const REMEMBERED: usize = 16;
/// Bytes of all of those, but for the last one.
const REMEMBERED_BYTES: usize = 64 << 10;
/// The cursor of the beginning, for guests that have no empty value.
const BEGINNING: u64 = 0;

/// A listing that cannot go on: its cursor is older than the last ones that were given out, and its key is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cursor {cursor} is not known (any more): a listing begins without one")]
pub(crate) struct UnknownCursor {
    /// What was given.
    pub(super) cursor: u64,
}

/// The keys that pages ended with. None where no listing had a second page.
#[derive(Debug, Clone, Default)]
pub(super) struct Listed(Vec<Box<str>>);

impl Listed {
    fn remember(&mut self, key: &str) -> u64 {
        let keys = &mut self.0;
        keys.retain(|known| **known != *key);
        keys.push(key.into());
        while keys.len() > REMEMBERED
            || (keys.len() > 1 && keys.iter().map(|key| key.len()).sum::<usize>() > REMEMBERED_BYTES)
        {
            keys.remove(0);
        }
        cursor_of(key)
    }

    fn find(&self, wanted: u64) -> Option<&str> {
        self.0.iter().map(|key| &**key).find(|key| cursor_of(key) == wanted)
    }
}

/// Never the beginning.
fn cursor_of(key: &str) -> u64 {
    xxh3_64(key.as_bytes()).max(BEGINNING + 1)
}

/// A page of the keys of some values with some writes, and the cursor of the next page.
pub(super) fn page(
    listed: &mut Listed,
    values: &BTreeMap<Box<str>, Bytes>,
    writes: &BTreeMap<Box<str>, Option<Bytes>>,
    cursor: Option<u64>,
) -> Result<(Vec<String>, Option<u64>), UnknownCursor> {
    let after: Option<Box<str>> = match cursor {
        None | Some(BEGINNING) => None,
        Some(wanted) => {
            // Also after the host was started anew, where the key is there still.
            let all = || values.keys().chain(writes.keys()).map(|key| &**key);
            let found = listed.find(wanted).or_else(|| all().find(|key| cursor_of(key) == wanted));
            Some(found.ok_or(UnknownCursor { cursor: wanted })?.into())
        }
    };
    let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let rest = (from, Bound::Unbounded);
    let mut kept = values.range::<str, _>(rest).map(|(key, _)| key).filter(|key| !writes.contains_key(*key));
    let mut fresh = writes.range::<str, _>(rest).filter(|(_, value)| value.is_some()).map(|(key, _)| key);
    let (mut next_kept, mut next_fresh) = (kept.next(), fresh.next());
    let mut page: Vec<String> = Vec::new();
    let mut more = false;
    while let Some(key) = match (next_kept, next_fresh) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    } {
        if page.len() == PAGE {
            more = true;
            break;
        }
        page.push(key.to_string());
        if next_kept == Some(key) {
            next_kept = kept.next();
        } else {
            next_fresh = fresh.next();
        }
    }
    let next = page.last().filter(|_| more).map(|last| listed.remember(last));
    Ok((page, next))
}
