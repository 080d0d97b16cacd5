//! Says what an order costs. Knows nothing but its configuration, so there can be any number of it.

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
    // A quantity that no price can be made of crashes here: overflow is checked.
    let full = each * quote.quantity;
    let off = if quote.quantity >= BULK { full * BULK_PERCENT / 100 } else { 0 };
    Ok(full - off)
}
