//! The thread that makes commits durable.
//!
//! Group commit: what waits when the thread is free is written as one step with one sync; meanwhile the next group
//! gathers. Under load the groups grow, and a single writer waits for its own sync only.
//!
//! A group whose write or sync failed is told so, as a whole, and is never seen in memory. It may be on disk all the
//! same, whole or not at all: there is one step that makes it valid, and before that all that it consists of is synced.
//! So the file is opened anew, and where the group is there what was before it is written again. Until both have gone
//! well, every commit is refused.
//!
//! That also holds where the system forgets what it could not sync, as Linux does: what counts was synced before, but
//! for the file's head, and opening the file anew writes and syncs the head again.

use std::collections::BTreeMap;
use std::mem;
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::StateError;
use super::budget::Budget;
use super::file::{DiskCommit, StateFile};
use super::kept::LoadedService;
use super::sums::{Record, Sums, of_value};
use crate::seeded::Seeded;
use crate::state::saving::OnDisk;
use crate::state::{NO_MESSAGE, Save, State};

/// Commits that are written as one step at most.
const GROUP: usize = 4_096;
/// How long the disk is left alone after a look at it.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// For how long commits are refused without another look at the disk, after one that took so long.
pub(super) type Pause = fn(Duration) -> Duration;

/// 100 ms; and as long as the look took, since to open a large file anew takes longer than that, and all who commit
/// wait for it.
pub(super) fn pause(took: Duration) -> Duration {
    took.max(LOOK_EVERY)
}

/// What the thread is asked for.
pub(super) enum Order {
    Save(Box<Save>),
    /// Answer with what a service has on disk, when all before is decided.
    Read(String, Read),
    /// Answer when all before is decided.
    Settle(oneshot::Sender<()>),
    /// The same, and close the file.
    Close(oneshot::Sender<()>),
}

/// Who wants to know what a service has, by the key of the actor.
pub(super) type Read = oneshot::Sender<Result<LoadedService, StateError>>;

/// Who writes the file.
pub(super) struct Writer {
    file: StateFile,
    budget: Arc<Budget>,
    pause: Pause,
    /// When the disk may be looked at again.
    look_from: Instant,
    /// None where memory and disk agree.
    doubt: Option<Doubt>,
    /// Whether no group went well since one failed. What is told of the disk is told once.
    failing: bool,
    /// The sums of a group's values; kept, so that they are not allocated for each group.
    sums: Vec<u64>,
    /// Who compares what was told with what is found after a kill, in a seeded host.
    seeded: Option<Seeded>,
}

/// What is done at the same time.
#[derive(Default)]
pub(super) struct Batch {
    group: Vec<Save>,
    /// Makes a state what it was before anybody had written to it, after the group.
    forget: Option<Save>,
    reads: Vec<(String, Read)>,
    settled: Vec<oneshot::Sender<()>>,
    close: Option<oneshot::Sender<()>>,
}

impl Batch {
    fn take(&mut self, order: Order) {
        match order {
            Order::Save(save) if save.writes.forgets => self.forget = Some(*save),
            Order::Save(save) => self.group.push(*save),
            Order::Read(service, answer) => self.reads.push((service, answer)),
            Order::Settle(answer) => self.settled.push(answer),
            Order::Close(answer) => self.close = Some(answer),
        }
    }

    /// Whether it is the last one.
    pub(super) fn is_to_close(&self) -> bool {
        self.close.is_some()
    }

    /// Whether what comes next is for another one.
    fn is_full(&self) -> bool {
        self.close.is_some() || self.forget.is_some() || self.group.len() >= GROUP
    }
}

/// A group that may be on disk and must not be.
struct Doubt {
    before: Vec<Before>,
    why: Arc<str>,
}

/// What a state was before, as far as it was written to. It is that as long as there is doubt, since nothing is
/// committed. The state itself is not held: it would keep a way to this thread, which then never ended.
struct Before {
    service: Arc<str>,
    actor: Box<str>,
    record: Record,
    values: BTreeMap<Box<str>, Option<Bytes>>,
}

impl Before {
    fn of(save: &Save) -> Option<Self> {
        let home = save.state.home.as_ref()?;
        let committed = save.state.lock();
        Some(Self {
            service: Arc::clone(&home.service),
            actor: home.actor.clone(),
            record: Record {
                commits: committed.commits,
                schema: committed.schema.unwrap_or_default(),
                sums: *home.sums(),
            },
            values: save.writes.writes.keys().map(|key| (key.clone(), committed.values.get(key).cloned())).collect(),
        })
    }

    /// Those of its values, in their order.
    fn sums(&self) -> Vec<u64> {
        let values = self.values.iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
        values.map(|(key, value)| of_value(&self.service, &self.actor, key, value)).collect()
    }
}

impl Writer {
    pub(super) fn new(file: StateFile, budget: Arc<Budget>, pause: Pause, seeded: Option<Seeded>) -> Self {
        Self { file, budget, pause, look_from: Instant::now(), doubt: None, failing: false, sums: Vec::new(), seeded }
    }

    /// Until it is told to close, or nobody can tell it anything any more.
    pub(super) fn run(mut self, orders: &Receiver<Order>) {
        let mut batch = Batch::default();
        while !batch.is_to_close() {
            let Ok(first) = orders.recv() else { break };
            self.step(&mut batch, first, orders);
        }
        self.end(batch);
    }

    /// Does what it is asked for first, and with that what waits already.
    pub(super) fn step(&mut self, batch: &mut Batch, first: Order, orders: &Receiver<Order>) {
        batch.take(first);
        while !batch.is_full()
            && let Ok(next) = orders.try_recv()
        {
            batch.take(next);
        }
        self.save_admitted(&mut batch.group);
        if let Some(mut forget) = batch.forget.take() {
            match self.drop_damaged(&forget.state) {
                Ok(()) => {
                    // A group of its own: a turn whose actor was killed may have left a commit of the same state in
                    // the one before.
                    forget.writes.delete_all(&forget.state);
                    batch.group.push(forget);
                    self.save_admitted(&mut batch.group);
                }
                Err(why) => drop(forget.done.send(Err(why))),
            }
        }
        for (service, answer) in batch.reads.drain(..) {
            let _nobody_waits_any_more = answer.send(self.look().and_then(|()| self.file.load(&service)));
        }
        for answer in batch.settled.drain(..) {
            let _nobody_waits_any_more = answer.send(());
        }
    }

    /// Lets go of the file, and tells who waits for that.
    pub(super) fn end(mut self, batch: Batch) {
        if let Err(error) = self.look() {
            tracing::error!(target: "airssys::state", %error, "a commit that failed may be in the file");
        }
        drop(self.file);
        if let Some(answer) = batch.close {
            let _nobody_waits_any_more = answer.send(());
        }
    }

    /// Drops what is left on disk of a damaged state that is to be forgotten: nobody has read it, so nobody knows its
    /// keys.
    fn drop_damaged(&mut self, state: &State) -> Result<(), Arc<str>> {
        let Some(home) = state.home.as_ref().filter(|_| state.damage().is_some()) else { return Ok(()) };
        self.look_in_time()?;
        self.file.forget(&home.service, &home.actor).map(drop).map_err(|error| {
            let why: Arc<str> = error.to_string().into();
            // It may be gone or not; the file is opened anew, and nothing else has to be put right.
            self.doubt = Some(Doubt { before: Vec::new(), why: Arc::clone(&why) });
            why
        })?;
        home.is_well();
        Ok(())
    }

    fn save_admitted(&mut self, group: &mut Vec<Save>) {
        let bytes = self.admit(group);
        if !group.is_empty() {
            self.save(group, bytes);
        }
    }

    /// Refuses those for which there is no room, as if each came after the other; what all of it has after the rest.
    /// What a deployment brings over or puts back is not refused: half of a deployment would be worse than a bound that
    /// is passed.
    fn admit(&self, group: &mut Vec<Save>) -> u64 {
        let mut bytes = self.budget.bytes();
        group.retain_mut(|save| {
            let (added, removed) = save.writes.sizes(&save.state);
            match self.budget.after(bytes, added, removed) {
                Ok(after) => bytes = after,
                Err(_) if save.writes.brought_over => bytes = bytes.saturating_add(added).saturating_sub(removed),
                Err(full) => {
                    let (nobody, _) = oneshot::channel();
                    let done = mem::replace(&mut save.done, nobody);
                    let _nobody_waits_any_more = done.send(Err(full.to_string().into()));
                    return false;
                }
            }
            true
        });
        bytes
    }

    /// Disk first, then memory, then who waits. A state has one commit in a group at most: its actor waits for it.
    ///
    /// `bytes` is what all of it has after that.
    fn save(&mut self, group: &mut Vec<Save>, bytes: u64) {
        let mut sums = mem::take(&mut self.sums);
        sums.clear();
        let records: Vec<Summed> = group.iter().map(|save| Summed::of(save, &mut sums)).collect();
        if let Some(seeded) = &self.seeded {
            let homes =
                group.iter().zip(&records).filter_map(|(save, summed)| Some((save.state.home.as_ref()?, summed)));
            homes.for_each(|(home, summed)| {
                seeded.kept(|kept| kept.begins(&home.service, &home.actor, summed.record.told()));
            });
        }
        let outcome = self.write(group, &records, &sums);
        self.sums = sums;
        if outcome.is_ok() {
            self.budget.set_bytes(bytes);
        }
        for (save, Summed { record, .. }) in group.drain(..).zip(records) {
            let Save { state, mut writes, id, schema, rest, done } = save;
            let told = match &outcome {
                Ok(()) => {
                    writes.commit(&state, schema);
                    if let Some(home) = &state.home {
                        *home.sums() = record.sums;
                        if let Some(seeded) = &self.seeded {
                            seeded.kept(|kept| kept.is_there(&home.service, &home.actor));
                        }
                        // A message whose turn was saved stays that, whatever was saved since over no message.
                        if id != NO_MESSAGE {
                            home.last.store(id, Ordering::Release);
                        }
                    }
                    Ok(OnDisk(Some(rest)))
                }
                Err(why) => Err(Arc::clone(why)),
            };
            // Where nobody waits any more the rest happens here, and a layer of the host's that panics over it must not
            // take this thread along.
            let _told_by_the_hook = panic::catch_unwind(AssertUnwindSafe(|| drop(done.send(told))));
        }
    }

    fn write(&mut self, group: &[Save], records: &[Summed], sums: &[u64]) -> Result<(), Arc<str>> {
        self.look_in_time()?;
        let changes = group.iter().zip(records).filter_map(|(save, summed)| summed.change(save, sums));
        let Err(error) = self.file.write(changes) else {
            if mem::take(&mut self.failing) {
                tracing::info!(target: "airssys::state", "durable state is saved again");
            }
            return Ok(());
        };
        if !mem::replace(&mut self.failing, true) {
            tracing::error!(target: "airssys::state", %error, "durable state cannot be saved");
        }
        let why: Arc<str> = error.to_string().into();
        let before = group.iter().filter_map(Before::of).collect();
        self.doubt = Some(Doubt { before, why: Arc::clone(&why) });
        // Who is told that it failed finds that it is not there, where that can be had now.
        let _to_be_looked_at = self.look_in_time();
        Err(why)
    }

    /// [`Writer::look`], where it is not too soon.
    fn look_in_time(&mut self) -> Result<(), Arc<str>> {
        let Some(Doubt { why, .. }) = &self.doubt else { return Ok(()) };
        if Instant::now() < self.look_from {
            return Err(Arc::clone(why));
        }
        self.look().map_err(|error| error.to_string().into())
    }

    /// Makes memory and disk agree where they may not.
    fn look(&mut self) -> Result<(), StateError> {
        let Some(doubt) = &mut self.doubt else { return Ok(()) };
        let begun = Instant::now();
        let agreed = agree(&mut self.file, &doubt.before);
        self.look_from = Instant::now() + (self.pause)(begun.elapsed());
        match &agreed {
            Ok(()) => self.doubt = None,
            Err(error) => doubt.why = error.to_string().into(),
        }
        agreed
    }
}

/// Opens the file anew, and makes of these states what they were before, where they are something else.
fn agree(file: &mut StateFile, all: &[Before]) -> Result<(), StateError> {
    file.reopen()?;
    let mut changed = Vec::new();
    for before in all {
        if file.commits(&before.service, &before.actor)? != before.record.commits {
            changed.push(before);
        }
    }
    if changed.is_empty() {
        return Ok(());
    }
    let sums: Vec<Vec<u64>> = changed.iter().map(|before| before.sums()).collect();
    file.write(changed.into_iter().zip(&sums).map(|(before, sums)| {
        let Before { service, actor, record, values } = before;
        DiskCommit { service, actor, record: *record, writes: values, sums }
    }))
}

/// The record of a state after a commit, and where the sums of what it writes are among those of the group.
struct Summed {
    record: Record,
    sums: Range<usize>,
}

impl Summed {
    /// The state's sums follow from those of what it writes over and of what it writes.
    fn of(save: &Save, all: &mut Vec<u64>) -> Self {
        let from = all.len();
        let committed = save.state.lock();
        let mut record = Record { commits: committed.commits + 1, schema: save.schema, sums: Sums::default() };
        if let Some(home) = &save.state.home {
            let (service, actor) = (&*home.service, &*home.actor);
            record.sums = *home.sums();
            for (key, value) in &save.writes.writes {
                if let Some(old) = committed.values.get(key) {
                    record.sums.remove(of_value(service, actor, key, old));
                }
                if let Some(value) = value {
                    let sum = of_value(service, actor, key, value);
                    record.sums.add(sum);
                    all.push(sum);
                }
            }
        }
        if save.writes.forgets {
            // As one that nobody has written to, it has none.
            record = Record::default();
        }
        Self { record, sums: from..all.len() }
    }

    /// What the commit is on disk.
    fn change<'a>(&self, save: &'a Save, all: &'a [u64]) -> Option<DiskCommit<'a>> {
        let home = save.state.home.as_ref()?;
        let sums = all.get(self.sums.clone()).unwrap_or_default();
        Some(DiskCommit {
            service: &home.service,
            actor: &home.actor,
            record: self.record,
            writes: &save.writes.writes,
            sums,
        })
    }
}
