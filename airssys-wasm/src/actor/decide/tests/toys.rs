//! A release, and a state with what it was, as small as the place can tell them apart.

use std::cell::RefCell;
use std::rc::Rc;

use crate::actor::decide::Release;
use crate::actor::past::Kept;
use crate::state::Lineage;

/// SplitMix64.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0) % bound
    }

    pub(super) fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Toy {
    pub(super) name: u64,
    pub(super) rules: u64,
    pub(super) schema: u32,
}

impl Toy {
    /// Whether its `migrate` can read that schema: some can, some cannot.
    pub(super) fn brings_over(self, from: u32) -> bool {
        from == self.schema || !mixed(self.name * 8 + u64::from(from)).is_multiple_of(3)
    }
}

impl Release for Toy {
    fn schema(&self) -> u32 {
        self.schema
    }

    fn is(&self, other: &Self) -> bool {
        self == other
    }

    fn has_code_of(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// What is committed: the numbers of turns, in some schema.
#[derive(Debug, Default)]
pub(super) struct Data {
    pub(super) schema: Option<u32>,
    pub(super) seen: Vec<u64>,
    pub(super) age: u64,
    pub(super) forgotten: u64,
    pub(super) turns: Lineage,
    pub(super) is_damaged: bool,
}

impl Data {
    pub(super) fn turn(&mut self, schema: u32, number: u64) {
        self.becomes(schema);
        self.seen.push(number);
        self.turns.grow();
    }

    pub(super) fn becomes(&mut self, schema: u32) {
        (self.schema, self.age) = (Some(schema), self.age + 1);
    }

    pub(super) fn forget(&mut self) {
        let forgotten = self.age + 1;
        *self = Self { age: forgotten, forgotten, turns: Lineage::anew(forgotten), ..Self::default() };
    }

    pub(super) fn is_written(&self) -> bool {
        self.age > self.forgotten
    }
}

/// As `state::Saved`.
#[derive(Debug, Clone)]
pub(super) struct Saved {
    pub(super) data: Rc<RefCell<Data>>,
    pub(super) schema: u32,
    pub(super) seen: Vec<u64>,
    pub(super) at: u64,
    pub(super) turns: Lineage,
    pub(super) is: Rc<()>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct ToyKept(pub(super) Option<Saved>);

impl Saved {
    pub(super) fn before(data: &Rc<RefCell<Data>>, unwritten: u32) -> Self {
        let now = data.borrow();
        let (schema, seen, turns) = (now.schema.unwrap_or(unwritten), now.seen.clone(), now.turns.clone());
        Self { data: Rc::clone(data), schema, seen, at: now.age, turns, is: Rc::default() }
    }

    pub(super) fn nothing(data: &Rc<RefCell<Data>>, schema: u32) -> Self {
        Self { schema, seen: Vec::new(), turns: Lineage::default(), ..Self::before(data, schema) }
    }

    pub(super) fn turns_since(&self) -> u64 {
        let data = self.data.borrow();
        data.turns.turns().saturating_sub(self.turns.common(&data.turns).max(data.forgotten))
    }

    pub(super) fn has_turns_to_spare(&self) -> bool {
        self.turns_since() > 0 && self.data.borrow().turns.since_put_back() > 0
    }

    pub(super) fn is_forgotten(&self) -> bool {
        self.data.borrow().forgotten > self.at
    }

    pub(super) fn now(&self) -> Self {
        Self::before(&self.data, self.schema)
    }

    /// The turns that are to be seen when the data is this.
    pub(super) fn shows(&self) -> Vec<u64> {
        if self.is_forgotten() { Vec::new() } else { self.seen.clone() }
    }

    pub(super) fn put_back(&self) {
        let seen = self.shows();
        let mut data = self.data.borrow_mut();
        data.becomes(self.schema);
        data.seen = seen;
        data.turns = self.turns.put_back(&data.turns, data.forgotten);
    }
}

impl ToyKept {
    pub(super) fn written(&self) -> Option<&Saved> {
        self.0.as_ref().filter(|saved| saved.data.borrow().is_written())
    }
}

impl Kept for ToyKept {
    fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn is(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(own), Some(other)) => Rc::ptr_eq(&own.is, &other.is),
            (own, other) => own.is_none() && other.is_none(),
        }
    }

    fn is_forgotten(&self) -> bool {
        self.0.as_ref().is_none_or(Saved::is_forgotten)
    }

    fn is_foreign(&self, schema: u32) -> bool {
        self.0.as_ref().is_some_and(|saved| saved.data.borrow().schema.is_some_and(|found| found != schema))
    }

    fn has_turns_to_spare(&self) -> bool {
        self.0.as_ref().is_some_and(Saved::has_turns_to_spare)
    }

    /// No start here writes anything.
    fn close(&self) {}
}
