//! Charges cards.

#![allow(missing_docs, unreachable_pub, unsafe_code, reason = "the bindings are generated")]

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({
        path: "../../wit",
        world: "acme:desk/till",
        generate_all,
        pub_export_macro: true,
        additional_derives: [serde::Serialize, serde::Deserialize],
    });
}

bindings::export!(Payments with_types_in bindings);

use airssys_sdk::state::{self, StateError};
use bindings::acme::desk::cards;
use bindings::exports::acme::desk::payments::Guest;

struct Payments;

impl Guest for Payments {
    fn charge(order: String, card: String, cents: u64) -> Result<(), String> {
        if !cards::valid(&card) {
            return Err(format!("{card} is no card"));
        }
        if !state::exists(&order).map_err(told)? {
            state::set(&order, &cents).map_err(told)?;
        }
        // What was written in a turn that crashes was never written: nobody pays for this.
        assert!(!card.starts_with("666"), "no idea what to do with card {card}");
        Ok(())
    }

    fn refund(order: String) -> Result<(), String> {
        state::delete(&order).map_err(told)
    }
}

fn told(error: StateError) -> String {
    error.to_string()
}
