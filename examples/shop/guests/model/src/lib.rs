//! What the services of the shop say to each other, as JSON. Plain data; no rules, and nothing of the runtime.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Money, in cents. A sum that does not fit is a crash, never a wrong sum.
pub type Cents = u64;

/// One line of the input. Its id is idempotent: whoever does not know what became of an order sends the same line
/// again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Chosen by the customer; names this order and no other.
    pub id: String,
    /// Who buys.
    pub customer: String,
    /// What.
    pub sku: String,
    /// How many. Signed, so that a negative number is an order that is refused, and no unreadable line.
    pub quantity: i64,
    /// What is paid with. Some cards are bad in their own way: see `payments`.
    pub card: String,
    /// For the books.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// How long the card company may take, in milliseconds; the gateway's own patience where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card_patience_ms: Option<u64>,
    /// How long the customer waits for the shop before asking again, in milliseconds. Nothing to the shop itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hurry_ms: Option<u64>,
}

/// What became of an order. Final: the same id gets the same answer for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is sold, and paid with this much.
    Sold(Cents),
    /// It is not. Neither stock nor money moved, or both were moved back.
    Refused(Reason),
}

/// Why an order was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The quantity is nothing, or less.
    NoQuantity,
    /// There is no such article.
    UnknownSku,
    /// It has no price: `pricing` crashed over it.
    NotPriced,
    /// There is not enough of it.
    OutOfStock,
    /// The card company said no.
    CardDeclined,
    /// `payments` crashed over the card. A turn that crashed charged nothing.
    CardFailed,
    /// `payments` did not answer in time. It may have charged, or may yet: the charge was voided.
    CardSilent,
    /// The gateway itself crashed over it once. Whatever it had done was undone.
    Interrupted,
    /// A service was not there, or did not answer. Whatever was done was undone.
    Unavailable,
}

/// The gateway's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// Which order.
    pub order: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// To `pricing`: what does this cost? The answer is [`Cents`]; what it does not know it refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// What.
    pub sku: String,
    /// How many.
    pub quantity: u64,
}

/// So many of one article.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goods {
    /// What.
    pub sku: String,
    /// How many.
    pub quantity: u64,
}

/// To `inventory`. All of it may be said twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StockRequest {
    /// Put this aside for the order. Refused where there is not enough, or the order was released before.
    Reserve {
        /// For which order.
        order: String,
        /// What.
        goods: Goods,
    },
    /// Put back what was put aside for the order, and put nothing aside for it any more.
    Release {
        /// Of which order.
        order: String,
    },
    /// A truck brings packaging, with a note. Each truck counts its own, from 1.
    Deliver {
        /// Which truck.
        truck: String,
        /// The number on its note.
        note: u64,
    },
    /// Show the [`Stock`].
    Audit,
}

/// What `inventory` knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// What is left, by article.
    pub left: BTreeMap<String, u64>,
    /// What is put aside, by order.
    pub held: BTreeMap<String, Goods>,
    /// What the notes of the trucks say.
    pub notes: Notes,
}

/// Whether all that was sent arrived, once, and in order: by the numbers on the notes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    /// Those that came.
    pub taken: u64,
    /// Numbers that were left out, and did not come later.
    pub lost: u64,
    /// Numbers that came again.
    pub repeated: u64,
    /// Numbers that came after a later one.
    pub late: u64,
}

impl Notes {
    /// Enters a note of a truck whose highest number so far is `last`; the highest one now.
    #[must_use]
    pub fn enter(&mut self, last: u64, note: u64) -> u64 {
        self.taken += 1;
        if note > last {
            self.lost += note - last - 1;
        } else if self.lost > 0 {
            self.lost -= 1;
            self.late += 1;
        } else {
            self.repeated += 1;
        }
        last.max(note)
    }
}

/// To `payments`. All of it may be said twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TillRequest {
    /// Charge the card. Refused where the card is no good, or the order was voided before.
    Charge {
        /// For which order.
        order: String,
        /// Which card.
        card: String,
        /// How much.
        cents: Cents,
    },
    /// Pay back what was charged for the order, and charge nothing for it any more.
    Void {
        /// Of which order.
        order: String,
    },
    /// Show the [`Till`].
    Audit,
}

/// What `payments` knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Till {
    /// What was charged and stands, by order.
    pub charged: BTreeMap<String, Cents>,
    /// Orders for which nothing is charged any more.
    pub voided: u64,
    /// What was charged and paid back.
    pub paid_back: Cents,
}

/// An order, as it stands in the books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Who bought, or wanted to.
    pub customer: String,
    /// What became of it.
    pub outcome: Outcome,
    /// What was sold; none where nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goods: Option<Goods>,
    /// The customer's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// To `ledger`. All of it may be said twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BookRequest {
    /// Enter this. What stands there already is never changed.
    Enter {
        /// For which order.
        order: String,
        /// What.
        entry: Entry,
    },
    /// Show the [`Books`].
    Audit,
}

/// What `ledger` knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Books {
    /// All entries, by order.
    pub entries: BTreeMap<String, Entry>,
    /// The sum of what was sold, counted entry by entry as they came.
    pub cents: Cents,
    /// How often something else was to be entered for an order that stands there already. Anything but 0 is a bug of
    /// the gateway.
    pub conflicts: u64,
}

/// What `snoop` tried, and how it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// What it tried.
    pub deed: String,
    /// How it went.
    pub verdict: Verdict,
    /// What it was told, word for word.
    pub told: String,
}

/// How an attempt went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It was refused, by the typed error that means so.
    Denied,
    /// There was nothing there to be had.
    Nothing,
    /// It got what it wanted.
    GotThrough,
    /// Something else went wrong.
    Failed,
}
