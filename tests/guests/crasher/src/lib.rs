//! Echoes, and traps over the body `trap`.

use airssys_sdk::prelude::*;

#[component]
fn crasher(body: Payload) -> Payload {
    if *body == *b"trap" {
        fall();
    }
    body
}

/// A function of its own in what is compiled, so that who looks at the crash sees who called it.
#[inline(never)]
fn fall() {
    std::process::abort();
}
