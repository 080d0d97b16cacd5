//! The cart of one session, as far as its releases have it in common: what is asked of it, what it keeps, and what it
//! answers. A release says what is on the bill besides the goods.

mod kept;
mod prices;

use std::sync::atomic::{AtomicU64, Ordering};

use kept::Cart;
use serde::{Deserialize, Serialize};
use wasip2::http::types::{IncomingRequest, Method, ResponseOutparam};

/// A release of the cart.
#[derive(Debug)]
pub struct Release {
    /// Its version.
    pub version: &'static str,
    /// What comes on the bill of goods that cost so many cents.
    pub surcharge: fn(u64) -> Option<Surcharge>,
}

/// What is on the bill besides the goods.
#[derive(Debug, Serialize)]
pub struct Surcharge {
    /// What for.
    pub label: &'static str,
    /// How much.
    pub cents: u64,
    /// What there is to say about it.
    pub note: Option<String>,
}

/// How many requests this instance has had: the memory of an instance, which ends with it.
static SEEN: AtomicU64 = AtomicU64::new(0);

/// What the page is told.
#[derive(Serialize)]
struct View {
    release: &'static str,
    /// Requests of this instance.
    seen: u64,
    /// Changes of this cart: of two views, the one with more is the later one.
    changes: u64,
    lines: Vec<Line>,
    surcharge: Option<Surcharge>,
    total: u64,
    /// What was bought, if something just was.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<Receipt>,
}

#[derive(Serialize)]
struct Line {
    sku: String,
    pieces: u32,
    /// What it costs; nothing where it is no longer sold.
    cents: Option<u64>,
}

#[derive(Serialize)]
struct Receipt {
    number: u64,
    total: u64,
}

/// A request to put something in, or to take it out.
#[derive(Deserialize)]
struct Wish {
    sku: String,
}

/// Why a request is refused: its status, and a text for a person.
type Refusal = (u16, &'static str);

/// Handles a request.
pub fn handle(release: &Release, request: &IncomingRequest, out: ResponseOutparam) {
    let seen = SEEN.fetch_add(1, Ordering::Relaxed) + 1;
    let (status, json) = match asked(release, seen, request) {
        Ok(view) => (200, serde_json::to_vec(&view)),
        Err((status, why)) => (status, serde_json::to_vec(&serde_json::json!({ "error": why }))),
    };
    let headers = [("content-type", "application/json"), ("cache-control", "no-store")];
    match json {
        Ok(json) => web_http::answer(out, status, &headers, &json),
        Err(_) => web_http::answer(out, 500, &headers, b"{}"),
    }
}

fn asked(release: &Release, seen: u64, request: &IncomingRequest) -> Result<View, Refusal> {
    let mut cart = Cart::load().map_err(|_| (500, "the cart cannot be read"))?;
    let is_post = matches!(request.method(), Method::Post);
    match (web_http::path(request).as_str(), is_post) {
        ("/cart", false) => {}
        ("/cart/add", true) => {
            let sku = wish(request)?;
            cart.add(&sku)?;
            let view = view(release, seen, &cart);
            if view.lines.iter().any(|line| line.sku == sku && line.cents.is_none()) {
                return Err((404, "there is no such thing to buy"));
            }
            store(&cart)?;
            return Ok(view);
        }
        ("/cart/remove", true) => {
            cart.remove(&wish(request)?)?;
            store(&cart)?;
        }
        ("/cart/checkout", true) => {
            let bought = view(release, seen, &cart);
            if bought.lines.iter().any(|line| line.cents.is_none()) {
                return Err((409, "something in the cart is no longer sold"));
            }
            let number = cart.check_out()?;
            store(&cart)?;
            let receipt = Some(Receipt { number, total: bought.total });
            return Ok(View { receipt, ..view(release, seen, &cart) });
        }
        ("/cart/break", true) => {
            // What a turn wrote before it fails is never seen.
            cart.clear();
            store(&cart)?;
            panic!("somebody pressed the button");
        }
        ("/cart" | "/cart/add" | "/cart/remove" | "/cart/checkout" | "/cart/break", _) => {
            return Err((405, "not by this method"));
        }
        _ => return Err((404, "there is no such page")),
    }
    Ok(view(release, seen, &cart))
}

fn wish(request: &IncomingRequest) -> Result<String, Refusal> {
    let wish: Wish =
        serde_json::from_slice(&web_http::body(request)).map_err(|_| (400, "send {\"sku\": \"coffee\"}"))?;
    Ok(wish.sku)
}

fn store(cart: &Cart) -> Result<(), Refusal> {
    cart.store().map_err(|_| (500, "the cart cannot be kept"))
}

/// A cart with what it costs.
fn view(release: &Release, seen: u64, cart: &Cart) -> View {
    let priced = prices::of(&cart.lines).into_iter();
    let lines: Vec<_> = priced.map(|(sku, pieces, cents)| Line { sku, pieces, cents }).collect();
    let goods: u64 = lines.iter().filter_map(|line| line.cents).sum();
    let surcharge = if lines.is_empty() { None } else { (release.surcharge)(goods) };
    let total = goods + surcharge.as_ref().map_or(0, |surcharge| surcharge.cents);
    View { release: release.version, seen, changes: cart.changes, lines, surcharge, total, receipt: None }
}
