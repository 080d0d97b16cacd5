//! A disk that can fail and lose power: what was not synced is then there, not there, or there by halves, in whatever
//! order.
//!
//! It may also forget, as Linux does: after a sync that failed, what it was to sync is on the disk or not, and no later
//! sync cares for it.

use std::io;
use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};

/// What a disk writes as one piece.
const SECTOR: usize = 512;
/// What a system syncs as one piece.
const PAGE: usize = 4_096;

#[derive(Debug, Clone)]
enum Written {
    Bytes(usize, Vec<u8>),
    Length(usize),
}

#[derive(Debug, Default)]
struct Platter {
    /// What the system shows: all that was written.
    seen: Vec<u8>,
    /// What is on the disk for good.
    synced: Vec<u8>,
    /// What is not.
    since: Vec<Written>,
    /// Writes and syncs that were asked for.
    asked: usize,
    /// Which of them fail.
    failing: Range<usize>,
    /// A row of random numbers, where it forgets.
    forgets: Option<u64>,
    /// Who is told that it was let go of.
    let_go: Option<Sender<()>>,
}

/// A disk; its clones are the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk(Arc<Mutex<Platter>>);

/// The next of a row of numbers that look random.
pub(super) fn random(seed: &mut u64) -> usize {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    usize::try_from(mixed >> 33).unwrap()
}

impl Disk {
    fn lock(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap()
    }

    /// As one that forgets.
    pub(super) fn that_forgets(self, seed: u64) -> Self {
        self.lock().forgets = Some(seed);
        self
    }

    /// Another one with the same on it, as the system shows it.
    pub(super) fn copy(&self) -> Self {
        let bytes = self.lock().seen.clone();
        Self(Arc::new(Mutex::new(Platter { seen: bytes.clone(), synced: bytes, ..Platter::default() })))
    }

    /// As long as this is held, it answers nobody.
    pub(super) fn hold(&self) -> impl Sized {
        self.lock()
    }

    /// Makes nonsense of each page of the store that holds these bytes: in its third and fourth byte is how many
    /// entries it has.
    pub(super) fn damage(&self, holding: &[u8]) {
        let mut platter = self.lock();
        let Platter { seen, synced, .. } = &mut *platter;
        let mut damaged = 0;
        for page in seen.chunks_mut(PAGE).filter(|page| page.windows(holding.len()).any(|found| found == holding)) {
            page.get_mut(2..4).unwrap().fill(u8::MAX);
            damaged += 1;
        }
        assert!(damaged > 0, "nothing holds it");
        synced.clone_from(seen);
    }

    /// Flips a bit of each place that holds these bytes.
    pub(super) fn flip(&self, holding: &[u8]) {
        let mut platter = self.lock();
        let Platter { seen, synced, .. } = &mut *platter;
        let found: Vec<usize> = (0..seen.len()).filter(|at| seen[*at..].starts_with(holding)).collect();
        assert!(!found.is_empty(), "nothing holds it");
        found.into_iter().for_each(|at| seen[at] ^= 1);
        synced.clone_from(seen);
    }

    /// After this many more writes and syncs, so many fail.
    pub(super) fn fail_after(&self, left: usize, failures: usize) {
        let mut platter = self.lock();
        let first = platter.asked + left;
        platter.failing = first..first.saturating_add(failures);
    }

    /// Told when nobody has it any more.
    pub(super) fn let_go(&self) -> Receiver<()> {
        let (tell, told) = channel();
        self.lock().let_go = Some(tell);
        told
    }

    /// No more of them fail; whether one has.
    pub(super) fn heal(&self) -> bool {
        let mut platter = self.lock();
        let has_failed = platter.asked > platter.failing.start;
        platter.failing = 0..0;
        has_failed
    }

    /// Writes and syncs that were asked for.
    pub(super) fn asked(&self) -> usize {
        self.lock().asked
    }

    /// The disk as it is when the power is back: another one.
    pub(super) fn after_power_cut(&self, seed: &mut u64) -> Self {
        let platter = self.lock();
        let mut bytes = platter.synced.clone();
        let mut since = platter.since.clone();
        for at in (1..since.len()).rev() {
            since.swap(at, random(seed) % (at + 1));
        }
        for written in since {
            match written {
                // A sector is there as a whole or not at all.
                Written::Bytes(offset, data) => {
                    for (at, sector) in data.chunks(SECTOR).enumerate() {
                        if random(seed).is_multiple_of(2) {
                            put(&mut bytes, offset + at * SECTOR, sector);
                        }
                    }
                }
                Written::Length(length) if random(seed).is_multiple_of(2) => bytes.resize(length, 0),
                Written::Length(_) => {}
            }
        }
        Self(Arc::new(Mutex::new(Platter { seen: bytes.clone(), synced: bytes, ..Platter::default() })))
    }

    fn change(&self, change: impl FnOnce(&mut Platter)) -> io::Result<()> {
        let mut platter = self.lock();
        platter.asked += 1;
        if platter.failing.contains(&(platter.asked - 1)) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        change(&mut platter);
        Ok(())
    }
}

impl Platter {
    fn forget(&mut self, seed: &mut u64) {
        for written in std::mem::take(&mut self.since) {
            match written {
                Written::Bytes(offset, data) if random(seed).is_multiple_of(2) => put(&mut self.synced, offset, &data),
                Written::Bytes(..) => {}
                // The length is the file system's own, and in its journal.
                Written::Length(length) => self.synced.resize(length, 0),
            }
        }
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(data);
}

impl redb::StorageBackend for Disk {
    fn close(&self) -> io::Result<()> {
        self.lock().let_go.take();
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let platter = self.lock();
        let start = usize::try_from(offset).unwrap();
        let found = platter.seen.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).unwrap();
        self.change(|platter| {
            platter.seen.resize(len, 0);
            platter.since.push(Written::Length(len));
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        let synced = self.change(|platter| {
            for written in std::mem::take(&mut platter.since) {
                match written {
                    Written::Bytes(offset, data) => put(&mut platter.synced, offset, &data),
                    Written::Length(length) => platter.synced.resize(length, 0),
                }
            }
        });
        let mut platter = self.lock();
        if synced.is_err()
            && let Some(mut seed) = platter.forgets
        {
            platter.forget(&mut seed);
            platter.forgets = Some(seed);
        }
        synced
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        self.change(|platter| {
            put(&mut platter.seen, offset, data);
            let start = offset / PAGE * PAGE;
            let end = (offset + data.len()).next_multiple_of(PAGE).min(platter.seen.len());
            let pages = platter.seen.get(start..end).unwrap().to_owned();
            platter.since.push(Written::Bytes(start, pages));
        })
    }
}
