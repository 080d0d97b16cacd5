//! Takes orders, and has them paid for. What is sold is counted when that is done.

use airssys_sdk::prelude::*;

/// How often it asks for a payment before it gives an order up.
const TRIES: u32 = 3;
const SOLD: &str = "sold";

/// What it is told.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Request {
    /// Somebody buys something.
    Buy { order: String, cents: u64 },
    /// How much was sold so far?
    Sold,
}

/// What it tells the service of payments.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Payment<'a> {
    Charge { order: &'a str, cents: u64 },
}

#[component]
fn orders(request: Request) -> Result<u64> {
    match request {
        Request::Buy { order, cents } => {
            charge(&order, cents)?;
            Ok(state::increment(SOLD, cents)?)
        }
        Request::Sold => Ok(state::increment(SOLD, 0)?),
    }
}

/// Asks for the payment, and asks again where nobody answers.
fn charge(order: &str, cents: u64) -> Result<()> {
    let payment = Payment::Charge { order, cents };
    let mut tries = 1;
    loop {
        match call::<u64>("payments", &payment, Duration::from_secs(1)) {
            Ok(_) => return Ok(()),
            Err(error) if tries < TRIES => warn!("try {tries} of {TRIES} to have {order} paid for: {error}"),
            Err(error) => return Err(error.into()),
        }
        tries += 1;
    }
}
