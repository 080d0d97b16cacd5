//! The books.

#![allow(missing_docs, unreachable_pub, unsafe_code, reason = "the bindings are generated")]

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({
        path: "../../wit",
        world: "acme:desk/books",
        generate_all,
        pub_export_macro: true,
        additional_derives: [serde::Serialize, serde::Deserialize],
    });
}

bindings::export!(Books with_types_in bindings);

use airssys_sdk::state::{self, StateError};
use bindings::exports::acme::desk::audit::{Guest, Sum};

struct Books;

const TOTALS: &str = "totals";

impl Guest for Books {
    fn enter(order: String, cents: u64) -> Result<(), String> {
        if state::exists(&order).map_err(told)? {
            return Ok(());
        }
        // Both or neither: it is one turn.
        let Sum { orders, cents: before } = Self::totals();
        state::set(&order, &cents).map_err(told)?;
        state::set(TOTALS, &Sum { orders: orders + 1, cents: before + cents }).map_err(told)
    }

    fn totals() -> Sum {
        state::get(TOTALS).ok().flatten().unwrap_or(Sum { orders: 0, cents: 0 })
    }
}

fn told(error: StateError) -> String {
    error.to_string()
}
