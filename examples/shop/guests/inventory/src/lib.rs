//! Keeps the stock. Each order can put goods aside once and give them back once, however often either is said.

use airssys_sdk::prelude::*;
use shop_model::{Goods, Notes, Stock, StockRequest};

const LEFT: &str = "left/";
const ORDER: &str = "order/";
const TRUCK: &str = "truck/";
const NOTES: &str = "notes";

/// What an order did.
#[derive(Serialize, Deserialize)]
enum Hold {
    Held(Goods),
    /// Also where nothing was held: a reservation that comes later than its release puts nothing aside.
    Released,
}

struct Inventory;

#[component]
impl Inventory {
    /// Fills the shelves from the configuration, once: what stands there outlives a crash.
    fn init() -> Result<Self> {
        for (sku, quantity) in config::all()? {
            let key = format!("{LEFT}{sku}");
            if !state::exists(&key)? {
                state::set(&key, &quantity.parse::<u64>().map_err(Fault::internal)?)?;
            }
        }
        Ok(Self)
    }

    fn handle(&self, request: StockRequest) -> Result<Option<Stock>> {
        match request {
            StockRequest::Reserve { order, goods } => reserve(&order, goods).map(|()| None),
            StockRequest::Release { order } => release(&order).map(|()| None),
            StockRequest::Deliver { truck, note } => deliver(&truck, note).map(|()| None),
            StockRequest::Audit => audit().map(Some),
        }
    }
}

fn reserve(order: &str, goods: Goods) -> Result<()> {
    let key = format!("{ORDER}{order}");
    match state::get::<Hold>(&key)? {
        Some(Hold::Held(_)) => return Ok(()),
        Some(Hold::Released) => return Err(Fault::refused("this order was released")),
        None => {}
    }
    let shelf = format!("{LEFT}{}", goods.sku);
    let left: u64 = state::get(&shelf)?.unwrap_or(0);
    let Some(rest) = left.checked_sub(goods.quantity) else {
        return Err(Fault::refused(format_args!("{left} {} left", goods.sku)));
    };
    state::set(&shelf, &rest)?;
    state::set(&key, &Hold::Held(goods))?;
    Ok(())
}

fn release(order: &str) -> Result<()> {
    let key = format!("{ORDER}{order}");
    if let Some(Hold::Held(goods)) = state::get(&key)? {
        let shelf = format!("{LEFT}{}", goods.sku);
        let left: u64 = state::get(&shelf)?.unwrap_or(0);
        state::set(&shelf, &(left + goods.quantity))?;
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
    let keys = state::keys()?;
    let orders: Vec<&str> = keys.iter().map(String::as_str).filter(|key| key.starts_with(ORDER)).collect();
    for (key, hold) in orders.iter().zip(state::get_many::<Hold>(&orders)?) {
        if let Some(Hold::Held(goods)) = hold {
            stock.held.insert(key[ORDER.len()..].to_owned(), goods);
        }
    }
    for key in keys.iter().filter(|key| key.starts_with(LEFT)) {
        stock.left.insert(key[LEFT.len()..].to_owned(), state::get(key)?.unwrap_or(0));
    }
    Ok(stock)
}
