//! A release of pricing that somebody should have tested: it crashes over every order that is cheaper by the
//! half-dozen.

use airssys_sdk::prelude::*;
use shop_model::{Cents, Quote};

#[component]
fn price(quote: Quote) -> Result<Cents> {
    let Some(each) = config::parse::<Cents>(&quote.sku)? else {
        return Err(Fault::refused(format_args!("there is no {}", quote.sku)));
    };
    if quote.quantity >= 6 {
        panic!("no idea what half a dozen costs");
    }
    Ok(each * quote.quantity)
}
