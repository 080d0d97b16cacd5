//! Sells what another service prices. It imports that interface, and knows nothing of who has it.

#![allow(missing_docs, unreachable_pub, unsafe_code, reason = "the bindings are generated")]

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({ world: "till", path: "../pricing/wit", pub_export_macro: true });
}

bindings::export!(Till with_types_in bindings);

use bindings::acme::shop::pricing::{self, Extras, Order, Problem};
use bindings::{Guest, Line};

struct Till;

impl Guest for Till {
    fn checkout(sku: String, qty: u32) -> Result<u64, String> {
        let order = Order { sku, qty, extras: Extras::GIFT, note: None };
        match pricing::quote(&order) {
            Ok(price) => Ok(price.cents),
            Err(Problem::UnknownSku(sku)) => Err(format!("we do not have {sku}")),
            Err(Problem::TooMany(qty)) => Err(format!("{qty} are too many")),
            Err(Problem::Closed) => Err("it is closed".to_owned()),
        }
    }

    fn values_come_back(bytes: Vec<u8>) -> bool {
        let texts = [None, Some("a".to_owned()), Some(String::new())];
        let result: Result<&str, u8> = Err(7);
        let back =
            pricing::mirror(true, -1, 2, -3, u64::MAX, 0.25, -1e300, '€', &bytes, &texts, result, (1, i64::MIN, "z"));
        back == (
            true,
            -1,
            2,
            -3,
            u64::MAX,
            0.25,
            -1e300,
            '€',
            bytes,
            texts.to_vec(),
            Err(7),
            (1, i64::MIN, "z".to_owned()),
        )
    }

    fn same(line: Line) -> Line {
        pricing::same(&line)
    }

    fn carry(count: u32) -> u32 {
        let back = pricing::carry(&vec![7; count as usize]);
        back.len() as u32
    }

    fn audit() -> u32 {
        pricing::audit("on purpose")
    }

    fn inspect() -> Result<u32, String> {
        pricing::inspect("on purpose")
    }
}
