//! The next release of the inventory: it keeps with each article what is put aside of it, and brings over what the
//! release before has stored.

use airssys_sdk::prelude::*;
use shop_model::{Goods, Notes, Stock, StockRequest};

const SHELF: &str = "shelf/";
const ORDER: &str = "order/";
const TRUCK: &str = "truck/";
const NOTES: &str = "notes";

/// Where the release before kept what is left of an article: a bare number.
const LEFT: &str = "left/";

/// What there is of an article.
#[derive(Default, Serialize, Deserialize)]
struct Shelf {
    left: u64,
    held: u64,
}

/// What an order did.
#[derive(Serialize, Deserialize)]
enum Hold {
    Held(Goods),
    /// Also where nothing was held: a reservation that comes later than its release puts nothing aside.
    Released,
}

#[derive(Default)]
struct Inventory;

#[component]
impl Inventory {
    fn handle(&self, request: StockRequest) -> Result<Option<Stock>> {
        match request {
            StockRequest::Reserve { order, goods } => reserve(&order, goods).map(|()| None),
            StockRequest::Release { order } => release(&order).map(|()| None),
            StockRequest::Deliver { truck, note } => deliver(&truck, note).map(|()| None),
            StockRequest::Audit => audit().map(Some),
        }
    }

    fn migrate(from: u32) -> Result<()> {
        if from != 0 {
            return Err(Fault::refused(format_args!("schema {from} is not known here")));
        }
        let keys = state::keys()?;
        for key in keys.iter().filter(|key| key.starts_with(LEFT)) {
            let left = state::get(key)?.unwrap_or(0);
            state::set(&format!("{SHELF}{}", &key[LEFT.len()..]), &Shelf { left, held: 0 })?;
            state::delete(key)?;
        }
        for key in keys.iter().filter(|key| key.starts_with(ORDER)) {
            if let Some(Hold::Held(goods)) = state::get(key)? {
                let (key, mut shelf) = shelf(&goods.sku)?;
                shelf.held += goods.quantity;
                state::set(&key, &shelf)?;
            }
        }
        Ok(())
    }
}

/// The shelf of an article, and its key.
fn shelf(sku: &str) -> Result<(String, Shelf)> {
    let key = format!("{SHELF}{sku}");
    let shelf = state::get(&key)?.unwrap_or_default();
    Ok((key, shelf))
}

fn reserve(order: &str, goods: Goods) -> Result<()> {
    let key = format!("{ORDER}{order}");
    match state::get::<Hold>(&key)? {
        Some(Hold::Held(_)) => return Ok(()),
        Some(Hold::Released) => return Err(Fault::refused("this order was released")),
        None => {}
    }
    let (at, Shelf { left, held }) = shelf(&goods.sku)?;
    let Some(rest) = left.checked_sub(goods.quantity) else {
        return Err(Fault::refused(format_args!("{left} {} left, {held} put aside", goods.sku)));
    };
    state::set(&at, &Shelf { left: rest, held: held + goods.quantity })?;
    state::set(&key, &Hold::Held(goods))?;
    Ok(())
}

fn release(order: &str) -> Result<()> {
    let key = format!("{ORDER}{order}");
    if let Some(Hold::Held(goods)) = state::get(&key)? {
        let (at, Shelf { left, held }) = shelf(&goods.sku)?;
        state::set(&at, &Shelf { left: left + goods.quantity, held: held - goods.quantity })?;
    }
    state::set(&key, &Hold::Released)?;
    Ok(())
}

fn deliver(truck: &str, note: u64) -> Result<()> {
    let key = format!("{TRUCK}{truck}");
    let mut notes: Notes = state::get(NOTES)?.unwrap_or_default();
    let last = notes.enter(state::get(&key)?.unwrap_or(0), note);
    state::set(&key, &last)?;
    state::set(NOTES, &notes)?;
    Ok(())
}

fn audit() -> Result<Stock> {
    let mut stock = Stock { notes: state::get(NOTES)?.unwrap_or_default(), ..Stock::default() };
    for key in state::keys()? {
        if let Some(order) = key.strip_prefix(ORDER) {
            if let Some(Hold::Held(goods)) = state::get(&key)? {
                stock.held.insert(order.to_owned(), goods);
            }
        } else if let Some(sku) = key.strip_prefix(SHELF) {
            stock.left.insert(sku.to_owned(), shelf(sku)?.1.left);
        }
    }
    Ok(stock)
}
