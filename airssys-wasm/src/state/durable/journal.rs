//! The way to the thread that makes commits durable, for states and for the runtime.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{io, thread};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::StateError;
use super::file::StateFile;
use super::lost::{LostStates, Shelved};
use super::room::Room;
use super::sums::Sums;
use super::writer::{Order, Outcome, Pause, Rest, Save, Writer, pause};
use crate::error::Crash;
use crate::state::{State, Transaction};

/// Where a state is kept.
#[derive(Debug)]
pub(in crate::state) struct Home {
    journal: Journal,
    pub(super) service: Arc<str>,
    pub(super) actor: Box<str>,
    /// The message whose turn was saved last.
    pub(super) last: AtomicU64,
    /// What the committed values come to. Only the thread that writes looks at it.
    pub(super) sums: Mutex<Sums>,
    /// The states of its service that are damaged on disk, where this was one of them. They are never written over.
    pub(super) lost: Option<Arc<LostStates>>,
}

impl Home {
    pub(super) fn new(journal: &Journal, service: &Arc<str>, actor: &str, sums: Sums) -> Self {
        let (journal, service) = (journal.clone(), Arc::clone(service));
        let (last, sums) = (AtomicU64::new(NO_MESSAGE), Mutex::new(sums));
        Self { journal, service, actor: actor.into(), last, sums, lost: None }
    }

    /// What is on disk is gone, or as it should be.
    pub(super) fn is_well(&self) {
        if let Some(lost) = &self.lost {
            lost.begin_anew(&self.actor);
        }
    }

    pub(super) fn sums(&self) -> MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::state) fn room(&self) -> &Room {
        &self.journal.room
    }
}

/// The id of no message: a start and a stop have none.
pub(crate) const NO_MESSAGE: u64 = 0;

/// The way to the thread. Its queue is unbounded and never longer than there are actors: each waits for what it has put in.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    orders: Sender<Order>,
    room: Arc<Room>,
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
    /// It is not in memory, and the rest does not happen. Where it got to the disk all the same it is taken back from there, before the next commit at the
    /// latest; a host that is killed before that may find it there.
    pub(crate) async fn done(self) -> Result<(), Crash> {
        let outcome = self.0.await.unwrap_or_else(|_| Err("the durable state is closed".into()));
        outcome.map(drop).map_err(|detail| Crash::NotDurable { detail: detail.as_ref().to_owned() })
    }
}

impl Journal {
    /// Starts the thread. It ends, and closes the file, when it is told to or nobody has a way to it any more.
    ///
    /// `bytes` is what all services together have in the file.
    pub(crate) fn start(file: StateFile, bytes: u64) -> io::Result<Self> {
        Self::start_with(file, bytes, pause)
    }

    /// The same, with another pause between looks at a disk that failed.
    pub(super) fn start_with(file: StateFile, bytes: u64, pause: Pause) -> io::Result<Self> {
        let (orders, asked) = channel();
        let room = Arc::new(Room::new(bytes));
        let writer = Writer::new(file, Arc::clone(&room), pause);
        let runtime = Handle::try_current().ok();
        let work = move || {
            // The rest of a commit may start tasks.
            let _entered = runtime.as_ref().map(Handle::enter);
            writer.run(&asked);
        };
        thread::Builder::new().name("airssys-state".to_owned()).spawn(work)?;
        Ok(Self { orders, room })
    }

    /// How much there is, and may be.
    pub(crate) fn room(&self) -> &Room {
        &self.room
    }

    /// Waits until all that was to be saved is saved, or will never be.
    pub(crate) async fn settle(&self) {
        self.order(Order::Settle).await;
    }

    /// What a service has on disk; none where the file is closed.
    pub(crate) async fn read(&self, service: &str) -> Option<Result<Shelved, StateError>> {
        let (answer, answered) = oneshot::channel();
        self.orders.send(Order::Read(service.to_owned(), answer)).ok()?;
        answered.await.ok()
    }

    /// [`Journal::settle`], and lets go of the file. What comes later is not saved.
    pub(crate) async fn close(&self) {
        self.order(Order::Close).await;
    }

    /// [`Journal::close`] for those who cannot wait.
    pub(crate) fn close_soon(&self) {
        let (answer, _nobody_waits) = oneshot::channel();
        let _closed_already = self.orders.send(Order::Close(answer));
    }

    async fn order(&self, order: impl FnOnce(oneshot::Sender<()>) -> Order) {
        let (answer, answered) = oneshot::channel();
        if self.orders.send(order(answer)).is_ok() {
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

    /// What is wrong with it on disk, where it is damaged: it is empty then, and nobody is to believe that.
    pub(crate) fn damage(&self) -> Option<Crash> {
        let home = self.home.as_ref()?;
        let detail = home.lost.as_ref()?.of(&home.actor)?;
        Some(Crash::StateDamaged { detail: detail.as_ref().to_owned() })
    }

    /// Begins to save what the turn over the message `id` wrote, where this state is durable; no writes are left then. `rest` happens after that.
    pub(crate) fn save(self: &Arc<Self>, writes: &mut Transaction, id: u64, schema: u32, rest: Rest) -> Option<Saving> {
        let home = self.home.as_ref()?;
        let (done, outcome) = oneshot::channel();
        if let Some(damage) = self.damage().filter(|_| !writes.forgets) {
            let _somebody_waits = done.send(Err(damage.to_string().into()));
            *writes = Transaction::default();
            return Some(Saving(outcome));
        }
        let save = Save { state: Arc::clone(self), writes: std::mem::take(writes), id, schema, rest, done };
        // Where the thread is gone, `done` is dropped, and that is the outcome.
        let _closed = home.journal.orders.send(Order::Save(Box::new(save)));
        Some(Saving(outcome))
    }

    /// Whether the turn over this message was the last one that was saved. To be asked when nothing is under way.
    pub(crate) fn was_saved(&self, id: u64) -> bool {
        self.home.as_ref().is_some_and(|home| home.last.load(Ordering::Acquire) == id)
    }
}
