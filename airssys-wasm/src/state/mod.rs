//! The private state of a service: committed values, and what the turn that runs now would change.
//!
//! All of it is in memory. What a service wants to last is on disk as well, see [`durable`]: reading never waits for a disk.
//!
//! Invariant: committed values change only in [`Transaction::commit`], all at once. What is committed and what a turn sees is never larger than its bound,
//! keys and values together.

pub mod durable;
mod listing;
mod together;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use self::durable::{Home, Kept, NO_MESSAGE, Saving};
use self::listing::Listed;
pub use self::listing::UnknownCursor;
use self::together::Taken;
pub(crate) use self::together::Together;
use crate::error::Crash;
use crate::limits::OVERHEAD_BYTES;
use crate::shown::beginning;

#[cfg(test)]
mod tests;

/// The committed state of one actor, or of one key. It belongs to the address and outlives instances.
#[derive(Debug, Default)]
pub struct State {
    committed: Mutex<Committed>,
    /// Where it is kept on disk; none where it is in memory only. Boxed, since most are.
    home: Option<Box<Home>>,
    /// What it has a bound with; none where it is the only one of its service, or is on disk.
    together: Option<Arc<Together>>,
}

#[derive(Debug, Default)]
struct Committed {
    values: BTreeMap<Box<str>, Bytes>,
    /// Of all keys and values.
    bytes: usize,
    /// How many commits have changed something.
    commits: u64,
    /// The schema of the release that wrote last; none where nobody has written.
    schema: Option<u32>,
    /// Where listings of its keys go on.
    listed: Listed,
    /// What its age was when it was forgotten last, and one more; 0 where it never was.
    forgotten: u64,
}

impl Committed {
    /// Makes it what it was before anybody had written to it.
    fn forget(&mut self) {
        *self = Self { forgotten: self.forgotten + self.commits + 1, ..Self::default() };
    }

    fn size(&self, key: &str) -> usize {
        self.values.get(key).map_or(0, |value| key.len() + value.len())
    }

    /// Makes all these writes, by a release that writes in this schema.
    fn change(&mut self, writes: BTreeMap<Box<str>, Option<Bytes>>, schema: u32) {
        self.commits += 1;
        self.schema = Some(schema);
        for (key, value) in writes {
            self.bytes -= self.size(&key);
            match value {
                Some(value) => {
                    self.bytes += key.len() + value.len();
                    self.values.insert(key, value)
                }
                None => self.values.remove(&key),
            };
        }
    }

    /// What it counts for among those of its service. One with nothing in it is forgotten.
    fn counted(&self) -> usize {
        if self.values.is_empty() { 0 } else { self.bytes + OVERHEAD_BYTES }
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
    fn kept(kept: Kept, home: Home) -> Self {
        let bytes = kept.bytes();
        let Kept { values, commits, schema } = kept;
        let schema = (commits > 0).then_some(schema);
        let committed = Committed { values, bytes, commits, schema, ..Committed::default() };
        Self { committed: Mutex::new(committed), home: Some(Box::new(home)), together: None }
    }

    /// An empty one in memory, which counts together with the others of its service.
    pub(crate) fn among(together: Option<&Arc<Together>>) -> Arc<Self> {
        Arc::new(Self { committed: Mutex::default(), home: None, together: together.cloned() })
    }

    /// How many keys it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().values.len()
    }

    /// Whether it has no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().values.is_empty()
    }

    /// How many commits have changed something. Who reads twice and finds the same number has read one state.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.lock().commits
    }

    /// How many commits there were since the host started with it, also before it was forgotten, and how often it was. It never goes back.
    pub(crate) fn age(&self) -> u64 {
        let committed = self.lock();
        committed.forgotten + committed.commits
    }

    /// What its age was when it was forgotten last, and one more; 0 where it never was. So it was forgotten since it had some age where this is more.
    pub(crate) fn forgotten(&self) -> u64 {
        self.lock().forgotten
    }

    /// Begins to make it what it was before anybody had written to it, where it was not forgotten since `known`, which [`State::forgotten`] said. Where it is in
    /// memory only, that is done when this returns. Otherwise it comes after all that is on its way to the disk, and takes that along.
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

    /// A committed value.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Bytes> {
        self.lock().values.get(key).cloned()
    }

    /// All of it, as of one commit.
    #[must_use]
    pub fn dump(&self) -> Kept {
        let committed = self.lock();
        Kept {
            values: committed.values.clone(),
            commits: committed.commits,
            schema: committed.schema.unwrap_or_default(),
        }
    }

    /// Another state, in memory, with the same values.
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

    /// All committed values, by key.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<Box<str>, Bytes> {
        self.lock().values.clone()
    }

    /// Makes this state what another one was, on disk too where it is there. Nothing happens where nobody had written to that one.
    pub(crate) async fn take_over(self: &Arc<Self>, other: Kept) -> Result<(), Crash> {
        let Kept { values, commits, schema } = other;
        if commits == 0 {
            return Ok(());
        }
        let whole = Saved { state: Arc::clone(self), values, schema, at: self.age(), after: AtomicU64::default() };
        whole.put_back().await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Committed> {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a state was before it was brought over to another schema. The values are shared with the state as long as both have them.
#[derive(Debug)]
pub(crate) struct Saved {
    state: Arc<State>,
    values: BTreeMap<Box<str>, Bytes>,
    schema: u32,
    /// The state's age then.
    at: u64,
    /// The state's age after it was brought over. It may not have come to that.
    after: AtomicU64,
}

impl Saved {
    /// What the state is, before so many commits bring it over. One that nobody has written to is in the schema `unwritten`, and holds nothing.
    pub(crate) fn before(state: &Arc<State>, unwritten: u32, commits: u64) -> Self {
        let committed = state.lock();
        Self {
            state: Arc::clone(state),
            values: committed.values.clone(),
            schema: committed.schema.unwrap_or(unwritten),
            at: committed.forgotten + committed.commits,
            after: (committed.forgotten + committed.commits + commits).into(),
        }
    }

    /// How many turns have been committed since, or since it was forgotten.
    pub(crate) fn turns_since(&self) -> u64 {
        self.state.age().saturating_sub(self.after.load(Ordering::Relaxed).max(self.state.forgotten()))
    }

    /// Whoever was to bring it over has, or never will: what is committed from now on are turns.
    pub(crate) fn close(&self) {
        self.after.fetch_min(self.state.age(), Ordering::Relaxed);
    }

    /// Whether the state was forgotten since. What it was does not come back then: it is put back to nothing.
    pub(crate) fn is_forgotten(&self) -> bool {
        self.state.forgotten() > self.at
    }

    /// Whether the state is in another schema than this one.
    pub(crate) fn is_foreign(&self, schema: u32) -> bool {
        self.state.foreign(schema).is_some()
    }

    /// Whether somebody has written to the state, before or since; where it was forgotten, since then.
    pub(crate) fn is_written(&self) -> bool {
        self.state.commits() > 0
    }

    /// What the state is now, before it is put back.
    pub(crate) fn now(&self) -> Self {
        Self::before(&self.state, self.schema, 1)
    }

    /// Makes the state what it was.
    pub(crate) async fn put_back(&self) -> Result<(), Crash> {
        let was = self.now();
        let mut writes = Transaction {
            writes: was.values.keys().map(|key| (key.clone(), None)).collect(),
            ..Transaction::default()
        };
        if !self.is_forgotten() {
            writes.writes.extend(self.values.iter().map(|(key, value)| (key.clone(), Some(value.clone()))));
        }
        writes.bring_over();
        writes.make(&self.state, self.schema).await
    }

    /// Takes a [`Saved::put_back`] back, as if it had not been; there were `turns` since.
    pub(crate) async fn undo(&self, put_back: &Self, turns: u64) -> Result<(), Crash> {
        put_back.put_back().await?;
        self.after.store(self.state.age() - turns, Ordering::Relaxed);
        Ok(())
    }
}

/// A write for which the state has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Full {
    /// In the state of this address.
    #[error(
        "the state would have {bytes} bytes, and {most} is the most; hint: raise the limit `state` of the service, or delete keys"
    )]
    State {
        /// What it would come to.
        bytes: u64,
        /// The bound.
        most: u64,
    },
    /// In all states in memory of the service together.
    #[error(
        "all states of the service together would have {bytes} bytes, and {most} is the most; hint: raise the limit `all_state` of the service, or delete keys"
    )]
    Service {
        /// What it would come to, with 256 bytes for each state.
        bytes: u64,
        /// The bound.
        most: u64,
    },
    /// In all durable states of the data folder together.
    #[error(
        "all durable state together would have {bytes} bytes, and {most} is the most; hint: raise `durable_state` in `[settings]`, or delete keys"
    )]
    Together {
        /// What it would come to.
        bytes: u64,
        /// The bound.
        most: u64,
    },
}

/// A value that cannot be incremented: it is not eight bytes, the sum does not fit, or there is no room for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IncrementError {
    /// It holds something else than a number.
    #[error(
        "the value of the key {key:?} is no counter: it has {length} bytes, and a counter has 8, the lowest first; hint: a key that `set` has written cannot be incremented"
    )]
    NotANumber {
        /// The key.
        key: String,
        /// How many bytes it has.
        length: usize,
    },
    /// The sum is larger than 64 bits hold.
    #[error("the counter {key:?} is at {value}: with {delta} more it would be larger than 64 bits hold")]
    Overflow {
        /// The key.
        key: String,
        /// What it holds.
        value: u64,
        /// What was to be added.
        delta: u64,
    },
    /// There is no room for a new number.
    #[error(transparent)]
    Full(#[from] Full),
}

/// What a write takes, and one that deletes.
fn held_bytes(key: &str, value: Option<&Bytes>) -> isize {
    (key.len() + value.map_or(0, Bytes::len) + OVERHEAD_BYTES).cast_signed()
}

/// What a turn would change. It reads its own writes; nobody else does before the commit. Dropped, it changes nothing.
#[derive(Debug, Clone, Default)]
pub struct Transaction {
    writes: BTreeMap<Box<str>, Option<Bytes>>,
    /// By how many bytes all writes so far make the state larger, and by how many smaller.
    added: usize,
    removed: usize,
    /// Whether it brings the state over to another schema, and is one also where it writes nothing.
    brought_over: bool,
    /// Whether it makes the state what it was before anybody had written to it. It writes nothing else.
    forgets: bool,
    /// The room that it has among the states of its service.
    taken: Taken,
}

impl Transaction {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, state: &State, key: &str) -> Option<Bytes> {
        match self.writes.get(key) {
            Some(written) => written.clone(),
            None => state.lock().values.get(key).cloned(),
        }
    }

    /// Sets a key, where the whole state then has `most` bytes at most, and there is room for it in the file where it is durable.
    ///
    /// # Errors
    ///
    /// [`Full`]; nothing was set.
    pub fn set(&mut self, state: &State, key: &str, value: Bytes, most: usize) -> Result<(), Full> {
        let (old, new) = (self.size(state, key), key.len() + value.len());
        let others = (state.lock().bytes + self.added).saturating_sub(self.removed + old);
        let bytes = others.saturating_add(new);
        // One that does not grow is never refused: the bound may be lower than it was.
        if bytes > most && new > old {
            return Err(Full::State { bytes: bytes as u64, most: most as u64 });
        }
        if let Some(home) = state.home.as_ref().filter(|_| new > old) {
            home.room().after(home.room().bytes(), (self.added + new) as u64, (self.removed + old) as u64)?;
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
    pub fn delete(&mut self, state: &State, key: &str) {
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
    pub fn increment(&mut self, state: &State, key: &str, delta: u64, most: usize) -> Result<u64, IncrementError> {
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

    /// What it holds, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.writes.iter().map(|(key, value)| held_bytes(key, value.as_ref()).unsigned_abs()).sum()
    }

    /// In what it differs from what another one writes.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let told = |written: Option<&Option<Bytes>>| match written {
            None => "leaves it".to_owned(),
            Some(None) => "deletes it".to_owned(),
            Some(Some(value)) => format!("sets it to {}", beginning(value)),
        };
        let keys: BTreeSet<&str> = self.writes.keys().chain(other.writes.keys()).map(|key| &**key).collect();
        let differing = keys.into_iter().filter(|key| self.writes.get(*key) != other.writes.get(*key));
        differing
            .map(|key| {
                let (this, that) = (told(self.writes.get(key)), told(other.writes.get(key)));
                format!("of the state's key {key:?}, it {this}, and the live one {that}")
            })
            .collect()
    }

    /// By how many bytes its commit makes the state larger, and by how many smaller.
    fn sizes(&self, state: &State) -> (u64, u64) {
        let committed = state.lock();
        self.writes.iter().fold((0, 0), |(added, removed), (key, value)| {
            let new = value.as_ref().map_or(0, |value| key.len() + value.len());
            (added + new as u64, removed + committed.size(key) as u64)
        })
    }

    /// Whether its commit changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && !self.brought_over && !self.forgets
    }

    /// Deletes all that there is.
    fn delete_all(&mut self, state: &State) {
        self.writes = state.lock().values.keys().map(|key| (key.clone(), None)).collect();
    }

    /// Says that the state is in the schema of its writer when this is committed.
    pub(crate) fn bring_over(&mut self) {
        self.brought_over = true;
    }

    /// Forgets all writes.
    pub fn discard(&mut self) {
        *self = Self::default();
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
    pub fn commit(&mut self, state: &State, schema: u32) {
        if self.is_empty() {
            return;
        }
        let Self { writes, forgets, taken, .. } = std::mem::take(self);
        let mut committed = state.lock();
        let counted = committed.counted();
        if forgets {
            committed.forget();
        } else {
            committed.change(writes, schema);
        }
        if let Some(together) = &state.together {
            together.add(committed.counted());
            together.remove(counted);
        }
        drop(taken);
    }
}
