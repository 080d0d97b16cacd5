//! Keeps the bytes that it was given, and answers with them: what is measured with it is the host's state.

use airssys_sdk::prelude::*;
use airssys_sdk::state;

#[component]
fn keeper(body: Payload) -> Result<Payload> {
    state::set("kept", &body)?;
    Ok(body)
}
