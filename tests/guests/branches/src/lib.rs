//! Enters things into two ledgers. It imports one interface twice, under names of its own.

#![allow(missing_docs, unreachable_pub, unsafe_code, reason = "the bindings are generated")]

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({
        world: "acme:books/branches",
        path: ["../../../wit/deps/keyvalue", "../ledger/wit"],
        generate_all,
        pub_export_macro: true,
    });
}

bindings::export!(Branches with_types_in bindings);

use bindings::{Guest, harbour, town};

struct Branches;

impl Guest for Branches {
    fn enter(in_town: bool, customer: String, sender: u32, number: u64) -> Result<u64, String> {
        match in_town {
            true => town::enter(&customer, sender, number),
            false => harbour::enter(&customer, sender, number),
        }
    }
}
