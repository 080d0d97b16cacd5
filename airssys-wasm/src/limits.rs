//! How much a service may take: memory, time, bytes, effects.
//!
//! A release says what it needs in `Component.toml`; the topology may say less or more. What neither says is here.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::schema::{Bytes, Count, Humane, MILLISECOND, Schema, YEAR, schema};

pub use crate::schema::{Amount, OutOfRange};

/// The wasm page: 64 KiB.
pub(crate) const PAGE: u64 = 64 * 1024;
/// How often the engines' clock ticks: the grain of budgets, and how long a busy guest holds a thread at most.
pub(crate) const TICK: Duration = Duration::from_millis(2);

/// What a message, an effect, a timer or a dead letter takes beside what the sender wrote, in bytes: reckoned, and not
/// less than it takes.
pub(crate) const OVERHEAD_BYTES: usize = 256;
/// The longest topic and the longest pattern of topics, in bytes.
pub(crate) const TOPIC_BYTES: usize = 1 << 10;
/// The longest text of a fault or of a crash that is kept and told, in bytes; longer ones are cut.
pub(crate) const REASON_BYTES: usize = 4 << 10;
/// What the listings of folders that an instance has open may have together, in bytes: names, and 64 bytes each.
pub(crate) const LISTING_BYTES: usize = 8 << 20;
/// How many changes of what is watched are kept until somebody takes them.
pub(crate) const WATCHED: usize = 1_024;
/// The longest file that is read as a whole for the program that embeds the host.
pub(crate) const READ_BYTES: u64 = 64 << 20;
/// What an entry of a listing takes beside its name.
pub(crate) const ENTRY_BYTES: usize = 64;
/// The threads on which the guests of one service work with files; more operations at a time wait for one.
pub(crate) const FILE_THREADS: usize = 8;
/// What a guest may let a folder come to that it may write to, where its grant does not say.
pub(crate) const FOLDER_BYTES: u64 = 1 << 30;
/// What a file, a folder or a link in such a folder counts beside its size: a block, since its last one is seldom full
/// and its name takes room as well.
pub(crate) const NODE_BYTES: u64 = 4 << 10;
/// What a turn may ask of the mesh and be told, in bytes, where a release in the shadow is to be told the same; a turn
/// beyond it is not shown.
pub(crate) const SCRIPT_BYTES: usize = 16 << 20;
/// What one shadow may have to catch up with, in bytes: the turns that wait to be shown, and as much again of what was
/// written by others that are not.
pub(crate) const SHADOW_BYTES: usize = 16 << 20;

/// The most bytes that a host can be told to hold of something.
pub(crate) const HELD: u64 = 1 << 40;
/// What a guest's own memory cannot exceed.
const GUEST: u64 = 4 << 30;
/// The sync lane runs on the stack of a worker thread, which usually has 2 MiB.
pub(crate) const MOST_SYNC_STACK: u64 = 1 << 20;

schema! {
    /// The limits of one service.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Limits, written #[derive(Default, Eq)] WrittenLimits {
        /// linear memory of an instance, all its memories together. It also chooses the engine class: slots of 2 MiB,
        /// 32 MiB or 4 GiB
        memory: Bytes => memory_bytes: u64 = 32 << 20, in 0..=GUEST, by Deployment,
            past "the growth is refused; a trap in the same turn is then `out-of-memory`";
        /// linear memories of an instance; a component that was joined from several has several. Each counts as an
        /// instance where it is asked how many this machine holds
        memories: Count<usize> => memories: usize = 1, in 0..=16, by Deployment, past "the component is refused";
        /// table elements of an instance, all its tables together
        table_elements: Count<usize> => table_elements: usize = 20_000, in 0..=10_000_000, by Deployment, past "as `memory`";
        /// tables of an instance
        tables: Count<usize> => tables: usize = 8, in 0..=1_000, by Deployment, past "the component is refused";
        /// core instances within the component
        core_instances: Count<usize> => core_instances: usize = 16, in 0..=10_000, by Deployment,
            past "the component is refused";
        /// the stack of the guest's functions; an interpreter may need more. In the sync lane it is at most `"1MiB"`
        stack: Bytes => stack_bytes: usize = 512 << 10, in 16 << 10..=64 << 20, by Deployment,
            past "crash: `stack-overflow`";
        /// how long a turn may take, waiting included
        turn_deadline: Humane => turn_deadline: Duration = Duration::from_secs(5), in MILLISECOND..=YEAR, by InPlace,
            past "crash: `deadline`";
        /// how long a turn may compute, rounded up to ticks of 2 ms. In the sync lane it is one tick
        turn_budget: Humane => turn_budget: Duration = Duration::from_secs(1), in MILLISECOND..=YEAR, by InPlace,
            past "crash: `budget`";
        /// how long a start may take, from the new instance to its first health check
        start_timeout: Humane => start_timeout: Duration = Duration::from_secs(5), in MILLISECOND..=YEAR, by InPlace,
            past "a failed start";
        /// the largest body it takes as a send or a call, and the largest it publishes or sends itself later
        message: Bytes => message_bytes: u64 = 1 << 20, in 0..=GUEST, by InPlace, past "the sender gets `too-large`";
        /// bytes that a guest may hand to the host in one call or answer
        boundary: Bytes => boundary_bytes: usize = 4 << 20, in 1 << 10..=GUEST, by InPlace, past "crash: `oversized`";
        /// keys and values together that the state of one address may have
        state: Bytes => state_bytes: usize = 64 << 20, in 0..=HELD, by InPlace, past "the write is an error";
        /// what the states in memory of all keys or children of the service may have together: keys and values, and 256
        /// bytes for each state that has any. Of durable state, `durable_state` of `[settings]` is the bound
        all_state: Bytes => all_state_bytes: usize = 1 << 30, in 0..=HELD, by InPlace,
            past "the write is an error, and the first one is logged";
        /// sends, publications, timers, subscriptions, and what is done to children, that one turn may hold back
        effects: Count<usize> => effects: usize = 1_024, in 0..=1_000_000, by InPlace, past "the guest gets `overloaded`";
        /// what those may have together: bodies, keys and topics, and 256 bytes each
        effect_bytes: Bytes => effect_bytes: usize = 16 << 20, in 0..=HELD, by InPlace, past "the guest gets `overloaded`";
        /// timers that one address may have set at a time: a service, or a key of a keyed one
        timers: Count<usize> => timers: usize = 1_000, in 0..=10_000_000, by InPlace, past "the guest gets `overloaded`";
        /// what those may carry together: bodies, and 256 bytes each
        timer_bytes: Bytes => timer_bytes: usize = 4 << 20, in 0..=HELD, by InPlace, past "the guest gets `overloaded`";
        /// subscriptions that one address may have at a time, those counted that a turn holds back
        subscriptions: Count<usize> => subscriptions: usize = 100, in 0..=1_000_000, by InPlace,
            past "the guest gets `overloaded`";
        /// monitors that one actor may have at a time; each counts until its notice is handled
        monitors: Count<usize> => monitors: usize = 1_000, in 0..=1_000_000, by InPlace,
            past "the guest gets `overloaded`";
        /// resources of WASI that an instance may have at a time: open files and folders, sockets, streams, pollables.
        /// Each file and socket is a file descriptor of the host
        resources: Count<usize> => resources: usize = 256, in 0..=1_000_000, by Deployment, past "see below";
        /// handles that others may have of the resources of an instance at a time
        handles: Count<usize> => handles: usize = 10_000, in 0..=1_000_000, by InPlace,
            past "the call is answered with the fault `unavailable`";
        /// programs of the machine that its actors may have running at a time, all together
        processes: Count<usize> => processes: usize = 16, in 0..=100_000, by InPlace,
            past "the guest gets `overloaded`";
        /// folders and files that its actors may watch at a time, all together: see [files](os.md#files)
        watches: Count<usize> => watches: usize = 16, in 0..=10_000, by InPlace,
            past "the guest gets `overloaded`";
        /// the longest log line
        log_line: Bytes => log_line_bytes: usize = 8 << 10, in 16..=16 << 20, by Deployment, past "the line is cut";
    }
}

impl Limits {
    /// Each limit by its key, in the order of the book.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::command::{Amount, Limits};
    ///
    /// let timers = Limits::default().amounts().find(|(key, _)| *key == "timers");
    /// assert_eq!(timers, Some(("timers", Amount::Count(1_000))));
    /// ```
    pub fn amounts(&self) -> impl Iterator<Item = (&'static str, Amount)> {
        self.numbers()
            .into_iter()
            .filter_map(|number| Some((number.key.key, Amount::of(number.key.range?.unit, number.is))))
    }
}

/// As a map of numbers, whose names end in their unit: `memory_bytes`, `turn_deadline_ms`.
impl Serialize for Limits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.amounts().map(|(key, amount)| match amount {
            Amount::Bytes(bytes) if !key.ends_with("_bytes") => (format!("{key}_bytes"), bytes),
            Amount::Count(number) | Amount::Bytes(number) => (key.to_owned(), number),
            Amount::Time(time) => (format!("{key}_ms"), u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        }))
    }
}

/// The limits that bound the size of an instance: a release is looked at, compiled and given a place for these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct InstanceLimits {
    pub(crate) memory_bytes: u64,
    pub(crate) memories: usize,
    pub(crate) table_elements: usize,
    pub(crate) tables: usize,
    pub(crate) core_instances: usize,
    pub(crate) stack_bytes: usize,
}

impl Limits {
    pub(crate) fn of_instance(&self) -> InstanceLimits {
        InstanceLimits {
            memory_bytes: self.memory_bytes,
            memories: self.memories,
            table_elements: self.table_elements,
            tables: self.tables,
            core_instances: self.core_instances,
            stack_bytes: self.stack_bytes,
        }
    }

    /// The turn budget in ticks, at least one.
    pub(crate) fn budget_ticks(&self) -> u64 {
        ticks(self.turn_budget)
    }

    /// The time for a start in ticks, at least one.
    pub(crate) fn start_ticks(&self) -> u64 {
        ticks(self.start_timeout)
    }
}

fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX).max(1)
}

/// A guest's text as far as it is kept.
pub(crate) fn cut(mut text: String, most_bytes: usize) -> String {
    if text.len() > most_bytes {
        text.truncate(text.floor_char_boundary(most_bytes));
        text.push_str(" (cut)");
        text.shrink_to_fit();
    }
    text
}
