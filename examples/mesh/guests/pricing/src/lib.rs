//! Says what goods cost.

#![allow(missing_docs, unreachable_pub, unsafe_code, reason = "the bindings are generated")]

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({ path: "../../wit", world: "acme:desk/pricing", generate_all, pub_export_macro: true });
}

bindings::export!(Pricing with_types_in bindings);

use airssys_sdk::config;
use bindings::exports::acme::prices::prices::{Guest, Line, Problem};

struct Pricing;

impl Guest for Pricing {
    fn price(lines: Vec<Line>) -> Result<u64, Problem> {
        let cents = |line: Line| match config::parse::<u64>(&line.sku) {
            Ok(Some(each)) => Ok(each * u64::from(line.qty)),
            // A price that is no number is none.
            Ok(None) | Err(_) => Err(Problem::UnknownSku(line.sku)),
        };
        lines.into_iter().map(cents).sum()
    }
}
