//! The input: a few thousand orders as JSON lines, good and bad, the same ones for the same seed.
//!
//! Says beside the lines what must become of them. Only those in a hurry are left open: whether the shop was quicker
//! than its customer's patience depends on the machine, and either end is right.

use std::collections::{BTreeMap, BTreeSet};

use shop_model::{Order, Reason};

/// The seed of the committed file.
pub const SEED: u64 = 7;

/// How many lines of each kind there are. All others are good orders.
const LINES: usize = 3_000;
const MALFORMED: usize = 60;
const OVERSIZED: usize = 12;
const NO_QUANTITY: usize = 45;
const UNKNOWN_SKU: usize = 60;
const NOT_PRICED: usize = 6;
const SCARCE: usize = 100;
/// What the topology puts on the shelf of the scarce article.
const SCARCE_STOCK: usize = 60;
const DECLINED: usize = 120;
const POISON: usize = 240;
const ENDLESS: usize = 10;
const SLOW: usize = 6;
const BAD_NAME: usize = 4;
const BAD_NOTE: usize = 8;
const HURRIED: usize = 40;
const REPEATED: usize = 90;
const REUSED_ID: usize = 12;

const SKUS: [&str; 12] =
    ["apple", "bread", "butter", "cheese", "coffee", "eggs", "flour", "honey", "milk", "pasta", "rice", "tea"];
const NAMES: [&str; 8] = ["Ada", "Béatrice", "Chen", "Dagný", "Emeka", "Farah", "Grete", "Håkon"];

/// Longer than the gateway's `message` limit of 4 KiB.
const OVERSIZED_NOTE_BYTES: usize = 4_200;
/// The gateway cuts a name at 24 bytes, which is in the middle of the ö, and panics: each time, so it is a dead letter.
const POISONOUS_NAME: &str = "Wilhelmina Charlotte Bröms";
/// It cuts a note at 32 bytes, which is in the middle of the ü, after the card was charged: once, and then undoes the
/// order.
const POISONOUS_NOTE: &str = "please ring twice at the back Tür";
/// Less than `payments` takes over a slow card.
const CARD_PATIENCE_MS: u64 = 40;

/// Long enough for the gateway to begin, and not for a slow card to be charged.
const HURRIED_AND_SLOW_MS: u64 = 70;

/// The lines, and what must become of them.
#[derive(Debug, Clone)]
pub struct Orders {
    /// Without their ends of line.
    pub lines: Vec<Vec<u8>>,
    /// What must become of them.
    pub expected: Expected,
}

/// What must become of the lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// Lines that the mesh turns away: they are too large.
    pub turned_away: usize,
    /// Lines that the gateway cannot read, or whose id was used for another order.
    pub invalid: usize,
    /// Orders that are sold, without those in a hurry.
    pub sold: usize,
    /// Orders that are refused, without those in a hurry.
    pub refused: BTreeMap<Reason, usize>,
    /// Orders that may be sold or refused.
    pub hurried: usize,
    /// Orders that end as dead letters.
    pub dead: usize,
    /// Lines that say an order again, and get its answer again.
    pub repeated: usize,
    /// How often `payments` crashes.
    pub payments_crashes: usize,
}

impl Expected {
    /// Orders of which the books know.
    #[must_use]
    pub fn settled(&self) -> usize {
        self.sold + self.refused.values().sum::<usize>() + self.hurried
    }
}

/// Writes the lines.
#[must_use]
pub fn generate(seed: u64) -> Orders {
    let mut dice = Dice(seed);
    let mut expected = Expected {
        turned_away: OVERSIZED,
        invalid: MALFORMED + REUSED_ID,
        hurried: HURRIED,
        dead: BAD_NAME,
        repeated: REPEATED,
        payments_crashes: POISON + ENDLESS,
        ..Expected::default()
    };
    let bad = NO_QUANTITY
        + UNKNOWN_SKU
        + NOT_PRICED
        + SCARCE
        + DECLINED
        + POISON
        + ENDLESS
        + SLOW
        + BAD_NAME
        + BAD_NOTE
        + HURRIED;
    let good = LINES - bad - MALFORMED - OVERSIZED - REPEATED - REUSED_ID;
    expected.sold = good + SCARCE_STOCK;
    expected.refused = BTreeMap::from([
        (Reason::NoQuantity, NO_QUANTITY),
        (Reason::UnknownSku, UNKNOWN_SKU),
        (Reason::NotPriced, NOT_PRICED),
        (Reason::OutOfStock, SCARCE - SCARCE_STOCK),
        (Reason::CardDeclined, DECLINED),
        (Reason::CardFailed, POISON + ENDLESS),
        (Reason::CardSilent, SLOW),
        (Reason::Interrupted, BAD_NOTE),
    ]);
    let mut orders = orders(&mut dice, good);
    dice.shuffle(&mut orders);
    number(&mut orders);
    let mut lines: Vec<Vec<u8>> = orders.iter().map(line).collect();
    add_repeats(&mut dice, &orders, &mut lines);
    for at in 0..MALFORMED {
        let order = plain(&mut dice, 9_000 + at);
        lines.insert(dice.below(lines.len()), malformed(at, &order));
    }
    for at in 0..OVERSIZED {
        let order = Order { note: "long ".repeat(OVERSIZED_NOTE_BYTES / 5), ..plain(&mut dice, 8_000 + at) };
        lines.insert(dice.below(lines.len()), line(&order));
    }
    Orders { lines, expected }
}

/// All orders that are read, each once, kind after kind.
fn orders(dice: &mut Dice, good: usize) -> Vec<Order> {
    let mut orders = Vec::new();
    let mut add = |dice: &mut Dice, count: usize, change: &dyn Fn(usize, &mut Order)| {
        for at in 0..count {
            let mut order = plain(dice, 0);
            change(at, &mut order);
            orders.push(order);
        }
    };
    add(dice, good, &|_, _| {});
    add(dice, NO_QUANTITY, &|at, order| order.quantity = -i64::try_from(at % 4).unwrap_or(0));
    add(dice, UNKNOWN_SKU, &|at, order| order.sku = ["unicorn", "phlogiston", ""][at % 3].to_owned());
    add(dice, NOT_PRICED, &|_, order| order.quantity = i64::MAX);
    add(dice, SCARCE, &|_, order| {
        order.sku = "truffle".to_owned();
        order.quantity = 1;
    });
    add(dice, DECLINED, &|_, order| order.card = "declined".to_owned());
    add(dice, POISON, &|_, order| order.card = "poison".to_owned());
    add(dice, ENDLESS, &|_, order| order.card = "endless".to_owned());
    add(dice, SLOW, &|_, order| {
        order.card = "slow".to_owned();
        order.card_patience_ms = Some(CARD_PATIENCE_MS);
    });
    add(dice, BAD_NAME, &|_, order| order.customer = POISONOUS_NAME.to_owned());
    add(dice, BAD_NOTE, &|_, order| order.note = POISONOUS_NOTE.to_owned());
    add(dice, HURRIED, &|at, order| {
        order.hurry_ms = Some(3 + at as u64);
        if at % 7 == 0 {
            order.card = "slow".to_owned();
            order.hurry_ms = Some(HURRIED_AND_SLOW_MS);
        }
    });
    orders
}

fn plain(dice: &mut Dice, number: usize) -> Order {
    let note = if dice.below(5) == 0 { "leave it at the door" } else { "" };
    Order {
        id: id(number),
        customer: dice.one_of(&NAMES).to_owned(),
        sku: dice.one_of(&SKUS).to_owned(),
        quantity: i64::try_from(1 + dice.below(9)).unwrap_or(1),
        card: format!("card-{:04}", dice.below(10_000)),
        note: note.to_owned(),
        card_patience_ms: None,
        hurry_ms: None,
    }
}

fn id(number: usize) -> String {
    format!("o-{number:06}")
}

fn number(orders: &mut [Order]) {
    for (at, order) in orders.iter_mut().enumerate() {
        order.id = id(at + 1);
    }
}

/// Says some orders again: half of them at once, so that both are under way together, half somewhere later. Then uses
/// some ids for other orders.
fn add_repeats(dice: &mut Dice, orders: &[Order], lines: &mut Vec<Vec<u8>>) {
    // A dead letter has no answer that could be repeated; who is in a hurry repeats anyhow.
    let repeatable: Vec<&Order> =
        orders.iter().filter(|order| order.customer != POISONOUS_NAME && order.hurry_ms.is_none()).collect();
    let mut repeated = BTreeSet::new();
    for at in 0..REPEATED {
        let order = repeatable[dice.below(repeatable.len())];
        repeated.insert(&order.id);
        let order = line(order);
        let first = lines.iter().position(|line| *line == order).unwrap_or(0);
        let later = if at % 2 == 0 { 1 } else { 1 + dice.below(lines.len() - first) };
        lines.insert(first + later, order);
    }
    let good = |order: &Order| {
        order.card.starts_with("card-")
            && order.sku == "tea"
            && (1..10).contains(&order.quantity)
            && order.note != POISONOUS_NOTE
    };
    let once = repeatable.into_iter().filter(|order| good(order) && !repeated.contains(&order.id));
    for order in once.take(REUSED_ID) {
        let first = lines.iter().position(|found| *found == line(order)).unwrap_or(0);
        // It differs in nothing that counts, so that it does not matter which of the two comes first.
        let other = Order { card: "card-other".to_owned(), ..order.clone() };
        lines.insert(first + 1, line(&other));
    }
}

fn line(order: &Order) -> Vec<u8> {
    serde_json::to_vec(order).unwrap_or_default()
}

fn malformed(at: usize, order: &Order) -> Vec<u8> {
    let good = line(order);
    let changed = |from: &str, to: &str| String::from_utf8_lossy(&good).replacen(from, to, 1).into_bytes();
    match at % 8 {
        0 => good[..good.len() / 2].to_vec(),
        1 => b"two pounds of apples, please".to_vec(),
        2 => changed("\"sku\"", "\"article\""),
        3 => changed("\"quantity\":", "\"quantity\":\"some\",\"was\":"),
        4 => changed("}", ",\"discount\":99}"),
        5 => b"[]".to_vec(),
        6 => [b"{\"id\":\"".as_slice(), &[0xff, 0xfe], b"\"}"].concat(),
        _ => changed("\"quantity\":", "\"quantity\":1e30,\"was\":"),
    }
}

/// SplitMix64: the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.roll() % limit.max(1) as u64).unwrap_or(0)
    }

    fn one_of<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn shuffle<T>(&mut self, all: &mut [T]) {
        for at in (1..all.len()).rev() {
            all.swap(at, self.below(at + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

    use super::{Order, SEED, generate};

    #[test]
    fn the_committed_file_is_what_the_seed_gives() {
        let committed = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../orders.jsonl")).unwrap();
        let generated: Vec<u8> =
            generate(SEED).lines.iter().flat_map(|line| [line.as_slice(), b"\n"].concat()).collect();
        assert!(committed == generated, "run `cargo run -p airssys-shop -- --write-orders examples/shop/orders.jsonl`");
    }

    #[test]
    fn every_line_is_accounted_for() {
        for seed in 0..20 {
            let orders = generate(seed);
            let expected = &orders.expected;
            assert_eq!(orders.lines.len(), 3_000);
            assert_eq!(
                expected.settled() + expected.dead + expected.invalid + expected.turned_away + expected.repeated,
                3_000
            );
            let malformed = orders.lines.iter().filter(|line| serde_json::from_slice::<Order>(line).is_err()).count();
            assert_eq!(malformed, super::MALFORMED, "seed {seed}");
            let large = orders.lines.iter().filter(|line| line.len() > 4_096).count();
            assert_eq!(large, expected.turned_away, "seed {seed}");
        }
    }
}
