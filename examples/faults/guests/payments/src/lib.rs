//! Takes payments. It takes one as often as it is asked for.

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
            info!("{cents} cents for {order}");
            Ok(state::increment(TAKEN, cents)?)
        }
        Request::Taken => Ok(state::increment(TAKEN, 0)?),
    }
}
