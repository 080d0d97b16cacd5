//! Keeps the books: an entry an order, written once.

use airssys_sdk::prelude::*;
use shop_model::{BookRequest, Books, Entry, Outcome};

const ENTRY: &str = "entry/";
const CENTS: &str = "cents";
const CONFLICTS: &str = "conflicts";

#[component]
fn ledger(request: BookRequest) -> Result<Option<Books>> {
    match request {
        BookRequest::Enter { order, entry } => enter(&order, &entry).map(|()| None),
        BookRequest::Audit => audit().map(Some),
    }
}

fn enter(order: &str, entry: &Entry) -> Result<()> {
    let key = format!("{ENTRY}{order}");
    match state::get::<Entry>(&key)? {
        Some(known) if known == *entry => return Ok(()),
        Some(_) => {
            error!("order {order} stands in the books already, and otherwise");
            state::increment(CONFLICTS, 1)?;
            return Ok(());
        }
        None => {}
    }
    state::set(&key, entry)?;
    if let Outcome::Sold(cents) = entry.outcome {
        state::increment(CENTS, cents)?;
    }
    Ok(())
}

fn audit() -> Result<Books> {
    let keys = state::keys()?;
    let keys: Vec<&str> = keys.iter().map(String::as_str).filter(|key| key.starts_with(ENTRY)).collect();
    let entries = keys.iter().zip(state::get_many::<Entry>(&keys)?);
    Ok(Books {
        entries: entries.filter_map(|(key, entry)| Some((key[ENTRY.len()..].to_owned(), entry?))).collect(),
        cents: state::increment(CENTS, 0)?,
        conflicts: state::increment(CONFLICTS, 0)?,
    })
}
