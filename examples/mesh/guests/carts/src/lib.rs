//! What customers have in mind. Each customer has an actor, so the state is that of one cart.

#![allow(missing_docs, unreachable_pub, unsafe_code, reason = "the bindings are generated")]

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({
        path: "../../wit",
        world: "acme:desk/cart",
        generate_all,
        pub_export_macro: true,
        additional_derives: [serde::Serialize, serde::Deserialize],
    });
}

bindings::export!(Carts with_types_in bindings);

use airssys_sdk::state::{self, StateError};
use bindings::exports::acme::desk::carts::{Guest, Line};

struct Carts;

const CART: &str = "cart";

impl Guest for Carts {
    fn put(_customer: String, line: Line) -> Result<u32, String> {
        let mut lines: Vec<Line> = state::get(CART).map_err(told)?.unwrap_or_default();
        lines.push(line);
        state::set(CART, &lines).map_err(told)?;
        Ok(lines.iter().map(|line| line.qty).sum())
    }

    fn take(_customer: String, order: String) -> Result<Vec<Line>, String> {
        if let Some(taken) = state::get(&order).map_err(told)? {
            return Ok(taken);
        }
        let lines: Vec<Line> = state::get(CART).map_err(told)?.unwrap_or_default();
        state::delete(CART).map_err(told)?;
        state::set(&order, &lines).map_err(told)?;
        Ok(lines)
    }
}

fn told(error: StateError) -> String {
    error.to_string()
}
