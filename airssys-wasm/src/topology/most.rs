//! What a host can come to hold for a topology: the sum of the table of limits, as the book's reference has it.
//!
//! It is what guests that mean harm can bring about, all of them at once. What they need is less, mostly by far.

use super::{ServiceNode, Topology};
use crate::http::HELD_BYTES;
use crate::limits::{LISTING_BYTES, OVERHEAD_BYTES, REASON_BYTES, TOPIC_BYTES};
use crate::listener::settings::{HttpLimits, Listening};
use crate::settings::Keeping;
use crate::settings::{MailboxShape, MeshSettings, Multiplicity};

/// An element of a table.
const ELEMENT_BYTES: u64 = 8;
/// What a stream of a file has read and not handed over, at most.
const STREAM_BYTES: u64 = 64 << 10;
/// What an HTTP request has under way: head and body of both directions, and what TLS keeps of them.
const REQUEST_BYTES: u64 = 512 << 10;

impl Topology {
    /// What the guests can make the host hold in memory at the same time, in bytes, by the limits of each service and
    /// of the mesh: the sum of what the book calls "what the host may hold". Not in it are the host itself, the
    /// compiled code, what the allocator keeps, and shadows of a deployment.
    ///
    /// # Example
    ///
    /// ```
    /// use airssys_wasm::topology::Topology;
    ///
    /// let folder = std::env::current_dir()?;
    /// let empty = "name = \"empty\"\nsettings = { dead_letter_bytes = \"3MiB\", event_bytes = \"1MiB\" }\n";
    /// assert_eq!(Topology::parse(empty, &folder)?.most_bytes(), 4 << 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn most_bytes(&self) -> u64 {
        let each = |of: fn(&ServiceNode) -> u64| self.services().map(|node| of(node)).fold(0, u64::saturating_add);
        let timers = each(timers).min(wide(self.settings.mesh.timer_bytes));
        let durable = each(durable).min(self.settings.durable_bytes.unwrap_or(u64::MAX));
        let MeshSettings { dead_letter_bytes, event_bytes, .. } = self.settings.mesh;
        let requests = self.listeners.iter().map(requests).fold(0, u64::saturating_add);
        [each(awake), each(addresses), timers, durable, wide(dead_letter_bytes), wide(event_bytes), requests]
            .into_iter()
            .fold(0, u64::saturating_add)
    }
}

/// How many actors may be awake, and how many addresses there may be, each with a mailbox.
fn numbers(of: &Multiplicity) -> (u64, u64) {
    match of {
        Multiplicity::One => (1, 1),
        Multiplicity::Stateless { instances } => (wide(*instances), 1),
        Multiplicity::Partitioned { instances } => (wide(*instances), wide(*instances)),
        Multiplicity::Keyed(rules) => (wide(rules.max_awake), wide(rules.max_keys)),
        Multiplicity::Spawned(rules) => (wide(rules.max_children), wide(rules.max_children)),
    }
}

/// What all actors that are awake take.
fn awake(node: &ServiceNode) -> u64 {
    let limits = &node.limits;
    let instance = limits.memory_bytes + wide(limits.table_elements) * ELEMENT_BYTES + wide(limits.stack_bytes);
    let turns = if node.keeping == Keeping::Durable { 2 } else { 1 };
    let turn = wide(limits.effect_bytes) * turns + wide(limits.boundary_bytes) * 2 + wide(limits.state_bytes);
    let files = if node.grants.files.is_empty() { 0 } else { 1 };
    let streams = files * (wide(limits.resources) * STREAM_BYTES + wide(LISTING_BYTES));
    let http = if node.grants.http.is_empty() { 0 } else { wide(limits.resources) * REQUEST_BYTES };
    let notices = wide(limits.monitors) * wide(REASON_BYTES + OVERHEAD_BYTES);
    // What is kept, and the turn that runs.
    let recorded = node.recorder.map_or(0, |recorder| wide(recorder.bytes).saturating_mul(2));
    let all = (instance + turn + streams + http + notices).saturating_add(recorded);
    numbers(&node.multiplicity).0.saturating_mul(all)
}

/// What all its addresses take, but for timers and durable state.
fn addresses(node: &ServiceNode) -> u64 {
    let (_, addresses) = numbers(&node.multiplicity);
    let MailboxShape { bytes, all_bytes, .. } = node.shape;
    let several = !matches!(node.multiplicity, Multiplicity::One | Multiplicity::Stateless { .. });
    let bound = |each: usize, all: usize| {
        let sum = addresses.saturating_mul(wide(each));
        if several { sum.min(wide(all)) } else { sum }
    };
    let mailboxes = bound(bytes, all_bytes);
    let subscriptions = addresses.saturating_mul(wide(node.limits.subscriptions) * wide(TOPIC_BYTES + OVERHEAD_BYTES));
    // Of a partitioned pool each key has one, and there are as many as the bound leaves room for.
    let states = match (node.keeping, &node.multiplicity) {
        (Keeping::Durable, _) | (_, Multiplicity::Stateless { .. }) => 0,
        (_, Multiplicity::Partitioned { .. }) => wide(node.limits.all_state_bytes),
        _ => bound(node.limits.state_bytes, node.limits.all_state_bytes),
    };
    mailboxes.saturating_add(subscriptions).saturating_add(states)
}

/// What connections have read, and what requests have that no mailbox has yet.
fn requests(listening: &Listening) -> u64 {
    let HttpLimits { max_connections, max_requests, header_bytes, body_buffer, .. } = listening.limits;
    let heads = (wide(max_connections) + wide(max_requests)) * wide(header_bytes);
    // A response is held back, too.
    heads.saturating_add(wide(max_requests) * (wide(body_buffer) + wide(HELD_BYTES)))
}

fn timers(node: &ServiceNode) -> u64 {
    numbers(&node.multiplicity).1.saturating_mul(wide(node.limits.timer_bytes))
}

/// Durable state is in memory as well.
fn durable(node: &ServiceNode) -> u64 {
    match (node.keeping, &node.multiplicity) {
        (Keeping::Memory, _) => 0,
        (Keeping::Durable, Multiplicity::Partitioned { .. }) => u64::MAX,
        (Keeping::Durable, other) => numbers(other).1.saturating_mul(wide(node.limits.state_bytes)),
    }
}

fn wide(number: usize) -> u64 {
    number as u64
}
