//! Answers with the bytes that it was given, and nothing else: what is measured with it is the host.

use airssys_sdk::prelude::*;

#[component]
fn echo(body: Payload) -> Payload {
    body
}
