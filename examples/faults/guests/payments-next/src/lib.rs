//! Takes payments, each once: who asks for one again is told the same again.

use airssys_sdk::prelude::*;

const TAKEN: &str = "taken";

/// What it is told.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Request {
    /// Somebody pays for an order.
    Charge { order: String, cents: u64 },
    /// How much was taken so far?
    Taken,
}

#[component]
fn payments(request: Request) -> Result<u64> {
    match request {
        Request::Charge { order, cents } => {
            let key = format!("paid/{order}");
            if let Some(taken) = state::get::<u64>(&key)? {
                return Ok(taken);
            }
            let taken = state::increment(TAKEN, cents)?;
            state::set(&key, &taken)?;
            info!("{cents} cents for {order}");
            Ok(taken)
        }
        Request::Taken => Ok(state::increment(TAKEN, 0)?),
    }
}
