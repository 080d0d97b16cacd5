//! Whether each order counted once: pure, so that a test can spoil the evidence and see that it is found out.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::discriminant;

use crate::load::{Answered, Sales};
use crate::orders::Expected;

/// What customers and services know at the end.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// What the customers ordered, and what they were told.
    pub(crate) sales: Sales,
    /// The cents of each order, as the books have it.
    pub books: BTreeMap<String, u64>,
    /// The cents of each order, as they were charged.
    pub charged: BTreeMap<String, u64>,
    /// How many pieces of each thing have left the shelves.
    pub taken: BTreeMap<String, u64>,
    /// By those who count as they are told: who, what, and how much.
    pub counted: Vec<(&'static str, &'static str, u64)>,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// An order has another end than it must have.
    #[error("{order}: expected {expected:?}, and its customer was told {answered:?}")]
    Outcome {
        /// Which.
        order: String,
        /// What must become of it.
        expected: Expected,
        /// What the customer was told.
        answered: Answered,
    },
    /// A service has an order with other cents than its receipt, or has no such order, or has one that was not sold.
    #[error("{order}: sold for {sold:?}, and {service} has {kept:?}")]
    Kept {
        /// Who.
        service: &'static str,
        /// Which.
        order: String,
        /// What its receipt says.
        sold: Option<u64>,
        /// What the service says.
        kept: Option<u64>,
    },
    /// A service has counted something else.
    #[error("{service} counted {counted} {what}, and there were {sold}")]
    Counted {
        /// Who.
        service: &'static str,
        /// What.
        what: String,
        /// How much of it was sold.
        sold: u64,
        /// How much was counted.
        counted: u64,
    },
}

impl Evidence {
    /// How many orders were sold, and how many refused.
    #[must_use]
    pub fn settled(&self) -> (usize, usize) {
        let sold = self.sold().len();
        (sold, self.sales.len() - sold)
    }

    /// The cents of each order that was sold, as its receipt says.
    fn sold(&self) -> BTreeMap<&str, u64> {
        let sold = |(order, (_, answered)): (_, &(_, Answered))| match answered {
            Answered::Sold(receipt) => Some((order, receipt.total)),
            Answered::Refused(_) | Answered::Lost(_) => None,
        };
        self.sales.iter().map(|(order, sale)| (order.as_str(), sale)).filter_map(sold).collect()
    }

    /// How many pieces of each thing were sold.
    fn pieces(&self) -> BTreeMap<&str, u64> {
        let mut pieces = BTreeMap::new();
        for (wish, answered) in self.sales.values() {
            for line in wish.lines.iter().filter(|_| matches!(answered, Answered::Sold(_))) {
                *pieces.entry(line.sku.as_str()).or_default() += u64::from(line.qty);
            }
        }
        pieces
    }
}

/// All that is wrong; nothing where each order counted once.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<Flaw> {
    let mut flaws = outcomes(&evidence.sales);
    let sold = evidence.sold();
    for (service, kept) in [("audit", &evidence.books), ("payments", &evidence.charged)] {
        let orders: BTreeSet<&str> = sold.keys().copied().chain(kept.keys().map(String::as_str)).collect();
        for order in orders {
            let (sold, kept) = (sold.get(order).copied(), kept.get(order).copied());
            if sold != kept {
                flaws.push(Flaw::Kept { service, order: order.to_owned(), sold, kept });
            }
        }
    }
    let pieces = evidence.pieces();
    for (sku, counted) in &evidence.taken {
        let sold = pieces.get(sku.as_str()).copied().unwrap_or_default();
        compare(&mut flaws, "stock", &format!("pieces of {sku}"), sold, *counted);
    }
    for (service, what, counted) in &evidence.counted {
        let sold = if *what == "cents" { sold.values().sum() } else { sold.len() as u64 };
        compare(&mut flaws, service, what, sold, *counted);
    }
    flaws
}

fn outcomes(sales: &Sales) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    for (order, (wish, answered)) in sales {
        let as_expected = match (&wish.expected, answered) {
            (Expected::Sold(due), Answered::Sold(receipt)) => due == receipt,
            (Expected::Refused(due), Answered::Refused(problem)) => discriminant(due) == discriminant(problem),
            _ => false,
        };
        if !as_expected {
            let (order, expected, answered) = (order.clone(), wish.expected.clone(), answered.clone());
            flaws.push(Flaw::Outcome { order, expected, answered });
        }
    }
    flaws
}

fn compare(flaws: &mut Vec<Flaw>, service: &'static str, what: &str, sold: u64, counted: u64) {
    if sold != counted {
        flaws.push(Flaw::Counted { service, what: what.to_owned(), sold, counted });
    }
}
