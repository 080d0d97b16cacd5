//! The check of the books. Pure: from what was seen to what is wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use shop_model::{Cents, Goods, Notes, Outcome};

use crate::evidence::Evidence;

/// Something in the books that does not agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "flaw")]
pub enum Flaw {
    /// What the mesh took is not what was answered and dead together.
    Fates {
        /// Messages that were taken.
        taken: usize,
        /// Those that were answered, or are dead letters.
        ended: usize,
    },
    /// One order was told two different things.
    Contradicted {
        /// Which.
        order: String,
    },
    /// Nobody knows what became of an order.
    Unknown {
        /// Which.
        order: String,
    },
    /// The books say something else than the customer was told.
    Outcome {
        /// Of which order.
        order: String,
        /// What the customer was told.
        told: Option<Outcome>,
        /// What the books say.
        entered: Option<Outcome>,
    },
    /// The ledger was to enter two things for one order.
    Conflicts {
        /// How often.
        count: u64,
    },
    /// What was charged for an order is not what it was sold for.
    Charge {
        /// Which order.
        order: String,
        /// What it was sold for, by the books.
        sold: Option<Cents>,
        /// What was charged.
        charged: Option<Cents>,
    },
    /// What is put aside for an order is not what was sold.
    Goods {
        /// Which order.
        order: String,
        /// What was sold, by the books.
        sold: Option<Goods>,
        /// What is put aside.
        held: Option<Goods>,
    },
    /// What was on the shelf, less what was sold, is not what is left.
    Shelf {
        /// Of which article.
        sku: String,
        /// What was there at the start.
        initial: u64,
        /// What was sold, by the books.
        sold: u64,
        /// What is left.
        left: u64,
    },
    /// The ledger's running sum, the sum of its entries and the sum of the charges are not the same.
    Sums {
        /// Counted entry by entry.
        running: Cents,
        /// Of the entries.
        entries: Cents,
        /// Of the charges.
        charges: Cents,
    },
    /// The gateway could not do its work: something was not granted, or it has a bug.
    Internal {
        /// How many orders it told so.
        count: usize,
    },
    /// The snoop was not kept from something.
    Snooped {
        /// What it tried.
        deed: String,
    },
    /// The trucks' notes did not all come, once, in order.
    Notes {
        /// Those that were sent.
        sent: u64,
        /// What came.
        notes: Notes,
    },
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fates { taken, ended } => {
                write!(f, "{taken} messages were taken, and {ended} were answered or dead")
            }
            Self::Contradicted { order } => {
                write!(f, "order {order} was told two different things")
            }
            Self::Unknown { order } => write!(f, "nobody knows what became of order {order}"),
            Self::Outcome { order, told, entered } => {
                write!(f, "order {order}: the customer was told {told:?}, the ledger says {entered:?}")
            }
            Self::Conflicts { count } => write!(f, "the ledger was to enter two things for one order, {count} times"),
            Self::Charge { order, sold, charged } => {
                write!(f, "order {order}: sold for {sold:?} cents, charged {charged:?}")
            }
            Self::Goods { order, sold, held } => {
                write!(f, "order {order}: sold {sold:?}, put aside {held:?}")
            }
            Self::Shelf { sku, initial, sold, left } => {
                write!(f, "{sku}: {initial} at the start, {sold} sold, {left} left")
            }
            Self::Sums { running, entries, charges } => {
                write!(f, "in cents, the ledger counted {running}, its entries make {entries}, the charges {charges}")
            }
            Self::Internal { count } => {
                write!(f, "the gateway could not do its work for {count} orders; RUST_LOG=warn says why")
            }
            Self::Notes { sent, notes: Notes { taken, lost, repeated, late } } => {
                write!(f, "of {sent} notes {taken} came: {lost} were lost, {repeated} came again, {late} came too late")
            }
            Self::Snooped { deed } => write!(f, "the snoop was not kept from this: {deed}"),
        }
    }
}

/// Everything that does not agree; nothing where all is well.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<Flaw> {
    let mut flaws = fates(evidence);
    flaws.extend(orders(evidence));
    flaws.extend(shelves(evidence));
    let notes = &evidence.stock.notes;
    if *notes != (Notes { taken: evidence.notes, ..Notes::default() }) {
        flaws.push(Flaw::Notes { sent: evidence.notes, notes: notes.clone() });
    }
    let (running, charges) = (evidence.books.cents, evidence.till.charged.values().sum());
    let entries = evidence.books.entries.values().filter_map(|entry| cents(entry.outcome)).sum();
    if running != entries || entries != charges {
        flaws.push(Flaw::Sums { running, entries, charges });
    }
    if evidence.books.conflicts > 0 {
        flaws.push(Flaw::Conflicts { count: evidence.books.conflicts });
    }
    flaws
}

/// Every message that was taken is answered or dead, and every order has one end.
fn fates(evidence: &Evidence) -> Vec<Flaw> {
    let sales = &evidence.sales;
    let ended = sales.answers() + evidence.dead.values().sum::<usize>();
    let mut flaws = Vec::new();
    if ended != evidence.taken {
        flaws.push(Flaw::Fates { taken: evidence.taken, ended });
    }
    if let Some(count) = sales.faulted.get("internal").copied() {
        flaws.push(Flaw::Internal { count });
    }
    flaws.extend(sales.contradicted.iter().cloned().map(|order| Flaw::Contradicted { order }));
    flaws.extend(sales.unknown.iter().cloned().map(|order| Flaw::Unknown { order }));
    flaws
}

/// Customers, ledger, till and shelves say the same of each order.
fn orders(evidence: &Evidence) -> Vec<Flaw> {
    let Evidence { sales, books, till, stock, .. } = evidence;
    let mut all: BTreeSet<&String> = sales.outcomes.keys().chain(books.entries.keys()).collect();
    all.extend(till.charged.keys());
    all.extend(stock.held.keys());
    let mut flaws = Vec::new();
    for order in all {
        let (told, entry) = (sales.outcomes.get(order).copied(), books.entries.get(order));
        let entered = entry.map(|entry| entry.outcome);
        if told != entered {
            flaws.push(Flaw::Outcome { order: order.clone(), told, entered });
        }
        let (sold, charged) = (entered.and_then(cents), till.charged.get(order).copied());
        if sold != charged {
            flaws.push(Flaw::Charge { order: order.clone(), sold, charged });
        }
        let (sold, held) = (entry.and_then(|entry| entry.goods.clone()), stock.held.get(order).cloned());
        if sold != held {
            flaws.push(Flaw::Goods { order: order.clone(), sold, held });
        }
    }
    flaws
}

/// What is left is what was there, less what was sold.
fn shelves(evidence: &Evidence) -> Vec<Flaw> {
    let mut sold: BTreeMap<&str, u64> = BTreeMap::new();
    for goods in evidence.books.entries.values().filter_map(|entry| entry.goods.as_ref()) {
        *sold.entry(&goods.sku).or_default() += goods.quantity;
    }
    let (initial, left) = (&evidence.initial, &evidence.stock.left);
    let skus: BTreeSet<&str> =
        initial.keys().chain(left.keys()).map(String::as_str).chain(sold.keys().copied()).collect();
    skus.into_iter()
        .filter_map(|sku| {
            let at = |shelf: &BTreeMap<String, u64>| shelf.get(sku).copied().unwrap_or(0);
            let (initial, left, sold) = (at(initial), at(left), sold.get(sku).copied().unwrap_or(0));
            (initial != left + sold).then(|| Flaw::Shelf { sku: sku.to_owned(), initial, sold, left })
        })
        .collect()
}

fn cents(outcome: Outcome) -> Option<Cents> {
    match outcome {
        Outcome::Sold(cents) => Some(cents),
        Outcome::Refused(_) => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use shop_model::{Books, Entry, Reason, Stock, Till};

    use super::*;
    use crate::evidence::Sales;

    /// Three apples sold to `a`, nothing to `b`, and one dead letter.
    fn agreeing() -> Evidence {
        let goods = Goods { sku: "apple".into(), quantity: 3 };
        let entry = |outcome, goods| Entry { customer: "Ada".into(), outcome, goods, note: String::new() };
        let (sold, refused) = (Outcome::Sold(90), Outcome::Refused(Reason::CardFailed));
        Evidence {
            sales: Sales {
                sold: 1,
                refused: BTreeMap::from([(Reason::CardFailed, 1)]),
                outcomes: BTreeMap::from([("a".into(), sold), ("b".into(), refused)]),
                ..Sales::default()
            },
            taken: 3,
            dead: BTreeMap::from([("poisoned", 1)]),
            initial: BTreeMap::from([("apple".into(), 10)]),
            notes: 0,
            stock: Stock {
                notes: Notes::default(),
                left: BTreeMap::from([("apple".into(), 7)]),
                held: BTreeMap::from([("a".into(), goods.clone())]),
            },
            till: Till { charged: BTreeMap::from([("a".into(), 90)]), voided: 1, paid_back: 0 },
            books: Books {
                entries: BTreeMap::from([("a".into(), entry(sold, Some(goods))), ("b".into(), entry(refused, None))]),
                cents: 90,
                conflicts: 0,
            },
        }
    }

    fn flaws<T>(spoil: impl FnOnce(&mut Evidence) -> T) -> Vec<&'static str> {
        let mut evidence = agreeing();
        spoil(&mut evidence);
        let name = |flaw: &Flaw| match flaw {
            Flaw::Fates { .. } => "fates",
            Flaw::Contradicted { .. } => "contradicted",
            Flaw::Unknown { .. } => "unknown",
            Flaw::Outcome { .. } => "outcome",
            Flaw::Conflicts { .. } => "conflicts",
            Flaw::Charge { .. } => "charge",
            Flaw::Goods { .. } => "goods",
            Flaw::Shelf { .. } => "shelf",
            Flaw::Sums { .. } => "sums",
            Flaw::Internal { .. } => "internal",
            Flaw::Notes { .. } => "notes",
            Flaw::Snooped { .. } => "snooped",
        };
        check(&evidence).iter().map(name).collect()
    }

    #[test]
    fn books_that_agree_have_no_flaw() {
        assert!(flaws(|_| {}).is_empty());
    }

    #[test]
    fn every_kind_of_flaw_is_found() {
        let a = || "a".to_owned();
        assert_eq!(flaws(|e| e.taken += 1), ["fates"]);
        assert_eq!(flaws(|e| e.dead.clear()), ["fates"]);
        assert_eq!(flaws(|e| e.sales.contradicted.insert(a())), ["contradicted"]);
        assert_eq!(flaws(|e| e.sales.unknown.insert(a())), ["unknown"]);
        assert_eq!(flaws(|e| e.sales.outcomes.insert("b".into(), Outcome::Refused(Reason::OutOfStock))), ["outcome"]);
        assert_eq!(flaws(|e| e.sales.outcomes.remove("b")), ["outcome"]);
        assert_eq!(flaws(|e| e.books.entries.remove("b")), ["outcome"]);
        assert_eq!(flaws(|e| e.books.conflicts = 1), ["conflicts"]);
        assert_eq!(flaws(|e| e.sales.faulted = BTreeMap::from([("invalid", 1)])), ["fates"]);
        assert_eq!(flaws(|e| (e.taken += 1, e.sales.faulted.insert("internal", 1))), ["internal"]);
        assert_eq!(flaws(|e| e.books.cents += 1), ["sums"]);
    }

    #[test]
    fn a_cent_too_many_is_found() {
        assert_eq!(flaws(|e| *e.till.charged.get_mut("a").unwrap() += 1), ["charge", "sums"]);
    }

    #[test]
    fn money_without_an_order_is_found() {
        assert_eq!(flaws(|e| e.till.charged.insert("b".into(), 1)), ["charge", "sums"]);
        assert_eq!(flaws(|e| e.till.charged.insert("c".into(), 0)), ["charge"]);
    }

    #[test]
    fn goods_without_an_order_are_found() {
        let goods = Goods { sku: "apple".into(), quantity: 1 };
        assert_eq!(flaws(|e| e.stock.held.insert("b".into(), goods)), ["goods"]);
        assert_eq!(flaws(|e| *e.stock.left.get_mut("apple").unwrap() -= 1), ["shelf"]);
        assert_eq!(flaws(|e| e.stock.left.insert("pear".into(), 1)), ["shelf"]);
        assert_eq!(flaws(|e| e.notes += 1), ["notes"]);
        assert_eq!(flaws(|e| e.stock.notes.late += 1), ["notes"]);
    }

    #[test]
    fn an_order_that_vanishes_from_all_the_books_is_found() {
        let vanish = |e: &mut Evidence| {
            e.books.entries.remove("a");
            e.books.cents = 0;
            e.till.charged.remove("a");
            e.stock.held.remove("a");
            e.stock.left.insert("apple".into(), 10);
        };
        assert_eq!(flaws(vanish), ["outcome"]);
    }
}
