//! The thread that makes commits durable, and the way to it.
//!
//! Group commit: what waits when the thread is free is written as one step with one sync; meanwhile the next group gathers. Under load the groups grow,
//! and a single writer waits for its own sync only.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::{io, thread};

use tokio::sync::oneshot;

use super::file::{Change, StateFile};
use crate::error::Crash;
use crate::state::{State, Transaction};

/// Commits that are written as one step at most.
const GROUP: usize = 4_096;

/// Where a state is kept.
#[derive(Debug, Clone)]
pub(in crate::state) struct Home {
    pub(super) journal: Journal,
    pub(super) service: Arc<str>,
    pub(super) actor: Box<str>,
}

/// The way to the thread. Its queue is unbounded and never longer than there are actors: each waits for what it has put in.
#[derive(Debug, Clone)]
pub(crate) struct Journal(Sender<Order>);

#[derive(Debug)]
enum Order {
    Save(Save),
    /// Answer when all before is decided.
    Settle(oneshot::Sender<()>),
    /// The same, and close the file.
    Close(oneshot::Sender<()>),
}

#[derive(Debug)]
struct Save {
    state: Arc<State>,
    writes: Transaction,
    done: oneshot::Sender<Outcome>,
}

/// The text is why not.
type Outcome = Result<(), Arc<str>>;

/// A commit that is on its way to the disk.
#[derive(Debug)]
pub(crate) struct Saving(oneshot::Receiver<Outcome>);

impl Saving {
    /// Waits until the commit is on disk, and in memory.
    ///
    /// Whoever stops waiting does not stop the commit: that may happen all the same, on disk and in memory.
    ///
    /// # Errors
    ///
    /// It is not in memory, and whether it is on disk is not known.
    pub(crate) async fn done(self) -> Result<(), Crash> {
        let outcome = self.0.await.unwrap_or_else(|_| Err("the durable state is closed".into()));
        outcome.map_err(|detail| Crash::NotDurable { detail: detail.as_ref().to_owned() })
    }
}

impl Journal {
    /// Starts the thread. It ends, and closes the file, when it is told to or nobody has a way to it any more.
    pub(crate) fn start(file: StateFile) -> io::Result<Self> {
        let (orders, asked) = channel();
        thread::Builder::new().name("airssys-state".to_owned()).spawn(move || run(file, &asked))?;
        Ok(Self(orders))
    }

    /// Waits until all that was to be saved is saved, or will never be.
    pub(crate) async fn settle(&self) {
        self.order(Order::Settle).await;
    }

    /// The same, and lets go of the file. What comes later is not saved.
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
    /// Begins to save what a turn wrote, where this state is durable and something was written; nothing is left to commit then.
    pub(crate) fn save(self: &Arc<Self>, writes: &mut Transaction) -> Option<Saving> {
        let home = self.home.as_ref()?;
        if writes.is_empty() {
            return None;
        }
        let (done, outcome) = oneshot::channel();
        let save = Save { state: Arc::clone(self), writes: std::mem::take(writes), done };
        // Where the thread is gone, `done` is dropped, and that is the outcome.
        let _closed = home.journal.0.send(Order::Save(save));
        Some(Saving(outcome))
    }
}

fn run(file: StateFile, orders: &Receiver<Order>) {
    let failed = OnceLock::new();
    let (mut group, mut settled) = (Vec::new(), Vec::new());
    while let Ok(first) = orders.recv() {
        let mut next = Some(first);
        let mut close = None;
        while let Some(order) = next {
            match order {
                Order::Save(save) => group.push(save),
                Order::Settle(answer) => settled.push(answer),
                Order::Close(answer) => close = Some(answer),
            }
            next = if close.is_none() && group.len() < GROUP { orders.try_recv().ok() } else { None };
        }
        if !group.is_empty() {
            save(&file, &failed, &mut group);
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
    for Save { state, mut writes, done } in group.drain(..) {
        if outcome.is_ok() {
            writes.commit(&state);
        }
        let _nobody_waits_any_more = done.send(outcome.clone());
    }
}

fn change(save: &Save) -> Option<Change<'_>> {
    let home = save.state.home.as_ref()?;
    Some(Change {
        service: &home.service,
        actor: &home.actor,
        commits: save.state.commits() + 1,
        schema: 0,
        writes: &save.writes.writes,
    })
}
