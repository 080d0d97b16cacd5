//! What is kept of a session: one value in the state of its actor.

use std::collections::BTreeMap;

use airssys_sdk::state::{self, StateError};
use serde::{Deserialize, Serialize};

use crate::Refusal;

const KEY: &str = "cart";
/// So many pieces of a thing at most.
const MOST: u32 = 9_999;

/// A cart. A later release may know more of one; what it does not know it reads as nothing.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Cart {
    /// Pieces of each thing.
    pub(crate) lines: BTreeMap<String, u32>,
    /// How often it was changed.
    pub(crate) changes: u64,
    /// How often something was bought.
    bought: u64,
}

impl Cart {
    pub(crate) fn load() -> Result<Self, StateError> {
        Ok(state::get(KEY)?.unwrap_or_default())
    }

    /// It is kept when the turn has gone well, and not before.
    pub(crate) fn store(&self) -> Result<(), StateError> {
        state::set(KEY, self)
    }

    pub(crate) fn add(&mut self, sku: &str) -> Result<(), Refusal> {
        let pieces = self.lines.entry(sku.to_owned()).or_default();
        if *pieces == MOST {
            return Err((409, "that is all that we have of it"));
        }
        *pieces += 1;
        self.changes += 1;
        Ok(())
    }

    pub(crate) fn remove(&mut self, sku: &str) -> Result<(), Refusal> {
        let Some(pieces) = self.lines.get_mut(sku) else {
            return Err((409, "there is none of it in the cart"));
        };
        *pieces -= 1;
        if *pieces == 0 {
            self.lines.remove(sku);
        }
        self.changes += 1;
        Ok(())
    }

    /// Buys what is in it; the number of the purchase.
    pub(crate) fn check_out(&mut self) -> Result<u64, Refusal> {
        if self.lines.is_empty() {
            return Err((409, "the cart is empty"));
        }
        self.clear();
        self.bought += 1;
        Ok(self.bought)
    }

    pub(crate) fn clear(&mut self) {
        self.lines.clear();
        self.changes += 1;
    }
}
