//! Takes an order, sees it through or undoes it, and answers the same for ever.
//!
//! Three things make it hold, whatever crashes:
//!
//! - What an order decides leaves by `send` and stands in `state`: the entry in the books, what is to be taken back,
//!   the answer for the next time. All of it happens together when the turn commits, or not at all.
//! - What was done by `call` on the way is not undone by a turn that fails. So where this handler finds that it was
//!   begun before (`attempt`), it takes back what that turn may have done, and refuses.
//! - Whatever is not a clear yes or no is taken back. Taking back names the order and not the deed: where the deed was
//!   not done, it never will be.
//!
//! Orders of one id must come one after the other: it is a partitioned pool, and the id is the key.
//!
//! What it does not do: settle an order that it answered `unavailable` (there was no room to send), or over which it
//! crashed twice. Such an order is neither sold nor undone until it is asked for again.

use airssys_sdk::prelude::*;
use shop_model::{BookRequest, Entry, Goods, Order, Outcome, Quote, Reason, Settled, StockRequest, TillRequest};

/// How long another service may take.
const PATIENCE: Duration = Duration::from_secs(6);
/// How much of a name, and of a note, goes into the books.
const NAME_BYTES: usize = 24;
const NOTE_BYTES: usize = 32;

/// An order that was settled, kept under its id.
#[derive(Serialize, Deserialize)]
struct Known {
    order: Order,
    outcome: Outcome,
}

#[component]
fn take(order: Order, context: &Context) -> Result<Settled> {
    if order.id.is_empty() {
        return Err(Fault::invalid("an order needs an id"));
    }
    if context.key.as_ref().is_some_and(|key| *key != order.id) {
        return Err(Fault::invalid("the key of an order is its id"));
    }
    if let Some(known) = state::get::<Known>(&order.id)? {
        return again(known, order);
    }
    let customer = cut(&order.customer, NAME_BYTES);
    let outcome = if context.attempt == 0 {
        sell(&order)?
    } else {
        warn!("crashed over order {} before: it is undone", order.id);
        undo(&order, Reason::Interrupted)?
    };
    let mut entry = Entry { customer: customer.to_owned(), outcome, goods: None, note: String::new() };
    if let Outcome::Sold(_) = outcome {
        entry.goods = Some(Goods { sku: order.sku.clone(), quantity: order.quantity.unsigned_abs() });
        entry.note = cut(&order.note, NOTE_BYTES).to_owned();
    }
    send("ledger", &BookRequest::Enter { order: order.id.clone(), entry })?;
    let settled = Settled { order: order.id.clone(), outcome };
    state::set(&settled.order, &Known { order, outcome })?;
    Ok(settled)
}

/// An order that was settled before gets the same answer, and another one under its id none.
fn again(known: Known, order: Order) -> Result<Settled> {
    if known.order != order {
        return Err(Fault::invalid("this id was used for another order"));
    }
    Ok(Settled { order: order.id, outcome: known.outcome })
}

fn sell(order: &Order) -> Result<Outcome> {
    let quantity = match u64::try_from(order.quantity) {
        Ok(quantity) if quantity > 0 => quantity,
        _ => return Ok(Outcome::Refused(Reason::NoQuantity)),
    };
    let quote = Quote { sku: order.sku.clone(), quantity };
    let cents = match call::<u64>("pricing", &quote, PATIENCE) {
        Ok(cents) => cents,
        Err(CallError::Fault(Fault::Refused(_))) => {
            return Ok(Outcome::Refused(Reason::UnknownSku));
        }
        // By which of the two depends on the release.
        Err(CallError::Crashed(_) | CallError::Fault(Fault::Invalid(_))) => {
            return Ok(Outcome::Refused(Reason::NotPriced));
        }
        // Nothing has happened yet: ask again.
        Err(error) => return Err(error.into()),
    };
    let reserve = StockRequest::Reserve { order: order.id.clone(), goods: Goods { sku: order.sku.clone(), quantity } };
    match call::<()>("inventory", &reserve, PATIENCE) {
        Ok(()) => {}
        Err(CallError::Fault(Fault::Refused(_))) => {
            return Ok(Outcome::Refused(Reason::OutOfStock));
        }
        Err(_) => return undo(order, Reason::Unavailable),
    }
    let charge = TillRequest::Charge { order: order.id.clone(), card: order.card.clone(), cents };
    let patience = order.card_patience_ms.map_or(PATIENCE, Duration::from_millis);
    match call::<()>("payments", &charge, patience) {
        Ok(()) => Ok(Outcome::Sold(cents)),
        Err(CallError::Fault(Fault::Refused(_))) => undo(order, Reason::CardDeclined),
        Err(CallError::Crashed(_)) => undo(order, Reason::CardFailed),
        Err(CallError::Timeout) => undo(order, Reason::CardSilent),
        Err(_) => undo(order, Reason::Unavailable),
    }
}

/// Takes back whatever the order has done or may yet do. These messages leave at the commit, together with the refusal,
/// and come after the calls of this turn: messages of one sender to one address stay in order.
fn undo(order: &Order, reason: Reason) -> Result<Outcome> {
    send("inventory", &StockRequest::Release { order: order.id.clone() })?;
    send("payments", &TillRequest::Void { order: order.id.clone() })?;
    Ok(Outcome::Refused(reason))
}

/// Cuts a text at so many bytes. The bug is left in on purpose, as it is one that is made: in the middle of a character
/// it panics. For a name that is before anything was done; for a note, after the card was charged.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.len().min(bytes)]
}
