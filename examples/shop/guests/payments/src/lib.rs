//! Charges cards, and breaks on some of them. What it writes before it breaks is nowhere to be seen afterwards.
//!
//! | card | what happens |
//! |---|---|
//! | `declined` | it says no |
//! | `slow` | it says yes, late |
//! | `poison` | it panics, with the charge written down already |
//! | `endless` | it hangs, with the charge written down already, until its turn budget is used up |
//! | any other | it says yes |

use airssys_sdk::prelude::*;
use shop_model::{Cents, Till, TillRequest};

const SLOW: Duration = Duration::from_millis(120);

/// What an order did, kept under its id.
#[derive(Serialize, Deserialize)]
enum Payment {
    Charged(Cents),
    /// With what was paid back. Also where nothing was charged: a charge that comes later than its voiding charges
    /// nothing.
    Voided(Cents),
}

#[component]
fn till(request: TillRequest) -> Result<Option<Till>> {
    match request {
        TillRequest::Charge { order, card, cents } => charge(&order, &card, cents).map(|()| None),
        TillRequest::Void { order } => void(&order).map(|()| None),
        TillRequest::Audit => audit().map(Some),
    }
}

fn charge(order: &str, card: &str, cents: Cents) -> Result<()> {
    match state::get::<Payment>(order)? {
        Some(Payment::Charged(_)) => return Ok(()),
        Some(Payment::Voided(_)) => return Err(Fault::refused("this order was voided")),
        None => {}
    }
    if card == "declined" {
        return Err(Fault::refused("the card was declined"));
    }
    state::set(order, &Payment::Charged(cents))?;
    match card {
        "slow" => std::thread::sleep(SLOW),
        "poison" => panic!("no idea what to do with this card"),
        "endless" => hang(),
        _ => {}
    }
    Ok(())
}

fn hang() {
    let mut turns: u64 = 0;
    while std::hint::black_box(true) {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

fn void(order: &str) -> Result<()> {
    let paid_back = match state::get(order)? {
        Some(Payment::Voided(_)) => return Ok(()),
        Some(Payment::Charged(cents)) => cents,
        None => 0,
    };
    state::set(order, &Payment::Voided(paid_back))?;
    Ok(())
}

fn audit() -> Result<Till> {
    let mut till = Till::default();
    let keys = state::keys()?;
    let orders: Vec<&str> = keys.iter().map(String::as_str).collect();
    for (order, payment) in orders.iter().zip(state::get_many(&orders)?) {
        match payment {
            Some(Payment::Charged(cents)) => {
                till.charged.insert((*order).to_owned(), cents);
            }
            Some(Payment::Voided(cents)) => {
                till.voided += 1;
                till.paid_back += cents;
            }
            None => {}
        }
    }
    Ok(till)
}
