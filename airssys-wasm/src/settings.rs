//! What an operator settles for a mesh and for each of its services: plain data, with its defaults. Those who act on it stand above.

use std::collections::BTreeMap;
use std::time::Duration;

use airssys_rt_shim::mailbox::Overflow;
use airssys_rt_shim::supervisor::Backoff;
use airssys_rt_shim::timer::Most;

use crate::capability::{Baseline, Policy};
use crate::limits::Limits;

/// Below, Cranelift takes less than about two seconds.
pub(crate) const BASELINE_FROM: u64 = 4 << 20;

/// Settings of a mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeshSettings {
    /// How long a send waits for room in a mailbox whose policy is to wait; default 1 s.
    pub reserve_timeout: Duration,
    /// Dead letters that are kept; all are counted. Default 10,000.
    pub dead_letters: usize,
    /// What those may have together, in bytes: bodies, keys, reasons, and 256 bytes each; the oldest ones go. Default 64 MiB.
    pub dead_letter_bytes: usize,
    /// Timers of all services together; default 1,000,000.
    pub timers: usize,
    /// What those may carry together, in bytes: bodies, and 256 bytes each; default 256 MiB.
    pub timer_bytes: usize,
}

impl MeshSettings {
    pub(crate) fn most_timers(&self) -> Most {
        Most { timers: self.timers, bytes: self.timer_bytes }
    }
}

impl Default for MeshSettings {
    fn default() -> Self {
        Self {
            reserve_timeout: Duration::from_secs(1),
            dead_letters: 10_000,
            dead_letter_bytes: 64 << 20,
            timers: 1_000_000,
            timer_bytes: 256 << 20,
        }
    }
}

/// How many actors serve a service.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Multiplicity {
    /// One.
    #[default]
    One,
    /// Several that share one mailbox, without order and without state.
    Stateless {
        /// How many.
        instances: usize,
    },
    /// Several with a mailbox each. The message's key chooses; order is kept per key, and each key has a state.
    Partitioned {
        /// How many.
        instances: usize,
    },
    /// One a key, which starts on its first message and sleeps when it is idle.
    Keyed(KeyedRules),
    /// One for each that a guest spawned.
    Spawned(SpawnedRules),
}

/// The bounds of a keyed service.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeyedRules {
    /// How many may be awake at a time; default 1,000.
    pub max_awake: usize,
    /// How long one is idle before it falls asleep; default 60 s.
    pub idle_timeout: Duration,
    /// How many keys there may be; default 1,000,000.
    pub max_keys: usize,
    /// How many restarts of one actor are borne in `period`; default 10. One more, and it is set aside alone.
    pub intensity: u32,
    /// Default 5 s.
    pub period: Duration,
    /// How long one is set aside; default 1 s, twice as long each time, at most 1 min, from the start again after 1 min without a crash.
    pub backoff: Backoff,
}

/// How long actors that come and go are set aside, unless somebody says otherwise.
pub(crate) const ASIDE: Backoff = Backoff {
    initial: Duration::from_secs(1),
    factor: 2.0,
    max: Duration::from_secs(60),
    reset_after: Duration::from_secs(60),
};

impl Default for KeyedRules {
    fn default() -> Self {
        Self {
            max_awake: 1_000,
            idle_timeout: Duration::from_secs(60),
            max_keys: 1_000_000,
            intensity: 10,
            period: Duration::from_secs(5),
            backoff: ASIDE,
        }
    }
}

/// The bounds of a service whose actors are spawned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpawnedRules {
    /// How many children there may be at a time; default 100.
    pub max_children: usize,
    /// How many restarts of one child are borne in `period`; default 10. One more, and it is set aside alone.
    pub intensity: u32,
    /// Default 5 s.
    pub period: Duration,
    /// How long one is set aside; default 1 s, twice as long each time, at most 1 min, from the start again after 1 min without a crash.
    pub backoff: Backoff,
}

impl Default for SpawnedRules {
    fn default() -> Self {
        Self { max_children: 100, intensity: 10, period: Duration::from_secs(5), backoff: ASIDE }
    }
}

/// The shape of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// How many messages it holds; default 1,024.
    pub capacity: usize,
    /// What they may have together, in bytes: bodies, keys, topics, and 256 bytes each; default 16 MiB. One that has more waits alone.
    pub bytes: usize,
    /// What the messages of all mailboxes of one service may have together, where it has several: those of keys, of lanes, of children; default 256 MiB.
    pub all_bytes: usize,
    /// What happens when it is full; default: the sender waits.
    pub overflow: Overflow,
}

impl Default for Shape {
    fn default() -> Self {
        Self { capacity: 1_024, bytes: 16 << 20, all_bytes: 256 << 20, overflow: Overflow::Wait }
    }
}

/// The rules that a release runs under. They switch together with its code.
#[derive(Debug, Clone)]
pub struct Terms {
    /// What it may do.
    pub policy: Policy,
    /// What it has of time and chance.
    pub baseline: Baseline,
    /// What it may take.
    pub limits: Limits,
    /// How often a message that crashed it is tried again before it counts as poison; default 0.
    pub retries: u32,
    /// What it reads through `wasi:config`.
    pub config: BTreeMap<String, String>,
    /// The schema it keeps its state in.
    pub schema: u32,
    /// Whether what it logs goes nowhere: it is only shown messages that another release handles.
    pub silent: bool,
}

/// Where a service's state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keeping {
    /// In memory: it survives crashes and deployments, and ends with the process.
    #[default]
    Memory,
    /// On disk as well, in the data folder: a commit is there, and synced, before anybody sees it.
    Durable,
}
