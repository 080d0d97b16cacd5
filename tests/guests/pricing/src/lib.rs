//! Prices orders by an interface of its own: without an SDK, without a handler, with nothing of this host's contract.

#![allow(missing_docs, unreachable_pub, unsafe_code, reason = "the bindings are generated")]

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({ world: "shop", path: "wit", pub_export_macro: true });
}

bindings::export!(Shop with_types_in bindings);

use bindings::Guest as World;
use bindings::exports::acme::shop::pricing::{Currency, Extras, Guest, Line, Order, Price, Problem};

struct Shop;

type Mirrored =
    (bool, i8, u16, i32, u64, f32, f64, char, Vec<u8>, Vec<Option<String>>, Result<String, u8>, (u8, i64, String));

impl World for Shop {
    fn ping() {}

    #[allow(clippy::panic, reason = "it is asked to")]
    fn crash(reason: String) -> u32 {
        panic!("{reason}")
    }
}

impl Guest for Shop {
    fn quote(order: Order) -> Result<Price, Problem> {
        if order.qty > 100 {
            return Err(Problem::TooMany(order.qty));
        }
        let each = match order.sku.as_str() {
            "book" => 1250,
            "pen" => 99,
            "" => return Err(Problem::Closed),
            _ => return Err(Problem::UnknownSku(order.sku)),
        };
        let mut lines = vec![(order.sku, each * u64::from(order.qty))];
        if order.extras.contains(Extras::GIFT) {
            lines.push((order.note.unwrap_or_else(|| "gift".to_owned()), 300));
        }
        if order.extras.contains(Extras::INSURED) {
            lines.push(("insurance".to_owned(), 450));
        }
        Ok(Price { cents: lines.iter().map(|(_, cents)| cents).sum(), currency: Currency::Eur, lines })
    }

    fn same(line: Line) -> Line {
        line
    }

    fn carry(bytes: Vec<u8>) -> Vec<u8> {
        bytes
    }

    #[allow(clippy::panic, reason = "it is asked to")]
    fn audit(reason: String) -> u32 {
        panic!("{reason}")
    }

    #[allow(clippy::panic, reason = "it is asked to")]
    fn inspect(reason: String) -> Result<u32, String> {
        panic!("{reason}")
    }

    fn mirror(
        a: bool,
        b: i8,
        c: u16,
        d: i32,
        e: u64,
        f: f32,
        g: f64,
        h: char,
        i: Vec<u8>,
        j: Vec<Option<String>>,
        k: Result<String, u8>,
        l: (u8, i64, String),
    ) -> Mirrored {
        (a, b, c, d, e, f, g, h, i, j, k, l)
    }
}
