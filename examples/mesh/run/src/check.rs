//! Whether each order counted once: pure, so that a test can spoil the evidence and see that it is found out.

use crate::load::{Answered, Sales};
use crate::orders::Expected;

/// What customers and services know at the end.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// What the customers ordered, and what they were told.
    pub(crate) sales: Sales,
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
}

impl Evidence {
    /// How many orders were sold, and how many refused.
    #[must_use]
    pub fn settled(&self) -> (u64, u64) {
        let sold = self.sales.values().filter(|(_, _, answered)| matches!(answered, Answered::Sold(_))).count() as u64;
        (sold, self.sales.len() as u64 - sold)
    }
}

/// All that is wrong; nothing where each order counted once.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    for (order, (_, expected, answered)) in &evidence.sales {
        let as_expected = match (expected, answered) {
            (Expected::Sold(due), Answered::Sold(receipt)) => due == receipt,
            (Expected::Refused, Answered::Refused(_)) => true,
            _ => false,
        };
        if !as_expected {
            let (order, answered) = (order.clone(), answered.clone());
            flaws.push(Flaw::Outcome { order, expected: *expected, answered });
        }
    }
    flaws
}
