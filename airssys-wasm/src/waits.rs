//! Who waits for whom: finds the call that would close a cycle, before it leaves.
//!
//! A node is one consumer of one mailbox: it runs one turn at a time, and a turn waits for one call at a time. A call
//! to a lane waits for *any* of its consumers. It is a deadlock when each of them waits, over whatever way, for the
//! caller: its own call chain's cycle and a crossing of unrelated ones are the same thing here. A layer that keeps a
//! message waiting is a node as well, which who sends or calls waits for, and which waits for whom the layer calls.
//!
//! One mutex, held for a walk along waiting actors. It is taken by calls out of turns and out of layers only, twice
//! each, and such a call costs two wake-ups anyway.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

tokio::task_local! {
    /// The layer whose future is polled.
    static LAYER: Node;
}

/// One consumer of one mailbox, or a layer that keeps somebody waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Node(u64);

impl Node {
    /// Polls the future of the layer that this is: what it calls is called in the name of this node.
    pub(crate) fn within<T>(self, future: impl Future<Output = T>) -> impl Future<Output = T> {
        LAYER.scope(self, future)
    }
}

/// The consumers of one mailbox, or a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Nodes(Range<u64>);

impl Nodes {
    /// How many consumers there are.
    pub(crate) fn consumers(&self) -> usize {
        usize::try_from(self.0.end - self.0.start).unwrap_or(usize::MAX)
    }

    /// The node of consumer number `consumer`.
    #[must_use]
    pub(crate) fn nth(&self, consumer: usize) -> Node {
        Node(self.0.start + consumer as u64)
    }
}

/// The call would wait for its own caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deadlock;

/// Who waits, and for whom. The numbers are the host's own: a quick hash is safe here.
type Graph = HashMap<Node, Nodes, foldhash::fast::RandomState>;

/// The graph.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    waiting: Mutex<Graph>,
    next: AtomicU64,
    /// Whether a layer has ever kept anybody waiting.
    has_layers: AtomicBool,
}

/// While it lives, its node waits.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    waits: &'a Waits,
    node: Node,
}

impl Waits {
    /// Nodes for the consumers of a new mailbox.
    pub(crate) fn nodes(&self, consumers: usize) -> Nodes {
        let consumers = consumers.max(1) as u64;
        let start = self.next.fetch_add(consumers, Ordering::Relaxed);
        Nodes(start..start + consumers)
    }

    /// A layer that is about to keep somebody waiting.
    pub(crate) fn layer(&self) -> Nodes {
        self.has_layers.store(true, Ordering::Relaxed);
        self.nodes(1)
    }

    /// The layer in whose name the host calls here; mostly none, and nobody looks for it where no layer ever kept
    /// anybody waiting.
    pub(crate) fn calling_layer(&self) -> Option<Node> {
        if self.has_layers.load(Ordering::Relaxed) { LAYER.try_with(|node| *node).ok() } else { None }
    }

    /// Says that `node` waits for any of `target` from now on. With none it waits for something else already, as only a
    /// layer can that asks several at once: then that alone is known to others.
    ///
    /// # Errors
    ///
    /// [`Deadlock`]; it does not wait then.
    pub(crate) fn wait(&self, node: Node, target: &Nodes) -> Result<Option<Waiting<'_>>, Deadlock> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut visited = Vec::new();
        if all_wait_for(&waiting, target, node, &mut visited) {
            return Err(Deadlock);
        }
        match waiting.entry(node) {
            Entry::Occupied(_) => Ok(None),
            Entry::Vacant(free) => {
                free.insert(target.clone());
                Ok(Some(Waiting { waits: self, node }))
            }
        }
    }
}

/// Whether each of `target` is `node`, or waits for it in the end. One that was visited is on the way already, and adds
/// nothing.
fn all_wait_for(waiting: &Graph, target: &Nodes, node: Node, visited: &mut Vec<Node>) -> bool {
    target.0.clone().map(Node).all(|member| {
        if member == node || visited.contains(&member) {
            return true;
        }
        match waiting.get(&member) {
            None => false,
            Some(further) => {
                visited.push(member);
                all_wait_for(waiting, further, node, visited)
            }
        }
    })
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.waits.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.node);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use super::{Deadlock, Waits};

    #[test]
    fn a_cycle_is_refused_and_a_way_is_not() {
        let waits = Waits::default();
        let [a, b, c] = [waits.nodes(1), waits.nodes(1), waits.nodes(1)];
        let _ab = waits.wait(a.nth(0), &b).unwrap();
        let bc = waits.wait(b.nth(0), &c).unwrap();
        assert_eq!(waits.wait(c.nth(0), &a).unwrap_err(), Deadlock);
        drop(bc);
        let _ca = waits.wait(c.nth(0), &a).unwrap();
        assert_eq!(waits.wait(b.nth(0), &c).unwrap_err(), Deadlock);
    }

    #[test]
    fn calling_oneself_is_a_deadlock() {
        let waits = Waits::default();
        let a = waits.nodes(1);
        assert_eq!(waits.wait(a.nth(0), &a).unwrap_err(), Deadlock);
    }

    #[test]
    fn a_pool_is_waited_for_in_vain_only_when_all_of_it_wait() {
        let waits = Waits::default();
        let (a, pool) = (waits.nodes(1), waits.nodes(2));
        let _first = waits.wait(pool.nth(0), &a).unwrap();
        let call = waits.wait(a.nth(0), &pool).unwrap();
        assert_eq!(waits.wait(pool.nth(1), &a).unwrap_err(), Deadlock, "nobody would be left to answer");
        drop(call);
        let _second = waits.wait(pool.nth(1), &a).unwrap();
        assert_eq!(waits.wait(a.nth(0), &pool).unwrap_err(), Deadlock);
    }

    #[test]
    fn a_layer_waits_for_whom_it_asks_and_of_several_for_the_first() {
        let waits = Waits::default();
        let [a, b, c, layer] = [waits.nodes(1), waits.nodes(1), waits.nodes(1), waits.layer()];
        let _kept = waits.wait(a.nth(0), &layer).unwrap();
        assert_eq!(waits.wait(layer.nth(0), &a).unwrap_err(), Deadlock, "it would wait for who waits for it");
        let asks_b = waits.wait(layer.nth(0), &b).unwrap();
        assert!(waits.wait(layer.nth(0), &c).unwrap().is_none());
        assert_eq!(waits.wait(b.nth(0), &a).unwrap_err(), Deadlock);
        assert!(waits.wait(c.nth(0), &a).is_ok());
        drop(asks_b);
        assert!(waits.wait(b.nth(0), &a).is_ok());
    }

    #[test]
    fn a_pool_may_call_itself_while_a_member_is_free() {
        let waits = Waits::default();
        let pool = waits.nodes(2);
        let _first = waits.wait(pool.nth(0), &pool).unwrap();
        assert_eq!(waits.wait(pool.nth(1), &pool).unwrap_err(), Deadlock);
    }
}
