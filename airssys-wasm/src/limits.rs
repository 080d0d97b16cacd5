//! How much a service may take: memory, time, bytes, effects.
//!
//! A release says what it needs in `Component.toml`; the topology may say less or more. What neither says is here.

use std::time::Duration;

pub(crate) mod ranges;

pub use ranges::OutOfRange;

/// The wasm page: 64 KiB.
pub const PAGE: u64 = 64 * 1024;
/// How often the engines' clock ticks: the grain of budgets, and how long a busy guest holds a thread at most.
pub const TICK: Duration = Duration::from_millis(2);

/// What a message, an effect, a timer or a dead letter takes beside what the sender wrote, in bytes: reckoned, and not less than it takes.
pub(crate) const OVERHEAD_BYTES: usize = 256;
/// The longest topic and the longest pattern of topics, in bytes.
pub const TOPIC_BYTES: usize = 1 << 10;
/// The longest text of a fault or of a crash that is kept and told, in bytes; longer ones are cut.
pub const REASON_BYTES: usize = 4 << 10;
/// What the listings of folders that an instance has open may have together, in bytes: names, and 64 bytes each.
pub(crate) const LISTING_BYTES: usize = 8 << 20;
/// What an entry of a listing takes beside its name.
pub(crate) const ENTRY_BYTES: usize = 64;
/// The threads on which the guests of one service work with files; more operations at a time wait for one.
pub(crate) const FILE_THREADS: usize = 8;
/// What a guest may let a folder come to that it may write to, where its grant does not say.
pub(crate) const FOLDER_BYTES: u64 = 1 << 30;
/// What a file, a folder or a link in such a folder counts beside its size: a block, since its last one is seldom full and its name takes room as well.
pub(crate) const NODE_BYTES: u64 = 4 << 10;
/// What a turn may ask of the mesh and be told, in bytes, where a release in the shadow is to be told the same; a turn beyond it is not shown.
pub(crate) const SCRIPT_BYTES: usize = 16 << 20;
/// What one shadow may have to catch up with, in bytes: the turns that wait to be shown, and as much again of what was written by others that are not.
pub(crate) const SHADOW_BYTES: usize = 16 << 20;

/// The limits of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory an instance may have, in bytes, all its memories together; default 32 MiB. It also chooses the engine class.
    pub memory_bytes: u64,
    /// Linear memories an instance may have; default 1. Each counts as an instance where it is asked how many this machine holds.
    pub memories: usize,
    /// Table elements an instance may have, all its tables together; default 20,000.
    pub table_elements: usize,
    /// Tables an instance may have; default 8.
    pub tables: usize,
    /// The stack that the guest's functions may use, in bytes; default 512 KiB. The sync lane has no more than 1 MiB.
    pub stack_bytes: usize,
    /// Core instances within one component instance; default 16.
    pub core_instances: usize,
    /// How long a turn may take, waiting included; default 5 s.
    pub turn_deadline: Duration,
    /// How long a turn may compute; default 1 s. Rounded up to [`TICK`]. In the sync lane it is one tick.
    pub turn_budget: Duration,
    /// How long a start may take, from instantiation to the first health check; default 5 s.
    pub start_timeout: Duration,
    /// The largest body of a message, in bytes; default 1 MiB.
    pub message_bytes: u64,
    /// Bytes that may cross from guest to host in one call or answer; default 4 MiB.
    pub boundary_bytes: usize,
    /// Keys and values together that the state of one address may have, in bytes; default 64 MiB.
    pub state_bytes: usize,
    /// What the states in memory of all keys or children of a service may have together, in bytes: keys and values, and 256 bytes for each state that has
    /// any; default 1 GiB.
    pub all_state_bytes: usize,
    /// Sends, publishes, timers, subscriptions, and what is done to children, that one turn may hold back; default 1,024.
    pub effects: usize,
    /// What all of those may have together, in bytes: bodies, keys, topics, and 256 bytes each; default 16 MiB.
    pub effect_bytes: usize,
    /// Timers that one address may have set at a time; default 1,000.
    pub timers: usize,
    /// What all of those may have together, in bytes: bodies, and 256 bytes each; default 4 MiB.
    pub timer_bytes: usize,
    /// Subscriptions that one address may have at a time; default 100.
    pub subscriptions: usize,
    /// Monitors that one actor may have at a time, those counted whose notice it has not handled; default 1,000.
    pub monitors: usize,
    /// Resources of WASI that an instance may have at a time: open files and folders, sockets, streams, pollables; default 256. Each file and socket is a file
    /// descriptor of the host.
    pub resources: usize,
    /// The longest log line, in bytes; longer ones are cut; default 8 KiB.
    pub log_line_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 32 << 20,
            memories: 1,
            table_elements: 20_000,
            tables: 8,
            stack_bytes: 512 << 10,
            core_instances: 16,
            turn_deadline: Duration::from_secs(5),
            turn_budget: Duration::from_secs(1),
            start_timeout: Duration::from_secs(5),
            message_bytes: 1 << 20,
            boundary_bytes: 4 << 20,
            state_bytes: 64 << 20,
            all_state_bytes: 1 << 30,
            effects: 1_024,
            effect_bytes: 16 << 20,
            timers: 1_000,
            timer_bytes: 4 << 20,
            subscriptions: 100,
            monitors: 1_000,
            resources: 256,
            log_line_bytes: 8 << 10,
        }
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

/// A number of bytes as it is written in a file: in the largest unit that says it exactly.
pub(crate) fn size_text(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|(shift, _)| bytes != 0 && bytes.trailing_zeros() >= *shift) {
        Some((shift, unit)) => format!("{}{unit}", bytes >> shift),
        None => format!("{bytes}B"),
    }
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
