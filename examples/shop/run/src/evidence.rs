//! What was seen: by the customers, by the host, and by each service.

use std::collections::{BTreeMap, BTreeSet};

use shop_model::{Books, Outcome, Reason, Stock, Till};

/// What the customers saw.
#[derive(Debug, Clone, Default)]
pub struct Sales {
    /// Lines that were read.
    pub lines: usize,
    /// How often the shop was asked: once a line, and again by those who did not learn what became of their order.
    pub asked: usize,
    /// Answers that say sold.
    pub sold: usize,
    /// Answers that say no, by reason. That is final.
    pub refused: BTreeMap<Reason, usize>,
    /// Answers that are a fault, by its kind: the order is not settled. Never counted with the refusals, as both know
    /// the word `unavailable`, and only here it means that asking again may help.
    pub faulted: BTreeMap<&'static str, usize>,
    /// Askings that left the customer without an answer, by what was said instead.
    pub unanswered: BTreeMap<&'static str, usize>,
    /// Askings that the mesh did not take, by what it said.
    pub turned_away: BTreeMap<&'static str, usize>,
    /// What became of each order, as its customer was told.
    pub outcomes: BTreeMap<String, Outcome>,
    /// Orders that were told two different things.
    pub contradicted: BTreeSet<String>,
    /// Orders of which nothing was learned in the end, as often as it was asked.
    pub unknown: BTreeSet<String>,
}

impl Sales {
    /// Answers of any kind.
    #[must_use]
    pub fn answers(&self) -> usize {
        self.sold + self.refused.values().sum::<usize>() + self.faulted.values().sum::<usize>()
    }
}

/// Everything that must agree.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// What the customers saw.
    pub sales: Sales,
    /// How many messages from outside the gateway's mailboxes accepted, as the host counted.
    pub taken: usize,
    /// Those of them that became dead letters, as the host counted, by its reason.
    pub dead: BTreeMap<&'static str, usize>,
    /// What was on the shelves at the start.
    pub initial: BTreeMap<String, u64>,
    /// Notes that the trucks sent.
    pub notes: u64,
    /// What `inventory` knows.
    pub stock: Stock,
    /// What `payments` knows.
    pub till: Till,
    /// What `ledger` knows.
    pub books: Books,
}
