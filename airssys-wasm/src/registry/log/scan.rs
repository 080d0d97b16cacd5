//! Reads all of a file of records: what counts, and what is lost. Pure.

use std::collections::{BTreeMap, VecDeque};

use super::key::Key;
use super::line::{self, Line, Said};

/// The records that count, with their numbers, the last one last.
pub(super) type Entries = BTreeMap<Key, VecDeque<(u64, Box<str>)>>;

/// A record that was written and cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LostRecord {
    pub(super) number: u64,
    /// What it was of, where that is known.
    pub(super) of: Option<Key>,
}

/// What a file says.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Scan {
    /// The number of its first record.
    pub(super) first: u64,
    /// The number of the last one that was written with it.
    pub(super) packed: u64,
    /// The number of its last one; one before the first where there is none.
    pub(super) last: u64,
    /// What that was of.
    pub(super) last_of: Option<Key>,
    pub(super) entries: Entries,
    pub(super) lost: Vec<LostRecord>,
    /// Where it ends too early: the number of the last record, and that of the one which should be.
    pub(super) behind: Option<(u64, u64)>,
    /// Where the last record ends, in bytes.
    pub(super) end: usize,
    /// Whether what comes after it is room.
    pub(super) is_clean: bool,
    /// The version of what a later airssys wrote.
    pub(super) newer: Option<u32>,
}

/// Reads the bytes of a file. `synced` is the number of the last record that is known to have been there as a whole.
pub(super) fn scan(bytes: &[u8], synced: Option<u64>) -> Scan {
    let (mut lines, mut newer, mut end) = (BTreeMap::<u64, (Line<'_>, usize)>::new(), None, 0);
    let mut first = 0;
    for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
        end += piece.len();
        newer = newer.or_else(|| line::newer(piece));
        for line in line::parse(piece) {
            if line.first > first {
                // What was read so far are pieces of an older file, which have got into this one.
                (first, lines) = (line.first, BTreeMap::new());
            }
            let is_whole = |known: &(Line<'_>, usize)| matches!(known.0.said, Said::Whole(_));
            if line.first == first && !lines.get(&line.number).is_some_and(is_whole) {
                lines.insert(line.number, (line, end));
            }
        }
    }
    let Some((last, (newest, _))) = lines.last_key_value() else {
        // Such a file is never made.
        let last = synced.unwrap_or_default();
        let lost = vec![LostRecord { number: last, of: None }];
        return Scan { last, lost, behind: synced.map(|synced| (0, synced)), newer, ..Scan::default() };
    };
    let (last, packed) = (*last, newest.packed);
    let synced = synced.unwrap_or_default().max(packed);
    let mut scan = Scan { first, packed, last: first.saturating_sub(1), ..Scan::default() };
    for (number, (line, end)) in lines {
        if matches!(line.said, Said::Damaged) && number == last && number > synced {
            // It was cut off before it was synced.
            break;
        }
        scan.miss(number, line.before);
        scan.end = scan.end.max(end);
        (scan.last, scan.last_of) = (number, line.of.clone());
        match (line.said, line.of) {
            (Said::Whole(value), Some(of)) => enter(&mut scan.entries, of, number, value.into()),
            (_, of) => scan.lost.push(LostRecord { number, of }),
        }
    }
    if synced > scan.last {
        scan.behind = Some((scan.last, synced));
        scan.miss(synced + 1, None);
        (scan.last, scan.last_of) = (synced, None);
    }
    scan.is_clean = bytes.get(scan.end..).is_some_and(|rest| rest.iter().all(|byte| *byte == 0));
    scan
}

impl Scan {
    /// There should be records between the last one and this one, before which comes one of `before`.
    fn miss(&mut self, number: u64, before: Option<Key>) {
        let missing = number.saturating_sub(self.last + 1);
        if missing > 1 {
            self.lost.push(LostRecord { number: number - 2, of: None });
        }
        if missing > 0 {
            self.lost.push(LostRecord { number: number - 1, of: before });
        }
    }
}

/// Writes down what counts from here on.
pub(super) fn enter(entries: &mut Entries, of: Key, number: u64, value: Box<str>) {
    if let Some(over) = of.ends() {
        entries.remove(&over);
    }
    let most = of.most();
    let all = entries.entry(of).or_default();
    all.push_back((number, value));
    let too_many = all.len().saturating_sub(most);
    all.drain(..too_many);
}
