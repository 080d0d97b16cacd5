//! The events that are kept: bounded together, and each kind apart, so that a frequent one does not push out a rare
//! one.
//!
//! Invariant: a class gives way only while it has more than an equal share of what there is room for, in events or in
//! bytes.

use std::array;
use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;

use super::event::{Event, Happening, KINDS, Kind};

/// The classes of events: each kind is one, and keys and children that come and go in order, which may be thousands a
/// second, are two more.
const CLASSES: usize = KINDS.len() + 2;
/// A key or a child has started.
const CAME: usize = KINDS.len();
/// A key or a child has ended in order.
const WENT: usize = KINDS.len() + 1;
/// How many events a reader looks at before it lets go of the lock.
const LOOK: usize = 64;
/// A queue that has room for no more than this keeps it.
const LEAST_ROOM: usize = 64;

/// The class of an event.
fn class(event: &Event) -> usize {
    let comes_and_goes = |actor: &str| event.service.is_some() && actor.contains('/');
    match &event.what {
        Happening::Started { actor, .. } if comes_and_goes(actor) => CAME,
        Happening::Ended { actor, reason, .. } if comes_and_goes(actor) && is_in_order(reason) => WENT,
        other => other.kind() as usize,
    }
}

fn is_in_order(reason: &str) -> bool {
    matches!(reason, "normal" | "shutdown")
}

/// The classes that have events of these kinds; all, where there are none in it.
fn classes(kinds: &[Kind]) -> impl Iterator<Item = usize> {
    let kind = |class: usize| match class {
        CAME => Kind::Started,
        WENT => Kind::Ended,
        class => KINDS[class].0,
    };
    (0..CLASSES).filter(move |class| kinds.is_empty() || kinds.contains(&kind(*class)))
}

#[derive(Debug)]
pub(super) struct Ring {
    classes: [Class; CLASSES],
    /// How many events are kept.
    kept: usize,
    /// What they take, in bytes.
    bytes: usize,
    most: usize,
    most_bytes: usize,
    /// The number of the next event.
    pub(super) next: u64,
    /// Nothing is published any more.
    pub(super) ended: bool,
}

/// The events of one class, in order.
#[derive(Debug, Default)]
struct Class {
    kept: VecDeque<Arc<Event>>,
    bytes: usize,
    /// How many gave way.
    gone: u64,
    /// The number of the youngest one that did; 0 where none did.
    last_gone: u64,
}

impl Class {
    /// How many there were.
    fn all(&self) -> u64 {
        self.gone + self.kept.len() as u64
    }

    /// The first one that is kept for a reader who has passed so many.
    fn first_after(&self, passed: u64) -> Option<&Arc<Event>> {
        self.kept.get(usize::try_from(passed.saturating_sub(self.gone)).ok()?)
    }

    /// The older its oldest event, the more.
    fn age(&self) -> Reverse<Option<u64>> {
        Reverse(self.kept.front().map(|event| event.number))
    }

    fn give_way(&mut self) -> Option<usize> {
        let oldest = self.kept.pop_front()?;
        let bytes = oldest.bytes();
        self.bytes -= bytes;
        self.gone += 1;
        self.last_gone = oldest.number;
        // A class that was once large leaves its room to the others.
        if self.kept.capacity() > LEAST_ROOM && self.kept.len() * 4 < self.kept.capacity() {
            self.kept.shrink_to(self.kept.len() * 2);
        }
        Some(bytes)
    }
}

impl Ring {
    pub(super) fn new(most: usize, most_bytes: usize) -> Self {
        let classes = array::from_fn(|_| Class::default());
        Self { classes, kept: 0, bytes: 0, most, most_bytes, next: 1, ended: false }
    }

    /// Keeps so many and so much from now on.
    pub(super) fn resize(&mut self, most: usize, most_bytes: usize) {
        (self.most, self.most_bytes) = (most, most_bytes);
        self.shrink();
    }

    /// Keeps an event that has the next number.
    pub(super) fn push(&mut self, event: Arc<Event>) {
        let bytes = event.bytes();
        self.next = event.number + 1;
        let class = &mut self.classes[class(&event)];
        class.bytes += bytes;
        class.kept.push_back(event);
        (self.kept, self.bytes) = (self.kept + 1, self.bytes + bytes);
        self.shrink();
    }

    /// How many events are kept, and what they take in bytes.
    #[cfg(test)]
    pub(super) fn taken(&self) -> (usize, usize) {
        (self.kept, self.bytes)
    }

    /// Makes the oldest event give way of the class that has most of what is short; of two that have as much, of the
    /// one whose oldest is older.
    fn shrink(&mut self) {
        loop {
            let largest = match (self.kept > self.most, self.bytes > self.most_bytes) {
                (false, false) => return,
                (true, _) => self.classes.iter_mut().max_by_key(|class| (class.kept.len(), class.age())),
                (false, true) => self.classes.iter_mut().max_by_key(|class| (class.bytes, class.age())),
            };
            let Some(bytes) = largest.and_then(Class::give_way) else { return };
            (self.kept, self.bytes) = (self.kept - 1, self.bytes - bytes);
        }
    }
}

/// What a reader finds.
pub(super) enum Found {
    /// An event that it wants.
    Event(Arc<Event>),
    /// So many of its kinds gave way. All of them stand before the next event that it finds.
    Lost(u64),
    /// Events that it does not want; there may be more.
    Others,
    /// Nothing more.
    Nothing,
}

/// How far a reader is in each class: how many events of it are behind it.
#[derive(Debug, Clone, Default)]
pub(super) struct Passed([u64; CLASSES]);

impl Passed {
    /// Passes all that there are.
    pub(super) fn pass_all(&mut self, ring: &Ring) {
        self.0 = array::from_fn(|at| ring.classes[at].all());
    }

    /// Whether all of these kinds are passed.
    pub(super) fn has_all(&self, ring: &Ring, kinds: &[Kind]) -> bool {
        classes(kinds).all(|at| self.0[at] >= ring.classes[at].all())
    }

    /// The next one of these kinds that is wanted. Looks at a bounded number of events.
    pub(super) fn next(&mut self, ring: &Ring, kinds: &[Kind], wants: impl Fn(&Event) -> bool) -> Found {
        for _ in 0..LOOK {
            let first = |at: usize| ring.classes[at].first_after(self.0[at]).map(|event| (event.number, at));
            let next = classes(kinds).filter_map(first).min();
            let before = next.map_or(u64::MAX, |(number, _)| number);
            let mut lost = 0;
            for at in classes(kinds) {
                let class = &ring.classes[at];
                // What is lost of one class is told before what came after it of another one, and after what came
                // before it.
                if self.0[at] < class.gone && class.last_gone < before {
                    lost += class.gone - std::mem::replace(&mut self.0[at], class.gone);
                }
            }
            if lost > 0 {
                return Found::Lost(lost);
            }
            let Some((_, at)) = next else { return Found::Nothing };
            let Some(event) = ring.classes[at].first_after(self.0[at]) else { return Found::Nothing };
            self.0[at] += 1;
            if wants(event) {
                return Found::Event(Arc::clone(event));
            }
        }
        Found::Others
    }
}

#[cfg(test)]
mod tests;
