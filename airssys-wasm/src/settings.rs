//! What an operator settles for a mesh and for each of its services: plain data, with its defaults. Those who act on it
//! stand above.

use std::sync::Arc;
use std::time::Duration;

use airssys_rt_shim::mailbox::Overflow;
use airssys_rt_shim::supervisor::Backoff;
use airssys_rt_shim::timer::Most;
use toml::Value;

mod config;

pub(crate) use self::config::Config;
use crate::capability::{Baseline, Policy};
use crate::limits::{HELD, Limits};
use crate::schema::{Bytes, Count, Humane, Key, MILLISECOND, Number, Schema, Word, Words, Written, YEAR, schema};
use crate::typed::FunctionType;
use crate::wire::{Wire, Wires};

/// Below, Cranelift takes less than about two seconds.
pub(crate) const BASELINE_FROM: u64 = 4 << 20;

/// All of the keys of a service, in ten-thousandths: what shares of them are parts of.
pub(crate) const ALL: u32 = 10_000;

/// Settings of a mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MeshSettings {
    /// How long a send waits for room in a mailbox whose policy is to wait; default 1 s.
    pub(crate) reserve_timeout: Duration,
    /// Dead letters that are kept; all are counted. Default 10,000.
    pub(crate) dead_letters: usize,
    /// What those may have together, in bytes: bodies, keys, reasons, and 256 bytes each; the oldest ones go. Default
    /// 64 MiB.
    pub(crate) dead_letter_bytes: usize,
    /// Events that are kept for those who read them; all are numbered. Default 4,096.
    pub(crate) events: usize,
    /// What those may have together, in bytes; the oldest ones go. Default 2 MiB.
    pub(crate) event_bytes: usize,
    /// Timers of all services together; default 1,000,000.
    pub(crate) timers: usize,
    /// What those may carry together, in bytes: bodies, and 256 bytes each; default 256 MiB.
    pub(crate) timer_bytes: usize,
    /// Programs of the machine that all services may have running at a time; default 256.
    pub(crate) processes: usize,
    /// How long a name that a socket asks for leads to the same addresses; default 30 s.
    pub(crate) lookup_ttl: Duration,
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
            events: 4_096,
            event_bytes: 2 << 20,
            timers: 1_000_000,
            timer_bytes: 256 << 20,
            processes: 256,
            lookup_ttl: Duration::from_secs(30),
        }
    }
}

/// How many actors serve a service.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) enum Multiplicity {
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

schema! {
    /// The bounds of a keyed service.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub(crate) struct KeyedRules, written #[derive(Default)] WrittenKeyed {
        /// actors that may be awake at a time
        max_awake: Count<usize> => max_awake: usize = 1_000, in 1..=10_000_000, by InPlace;
        /// how long an actor is idle before it falls asleep
        idle_timeout: Humane => idle_timeout: Duration = Duration::from_secs(60), in 0..=YEAR, by InPlace;
        /// keys there may be; a message for one more is `overloaded`. A key that sleeps and has nothing to remember is
        /// forgotten and does not count
        max_keys: Count<usize> => max_keys: usize = 1_000_000, in 1..=100_000_000, by InPlace;
        /// restarts of one actor that are allowed within `period`; at one more, that actor alone is [set
        /// aside](concepts.md#set-aside)
        intensity: Count<u32> => intensity: u32 = 10, in 0..=MOST_RESTARTS, by InPlace;
        /// the window in which they are counted
        period: Humane => period: Duration = Duration::from_secs(5), in MILLISECOND..=YEAR, by InPlace;
        /// how long it is set aside; the keys are those of a supervisor's [`backoff`](#backoff)
        backoff: WrittenBackoff => backoff: Backoff = ASIDE, by InPlace;
    }
}

schema! {
    /// The bounds of a service whose actors are spawned.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub(crate) struct SpawnedRules, written #[derive(Default)] WrittenSpawned {
        /// children there may be at a time; one more is `overloaded`
        max_children: Count<usize> => max_children: usize = 100, in 1..=10_000_000, by InPlace;
        /// restarts of one child that are allowed within `period`; at one more, that child alone is [set
        /// aside](concepts.md#set-aside)
        intensity: Count<u32> => intensity: u32 = 10, in 0..=MOST_RESTARTS, by InPlace;
        /// the window in which they are counted
        period: Humane => period: Duration = Duration::from_secs(5), in MILLISECOND..=YEAR, by InPlace;
        /// how long it is set aside; the keys are those of a supervisor's [`backoff`](#backoff)
        backoff: WrittenBackoff => backoff: Backoff = ASIDE, by InPlace;
    }
}

/// Each restart within the period is remembered.
pub(crate) const MOST_RESTARTS: u64 = 1_000_000;

/// How long actors that come and go are set aside, unless somebody says otherwise.
pub(crate) const ASIDE: Backoff = Backoff {
    initial: Duration::from_secs(1),
    factor: 2.0,
    max: Duration::from_secs(60),
    reset_after: Duration::from_secs(60),
};

schema! {
    of Backoff, written #[derive(Default, Copy)] WrittenBackoff {
        /// the first wait
        initial: Humane => initial, in 0..=YEAR, by InPlace, kind "time, above 0";
        /// how much longer each further wait is
        factor: f64 => factor, by InPlace, kind "number, at least 1";
        /// the longest wait
        max: Humane => max, in 0..=YEAR, by InPlace, kind "time, at least `initial`";
        /// a child that ran this long starts over with `initial`
        reset_after: Humane => reset_after, in 0..=YEAR, by InPlace;
    }
}

/// One that may be left out.
impl Written<Option<Backoff>> for WrittenBackoff {
    const KIND: &'static str = "table";

    fn put(&self, field: &mut Option<Backoff>) {
        field.get_or_insert_default().take(self);
    }

    fn value(field: &Option<Backoff>) -> Option<Value> {
        field.map(|backoff| Value::Table(backoff.table()))
    }

    fn numbers(field: &Option<Backoff>, key: &'static Key, all: &mut Vec<Number>) {
        if let Some(backoff) = field {
            Self::numbers(backoff, key, all);
        }
    }
}

schema! {
    /// How much of what an instance does is kept, so that its crash can be seen again.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Recorder, written #[derive(Default, Copy)] WrittenRecorder {
        /// turns that are kept of an instance beside its start; the oldest ones go
        turns: Count<usize> => turns: usize = 64, in 1..=1_000_000, by Deployment;
        /// what those may have together: messages, all that they asked of the host and were told, and what came of
        /// them. Memory is taken when they come
        bytes: Bytes => bytes: usize = 4 << 20, in 1 << 10..=HELD, by Deployment;
        /// whether a capsule has what was said: bodies, state, what was asked and told. Without it, it can be looked at
        /// and not replayed
        bodies: bool => bodies: bool = true, by Deployment;
    }
}

/// One that may be left out.
impl Written<Option<Recorder>> for WrittenRecorder {
    const KIND: &'static str = "table";

    fn put(&self, field: &mut Option<Recorder>) {
        field.get_or_insert_default().take(self);
    }

    fn value(field: &Option<Recorder>) -> Option<Value> {
        field.map(|recorder| Value::Table(recorder.table()))
    }

    fn numbers(field: &Option<Recorder>, key: &'static Key, all: &mut Vec<Number>) {
        if let Some(recorder) = field {
            Self::numbers(recorder, key, all);
        }
    }
}

/// The recorder of a service, and what a replay has to know of the service.
#[derive(Debug, Clone)]
pub(crate) struct Recording {
    pub(crate) rules: Recorder,
    /// Its release: name and version.
    pub(crate) release: String,
    /// What the release's `Component.toml` says, where it has one.
    pub(crate) description: Option<Arc<str>>,
    /// Where its imports lead.
    pub(crate) wires: Wires,
}

impl Words for Overflow {
    const WHAT: &'static str = "overflow policy";
    const LIST: &'static str = "wait, refuse, drop-newest, drop-oldest";
    const ALL: &'static [(&'static str, Self)] = &[
        ("wait", Self::Wait),
        ("refuse", Self::Refuse),
        ("drop-newest", Self::DropNewest),
        ("drop-oldest", Self::DropOldest),
    ];
}

schema! {
    /// The shape of a mailbox.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct MailboxShape, written #[derive(Default)] WrittenShape {
        /// messages that may wait, in each mailbox. Memory is taken when they come
        capacity: Count<usize> => capacity: usize = 1_024, in 1..=1 << 24, by InPlace;
        /// the bytes that they may have together, in each mailbox: bodies, keys and topics, and 256 bytes each
        bytes: Bytes => bytes: usize = 16 << 20, in 1 << 10..=HELD, by InPlace;
        /// what the messages in all mailboxes of one service may have together, where it has several: those of keys,
        /// lanes or children. One more is `overloaded` at once
        all_bytes: Bytes => all_bytes: usize = 256 << 20, in 1 << 10..=HELD, by InPlace;
        /// what happens to one too many: `wait` (the sender waits for `reserve_timeout`, then `overloaded`), `refuse`
        /// (`overloaded` at once), `drop-newest`, `drop-oldest`
        overflow: Word<Overflow> => overflow: Overflow = Overflow::Wait, by InPlace;
    }
}

/// The rules that a release runs under. They switch together with its code.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// What it may do.
    pub(crate) policy: Policy,
    /// What it has of time and chance.
    pub(crate) baseline: Baseline,
    /// What it may take.
    pub(crate) limits: Limits,
    /// How often a message that crashed it is tried again before it counts as poison; default 0.
    pub(crate) retries: u32,
    /// When it runs, where it is a command.
    pub(crate) run: Run,
    /// What it finds as arguments behind its own name.
    pub(crate) arguments: Vec<String>,
    /// What it reads through `wasi:config`.
    pub(crate) config: Config,
    /// The schema it keeps its state in.
    pub(crate) schema: u32,
    /// Which of its functions are queries, and how many of those run beside its turns at a time.
    pub(crate) queries: Vec<String>,
    pub(crate) max_queries: usize,
    /// Whether what it logs goes nowhere: it is only shown messages that another release handles.
    pub(crate) silent: bool,
    /// What its instances do is written down by this; none where it is not. Shared: terms are copied.
    pub(crate) recording: Option<Arc<Recording>>,
}

impl Terms {
    /// Whether a function is declared to have no effects.
    pub(crate) fn is_query(&self, function: &FunctionType) -> bool {
        self.queries.iter().any(|name| function.is_called(name))
    }

    /// The wire of an import, by what the component calls it.
    pub(crate) fn wire(&self, import: &str) -> Option<&Wire> {
        self.policy.wire(import)
    }
}

/// When a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Run {
    /// Over each message, which is its stdin.
    #[default]
    Message,
    /// From its start on, for as long as it likes. It takes no messages.
    Service,
}

impl Words for Run {
    const WHAT: &'static str = "way to run";
    const LIST: &'static str = "message, service";
    const ALL: &'static [(&'static str, Self)] = &[("message", Self::Message), ("service", Self::Service)];
}

/// Where a service's state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Keeping {
    /// In memory: it survives crashes and deployments, and ends with the process.
    #[default]
    Memory,
    /// On disk as well, in the data folder: a commit is there, and synced, before anybody sees it.
    Durable,
}

impl Words for Keeping {
    const WHAT: &'static str = "place for state";
    const LIST: &'static str = "memory, durable; how large it may be is `state` of `limits`";
    const ALL: &'static [(&'static str, Self)] = &[("memory", Self::Memory), ("durable", Self::Durable)];
}
