//! Customers, each of whom places one order after the other, until they are told to go home.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use airssys_wasm::{Function, InvokeError, Runtime};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::error::MeshError;
use crate::orders::{Line, Order, Problem, Receipt, Wish, Wishes};

/// How many customers there are at a time.
const CUSTOMERS: usize = 8;
/// How long one waits for an answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often one asks who is told to ask again.
const ASKINGS: u32 = 3;

/// How many carts one has.
const CARTS: u64 = 50;

type Put = Function<(String, Line), Result<u32, String>>;
type Place = Function<(Order,), Result<Receipt, Problem>>;

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// It was sold.
    Sold(Receipt),
    /// It was refused, for this reason.
    Refused(Problem),
    /// Nobody answered.
    Lost(String),
}

/// What was wished and what became of it, by the order's id.
pub(crate) type Sales = BTreeMap<String, (Wish, Answered)>;

/// What a customer calls.
struct Counter {
    runtime: Arc<Runtime>,
    put: Put,
    place: Place,
}

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
        let counter = Arc::new(Counter {
            runtime: Arc::clone(runtime),
            put: runtime.function("carts", "put").map_err(MeshError::silent("carts"))?,
            place: runtime.function("desk", "place").map_err(MeshError::silent("desk"))?,
        });
        let (over, wishes) = (Arc::<AtomicBool>::default(), Arc::new(Mutex::new(Wishes::of(seed))));
        let (count, answered) = watch::channel(0);
        let mut customers = JoinSet::new();
        for customer in 0..CUSTOMERS {
            let (counter, over) = (Arc::clone(&counter), Arc::clone(&over));
            let (wishes, count) = (Arc::clone(&wishes), count.clone());
            customers.spawn(async move {
                let mut sales = Sales::new();
                while !over.load(Ordering::Relaxed) {
                    let next = wishes.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(mut wish) = next else { break };
                    // Nobody else puts anything into this cart meanwhile.
                    wish.order.customer = format!("customer-{customer}-{}", sales.len() as u64 % CARTS);
                    let answered = counter.buy(&wish).await;
                    sales.insert(wish.order.id.clone(), (wish, answered));
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

impl Counter {
    /// Fills a cart and places the order, and places it again while it is not known what became of it: its id makes
    /// that harmless.
    async fn buy(&self, wish: &Wish) -> Answered {
        let customer = &wish.order.customer;
        for line in &wish.lines {
            let put = (customer.clone(), line.clone());
            match self.runtime.call_typed(&self.put, Some(customer), &put, PATIENCE).await {
                Ok(Ok(_pieces)) => {}
                Ok(Err(error)) => return Answered::Lost(error),
                Err(error) => return Answered::Lost(error.to_string()),
            }
        }
        let (id, order) = (&wish.order.id, (wish.order.clone(),));
        let mut asked = 0;
        loop {
            asked += 1;
            match self.runtime.call_typed(&self.place, Some(id), &order, PATIENCE).await {
                Ok(Ok(receipt)) => return Answered::Sold(receipt),
                Ok(Err(Problem::Unavailable(_))) | Err(InvokeError::Call(_)) if asked < ASKINGS => {}
                Ok(Err(problem)) => return Answered::Refused(problem),
                Err(error) => return Answered::Lost(error.to_string()),
            }
        }
    }
}
