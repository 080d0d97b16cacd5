//! The private state of a service: committed values, and what the turn that runs now would change.
//!
//! All of it is in memory. What a service wants to last is on disk as well, see `durable`: reading never waits for a
//! disk.
//!
//! Invariant: committed values change only when a turn commits, all at once. What is committed and what a turn sees is
//! never larger than its bound, keys and values together.
//!
//! # Example
//!
//! While no host runs:
//!
//! ```
//! use airssys_wasm::command::{KeptState, StateFile, Survey};
//!
//! # let folder = tempfile::tempdir()?;
//! # let data = folder.path();
//! let states = [("".into(), KeptState { commits: 3, schema: 1, ..KeptState::default() })].into();
//! {
//!     let mut file = StateFile::open(data)?;
//!     file.replace("counter", &states)?;
//!     assert_eq!(file.services()?, ["counter"]);
//!     assert_eq!(file.read("counter")?, states);
//!     file.compact()?;
//! }
//! assert!(StateFile::path(data).is_file());
//!
//! // Reads all of it, and says what is damaged.
//! let survey: Survey = StateFile::survey(data)?;
//! assert!(survey.damage.is_empty() && survey.check("counter", data).is_ok());
//! survey.write_to(&data.join("copy.redb"))?;
//!
//! assert!(StateFile::open_without_damage(data)?.forget("counter", "")?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod committed;
pub(crate) mod durable;
mod full;
mod lineage;
mod listing;
mod saved;
mod saving;
mod together;
mod transaction;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;

use self::committed::Committed;
use self::durable::{Budget, LostStates, Sums};
pub use self::durable::{Damage, KeptState, StateError, StateFile, Survey};
pub(crate) use self::full::{Full, IncrementError};
pub(crate) use self::lineage::Lineage;
pub(crate) use self::listing::UnknownCursor;
pub(crate) use self::saved::Saved;
pub(crate) use self::saving::{NO_MESSAGE, Saving};
use self::saving::{Outcome, Rest};
pub(crate) use self::together::Together;
pub(crate) use self::transaction::Transaction;
use crate::error::Crash;
use crate::limits::OVERHEAD_BYTES;

#[cfg(test)]
mod tests;

/// The committed state of one actor, or of one key. It belongs to the address and outlives instances.
#[derive(Debug, Default)]
pub(crate) struct State {
    committed: Mutex<Committed>,
    /// Where it is kept on disk; none where it is in memory only. Boxed, since most are.
    home: Option<Box<Home>>,
    /// What it has a bound with; none where it is the only one of its service, or is on disk.
    together: Option<Arc<Together>>,
}

/// Where a state is kept on disk.
struct Home {
    /// The way to the thread that makes commits durable. That ends when nobody has a way to it any more.
    thread: Thread,
    budget: Arc<Budget>,
    service: Arc<str>,
    actor: Box<str>,
    /// The message whose turn was saved last.
    last: AtomicU64,
    /// What the committed values come to. Only the thread that writes looks at it.
    sums: Mutex<Sums>,
    /// The states of its service that are damaged on disk, where this was one of them. They are never written over.
    lost: Option<Arc<LostStates>>,
}

/// Takes a commit to the thread. Where that is gone, the commit is dropped, and so whoever waits is told.
type Thread = Arc<dyn Fn(Box<Save>) + Send + Sync>;

/// A commit on its way to the disk.
struct Save {
    state: Arc<State>,
    writes: Transaction,
    /// The message whose turn it is.
    id: u64,
    /// The schema of who wrote.
    schema: u32,
    rest: Rest,
    done: oneshot::Sender<Outcome>,
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Home").field("service", &self.service).field("actor", &self.actor).finish_non_exhaustive()
    }
}

impl Home {
    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is on disk is gone, or as it should be.
    fn is_well(&self) {
        if let Some(lost) = &self.lost {
            lost.begin_anew(&self.actor);
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if let Some(together) = &self.together {
            let counted = self.committed.get_mut().unwrap_or_else(PoisonError::into_inner).counted();
            together.remove(counted);
        }
    }
}

impl State {
    /// What is kept on disk, as it was saved last.
    fn kept(kept: KeptState, home: Home) -> Self {
        let bytes = kept.bytes();
        let KeptState { values, commits, schema } = kept;
        let schema = (commits > 0).then_some(schema);
        let values = Arc::new(values);
        let committed = Committed { values, bytes, commits, schema, ..Committed::default() };
        Self { committed: Mutex::new(committed), home: Some(Box::new(home)), together: None }
    }

    /// One in memory with these values.
    pub(crate) fn of(values: Arc<BTreeMap<Box<str>, Bytes>>, schema: u32) -> Self {
        let bytes = values.iter().map(|(key, value)| key.len() + value.len()).sum();
        let committed = Committed { values, bytes, schema: Some(schema), ..Committed::default() };
        Self { committed: Mutex::new(committed), home: None, together: None }
    }

    /// An empty one in memory, which counts together with the others of its service.
    pub(crate) fn among(together: Option<&Arc<Together>>) -> Arc<Self> {
        Arc::new(Self { committed: Mutex::default(), home: None, together: together.cloned() })
    }

    /// Whether it has no key.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().values.is_empty()
    }

    /// How many commits have changed something. Who reads twice and finds the same number has read one state.
    #[must_use]
    pub(crate) fn commits(&self) -> u64 {
        self.lock().commits
    }

    /// How many commits there were since the host started with it, also before it was forgotten, and how often it was.
    /// It never goes back.
    pub(crate) fn age(&self) -> u64 {
        let committed = self.lock();
        committed.forgotten + committed.commits
    }

    /// The turns that are behind it. Their number jumps where it is forgotten.
    fn turns(&self) -> Lineage {
        self.lock().turns.clone()
    }

    /// What its age was when it was forgotten last, and one more; 0 where it never was. So it was forgotten since it
    /// had some age where this is more.
    pub(crate) fn forgotten(&self) -> u64 {
        self.lock().forgotten
    }

    /// Begins to make it what it was before anybody had written to it, where it was not forgotten since `known`, which
    /// [`State::forgotten`] said. Where it is in memory only, that is done when this returns. Otherwise it comes after
    /// all that is on its way to the disk, and takes that along.
    ///
    /// Nobody may run a turn on it now. Who starts waits for it as for what a turn before has left behind.
    pub(crate) fn forget(self: &Arc<Self>, known: u64) -> Option<Saving> {
        if self.forgotten() != known {
            return None;
        }
        let mut all = Transaction { forgets: true, ..Transaction::default() };
        let saving = self.save(&mut all, NO_MESSAGE, 0, Box::new(|| ()));
        if saving.is_none() {
            all.commit(self, 0);
        }
        saving
    }

    /// The schema that the values are in; none where there was never a commit.
    pub(crate) fn schema(&self) -> Option<u32> {
        self.lock().schema
    }

    /// The schema that the values are in, where that is another one.
    pub(crate) fn foreign(&self, schema: u32) -> Option<u32> {
        self.lock().schema.filter(|found| *found != schema)
    }

    /// All of it, as of one commit.
    #[must_use]
    pub(crate) fn dump(&self) -> KeptState {
        let committed = self.lock();
        KeptState {
            values: BTreeMap::clone(&committed.values),
            commits: committed.commits,
            schema: committed.schema.unwrap_or_default(),
        }
    }

    /// Another state, in memory, with the same values. It shares them as long as none of both changes.
    pub(crate) fn copy(&self) -> Self {
        let committed = self.lock();
        let copy = Self::default();
        {
            let mut copied = copy.lock();
            copied.values.clone_from(&committed.values);
            copied.bytes = committed.bytes;
            copied.schema = committed.schema;
            copied.listed = committed.listed.clone();
        }
        copy
    }

    /// Looks at a committed value, which nobody commits meanwhile.
    pub(crate) fn with(&self, key: &str, see: impl FnOnce(Option<&Bytes>)) {
        see(self.lock().values.get(key));
    }

    /// All committed values, by key.
    #[must_use]
    pub(crate) fn snapshot(&self) -> BTreeMap<Box<str>, Bytes> {
        BTreeMap::clone(&self.lock().values)
    }

    /// Each committed value, as of one commit.
    pub(crate) fn each_value(&self, mut see: impl FnMut(&str, &Bytes)) {
        let values = Arc::clone(&self.lock().values);
        values.iter().for_each(|(name, value)| see(name, value));
    }

    /// Whether it is on disk as well.
    pub(crate) fn is_durable(&self) -> bool {
        self.home.is_some()
    }

    /// What is wrong with it on disk, where it is damaged: it is empty then, and nobody is to believe that.
    pub(crate) fn damage(&self) -> Option<Crash> {
        let home = self.home.as_ref()?;
        let detail = home.lost.as_ref()?.of(&home.actor)?;
        Some(Crash::StateDamaged { detail: detail.as_ref().to_owned() })
    }

    /// Begins to save what the turn over the message `id` wrote, where this state is durable; no writes are left then.
    /// `rest` happens after that.
    pub(crate) fn save(self: &Arc<Self>, writes: &mut Transaction, id: u64, schema: u32, rest: Rest) -> Option<Saving> {
        let home = self.home.as_ref()?;
        let (done, outcome) = oneshot::channel();
        if let Some(damage) = self.damage().filter(|_| !writes.forgets) {
            let _somebody_waits = done.send(Err(damage.to_string().into()));
            *writes = Transaction::default();
            return Some(Saving(outcome));
        }
        let save = Save { state: Arc::clone(self), writes: std::mem::take(writes), id, schema, rest, done };
        // Where the thread is gone, `done` is dropped, and that is the outcome.
        (home.thread)(Box::new(save));
        Some(Saving(outcome))
    }

    /// Whether the turn over this message was the last one that was saved. To be asked when nothing is under way.
    pub(crate) fn was_saved(&self, id: u64) -> bool {
        self.home.as_ref().is_some_and(|home| home.last.load(Ordering::Acquire) == id)
    }

    fn lock(&self) -> MutexGuard<'_, Committed> {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transaction {
    /// The value of a key.
    #[must_use]
    pub(crate) fn get(&self, state: &State, key: &str) -> Option<Bytes> {
        match self.writes.get(key) {
            Some(written) => written.clone(),
            None => state.lock().values.get(key).cloned(),
        }
    }

    /// Sets a key, where the whole state then has `most` bytes at most, and there is room for it in the file where it
    /// is durable.
    ///
    /// # Errors
    ///
    /// [`Full`]; nothing was set.
    pub(crate) fn set(&mut self, state: &State, key: &str, value: Bytes, most: usize) -> Result<(), Full> {
        let (old, new) = (self.size(state, key), key.len() + value.len());
        let others = (state.lock().bytes + self.added).saturating_sub(self.removed + old);
        let bytes = others.saturating_add(new);
        // One that does not grow is never refused: the bound may be lower than it was.
        if bytes > most && new > old {
            return Err(Full::State { bytes: bytes as u64, most: most as u64 });
        }
        if let Some(home) = state.home.as_ref().filter(|_| new > old) {
            home.budget.after(home.budget.bytes(), (self.added + new) as u64, (self.removed + old) as u64)?;
        }
        if let Some(together) = state.together.as_ref().filter(|_| new > old) {
            let first = if state.is_empty() { OVERHEAD_BYTES } else { 0 };
            let grown = (self.added + new).saturating_sub(self.removed + old);
            self.taken.reach(together, grown + first)?;
        }
        self.added += new;
        self.removed += old;
        self.writes.insert(key.into(), Some(value));
        Ok(())
    }

    /// Removes a key; nothing happens where there is none.
    pub(crate) fn delete(&mut self, state: &State, key: &str) {
        self.removed += self.size(state, key);
        if state.lock().values.contains_key(key) {
            self.writes.insert(key.into(), None);
        } else {
            self.writes.remove(key);
        }
    }

    /// The bytes of a key and its value, as the turn sees them; 0 where there is none.
    fn size(&self, state: &State, key: &str) -> usize {
        match self.writes.get(key) {
            Some(written) => written.as_ref().map_or(0, |value| key.len() + value.len()),
            None => state.lock().size(key),
        }
    }

    /// Adds to a number, which starts at 0. Numbers are eight bytes, little-endian.
    ///
    /// # Errors
    ///
    /// [`IncrementError`].
    pub(crate) fn increment(
        &mut self,
        state: &State,
        key: &str,
        delta: u64,
        most: usize,
    ) -> Result<u64, IncrementError> {
        let old = match self.get(state, key) {
            None => 0,
            Some(bytes) => {
                let length = bytes.len();
                let number = bytes.as_ref().try_into();
                u64::from_le_bytes(number.map_err(|_| IncrementError::NotANumber { key: key.to_owned(), length })?)
            }
        };
        let overflow = || IncrementError::Overflow { key: key.to_owned(), value: old, delta };
        let new = old.checked_add(delta).ok_or_else(overflow)?;
        self.set(state, key, Bytes::copy_from_slice(&new.to_le_bytes()), most)?;
        Ok(new)
    }

    /// A page of the keys in order, those after the page that gave the `cursor`; and the cursor of the next page. None
    /// and 0 are the beginning.
    ///
    /// # Errors
    ///
    /// [`UnknownCursor`].
    pub(crate) fn keys(&self, state: &State, cursor: Option<u64>) -> Result<(Vec<String>, Option<u64>), UnknownCursor> {
        let mut committed = state.lock();
        let Committed { values, listed, .. } = &mut *committed;
        listing::page(listed, values, &self.writes, cursor)
    }

    /// By how many bytes its commit makes the state larger, and by how many smaller.
    fn sizes(&self, state: &State) -> (u64, u64) {
        let committed = state.lock();
        self.writes.iter().fold((0, 0), |(added, removed), (key, value)| {
            let new = value.as_ref().map_or(0, |value| key.len() + value.len());
            (added + new as u64, removed + committed.size(key) as u64)
        })
    }

    /// Deletes all that there is.
    fn delete_all(&mut self, state: &State) {
        self.writes = state.lock().values.keys().map(|key| (key.clone(), None)).collect();
    }

    /// Makes all writes at once, on disk first where the state is there as well.
    pub(crate) async fn make(mut self, state: &Arc<State>, schema: u32) -> Result<(), Crash> {
        if self.is_empty() {
            return Ok(());
        }
        match state.save(&mut self, NO_MESSAGE, schema, Box::new(|| ())) {
            Some(saving) => saving.done().await,
            None => {
                self.commit(state, schema);
                Ok(())
            }
        }
    }

    /// Makes all writes at once, by a release that writes in this schema.
    pub(crate) fn commit(&mut self, state: &State, schema: u32) {
        if self.is_empty() {
            return;
        }
        let Self { writes, forgets, taken, brought_over, back_to, .. } = std::mem::take(self);
        let mut committed = state.lock();
        let counted = committed.counted();
        if forgets {
            committed.forget();
        } else {
            match back_to {
                Some(to) => committed.turns = to.put_back(&committed.turns, committed.forgotten),
                None if brought_over => {}
                None => committed.turns.grow(),
            }
            committed.change(writes, schema);
        }
        if let Some(together) = &state.together {
            together.add(committed.counted());
            together.remove(counted);
        }
        drop(taken);
    }
}
