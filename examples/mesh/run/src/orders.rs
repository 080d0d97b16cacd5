//! What is ordered, and what must become of it. The same seed makes the same orders.

use serde::{Deserialize, Serialize};

/// What things cost, as the topology says it.
const PRICES: [(&str, u64); 4] = [("apple", 45), ("bread", 329), ("coffee", 899), ("honey", 675)];
/// What countries take, per mille, as the tax service knows it; and where the post charges what for a parcel.
const COUNTRIES: [(&str, u64, u64); 5] =
    [("at", 200, 790), ("ch", 81, 1490), ("de", 190, 490), ("fr", 200, 890), ("nl", 210, 790)];
/// Where the courier goes, for how much.
const COURIER: ([&str; 2], u64, u64) = (["de", "nl"], 1500, 20_000);
/// What each thing weighs.
const GRAMS_APIECE: u64 = 250;

/// `record line` of the carts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What.
    pub sku: String,
    /// How many of it.
    pub qty: u32,
}

/// `record order` of the desk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Which; placed twice, it is one order.
    pub id: String,
    /// Whose cart it is of.
    pub customer: String,
    /// Where it goes.
    pub country: String,
    /// Who pays.
    pub card: String,
    /// What the customer has to say.
    pub note: Option<String>,
}

/// `record receipt` of the desk: in cents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// What the goods cost,
    pub goods: u64,
    /// what the country takes,
    pub tax: u64,
    /// what the cheapest carrier takes,
    pub shipping: u64,
    /// and all of it.
    pub total: u64,
}

/// `variant problem` of the desk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Problem {
    /// There is no such thing.
    UnknownSku(String),
    /// There are not so many of it.
    SoldOut(String),
    /// Nobody carries it there.
    NoCarrier,
    /// It smells.
    Suspicious,
    /// The card was not charged, for this reason.
    NotPaid(String),
    /// Somebody who is needed for it cannot answer.
    Unavailable(String),
}

/// What must become of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// It is sold for this.
    Sold(Receipt),
    /// It is refused with a problem of this kind; what the problem says is not compared.
    Refused(Problem),
}

/// A customer's wish: what is put into the cart, the order of it, and what must become of that.
#[derive(Debug, Clone)]
pub struct Wish {
    /// What is put into the cart.
    pub lines: Vec<Line>,
    /// The order.
    pub order: Order,
    /// What must become of it.
    pub expected: Expected,
}

/// Wishes without an end.
#[derive(Debug)]
pub struct Wishes {
    seed: u64,
    made: u64,
}

impl Wishes {
    /// Those of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        // Chance that is drawn by xorshift never leaves nothing.
        Self { seed: seed.max(1), made: 0 }
    }

    /// One of so many. No order depends on a library's idea of chance.
    fn draw(&mut self, choices: u64) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed % choices
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let at = self.draw(from.len() as u64);
        from[usize::try_from(at).unwrap_or_default()]
    }

    /// A number that can be that of a card: its last digit makes the sum right.
    fn card(&mut self, begins: u64) -> String {
        let number = begins * 1_000_000 + self.draw(1_000_000);
        let digits = number.to_string();
        let doubled = digits.bytes().rev().enumerate().map(|(at, digit)| {
            let digit = u64::from(digit - b'0');
            if at % 2 > 0 { digit } else { 2 * digit - if digit > 4 { 9 } else { 0 } }
        });
        format!("{digits}{}", (10 - doubled.sum::<u64>() % 10) % 10)
    }

    /// An order that is sold.
    fn good(&mut self) -> Wish {
        let (country, per_mille, zone) = self.pick(&COUNTRIES);
        let (mut lines, mut goods, mut pieces) = (Vec::new(), 0, 0);
        for _ in 0..=self.draw(3) {
            let ((sku, each), qty) = (self.pick(&PRICES), 1 + self.draw(9));
            // Each thing once: of what is taken for an order the stock keeps one number.
            if lines.iter().all(|line: &Line| line.sku != sku) {
                goods += each * qty;
                pieces += qty;
                lines.push(Line { sku: sku.to_owned(), qty: u32::try_from(qty).unwrap_or_default() });
            }
        }
        let (tax, grams) = (goods * per_mille / 1000, GRAMS_APIECE * pieces);
        let (near, price, most) = COURIER;
        let post = zone + 100 * (grams / 1000);
        let shipping = if near.contains(&country) && grams <= most { post.min(price) } else { post };
        let order = Order {
            id: format!("order-{}", self.made),
            customer: String::new(),
            country: country.to_owned(),
            card: self.card(4_000_000_000),
            note: (self.draw(4) == 0).then(|| "with a bow, please".to_owned()),
        };
        let receipt = Receipt { goods, tax, shipping, total: goods + tax + shipping };
        Wish { lines, order, expected: Expected::Sold(receipt) }
    }
}

impl Iterator for Wishes {
    type Item = Wish;

    fn next(&mut self) -> Option<Wish> {
        self.made += 1;
        let mut wish = self.good();
        let Wish { lines, order, .. } = &mut wish;
        let said = String::new;
        let problem = match self.draw(1000) {
            0..20 => {
                lines[0].sku = "unicorn".to_owned();
                Problem::UnknownSku(said())
            }
            20..40 => {
                lines[0].sku = "truffle".to_owned();
                Problem::SoldOut(said())
            }
            40..50 => {
                order.country = "is".to_owned();
                Problem::NoCarrier
            }
            // Python raises.
            50..55 => {
                order.country = "atlantis".to_owned();
                Problem::Unavailable(said())
            }
            55..70 => {
                order.note = Some("hurry!".to_owned());
                Problem::Suspicious
            }
            // C aborts.
            70..75 => {
                order.note = Some("a note that is longer than anybody thought that one would be".to_owned());
                Problem::Suspicious
            }
            75..90 => {
                order.card = order.card.replacen('4', "5", 1);
                Problem::NotPaid(said())
            }
            // Rust panics.
            90..95 => {
                order.card = self.card(6_660_000_000);
                Problem::NotPaid(said())
            }
            _ => return Some(wish),
        };
        wish.expected = Expected::Refused(problem);
        Some(wish)
    }
}
