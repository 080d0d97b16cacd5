//! Steps that a recorder keeps: their bytes in one ring, in which the newest comes behind the others and the oldest
//! goes first.
//!
//! # Hot path
//!
//! A step is copied once to where it stays. The ring grows until it has room for all that is kept, and allocates
//! nothing from then on.

use std::collections::{VecDeque, vec_deque};

use super::sheet::{Aside, Leaf, Sheet};
use super::step::{End, Step, What};

/// The least that a ring grows by, in bytes.
const GROWS_BY_BYTES: usize = 4 << 10;

/// Steps, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Spool {
    bytes: VecDeque<u8>,
    aside: VecDeque<Aside>,
    steps: VecDeque<Extent>,
}

/// What one step takes of a ring.
#[derive(Debug, Clone, Copy)]
struct Extent {
    what: usize,
    lines: usize,
    end: usize,
    aside: usize,
    /// Whether it asked more than stands there.
    is_cut: bool,
    has_end: bool,
    /// What it is reckoned to take, in bytes.
    reckoned: usize,
}

/// The sheets of a step: what was done, what was asked and told, and what came of it.
pub(super) struct Sheets<'a> {
    pub(super) what: &'a mut Sheet,
    pub(super) lines: &'a mut Sheet,
    pub(super) end: Option<&'a mut Sheet>,
    pub(super) is_cut: bool,
    /// What they are reckoned to take, in bytes.
    pub(super) bytes: usize,
}

impl Spool {
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.aside.clear();
        self.steps.clear();
    }

    /// Adds what these sheets have, of which nothing is left on them, to a ring that has so many bytes at most.
    pub(super) fn push(&mut self, sheets: Sheets<'_>, most: usize) {
        let Sheets { what, lines, end, is_cut, bytes: reckoned } = sheets;
        let (of_end, has_end) = end.as_ref().map_or((0, false), |end| (end.bytes.len(), true));
        let mut extent = Extent {
            what: what.bytes.len(),
            lines: lines.bytes.len(),
            end: of_end,
            aside: 0,
            is_cut,
            has_end,
            reckoned,
        };
        if self.bytes.capacity() - self.bytes.len() < extent.bytes() {
            // As much again, within the bound: of rings there may be as many as actors.
            let more = self.bytes.capacity().max(GROWS_BY_BYTES).min(most.saturating_sub(self.bytes.len()));
            self.bytes.reserve_exact(extent.bytes().max(more));
        }
        for sheet in [Some(what), Some(lines), end].into_iter().flatten() {
            self.bytes.extend(&sheet.bytes);
            // Of most turns nothing is shared, and to go through nothing takes as long as to copy them.
            if !sheet.aside.is_empty() {
                extent.aside += sheet.aside.len();
                self.aside.extend(sheet.aside.drain(..));
            }
            sheet.clear();
        }
        self.steps.push_back(extent);
    }

    /// Forgets the oldest one. Gives what it was reckoned to take, in bytes; none where there is no step.
    pub(super) fn pop(&mut self) -> Option<usize> {
        let oldest = self.steps.pop_front()?;
        self.bytes.drain(..oldest.bytes());
        if oldest.aside > 0 {
            self.aside.drain(..oldest.aside);
        }
        Some(oldest.reckoned)
    }

    /// All of them, read back.
    pub(super) fn steps(&self) -> Vec<Step> {
        let (mut bytes_at, mut aside_at) = (0, 0);
        let read = |extent: &Extent| {
            let (bytes_end, aside_end) = (bytes_at + extent.bytes(), aside_at + extent.aside);
            let bytes: Vec<u8> = self.bytes.range(bytes_at..bytes_end).copied().collect();
            let step = extent.read(&bytes, self.aside.range(aside_at..aside_end));
            (bytes_at, aside_at) = (bytes_end, aside_end);
            debug_assert!(step.is_some(), "what is written down here can be read");
            step
        };
        self.steps.iter().filter_map(read).collect()
    }
}

impl Extent {
    fn bytes(&self) -> usize {
        self.what + self.lines + self.end
    }

    fn read<'a>(&self, bytes: &'a [u8], aside: vec_deque::Iter<'a, Aside>) -> Option<Step> {
        let (what, rest) = bytes.split_at_checked(self.what)?;
        let (lines, end) = rest.split_at_checked(self.lines)?;
        let mut leaf = Leaf { bytes: what, aside };
        let what = What::unpack(&mut leaf)?;
        leaf.bytes = lines;
        let lines = leaf.lines()?;
        leaf.bytes = end;
        let end = if self.has_end { Some(End::unpack(&mut leaf)?) } else { None };
        Some(Step { what, lines, is_cut: self.is_cut, end })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use std::collections::VecDeque;
    use std::time::Duration;

    use bytes::Bytes;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{Sheet, Sheets, Spool, Step, What};
    use crate::turn::host_call::{HostCall, Reply};
    use crate::turn::step::{Handed, Message};

    fn value(step: &Step) -> Value {
        serde_json::to_value(step).unwrap()
    }

    /// Adds one, and gives it as it is to be read back.
    fn push(spool: &mut Spool, what: &What<Handed<'_>>, is_query: bool, lines: &[Bytes]) -> Value {
        let (mut sheet, mut asked) = (Sheet::default(), Sheet::default());
        what.pack(is_query, &mut sheet);
        for (at, key) in lines.iter().enumerate() {
            asked.asked(&HostCall::SetState { key: "k".to_owned(), value: key.clone() });
            asked.told(at, at + 1, &Reply::Value(Some(key.clone())));
        }
        let said = |value: &Bytes| {
            let asked = HostCall::SetState { key: "k".to_owned(), value: value.clone() };
            (asked, Reply::Value(Some(value.clone())))
        };
        let what = match what {
            What::Restore { memory } => What::Restore { memory: memory.clone() },
            _ => What::Made,
        };
        let step = Step { what, lines: lines.iter().map(said).collect(), is_cut: lines.len() == 1, end: None };
        let sheets = Sheets { what: &mut sheet, lines: &mut asked, end: None, is_cut: step.is_cut, bytes: lines.len() };
        spool.push(sheets, 10_000);
        assert_eq!((sheet.bytes.len(), asked.bytes.len(), asked.aside.len()), (0, 0, 0), "nothing is left there");
        value(&step)
    }

    proptest! {
        #[test]
        fn what_is_kept_is_what_came_last(
            steps in vec((vec(any::<u8>(), 0..1_100), vec(vec(any::<u8>(), 0..1_100), 0..4)), 1..60),
            keep in 1_usize..6,
        ) {
            let (mut spool, mut expected) = (Spool::default(), VecDeque::new());
            for (memory, lines) in steps {
                let lines: Vec<Bytes> = lines.into_iter().map(Bytes::from).collect();
                expected.push_back((push(&mut spool, &What::Restore { memory: memory.into() }, false, &lines), lines.len()));
                if spool.len() > keep {
                    prop_assert_eq!(spool.pop(), expected.pop_front().map(|(_, reckoned)| reckoned));
                }
                let read: Vec<Value> = spool.steps().iter().map(value).collect();
                let kept: Vec<Value> = expected.iter().map(|(step, _)| step.clone()).collect();
                prop_assert_eq!(read, kept);
            }
            while spool.pop().is_some() {}
            prop_assert!(spool.is_empty() && spool.bytes.is_empty() && spool.aside.is_empty());
        }
    }

    #[test]
    fn a_message_is_read_back_as_it_came_whichever_way_that_was() {
        let down = json!({ "Down": { "child": "till/a", "reason": { "Crashed": "tick" }, "restarted": true } });
        for way in [json!("Send"), json!("Call"), json!({ "Publish": "news" }), json!({ "Timer": 300 }), down] {
            for (sender, key, is_query) in [(None, Some("k"), false), (Some("shop/b"), None, true)] {
                let written = json!({
                    "id": 7, "trace": u64::MAX, "sender": sender, "target": "till/x y", "key": key, "way": way,
                    "attempt": 2, "left_ms": 255, "function": null, "body": "hex:00ff", "is_query": is_query,
                    "is_whole": true, "is_gone": false,
                });
                let message: Message = serde_json::from_value(written.clone()).unwrap();
                let (envelope, left) = message.envelope().unwrap();
                assert_eq!(left, Duration::from_millis(255));
                let mut spool = Spool::default();
                push(&mut spool, &What::Message(Handed { envelope: &envelope, left }), is_query, &[]);
                let read = spool.steps().pop().unwrap();
                assert_eq!(value(&read).pointer("/what/Message"), Some(&written));
            }
        }
    }
}
