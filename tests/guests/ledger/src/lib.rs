//! Keeps numbers that must come in order, in its state: what is lost, comes twice or overtakes another one is told.

#![allow(missing_docs, unreachable_pub, unsafe_code, reason = "the bindings are generated")]

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({
        world: "acme:books/keeper",
        path: ["../../../wit/deps/keyvalue", "wit"],
        generate_all,
        pub_export_macro: true,
    });
}

bindings::export!(Ledger with_types_in bindings);

use bindings::exports::acme::books::ledger::Guest;
use bindings::wasi::keyvalue::store;

struct Ledger;

impl Guest for Ledger {
    fn enter(customer: String, sender: u32, number: u64) -> Result<u64, String> {
        let failed = |error: store::Error| format!("{error:?}");
        let bucket = store::open("").map_err(failed)?;
        let key = format!("{customer}.{sender}");
        let last = bucket.get(&key).map_err(failed)?.unwrap_or_default();
        let last: u64 = String::from_utf8_lossy(&last).parse().unwrap_or_default();
        if number != last + 1 {
            return Err(format!("{number} of sender {sender} came after {last}"));
        }
        bucket.set(&key, number.to_string().as_bytes()).map_err(failed)?;
        Ok(number)
    }
}
