//! Takes an order, and sees it through or undoes it. It imports what it needs, and knows nothing of who has it, or in
//! which language.

#![allow(missing_docs, unreachable_pub, unsafe_code, reason = "the bindings are generated")]

mod bindings {
    #![allow(clippy::all, reason = "generated code")]
    wit_bindgen::generate!({
        path: ["../../wit", "wit"],
        world: "acme:front/desk",
        generate_all,
        pub_export_macro: true,
        additional_derives: [serde::Serialize, serde::Deserialize],
    });
}

bindings::export!(Desk with_types_in bindings);

use airssys_sdk::{publish, state};
use bindings::acme::desk::{audit, carts, fraud, payments, stock, tax};
use bindings::acme::prices::prices;
use bindings::exports::acme::desk::orders::{Guest, Order, Problem, Receipt};
use bindings::{courier, post};

struct Desk;

/// What all things weigh.
const GRAMS_APIECE: u32 = 250;
/// From which risk on an order is refused.
const TOO_RISKY: u8 = 50;

/// What others are told of an order that was sold.
#[derive(serde::Serialize)]
struct Sold<'a> {
    order: &'a str,
    total: u64,
}

impl Guest for Desk {
    fn place(order: Order) -> Result<Receipt, Problem> {
        // Somebody who did not hear the answer asks again, and hears the same.
        if let Some(receipt) = state::get(&order.id).map_err(unavailable)? {
            return Ok(receipt);
        }
        let lines = carts::take(&order.customer, &order.id).map_err(Problem::Unavailable)?;
        let receipt = offer(&order, &lines)?;
        let risk = fraud::risk(&order.card, order.note.as_deref().unwrap_or_default(), receipt.total);
        if risk >= TOO_RISKY {
            return Err(Problem::Suspicious);
        }
        if let Err(problem) = buy(&order, &lines, &receipt) {
            // A call is not undone by what becomes of its caller. What was not done yet need not be known: to undo it
            // does nothing.
            undo(&order, &lines).map_err(Problem::Unavailable)?;
            return Err(problem);
        }
        // These leave and are written when the turn commits: both or neither.
        publish("orders/sold", &Sold { order: &order.id, total: receipt.total }).map_err(unavailable)?;
        state::set(&order.id, &receipt).map_err(unavailable)?;
        Ok(receipt)
    }
}

/// What it comes to. Nobody does anything for it yet.
fn offer(order: &Order, lines: &[carts::Line]) -> Result<Receipt, Problem> {
    let priced: Vec<_> = lines.iter().map(|line| prices::Line { sku: line.sku.clone(), qty: line.qty }).collect();
    let goods = prices::price(&priced).map_err(|prices::Problem::UnknownSku(sku)| Problem::UnknownSku(sku))?;
    let tax = tax::on_goods(&order.country, goods).map_err(Problem::Unavailable)?;
    let grams = GRAMS_APIECE * lines.iter().map(|line| line.qty).sum::<u32>();
    let offers = [post::offer(&order.country, grams), courier::offer(&order.country, grams)];
    let shipping = offers.into_iter().flatten().min().ok_or(Problem::NoCarrier)?;
    Ok(Receipt { goods, tax, shipping, total: goods + tax + shipping })
}

fn buy(order: &Order, lines: &[carts::Line], receipt: &Receipt) -> Result<(), Problem> {
    for line in lines {
        if !stock::take(&line.sku, &order.id, line.qty).map_err(Problem::Unavailable)? {
            return Err(Problem::SoldOut(line.sku.clone()));
        }
    }
    payments::charge(&order.id, &order.card, receipt.total).map_err(Problem::NotPaid)?;
    audit::enter(&order.id, receipt.total).map_err(Problem::Unavailable)
}

fn undo(order: &Order, lines: &[carts::Line]) -> Result<(), String> {
    payments::refund(&order.id)?;
    lines.iter().try_for_each(|line| stock::give_back(&line.sku, &order.id))
}

fn unavailable(error: impl std::fmt::Display) -> Problem {
    Problem::Unavailable(error.to_string())
}
