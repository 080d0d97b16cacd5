//! What a seed says of a host as a whole: of its disk, of when it is killed, and of the life of its actors outside of
//! turns.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redb::StorageBackend;

use super::choices::Reached;
use super::disk::{Platter, Said, locked, put};
use super::fault::{DiskWork, Fault, FaultKind, InTurn, Moment};
use super::kept::Kept;
use super::{Seeded, State, USUAL, service};

/// The longest that a disk is slow or full, in microseconds.
const DISK_LATEST: u64 = 1_000_000;
/// How often a host is killed by a fault in one run.
const MOST_KILLS: u64 = 100;

impl Seeded {
    /// Has what is durable on a disk of its own, which goes wrong as the seed says.
    pub(crate) fn with_disk(self) -> Self {
        *self.disk_place() = Some(Arc::default());
        self
    }

    /// The disk, where there is one.
    pub(crate) fn disk(&self) -> Option<Disk> {
        self.disk_place().as_ref().map(|platter| Disk::new(self, platter))
    }

    /// What is durable, and what was told of it.
    pub(crate) fn kept<T>(&self, look: impl FnOnce(&mut Kept) -> T) -> T {
        look(&mut self.lock().kept)
    }

    /// The host is killed, and with it what its disk has not synced.
    pub(crate) fn power_cut(&self) {
        let platter = self.disk_place().clone();
        if let Some(platter) = platter {
            self.cut_off(&mut locked(&platter));
        }
    }

    fn cut_off(&self, platter: &mut Platter) {
        // One that is dead already has another in its place.
        let after = platter.cut_off(self.torn());
        *self.disk_place() = Some(Arc::new(Mutex::new(after)));
    }

    fn torn(&self) -> u64 {
        self.lock().faults.next()
    }

    fn disk_place(&self) -> MutexGuard<'_, Option<Arc<Mutex<Platter>>>> {
        self.0.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the seed says of a step of the disk.
    fn disk_does(&self, work: DiskWork) -> Said {
        if self.time().began.is_none() {
            // What is dropped when a run is over.
            return Said::Well;
        }
        let now = self.elapsed();
        let mut state = self.lock();
        let hit = state.disk_fault(work, now);
        let State { plan, faults, trace, full_until, kills, .. } = &mut *state;
        let said = Said::of(hit);
        match said {
            Said::Well if work == DiskWork::Write && now < *full_until => return Said::Full,
            Said::Well => return said,
            Said::Full => *full_until = now + Duration::from_micros(1 + faults.below(DISK_LATEST)),
            Said::Fails => {}
            Said::Killed => {
                *kills += 1;
                if *kills == MOST_KILLS {
                    plan.spare();
                }
                self.0.kill.notify_one();
            }
        }
        trace.note(now, format_args!("disk FAULT {said:?} at a {work:?}"));
        said
    }

    /// Whether the disk is full at this moment.
    pub(crate) fn disk_is_full(&self) -> bool {
        let now = self.elapsed();
        now < self.lock().full_until
    }

    /// For how long a group of commits waits on its way to the disk beside the usual time.
    pub(crate) fn disk_is_slow(&self) -> Duration {
        let now = self.elapsed();
        let mut state = self.lock();
        if state.disk_fault(DiskWork::Group, now).is_none() {
            return Duration::ZERO;
        }
        let State { faults, trace, .. } = &mut *state;
        trace.note(now, format_args!("disk FAULT {}", FaultKind::DiskSlow));
        Duration::from_micros(1 + faults.below(DISK_LATEST))
    }

    /// Waits until a fault kills the host.
    pub(crate) async fn is_to_die(&self) {
        self.0.kill.notified().await;
    }

    /// How many faults came.
    pub(crate) fn faults(&self) -> u64 {
        self.lock().plan.done().into_values().sum()
    }

    /// Whether an actor crashes in this moment of its life: after how many instructions.
    pub(crate) fn life(&self, actor: &str, moment: Moment) -> Option<u64> {
        let now = self.elapsed();
        let mut state = self.lock();
        let State { plan, faults, trace, due, counts, choices, reached, .. } = &mut *state;
        let nth = counts.life(moment, actor);
        let is_meant = |fault: &Fault| fault.kind == FaultKind::Crash && fault.at == Some(moment);
        if !plan.life(actor, moment, faults) {
            due.take_fault((now, actor), is_meant)?;
            plan.came(InTurn::Crash(moment));
        }
        let what = InTurn::Crash(moment).to_string();
        reached.insert(Reached { what, at: service(actor).to_owned() });
        if let Some(choices) = choices {
            let (at, service) = (Some(moment), Some(actor.to_owned()));
            choices.faults.push((now, Fault { at, service, nth: Some(nth), ..Fault::new(FaultKind::Crash) }));
        }
        trace.note(now, format_args!("{actor} FAULT crash {moment}"));
        Some(1 + faults.below(USUAL))
    }

    /// A number below this one, for a fault; 0 where there is none.
    pub(crate) fn fault_below(&self, end: u64) -> u64 {
        self.lock().faults.below(end)
    }

    /// Some time below this one, for a fault.
    pub(crate) fn some_of(&self, time: Duration) -> Duration {
        let below = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.lock().faults.below(below))
    }
}

impl State {
    /// What goes wrong with a step of the disk.
    fn disk_fault(&mut self, work: DiskWork, now: Duration) -> Option<FaultKind> {
        let Self { plan, faults, due, counts, choices, reached, .. } = self;
        counts.disk(work);
        let kind = plan.disk(work, faults).or_else(|| {
            let kind = due.take_fault((now, ""), |fault| fault.kind.can_come_of(work))?.kind;
            plan.came(kind);
            Some(kind)
        })?;
        reached.insert(Reached { what: kind.to_string(), at: "-".to_owned() });
        if let Some(choices) = choices {
            let nth = Some(counts.of_disk(kind));
            choices.faults.push((now, Fault { nth, ..Fault::new(kind) }));
        }
        Some(kind)
    }
}

/// The disk as one host has it.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    seeded: Seeded,
    platter: Arc<Mutex<Platter>>,
}

impl Disk {
    fn new(seeded: &Seeded, platter: &Arc<Mutex<Platter>>) -> Self {
        Self { seeded: seeded.clone(), platter: Arc::clone(platter) }
    }

    fn lock(&self) -> MutexGuard<'_, Platter> {
        locked(&self.platter)
    }

    /// Changes something, where nothing goes wrong with it. A write that fails or is cut off may have been in part.
    fn change(&self, work: DiskWork, change: impl FnOnce(&mut Platter)) -> io::Result<()> {
        let mut platter = self.lock();
        if platter.dead {
            return Err(io::Error::other("the host was killed"));
        }
        match self.seeded.disk_does(work) {
            Said::Well => {
                change(&mut platter);
                Ok(())
            }
            Said::Full => Err(io::ErrorKind::StorageFull.into()),
            Said::Fails if work == DiskWork::Sync => {
                platter.forget(self.seeded.torn());
                Err(io::Error::other("the disk fails"))
            }
            Said::Fails => {
                change(&mut platter);
                Err(io::Error::other("the disk fails"))
            }
            Said::Killed => {
                if work != DiskWork::Sync {
                    change(&mut platter);
                }
                self.seeded.cut_off(&mut platter);
                Err(io::Error::other("the host was killed"))
            }
        }
    }
}

fn place(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let (start, platter) = (place(offset)?, self.lock());
        let found = platter.seen.get(start..start.saturating_add(out.len())).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = place(len)?;
        self.change(DiskWork::Write, |platter| {
            platter.seen.resize(len, 0);
            // What is cut off and grows again is zeros.
            platter.since.retain(|(offset, _)| *offset < len);
            platter.since.iter_mut().for_each(|(offset, bytes)| bytes.truncate(len - *offset));
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(DiskWork::Sync, Platter::sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let offset = place(offset)?;
        self.change(DiskWork::Write, |platter| {
            put(&mut platter.seen, offset, data);
            platter.since.push((offset, data.to_owned()));
        })
    }
}
