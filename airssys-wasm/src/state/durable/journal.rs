//! The thread that makes commits durable, and the way to it.
//!
//! Group commit: what waits when the thread is free is written as one step with one sync; meanwhile the next group gathers. Under load the groups grow,
//! and a single writer waits for its own sync only.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::{io, thread};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::StateError;
use super::file::{Change, Kept, StateFile};
use crate::error::Crash;
use crate::state::{State, Transaction};

/// Commits that are written as one step at most.
const GROUP: usize = 4_096;

/// Where a state is kept.
#[derive(Debug)]
pub(in crate::state) struct Home {
    journal: Journal,
    service: Arc<str>,
    actor: Box<str>,
    /// The message whose turn was saved last.
    last: AtomicU64,
}

impl Home {
    pub(super) fn new(journal: &Journal, service: &Arc<str>, actor: &str) -> Self {
        let (journal, service) = (journal.clone(), Arc::clone(service));
        Self { journal, service, actor: actor.into(), last: AtomicU64::new(NO_MESSAGE) }
    }
}

/// The id of no message: a start and a stop have none.
pub(crate) const NO_MESSAGE: u64 = 0;

/// The way to the thread. Its queue is unbounded and never longer than there are actors: each waits for what it has put in.
#[derive(Debug, Clone)]
pub(crate) struct Journal(Sender<Order>);

enum Order {
    Save(Box<Save>),
    /// Answer with what a service has on disk, when all before is decided.
    Read(String, oneshot::Sender<Result<BTreeMap<Box<str>, Kept>, StateError>>),
    /// Answer when all before is decided.
    Settle(oneshot::Sender<()>),
    /// The same, and close the file.
    Close(oneshot::Sender<()>),
}

struct Save {
    state: Arc<State>,
    writes: Transaction,
    /// The message whose turn it is.
    id: u64,
    /// The schema of who wrote.
    schema: u32,
    rest: Rest,
    done: oneshot::Sender<Outcome>,
}

/// What happens with a commit besides the writes; dropped, it does not.
type Rest = Box<dyn FnOnce() + Send>;

/// What has happened by now, or the text that says why it has not.
type Outcome = Result<Saved, Arc<str>>;

/// A commit that is saved. The rest of it happens when this is dropped: in whoever waited, or in the thread where nobody does any more.
struct Saved(Option<Rest>);

impl Drop for Saved {
    fn drop(&mut self) {
        if let Some(rest) = self.0.take() {
            rest();
        }
    }
}

/// A commit that is on its way to the disk.
pub(crate) struct Saving(oneshot::Receiver<Outcome>);

impl Saving {
    /// Waits until the commit is on disk and in memory, and lets the rest of it happen.
    ///
    /// Whoever stops waiting stops nothing: it happens as a whole or not at all, and [`State::was_saved`] tells which.
    ///
    /// # Errors
    ///
    /// It is not in memory, the rest does not happen, and whether it is on disk is not known.
    pub(crate) async fn done(self) -> Result<(), Crash> {
        let outcome = self.0.await.unwrap_or_else(|_| Err("the durable state is closed".into()));
        outcome.map(drop).map_err(|detail| Crash::NotDurable { detail: detail.as_ref().to_owned() })
    }
}

impl Journal {
    /// Starts the thread. It ends, and closes the file, when it is told to or nobody has a way to it any more.
    pub(crate) fn start(file: StateFile) -> io::Result<Self> {
        let (orders, asked) = channel();
        let runtime = Handle::try_current().ok();
        let work = move || {
            // The rest of a commit may start tasks.
            let _entered = runtime.as_ref().map(Handle::enter);
            run(file, &asked);
        };
        thread::Builder::new().name("airssys-state".to_owned()).spawn(work)?;
        Ok(Self(orders))
    }

    /// Waits until all that was to be saved is saved, or will never be.
    pub(crate) async fn settle(&self) {
        self.order(Order::Settle).await;
    }

    /// What a service has on disk; none where the file is closed.
    pub(crate) async fn read(&self, service: &str) -> Option<Result<BTreeMap<Box<str>, Kept>, StateError>> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Order::Read(service.to_owned(), answer)).ok()?;
        answered.await.ok()
    }

    /// [`Journal::settle`], and lets go of the file. What comes later is not saved.
    pub(crate) async fn close(&self) {
        self.order(Order::Close).await;
    }

    /// [`Journal::close`] for those who cannot wait.
    pub(crate) fn close_soon(&self) {
        let (answer, _nobody_waits) = oneshot::channel();
        let _closed_already = self.0.send(Order::Close(answer));
    }

    async fn order(&self, order: impl FnOnce(oneshot::Sender<()>) -> Order) {
        let (answer, answered) = oneshot::channel();
        if self.0.send(order(answer)).is_ok() {
            // Dropped without an answer: it is closed, and so nothing is under way.
            let _closed = answered.await;
        }
    }
}

impl State {
    /// Whether it is on disk as well.
    pub(crate) fn is_durable(&self) -> bool {
        self.home.is_some()
    }

    /// Begins to save what the turn over the message `id` wrote, where this state is durable; no writes are left then. `rest` happens after that.
    pub(crate) fn save(self: &Arc<Self>, writes: &mut Transaction, id: u64, schema: u32, rest: Rest) -> Option<Saving> {
        let home = self.home.as_ref()?;
        let (done, outcome) = oneshot::channel();
        let save = Save { state: Arc::clone(self), writes: std::mem::take(writes), id, schema, rest, done };
        // Where the thread is gone, `done` is dropped, and that is the outcome.
        let _closed = home.journal.0.send(Order::Save(Box::new(save)));
        Some(Saving(outcome))
    }

    /// Whether the turn over this message was the last one that was saved. To be asked when nothing is under way.
    pub(crate) fn was_saved(&self, id: u64) -> bool {
        self.home.as_ref().is_some_and(|home| home.last.load(Ordering::Acquire) == id)
    }
}

fn run(file: StateFile, orders: &Receiver<Order>) {
    let failed = OnceLock::new();
    let (mut group, mut settled, mut reads) = (Vec::new(), Vec::new(), Vec::new());
    while let Ok(first) = orders.recv() {
        let mut next = Some(first);
        let mut close = None;
        while let Some(order) = next {
            match order {
                Order::Save(save) => group.push(*save),
                Order::Read(service, answer) => reads.push((service, answer)),
                Order::Settle(answer) => settled.push(answer),
                Order::Close(answer) => close = Some(answer),
            }
            next = if close.is_none() && group.len() < GROUP { orders.try_recv().ok() } else { None };
        }
        if !group.is_empty() {
            save(&file, &failed, &mut group);
        }
        for (service, answer) in reads.drain(..) {
            let _nobody_waits_any_more = answer.send(file.read(&service));
        }
        for answer in settled.drain(..) {
            let _nobody_waits_any_more = answer.send(());
        }
        if let Some(answer) = close {
            drop(file);
            let _nobody_waits_any_more = answer.send(());
            return;
        }
    }
}

/// Disk first, then memory, then who waits. A state has one commit in a group at most: its actor waits for it.
fn save(file: &StateFile, failed: &OnceLock<Arc<str>>, group: &mut Vec<Save>) {
    let outcome = match failed.get() {
        Some(why) => Err(Arc::clone(why)),
        None => file.write(group.iter().filter_map(change)).map_err(|error| {
            tracing::error!(target: "airssys::state", %error, "durable state is not saved any more");
            Arc::clone(failed.get_or_init(|| error.to_string().into()))
        }),
    };
    for save in group.drain(..) {
        let Save { state, mut writes, id, schema, rest, done } = save;
        let told = match &outcome {
            Ok(()) => {
                writes.commit(&state, schema);
                if let Some(home) = &state.home {
                    home.last.store(id, Ordering::Release);
                }
                Ok(Saved(Some(rest)))
            }
            Err(why) => Err(Arc::clone(why)),
        };
        let _nobody_waits_any_more = done.send(told);
    }
}

fn change(save: &Save) -> Option<Change<'_>> {
    let home = save.state.home.as_ref()?;
    Some(Change {
        service: &home.service,
        actor: &home.actor,
        commits: save.state.commits() + 1,
        schema: save.schema,
        writes: &save.writes.writes,
    })
}
