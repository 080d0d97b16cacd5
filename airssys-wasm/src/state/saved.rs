//! What a state was, so that it can be that again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::durable::KeptState;
use super::{Lineage, State, Transaction};
use crate::error::Crash;

/// What a state was before it was brought over to another schema. The values are shared with the state as long as both
/// have them.
#[derive(Debug)]
pub(crate) struct Saved {
    state: Arc<State>,
    values: Arc<BTreeMap<Box<str>, Bytes>>,
    schema: u32,
    /// The state's age then.
    at: u64,
    /// Its turns by then.
    turns: Lineage,
    /// How many more those are with what the first start of who brought it over wrote: it may not have come to that.
    more: AtomicU64,
}

impl Saved {
    /// What the state is, before a release brings it over that commits so much more with its start. One that nobody has
    /// written to is in the schema `unwritten`, and holds nothing.
    pub(crate) fn before(state: &Arc<State>, unwritten: u32, commits: u64) -> Self {
        let committed = state.lock();
        Self {
            state: Arc::clone(state),
            values: committed.values.clone(),
            schema: committed.schema.unwrap_or(unwritten),
            at: committed.forgotten + committed.commits,
            turns: committed.turns.clone(),
            more: commits.into(),
        }
    }

    /// A state as it was before anybody had written to it, in this schema.
    pub(crate) fn nothing(state: &Arc<State>, schema: u32) -> Self {
        let (values, turns) = (Arc::default(), Lineage::default());
        Self { state: Arc::clone(state), values, schema, at: state.age(), turns, more: AtomicU64::default() }
    }

    /// How many turns have been committed since, or since it was forgotten, and are not discarded.
    pub(crate) fn turns_since(&self) -> u64 {
        let now = self.state.turns();
        now.turns().saturating_sub(self.common(&now).max(self.state.forgotten()))
    }

    /// Whether turns were committed since it was discarded. Those that came back with what the state was put back to
    /// then are none: they had been discarded before.
    pub(crate) fn has_turns_to_spare(&self) -> bool {
        self.turns_since() > 0 && self.state.turns().since_put_back() > 0
    }

    /// How many turns it has in common with what the state is now.
    fn common(&self, now: &Lineage) -> u64 {
        self.turns.clone().and(self.more.load(Ordering::Relaxed)).common(now)
    }

    /// Whoever was to bring it over has, or never will: what is committed from now on are turns.
    pub(crate) fn close(&self) {
        // Where its turns are discarded at this moment, that was said before.
        if let Some(more) = self.common(&self.state.turns()).checked_sub(self.turns.turns()) {
            self.more.store(more, Ordering::Relaxed);
        }
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

    /// What the state is now, before it is put back; see [`Saved::before`].
    pub(crate) fn now(&self, unwritten: u32) -> Self {
        Self::before(&self.state, unwritten, 0)
    }

    /// The schema that it is in.
    pub(crate) fn schema(&self) -> u32 {
        self.schema
    }

    /// A state in memory that is what this one is to be again.
    pub(crate) fn copy(&self) -> State {
        let values = if self.is_forgotten() { Arc::default() } else { self.values.clone() };
        State::of(values, self.schema)
    }

    /// Makes the state what it was. The turns since are discarded.
    pub(crate) async fn put_back(&self) -> Result<(), Crash> {
        let was = self.now(self.schema);
        let mut writes = Transaction {
            writes: was.values.keys().map(|key| (key.clone(), None)).collect(),
            ..Transaction::default()
        };
        if !self.is_forgotten() {
            writes.writes.extend(self.values.iter().map(|(key, value)| (key.clone(), Some(value.clone()))));
        }
        writes.bring_over();
        writes.back_to = Some(Box::new(self.turns.clone()));
        writes.make(&self.state, self.schema).await
    }
}

impl State {
    /// Makes this state what another one was, on disk too where it is there. Nothing happens where nobody had written
    /// to that one.
    pub(crate) async fn take_over(self: &Arc<Self>, other: KeptState) -> Result<(), Crash> {
        let KeptState { values, commits, schema } = other;
        if commits == 0 {
            return Ok(());
        }
        let (state, at, turns, more) = (Arc::clone(self), self.age(), self.turns(), AtomicU64::default());
        let whole = Saved { state, values: Arc::new(values), schema, at, turns, more };
        whole.put_back().await
    }
}
