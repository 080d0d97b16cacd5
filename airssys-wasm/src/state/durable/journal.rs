//! The channel to the thread that makes commits durable. States and the runtime send on it. In a host whose every step
//! comes in one order it is a task and no thread.

use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Receiver, SendError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fmt, io, thread};

use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

use super::StateError;
use super::budget::Budget;
use super::file::StateFile;
use super::kept::LoadedService;
use super::sums::Sums;
use super::writer::{Batch, Order, Pause, Writer, pause};
use crate::blocking;
use crate::seeded::Seeded;
use crate::state::{Home, NO_MESSAGE, Thread};

/// How long a write takes where the clock is paused.
const SYNC: Duration = Duration::from_millis(1);

/// The way to the thread. Its queue is unbounded and never longer than there are actors: each waits for what it has put
/// in.
#[derive(Clone)]
pub(crate) struct Journal {
    orders: Way,
    /// The same for the states.
    thread: Thread,
    budget: Arc<Budget>,
}

/// The way to the thread, or to the task.
#[derive(Clone)]
struct Way {
    orders: Sender<Order>,
    /// Wakes the task.
    bell: Option<Arc<Notify>>,
}

impl Way {
    /// Fails where nobody is there any more.
    fn send(&self, order: Order) -> Result<(), SendError<Order>> {
        self.orders.send(order)?;
        self.bell.iter().for_each(|bell| bell.notify_one());
        Ok(())
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("budget", &self.budget).finish_non_exhaustive()
    }
}

impl Journal {
    /// Starts the thread. It ends, and closes the file, when it is told to or nobody has a way to it any more.
    ///
    /// `bytes` is what all services together have in the file.
    pub(crate) fn start(file: StateFile, bytes: u64, seeded: Option<Seeded>) -> io::Result<Self> {
        Self::start_with(file, bytes, pause, seeded)
    }

    /// The same, with another pause between looks at a disk that failed.
    pub(super) fn start_with(file: StateFile, bytes: u64, pause: Pause, seeded: Option<Seeded>) -> io::Result<Self> {
        let (orders, asked) = channel();
        let budget = Arc::new(Budget::new(bytes));
        let writer = Writer::new(file, Arc::clone(&budget), pause, seeded.clone());
        let orders = if blocking::is_in_place() {
            let bell = Arc::new(Notify::new());
            tokio::spawn(in_place(writer, asked, Arc::clone(&bell), seeded));
            Way { orders, bell: Some(bell) }
        } else {
            let runtime = Handle::try_current().ok();
            let work = move || {
                // The rest of a commit may start tasks.
                let _entered = runtime.as_ref().map(Handle::enter);
                writer.run(&asked);
            };
            thread::Builder::new().name("airssys-state".to_owned()).spawn(work)?;
            Way { orders, bell: None }
        };
        let to = orders.clone();
        // Where the thread is gone, what whoever waits is told by is dropped with the commit.
        let saves = move |save| drop(to.send(Order::Save(save)));
        Ok(Self { orders, thread: Arc::new(saves), budget })
    }

    /// Where a state is kept whose values come to these sums.
    pub(super) fn home(&self, service: &Arc<str>, actor: &str, sums: Sums) -> Home {
        Home {
            thread: Arc::clone(&self.thread),
            budget: Arc::clone(&self.budget),
            service: Arc::clone(service),
            actor: actor.into(),
            last: AtomicU64::new(NO_MESSAGE),
            sums: Mutex::new(sums),
            lost: None,
        }
    }

    /// How much there is, and may be.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Waits until all that was to be saved is saved, or will never be.
    pub(crate) async fn settle(&self) {
        self.order(Order::Settle).await;
    }

    /// What a service has on disk; none where the file is closed.
    pub(crate) async fn read(&self, service: &str) -> Option<Result<LoadedService, StateError>> {
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

/// Writes as the thread does, on the runtime's own: until it is told to close.
async fn in_place(mut writer: Writer, asked: Receiver<Order>, bell: Arc<Notify>, seeded: Option<Seeded>) {
    let mut batch = Batch::default();
    loop {
        bell.notified().await;
        // What comes meanwhile is written as one step, as where a disk takes its time.
        let more = seeded.as_ref().map(Seeded::disk_is_slow).unwrap_or_default();
        tokio::time::sleep(SYNC + more).await;
        while let Ok(first) = asked.try_recv() {
            writer.step(&mut batch, first, &asked);
            if batch.is_to_close() {
                return writer.end(batch);
            }
        }
    }
}
