//! The next release of the cart: it puts delivery on the bill, and says what is missing until that costs nothing.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, ResponseOutparam};
use web_basket::{Release, Surcharge};

wasip2::http::proxy::export!(Cart);

struct Cart;

const RELEASE: Release = Release { version: env!("CARGO_PKG_VERSION"), surcharge: delivery };

/// What delivery costs, and from which price of the goods on it costs nothing, in cents.
const DELIVERY: u64 = 490;
const FREE_FROM: u64 = 4_000;

impl Guest for Cart {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        web_basket::handle(&RELEASE, &request, out);
    }
}

#[allow(clippy::unnecessary_wraps, reason = "a release may have none")]
fn delivery(goods: u64) -> Option<Surcharge> {
    let (cents, note) = match FREE_FROM.saturating_sub(goods) {
        0 => (0, "Delivered for free.".to_owned()),
        missing => (DELIVERY, format!("{}.{:02} more, and delivery is free.", missing / 100, missing % 100)),
    };
    Some(Surcharge { label: "Delivery", cents, note: Some(note) })
}
