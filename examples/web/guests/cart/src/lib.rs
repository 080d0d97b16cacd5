//! The cart of a session: an instance each. On the bill are the goods, and nothing else.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, ResponseOutparam};
use web_basket::Release;

wasip2::http::proxy::export!(Cart);

struct Cart;

const RELEASE: Release = Release { version: env!("CARGO_PKG_VERSION"), surcharge: |_goods| None };

impl Guest for Cart {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        web_basket::handle(&RELEASE, &request, out);
    }
}
