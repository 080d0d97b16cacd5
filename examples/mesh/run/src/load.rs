//! Customers, each of whom places one order after the other, until they are told to go home.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use airssys_wasm::{InvokeError, Runtime, TypedFunction};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::error::MeshError;
use crate::orders::{Expected, Order, Orders, Receipt};

/// How many customers there are at a time.
const CUSTOMERS: usize = 8;
/// How long one waits for an answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often one asks who is told to ask again.
const ASKINGS: u32 = 3;

/// `variant problem` of the desk's interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Problem {
    UnknownSku(String),
    Unavailable(String),
}

type Place = TypedFunction<(Order,), Result<Receipt, Problem>>;

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// It was sold.
    Sold(Receipt),
    /// It was refused, for this reason.
    Refused(String),
    /// Nobody answered.
    Lost(String),
}

/// What was ordered and what became of it, by the order's id.
pub(crate) type Sales = BTreeMap<String, (Order, Expected, Answered)>;

/// Customers at work.
#[derive(Debug)]
pub struct Load {
    over: Arc<AtomicBool>,
    /// How many orders have their answer.
    answered: watch::Receiver<u64>,
    customers: JoinSet<Sales>,
}

impl Load {
    /// Lets them in.
    ///
    /// # Errors
    ///
    /// The desk does not take such orders.
    pub(crate) fn begin(runtime: &Arc<Runtime>, seed: u64) -> Result<Self, MeshError> {
        let silent = |source| MeshError::Silent { service: "desk", source };
        let place = runtime.function("desk", "place").map_err(silent)?;
        let place: Arc<Place> = Arc::new(place.typed().map_err(silent)?);
        let (over, orders) = (Arc::<AtomicBool>::default(), Arc::new(Mutex::new(Orders::of(seed))));
        let (count, answered) = watch::channel(0);
        let mut customers = JoinSet::new();
        for _ in 0..CUSTOMERS {
            let (runtime, place, over) = (Arc::clone(runtime), Arc::clone(&place), Arc::clone(&over));
            let (orders, count) = (Arc::clone(&orders), count.clone());
            customers.spawn(async move {
                let mut sales = Sales::new();
                while !over.load(Ordering::Relaxed) {
                    let next = orders.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((order, expected)) = next else { break };
                    let answered = buy(&runtime, &place, &order).await;
                    sales.insert(order.id.clone(), (order, expected, answered));
                    count.send_modify(|count| *count += 1);
                }
                sales
            });
        }
        Ok(Self { over, answered, customers })
    }

    /// Waits until so many more orders have their answer.
    pub async fn more(&mut self, orders: u64) {
        let all = *self.answered.borrow() + orders;
        // It fails where no customer is left, who leave only when they are told to.
        let _all_gone = self.answered.wait_for(|answered| *answered >= all).await;
    }

    /// How many orders have their answer.
    #[must_use]
    pub fn answered(&self) -> u64 {
        *self.answered.borrow()
    }

    /// Sends the customers home; what they saw.
    pub(crate) async fn end(self) -> Sales {
        self.over.store(true, Ordering::Relaxed);
        self.customers.join_all().await.into_iter().flatten().collect()
    }
}

/// Places an order, and places it again while it is not known what became of it: its id makes that harmless.
async fn buy(runtime: &Runtime, place: &Place, order: &Order) -> Answered {
    let mut asked = 0;
    loop {
        asked += 1;
        let answer = runtime.call_typed(place, Some(&order.id), &(order.clone(),), PATIENCE).await;
        match answer {
            Ok(Ok(receipt)) => return Answered::Sold(receipt),
            Ok(Err(Problem::Unavailable(_))) if asked < ASKINGS => {}
            Err(InvokeError::Call(_)) if asked < ASKINGS => {}
            Ok(Err(problem)) => return Answered::Refused(format!("{problem:?}")),
            Err(error) => return Answered::Lost(error.to_string()),
        }
    }
}
