//! Echoes, and traps over the body `trap`.

use airssys_sdk::prelude::*;

#[component]
fn crasher(body: Payload) -> Payload {
    if *body == *b"trap" {
        std::process::abort();
    }
    body
}
