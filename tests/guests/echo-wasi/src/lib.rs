//! Answers with the bytes that it was given; the same as `echo`, built against WASI.

use airssys_sdk::prelude::*;

#[component]
fn echo(body: Payload) -> Payload {
    body
}
