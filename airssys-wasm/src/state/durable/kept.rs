//! The states of a service as they are read from disk and written to it.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::lost::LostKeys;
use super::sums::{Record, Sums};

/// One state as it is on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeptState {
    /// Its values, by key.
    pub values: BTreeMap<Box<str>, Bytes>,
    /// How many commits have changed it.
    pub commits: u64,
    /// The version of the shape of the values: [`crate::registry::Manifest::state_schema`] of who wrote them.
    pub schema: u32,
}

impl KeptState {
    /// Of all keys and values.
    pub(crate) fn bytes(&self) -> usize {
        self.values.iter().map(|(key, value)| key.len() + value.len()).sum()
    }
}

/// One state as it is on disk, and what its values come to.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) kept: KeptState,
    pub(in crate::state) sums: Sums,
}

impl Loaded {
    /// What its record says.
    pub(crate) fn told(&self) -> Option<String> {
        Record { commits: self.kept.commits, schema: self.kept.schema, sums: self.sums }.told()
    }
}

/// What is loaded of a service.
#[derive(Debug, Default)]
pub(crate) struct LoadedService {
    /// Its states, by key of the actor.
    pub(crate) states: BTreeMap<Box<str>, Loaded>,
    /// Those that cannot be used.
    pub(crate) lost: Vec<LostKeys>,
}
