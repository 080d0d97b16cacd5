//! What is on the shelves. Each thing has an actor, so the state is that of one shelf.

#![allow(missing_docs, unreachable_pub, unsafe_code, reason = "the bindings are generated")]

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({
        path: "../../wit",
        world: "acme:desk/shelf",
        generate_all,
        pub_export_macro: true,
        additional_derives: [serde::Serialize, serde::Deserialize],
    });
}

bindings::export!(Stock with_types_in bindings);

use airssys_sdk::{config, state};
use bindings::exports::acme::desk::stock::Guest;

struct Stock;

/// How many are left.
const LEFT: &str = "left";

impl Guest for Stock {
    fn take(sku: String, order: String, qty: u32) -> Result<bool, String> {
        if state::exists(&order).map_err(told)? {
            return Ok(true);
        }
        let left = left(&sku)?;
        if left < qty {
            return Ok(false);
        }
        state::set(LEFT, &(left - qty)).map_err(told)?;
        state::set(&order, &qty).map_err(told)?;
        Ok(true)
    }

    fn give_back(sku: String, order: String) -> Result<(), String> {
        if let Some(qty) = state::get::<u32>(&order).map_err(told)? {
            state::set(LEFT, &(left(&sku)? + qty)).map_err(told)?;
            state::delete(&order).map_err(told)?;
        }
        Ok(())
    }
}

/// What there was at first is in the topology.
fn left(sku: &str) -> Result<u32, String> {
    match state::get(LEFT).map_err(told)? {
        Some(left) => Ok(left),
        None => Ok(config::parse(sku).map_err(told)?.unwrap_or_default()),
    }
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}
