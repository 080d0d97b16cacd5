//! What a turn would change of a state. How it meets the state is told in [`super`].

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::lineage::Lineage;
use super::together::Taken;
use crate::limits::OVERHEAD_BYTES;
use crate::shown::{beginning, bodies_apart};

/// What a turn would change. It reads its own writes; nobody else does before the commit. Dropped, it changes nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Transaction {
    pub(super) writes: BTreeMap<Box<str>, Option<Bytes>>,
    /// By how many bytes all writes so far make the state larger, and by how many smaller.
    pub(super) added: usize,
    pub(super) removed: usize,
    /// Whether it brings the state over to another schema, and is one also where it writes nothing.
    pub(super) brought_over: bool,
    /// Where it makes the state again what it was: which turns were behind it then. Those since are discarded by it.
    pub(super) back_to: Option<Box<Lineage>>,
    /// Whether it makes the state what it was before anybody had written to it. It writes nothing else.
    pub(super) forgets: bool,
    /// The room that it has among the states of its service.
    pub(super) taken: Taken,
}

impl Transaction {
    /// Adds what a later one would change, over the same state. Gives what it holds more by that, in bytes.
    pub(crate) fn follow(&mut self, later: Self) -> isize {
        let mut more = 0;
        for (key, value) in later.writes {
            more += held_bytes(&key, value.as_ref());
            if let Some(old) = self.writes.get(&key) {
                more -= held_bytes(&key, old.as_ref());
            }
            self.writes.insert(key, value);
        }
        self.added += later.added;
        self.removed += later.removed;
        self.brought_over |= later.brought_over;
        more
    }

    /// One that writes this, in which nothing is counted: to be compared with another one.
    pub(crate) fn of(writes: impl Iterator<Item = (Box<str>, Option<Bytes>)>) -> Self {
        Self { writes: writes.collect(), ..Self::default() }
    }

    /// What it writes, by key; nothing where it deletes.
    pub(crate) fn changes(&self) -> impl Iterator<Item = (&str, Option<&Bytes>)> {
        self.writes.iter().map(|(key, value)| (&**key, value.as_ref()))
    }

    /// What it holds, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.writes.iter().map(|(key, value)| held_bytes(key, value.as_ref()).unsigned_abs()).sum()
    }

    /// In what it differs from what another one writes.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let told = |written: Option<&Option<Bytes>>, value: String| match written {
            None => "leaves it".to_owned(),
            Some(None) => "deletes it".to_owned(),
            Some(Some(_)) => format!("sets it to {value}"),
        };
        let keys: BTreeSet<&str> = self.writes.keys().chain(other.writes.keys()).map(|key| &**key).collect();
        let differing = keys.into_iter().filter(|key| self.writes.get(*key) != other.writes.get(*key));
        differing
            .map(|key| {
                let (this, that) = (self.writes.get(key), other.writes.get(key));
                let value = |written: Option<&Option<Bytes>>| written.and_then(Option::clone);
                let (mine, others) = match (value(this), value(that)) {
                    (Some(mine), Some(others)) => bodies_apart(&mine, &others),
                    (mine, others) => (beginning(&mine.unwrap_or_default()), beginning(&others.unwrap_or_default())),
                };
                let (this, that) = (told(this, mine), told(that, others));
                format!("of the state's key {key:?}, it {this}, and the live one {that}")
            })
            .collect()
    }

    /// Whether its commit changes nothing.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.writes.is_empty() && !self.brought_over && !self.forgets
    }

    /// Whether its commit is that of a turn, and does not bring the state over.
    pub(crate) fn is_turn(&self) -> bool {
        !self.writes.is_empty() && !self.brought_over
    }

    /// Says that the state is in the schema of its writer when this is committed.
    pub(crate) fn bring_over(&mut self) {
        self.brought_over = true;
    }

    /// Forgets all writes.
    pub(crate) fn discard(&mut self) {
        *self = Self::default();
    }
}

/// What a write takes, and one that deletes.
fn held_bytes(key: &str, value: Option<&Bytes>) -> isize {
    (key.len() + value.map_or(0, Bytes::len) + OVERHEAD_BYTES).cast_signed()
}
