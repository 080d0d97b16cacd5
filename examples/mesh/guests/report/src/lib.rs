//! Counts what is sold, as it is published.

#![allow(missing_docs, unreachable_pub, unsafe_code, reason = "the bindings are generated")]

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({
        path: "../../wit",
        world: "acme:desk/newspaper",
        generate_all,
        pub_export_macro: true,
        additional_derives: [serde::Serialize, serde::Deserialize],
    });
}

bindings::export!(Report with_types_in bindings);

use airssys_sdk::prelude::*;
use bindings::exports::acme::desk::report::{Guest, Sum};

struct Report;

const TODAY: &str = "today";

/// What the desk publishes of an order.
#[derive(Deserialize)]
struct Sold {
    total: u64,
}

// It is both: what is published comes to a handler, as a message of bytes; what it counts is asked for by type.
#[component]
impl Report {
    fn init() -> Result<Self> {
        subscribe("orders/sold")?;
        Ok(Self)
    }

    /// It sees each publication once, so it need not remember which it has seen.
    fn handle(&mut self, sold: Sold) -> Result<()> {
        let Sum { orders, cents } = Self::today();
        Ok(state::set(TODAY, &Sum { orders: orders + 1, cents: cents + sold.total })?)
    }
}

impl Guest for Report {
    fn today() -> Sum {
        state::get(TODAY).ok().flatten().unwrap_or(Sum { orders: 0, cents: 0 })
    }
}
