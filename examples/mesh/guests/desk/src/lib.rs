//! Takes an order, and sees it through.

#![allow(missing_docs, unreachable_pub, unsafe_code, reason = "the bindings are generated")]

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({
        path: "../../wit",
        world: "acme:desk/desk",
        generate_all,
        pub_export_macro: true,
        additional_derives: [serde::Serialize, serde::Deserialize],
    });
}

bindings::export!(Desk with_types_in bindings);

use airssys_sdk::state::{self, StateError};
use bindings::acme::desk::tax;
use bindings::acme::prices::prices::{self, Line};
use bindings::exports::acme::desk::orders::{Guest, Order, Problem, Receipt};

struct Desk;

impl Guest for Desk {
    fn place(order: Order) -> Result<Receipt, Problem> {
        // Somebody who did not hear the answer asks again, and hears the same.
        if let Some(receipt) = state::get(&order.id)? {
            return Ok(receipt);
        }
        let line = Line { sku: order.sku, qty: order.qty };
        let goods = prices::price(&[line])?;
        let tax = tax::on_goods(&order.country, goods).map_err(Problem::Unavailable)?;
        let receipt = Receipt { goods, tax, total: goods + tax };
        state::set(&order.id, &receipt)?;
        Ok(receipt)
    }
}

impl From<prices::Problem> for Problem {
    fn from(problem: prices::Problem) -> Self {
        let prices::Problem::UnknownSku(sku) = problem;
        Self::UnknownSku(sku)
    }
}

impl From<StateError> for Problem {
    fn from(error: StateError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
