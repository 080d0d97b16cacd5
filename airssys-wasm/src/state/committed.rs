//! What is committed of one state.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::lineage::Lineage;
use super::listing::Listed;
use crate::limits::OVERHEAD_BYTES;

#[derive(Debug, Default)]
pub(super) struct Committed {
    /// Shared with whoever keeps or reads all of one commit: the next commit makes a map of its own then.
    pub(super) values: Arc<BTreeMap<Box<str>, Bytes>>,
    /// Of all keys and values.
    pub(super) bytes: usize,
    /// How many commits have changed something.
    pub(super) commits: u64,
    /// The turns among them that are not discarded: others brought the state over to another schema, or put it back.
    pub(super) turns: Lineage,
    /// The schema of the release that wrote last; none where nobody has written.
    pub(super) schema: Option<u32>,
    /// Where listings of its keys go on.
    pub(super) listed: Listed,
    /// What its age was when it was forgotten last, and one more; 0 where it never was.
    pub(super) forgotten: u64,
}

impl Committed {
    /// Makes it what it was before anybody had written to it.
    pub(super) fn forget(&mut self) {
        let forgotten = self.forgotten + self.commits + 1;
        *self = Self { forgotten, turns: Lineage::anew(forgotten), ..Self::default() };
    }

    pub(super) fn size(&self, key: &str) -> usize {
        self.values.get(key).map_or(0, |value| key.len() + value.len())
    }

    /// Makes all these writes, by a release that writes in this schema.
    pub(super) fn change(&mut self, writes: BTreeMap<Box<str>, Option<Bytes>>, schema: u32) {
        self.commits += 1;
        self.schema = Some(schema);
        let values = Arc::make_mut(&mut self.values);
        for (key, value) in writes {
            let length = key.len();
            let old = match value {
                Some(value) => {
                    self.bytes += length + value.len();
                    values.insert(key, value)
                }
                None => values.remove(&key),
            };
            self.bytes -= old.map_or(0, |old| length + old.len());
        }
    }

    /// What it counts for among those of its service. One with nothing in it is forgotten.
    pub(super) fn counted(&self) -> usize {
        if self.values.is_empty() { 0 } else { self.bytes + OVERHEAD_BYTES }
    }
}
