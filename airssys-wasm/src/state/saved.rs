//! What a state was, so that it can be that again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::durable::KeptState;
use super::{State, Transaction};
use crate::error::Crash;

/// What a state was before it was brought over to another schema. The values are shared with the state as long as both
/// have them.
#[derive(Debug)]
pub(crate) struct Saved {
    state: Arc<State>,
    values: BTreeMap<Box<str>, Bytes>,
    schema: u32,
    /// The state's age then.
    at: u64,
    /// Its turns by then, and what its first start wrote. It may not have come to that.
    after: AtomicU64,
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
            after: (committed.turns() + commits).into(),
        }
    }

    /// A state as it was before anybody had written to it, in this schema.
    pub(crate) fn nothing(state: &Arc<State>, schema: u32) -> Self {
        let (values, at) = (BTreeMap::new(), state.age());
        Self { state: Arc::clone(state), values, schema, at, after: AtomicU64::default() }
    }

    /// How many turns have been committed since, or since it was forgotten.
    pub(crate) fn turns_since(&self) -> u64 {
        let after = self.after.load(Ordering::Relaxed).max(self.state.forgotten());
        self.state.turns().saturating_sub(after)
    }

    /// Whoever was to bring it over has, or never will: what is committed from now on are turns.
    pub(crate) fn close(&self) {
        self.after.fetch_min(self.state.turns(), Ordering::Relaxed);
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
        Self::before(&self.state, self.schema, 0)
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
}

impl State {
    /// Makes this state what another one was, on disk too where it is there. Nothing happens where nobody had written
    /// to that one.
    pub(crate) async fn take_over(self: &Arc<Self>, other: KeptState) -> Result<(), Crash> {
        let KeptState { values, commits, schema } = other;
        if commits == 0 {
            return Ok(());
        }
        let whole = Saved { state: Arc::clone(self), values, schema, at: self.age(), after: AtomicU64::default() };
        whole.put_back().await
    }
}
