//! The mesh of the shop, and what is done with it: sell, snoop, audit.
//!
//! Refuses to judge: it brings the evidence, [`crate::check`] reads it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use airssys_wasm::ConfigError;
use airssys_wasm::deploy::DeployError;
use airssys_wasm::error::{CallError, Fault, SendError};
use airssys_wasm::hint::{Coded, Hint};
use airssys_wasm::message::{Answer, DeadLetter};
use airssys_wasm::topology::Topology;
use airssys_wasm::{ExitReason, Runtime, RuntimeError, ServiceStatus};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use shop_model::{Attempt, BookRequest, Outcome, Settled, StockRequest, TillRequest};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::evidence::{Evidence, Sales};

/// How many customers are in the shop at a time.
const CUSTOMERS: usize = 64;
/// How long a customer waits who is in no hurry.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a customer asks for one order who does not learn what became of it.
const ASKINGS: u32 = 5;

/// What to do about it, behind an error.
fn behind(hint: Option<Hint>) -> String {
    hint.map_or_else(String::new, |hint| format!("; hint: {hint}"))
}

/// Why the shop does not open, or cannot be audited.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShopError {
    /// The topology is wrong, or a guest is not built.
    #[error("{}{}", .0, behind(.0.hint()))]
    Topology(#[from] ConfigError),
    /// The mesh does not start.
    #[error("{}{}", .0, behind(.0.hint()))]
    Runtime(#[from] RuntimeError),
    /// A release cannot take over.
    #[error("{}{}", .0, behind(.0.hint()))]
    Deploy(#[from] DeployError),
    /// The tree gave up while there were customers in the shop.
    #[error(
        "the tree has ended: {reason}; hint: the supervisor that gave up was told of above; raise its `intensity` in the topology, or lower the number of crashes"
    )]
    Ended {
        /// Why.
        reason: ExitReason,
    },
    /// A service does not say what it knows.
    #[error("{service} does not answer: {source}; hint: RUST_LOG=info shows what happens to it")]
    Silent {
        /// Which.
        service: &'static str,
        /// Why not.
        source: CallError,
    },
    /// A service says something that makes no sense.
    #[error("{service} answers what it should not: {source}; hint: build host and guests from the same source")]
    Unreadable {
        /// Which.
        service: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// The shop, open.
#[derive(Debug)]
pub struct Shop {
    pub(crate) runtime: Arc<Runtime>,
    /// Where the topology is.
    pub(crate) folder: PathBuf,
    /// Notes that were sent to the inventory.
    pub(crate) notes: AtomicU64,
    initial: BTreeMap<String, u64>,
}

/// What a customer sees at one asking.
enum Seen {
    Settled(Settled),
    Fault(Fault),
    Nothing(&'static str),
    TurnedAway(&'static str),
}

/// One line, as far as its customer cares. Whoever cannot write an order can neither give an id nor be in a hurry.
#[derive(Default, Deserialize)]
struct Line {
    id: Option<String>,
    hurry_ms: Option<u64>,
}

impl Shop {
    /// Starts the mesh. Compiled code is kept in `code_cache`, where one is given.
    ///
    /// # Errors
    ///
    /// [`ShopError`]; nothing runs then.
    pub async fn open(topology: &Path, code_cache: Option<PathBuf>) -> Result<Self, ShopError> {
        let folder = topology.parent().unwrap_or(Path::new("")).to_owned();
        let topology = Topology::read(topology)?;
        let mut builder = Runtime::builder();
        if let Some(folder) = code_cache {
            builder = builder.code_cache(folder);
        }
        let inventory = topology.declared().into_iter().find(|service| service.name == "inventory");
        let shelves = inventory.into_iter().flat_map(|inventory| inventory.config);
        // What is no number does not start: inventory says so.
        let initial = shelves.filter_map(|(sku, count)| Some((sku, count.parse().ok()?))).collect();
        Ok(Self { runtime: Arc::new(builder.start(&topology).await?), folder, notes: AtomicU64::new(0), initial })
    }

    /// Brings all lines to the gateway, some at a time, and returns what the customers saw.
    ///
    /// # Errors
    ///
    /// The tree gave up.
    pub async fn sell(&self, lines: Vec<Vec<u8>>) -> Result<Sales, ShopError> {
        tokio::select! {
            sales = self.serve(lines) => Ok(sales),
            reason = self.runtime.ended() => Err(ShopError::Ended { reason }),
        }
    }

    async fn serve(&self, lines: Vec<Vec<u8>>) -> Sales {
        let mut sales = Sales { lines: lines.len(), ..Sales::default() };
        let room = Arc::new(Semaphore::new(CUSTOMERS));
        let mut customers = JoinSet::new();
        for line in lines {
            let Ok(place) = Arc::clone(&room).acquire_owned().await else {
                break;
            };
            let runtime = Arc::clone(&self.runtime);
            customers.spawn(async move {
                let _place = place;
                buy(&runtime, line).await
            });
            while let Some(Ok((id, seen))) = customers.try_join_next() {
                sales.note(id, seen);
            }
        }
        while let Some(Ok((id, seen))) = customers.join_next().await {
            sales.note(id, seen);
        }
        sales
    }

    /// Lets the snoop try everything, and returns what it was told.
    ///
    /// # Errors
    ///
    /// It does not answer.
    pub async fn snoop(&self) -> Result<Vec<Attempt>, ShopError> {
        self.ask("snoop", &()).await
    }

    /// Asks everybody for what they know. Each of them has handled all of its messages by then: an order's messages are
    /// in the mailboxes before its answer leaves.
    ///
    /// # Errors
    ///
    /// Somebody does not answer.
    pub async fn audit(&self, sales: Sales) -> Result<Evidence, ShopError> {
        let taken =
            self.services().iter().find(|service| service.service == "gateway").map_or(0, |service| service.accepted);
        let mut dead = BTreeMap::new();
        for letter in self.dead_letters() {
            if letter.sender.is_none() && letter.target.as_ref() == "gateway" {
                *dead.entry(letter.reason.code()).or_default() += 1;
            }
        }
        Ok(Evidence {
            sales,
            taken: usize::try_from(taken).unwrap_or(usize::MAX),
            dead,
            initial: self.initial.clone(),
            notes: self.notes.load(Ordering::Relaxed),
            stock: self.ask("inventory", &StockRequest::Audit).await?,
            till: self.ask("payments", &TillRequest::Audit).await?,
            books: self.ask("ledger", &BookRequest::Audit).await?,
        })
    }

    /// All services, as they are now.
    #[must_use]
    pub fn services(&self) -> Vec<ServiceStatus> {
        self.runtime.services()
    }

    /// The dead letters, oldest first.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.runtime.dead_letters().1
    }

    /// Stops the mesh in order; true where nobody had to be killed for it.
    pub async fn close(&self) -> bool {
        self.runtime.shutdown().await.is_clean()
    }

    pub(crate) async fn ask<A: DeserializeOwned>(
        &self,
        service: &'static str,
        question: &impl serde::Serialize,
    ) -> Result<A, ShopError> {
        let unreadable = |source| ShopError::Unreadable { service, source };
        let question = serde_json::to_vec(question).map_err(unreadable)?;
        let answer = self.runtime.call(service, question, PATIENCE).await;
        let answer = answer.map_err(|source| ShopError::Silent { service, source })?.unwrap_or_default();
        serde_json::from_slice(&answer).map_err(unreadable)
    }
}

/// One customer with one line: asks, and asks again while it is not known what became of the order. The id makes that
/// harmless.
async fn buy(runtime: &Runtime, line: Vec<u8>) -> (Option<String>, Vec<Seen>) {
    let Line { id, hurry_ms } = serde_json::from_slice(&line).unwrap_or_default();
    let mut patience = hurry_ms.map_or(PATIENCE, Duration::from_millis);
    let mut seen = Vec::new();
    for _ in 0..ASKINGS {
        let to = ("gateway", id.as_deref().filter(|id| !id.is_empty()));
        let answer = runtime.call(to, line.clone(), patience).await;
        let (what, again) = look(answer);
        seen.push(what);
        if !again {
            break;
        }
        patience = PATIENCE;
    }
    (id, seen)
}

/// What an answer means to a customer, and whether asking again may help.
fn look(answer: Answer) -> (Seen, bool) {
    match answer {
        Ok(body) => match serde_json::from_slice(&body.unwrap_or_default()) {
            Ok(settled) => (Seen::Settled(settled), false),
            Err(_) => (Seen::Nothing("unreadable"), false),
        },
        Err(CallError::Fault(fault)) => {
            let again = matches!(fault, Fault::Unavailable(_));
            (Seen::Fault(fault), again)
        }
        Err(CallError::NotSent(error)) => {
            let again = matches!(error, SendError::Overloaded { .. });
            (Seen::TurnedAway(error.code()), again)
        }
        Err(error) => {
            let again = matches!(error, CallError::Timeout | CallError::Dropped(_));
            (Seen::Nothing(error.code()), again)
        }
    }
}

impl Sales {
    fn note(&mut self, id: Option<String>, seen: Vec<Seen>) {
        self.asked += seen.len();
        let open = seen.last().is_some_and(is_open);
        if let (true, Some(id)) = (open, id) {
            self.unknown.insert(id);
        }
        for one in seen {
            match one {
                Seen::Settled(Settled { order, outcome }) => {
                    match outcome {
                        Outcome::Sold(_) => self.sold += 1,
                        Outcome::Refused(reason) => *self.refused.entry(reason).or_default() += 1,
                    }
                    if self.outcomes.insert(order.clone(), outcome).is_some_and(|before| before != outcome) {
                        self.contradicted.insert(order);
                    }
                }
                Seen::Fault(fault) => *self.faulted.entry(fault.code()).or_default() += 1,
                Seen::Nothing(code) => *self.unanswered.entry(code).or_default() += 1,
                Seen::TurnedAway(code) => *self.turned_away.entry(code).or_default() += 1,
            }
        }
    }
}

/// Whether that leaves the customer without knowing whether the order was or will be handled. A dead letter of a crash
/// is known to have done nothing.
fn is_open(seen: &Seen) -> bool {
    match seen {
        Seen::Settled(_) | Seen::TurnedAway(_) => false,
        Seen::Fault(fault) => matches!(fault, Fault::Unavailable(_)),
        Seen::Nothing(code) => *code != "crashed",
    }
}

#[cfg(test)]
mod tests {
    use shop_model::Reason;

    use super::*;

    #[test]
    fn only_a_fault_that_is_unavailable_is_asked_about_again() {
        let order = |id: &str, outcome| Settled { order: id.to_owned(), outcome };
        let refused = order("a", Outcome::Refused(Reason::Unavailable));
        let answer = |settled: &Settled| Ok(serde_json::to_vec(settled).ok().map(Into::into));
        let mut sales = Sales::default();
        // In a hurry: gives up, and is told that the order was undone because a service did not answer in time.
        let mut ask = |id: &str, answers: Vec<Answer>| {
            let (seen, again): (Vec<_>, Vec<_>) = answers.into_iter().map(look).unzip();
            sales.note(Some(id.to_owned()), seen);
            again
        };
        assert_eq!(ask("a", vec![Err(CallError::Timeout), answer(&refused)]), [true, false]);
        // Is told that nothing has happened yet, and sold it then.
        let not_yet = Err(CallError::Fault(Fault::Unavailable("pricing does not answer".to_owned())));
        assert_eq!(ask("b", vec![not_yet, answer(&order("b", Outcome::Sold(90)))]), [true, false]);
        assert_eq!((sales.asked, sales.sold, sales.unknown.len()), (4, 1, 0));
        assert_eq!(sales.refused, BTreeMap::from([(Reason::Unavailable, 1)]));
        assert_eq!(sales.faulted, BTreeMap::from([("unavailable", 1)]));
        assert_eq!(sales.unanswered, BTreeMap::from([("timeout", 1)]));
    }
}
