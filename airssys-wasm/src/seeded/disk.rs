//! The disk of a seeded host, in memory: it is slow, full or fails as the seed says, and when the host is killed, what
//! was not synced is there, not there, or there in part, in whatever order.
//!
//! A sector is what it was after one of the writes to it since the last sync, or before them; each for itself. Which is
//! drawn for the place of the sector and not for the order of the writes, in which a database need not be the same
//! each time.
//!
//! It is where durable states are. What else a host writes, such as what was deployed, is in files of the machine.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::draw::Draw;
use super::fault::FaultKind;

/// What a disk writes as one piece, in bytes.
const SECTOR: usize = 512;

/// What is on a disk, and what is on its way there.
#[derive(Debug, Default)]
pub(super) struct Platter {
    /// What the system shows: all that was written.
    pub(super) seen: Vec<u8>,
    /// What is there for good.
    synced: Vec<u8>,
    /// What was written since: where, and what.
    pub(super) since: Vec<(usize, Vec<u8>)>,
    /// Whether the host that has it was killed.
    pub(super) dead: bool,
}

/// What a seed says of one step of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Well,
    Full,
    Fails,
    Killed,
}

pub(super) fn locked(platter: &Mutex<Platter>) -> MutexGuard<'_, Platter> {
    platter.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Platter {
    pub(super) fn sync(&mut self) {
        for (offset, bytes) in std::mem::take(&mut self.since) {
            put(&mut self.synced, offset, &bytes);
        }
        // A file's length is in the journal of its system.
        self.synced.resize(self.seen.len(), 0);
    }

    /// What it has when the power is back, by this draw. Nobody writes to this one any more.
    pub(super) fn cut_off(&mut self, draw: u64) -> Self {
        self.dead = true;
        let bytes = self.torn(draw);
        Self { seen: bytes.clone(), synced: bytes, ..Self::default() }
    }

    /// A sync has failed: what it was to write is there or not, and shows all the same.
    pub(super) fn forget(&mut self, draw: u64) {
        self.synced = self.torn(draw);
        self.since.clear();
    }

    fn torn(&self, draw: u64) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        let length = if Draw::of(draw, u64::MAX).below(2) == 0 { self.synced.len() } else { self.seen.len() };
        bytes.resize(length, 0);
        let touched =
            |(offset, written): &(usize, Vec<u8>)| *offset / SECTOR..(offset + written.len()).div_ceil(SECTOR);
        let mut sectors: Vec<usize> = self.since.iter().flat_map(touched).collect();
        sectors.sort_unstable();
        let mut from = 0;
        while let Some(sector) = sectors.get(from).copied() {
            let writes = sectors[from..].iter().take_while(|other| **other == sector).count();
            from += writes;
            // After as many of them.
            let kept = Draw::of(draw, sector as u64).below(writes as u64 + 1);
            let mine = self.since.iter().filter(|written| touched(written).contains(&sector));
            for (offset, written) in mine.take(usize::try_from(kept).unwrap_or_default()) {
                let first = (sector * SECTOR).max(*offset);
                let end = ((sector + 1) * SECTOR).min(offset + written.len());
                put(&mut bytes, first, &written[first - offset..end - offset]);
            }
        }
        bytes
    }
}

pub(super) fn put(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(data);
}

impl Said {
    pub(super) fn of(kind: Option<FaultKind>) -> Self {
        match kind {
            Some(FaultKind::DiskFull) => Self::Full,
            Some(FaultKind::DiskFail) => Self::Fails,
            Some(FaultKind::Kill) => Self::Killed,
            _ => Self::Well,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use std::collections::BTreeSet;

    use super::{Platter, SECTOR, put};

    /// Two sectors that were synced, and two writes since: over both, and over the second.
    fn written() -> Platter {
        let mut platter = Platter::default();
        put(&mut platter.seen, 0, &[1; 2 * SECTOR]);
        platter.since.push((0, vec![1; 2 * SECTOR]));
        platter.sync();
        platter.since.push((0, vec![2; 2 * SECTOR]));
        platter.since.push((SECTOR, vec![3; SECTOR]));
        put(&mut platter.seen, 0, &[2; 2 * SECTOR]);
        put(&mut platter.seen, SECTOR, &[3; SECTOR]);
        platter
    }

    #[test]
    fn what_was_not_synced_is_there_as_a_sector_or_not_and_in_any_order() {
        let mut found = BTreeSet::new();
        for draw in 0..100 {
            let after = written().cut_off(draw);
            let [first, second] = [after.seen[..SECTOR].to_vec(), after.seen[SECTOR..].to_vec()];
            assert!(first.iter().all(|byte| *byte == first[0]) && second.iter().all(|byte| *byte == second[0]));
            found.insert((first[0], second[0]));
            assert_eq!(after.seen, written().cut_off(draw).seen, "the same draw is the same disk");
        }
        let all = [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)];
        assert_eq!(found.into_iter().collect::<Vec<_>>(), all);
    }

    #[test]
    fn what_was_synced_stays() {
        let mut platter = written();
        platter.sync();
        let after = platter.cut_off(7);
        assert!(
            after.seen[..SECTOR].iter().all(|byte| *byte == 2) && after.seen[SECTOR..].iter().all(|byte| *byte == 3)
        );
    }
}
