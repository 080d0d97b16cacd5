//! The next release of pricing: a quantity that no price can be made of is refused. It crashed over that before.

use airssys_sdk::prelude::*;
use shop_model::{Cents, Quote};

/// From so many on it is cheaper,
const BULK: u64 = 6;
/// by so many hundredths.
const BULK_PERCENT: Cents = 5;

#[component]
fn price(quote: Quote) -> Result<Cents> {
    let Some(each) = config::parse::<Cents>(&quote.sku)? else {
        return Err(Fault::refused(format_args!("there is no {}", quote.sku)));
    };
    let price = each.checked_mul(quote.quantity).and_then(|full| {
        let off = if quote.quantity >= BULK { full.checked_mul(BULK_PERCENT)? / 100 } else { 0 };
        full.checked_sub(off)
    });
    price.ok_or_else(|| Fault::invalid(format_args!("{} of {} have no price", quote.quantity, quote.sku)))
}
