//! Enters things into a ledger. It imports the interface of one, and knows nothing of who has it.

#![allow(missing_docs, unreachable_pub, unsafe_code, reason = "the bindings are generated")]

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({
        world: "acme:books/desk",
        path: ["../../../wit/deps/keyvalue", "../ledger/wit"],
        generate_all,
        pub_export_macro: true,
    });
}

bindings::export!(Desk with_types_in bindings);

use bindings::Guest;
use bindings::acme::books::ledger;

struct Desk;

impl Guest for Desk {
    fn enter(customer: String, sender: u32, number: u64) -> Result<u64, String> {
        ledger::enter(&customer, sender, number)
    }
}
