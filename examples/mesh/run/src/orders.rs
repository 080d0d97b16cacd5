//! What is ordered, and what must become of it. The same seed makes the same orders.

use serde::{Deserialize, Serialize};

/// What things cost, as the topology says it.
const PRICES: [(&str, u64); 4] = [("apple", 45), ("bread", 329), ("coffee", 899), ("honey", 675)];
/// What countries take, per mille, as the tax service knows it.
const COUNTRIES: [(&str, u64); 5] = [("at", 200), ("ch", 81), ("de", 190), ("fr", 200), ("nl", 210)];

/// An order, as the desk takes it: `record order` of its interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Which; placed twice, it is one order.
    pub id: String,
    /// Whose.
    pub customer: String,
    /// Where it goes.
    pub country: String,
    /// What.
    pub sku: String,
    /// How many of it.
    pub qty: u32,
}

/// What it came to, in cents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The goods.
    pub goods: u64,
    /// What the country takes.
    pub tax: u64,
    /// All of it.
    pub total: u64,
}

/// What must become of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// It is sold for this.
    Sold(Receipt),
    /// It is refused.
    Refused,
}

/// Orders without an end.
#[derive(Debug)]
pub struct Orders {
    seed: u64,
    made: u64,
}

impl Orders {
    /// Those of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        Self { seed, made: 0 }
    }

    /// One of `choices`, drawn by xorshift: no order depends on a library's idea of chance.
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
}

impl Iterator for Orders {
    type Item = (Order, Expected);

    fn next(&mut self) -> Option<Self::Item> {
        self.made += 1;
        let ((sku, each), (country, per_mille)) = (self.pick(&PRICES), self.pick(&COUNTRIES));
        let qty = 1 + self.draw(9);
        let goods = each * qty;
        let tax = goods * per_mille / 1000;
        let sold = Expected::Sold(Receipt { goods, tax, total: goods + tax });
        // Some are for what there is not, and some go to where nobody knows the tax, which crashes the tax service.
        let (sku, country, expected) = match self.draw(100) {
            0..3 => ("unicorn", country, Expected::Refused),
            3 => (sku, "atlantis", Expected::Refused),
            _ => (sku, country, sold),
        };
        let order = Order {
            id: format!("order-{}", self.made),
            customer: format!("customer-{}", self.draw(50)),
            country: country.to_owned(),
            sku: sku.to_owned(),
            qty: u32::try_from(qty).unwrap_or_default(),
        };
        Some((order, expected))
    }
}
