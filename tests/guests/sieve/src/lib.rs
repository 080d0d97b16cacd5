//! A content filter: a layer that turns away what has the word `secret` in it.

#![allow(missing_docs, unreachable_pub, unsafe_code, reason = "the bindings are generated")]

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({ path: "../../../wit", world: "airssys:actor/with-layer", pub_export_macro: true });
}

use bindings::exports::airssys::actor::layer::{ErrorVerdict, Failure, Guest, Operation, Outcome, Verdict};

struct Sieve;

impl Guest for Sieve {
    fn before(what: Operation) -> Verdict {
        let body = what.body.unwrap_or_default();
        match body.windows(6).any(|part| part == b"secret") {
            true => Verdict::Reject("it tells a secret".to_owned()),
            false => Verdict::Pass,
        }
    }

    fn after(_: Operation, _: Outcome) {}

    fn on_error(_: Operation, _: Failure) -> ErrorVerdict {
        ErrorVerdict::Keep
    }
}

bindings::export!(Sieve with_types_in bindings);
