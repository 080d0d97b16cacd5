//! Row `durable/64`: a turn that writes 64 bytes to durable state, while 64 actors are busy with such turns, each for
//! one who waits for its answer. `durable/1` is the same with one actor, and is told.
//!
//! Floor: the store itself, with one thread that commits what waits as one step and syncs it, and as many tasks that
//! wait for their own write.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use airssys_wasm::Runtime;
use airssys_wasm::command::Lane;
use redb::{Database, Durability, TableDefinition};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::host::{self, body};
use crate::measure::{interleaved, nanos_each, series};
use crate::report::Row;
use crate::{Bench, times};

/// Turns of each actor.
const TURNS: usize = times(100);
const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("values");

pub(crate) async fn rows(bench: &Bench) -> Vec<Row> {
    let mut rows = Vec::new();
    for (actors, at_most) in [(64, Some(1.5)), (1, None)] {
        let data = tempfile::tempdir().expect("a folder");
        let services = host::services(bench, actors, "keeper", Lane::Async);
        let services = services.into_iter().map(|service| service.with("state = \"durable\"")).collect();
        let mesh = host::start_in(bench, services, data.path()).await;
        let store = Arc::new(Store::open());
        let rounds = interleaved(
            bench,
            || together(actors, turns(Arc::clone(&mesh))),
            || together(actors, writes(Arc::clone(&store))),
        );
        let rounds = rounds.await;
        host::stop(&mesh).await;
        rows.push(Row::new(format!("durable/{actors}"), "ns", at_most, series(&rounds, |nanos| *nanos)));
    }
    rows
}

/// Nanoseconds of each of all that so many do at the same time.
async fn together<F: Future<Output = ()> + Send + 'static>(many: usize, one: impl Fn(usize) -> F) -> f64 {
    let begun = Instant::now();
    (0..many).map(one).collect::<JoinSet<()>>().join_all().await;
    nanos_each(begun.elapsed(), many * TURNS)
}

fn turns(mesh: Arc<Runtime>) -> impl Fn(usize) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
    move |at| {
        let mesh = Arc::clone(&mesh);
        Box::pin(async move {
            let name = host::name(at);
            for _ in 0..TURNS {
                host::ask(&mesh, &name).await;
            }
        })
    }
}

fn writes(store: Arc<Store>) -> impl Fn(usize) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
    move |at| {
        let store = Arc::clone(&store);
        Box::pin(async move {
            for _ in 0..TURNS {
                store.write(at as u64).await;
            }
        })
    }
}

type Write = (u64, Vec<u8>, oneshot::Sender<()>);

/// The store without a host.
struct Store {
    writes: Option<Sender<Write>>,
    thread: Option<JoinHandle<()>>,
}

impl Store {
    fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (writes, asked) = channel();
        let thread = std::thread::spawn(move || commit(&folder, &asked));
        Self { writes: Some(writes), thread: Some(thread) }
    }

    async fn write(&self, key: u64) {
        let (done, saved) = oneshot::channel();
        self.writes.as_ref().expect("it is open").send((key, body(), done)).expect("it is open");
        saved.await.expect("it is saved");
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.writes = None;
        self.thread.take().map(JoinHandle::join);
    }
}

fn commit(folder: &TempDir, asked: &Receiver<Write>) {
    let database = Database::create(folder.path().join("store.redb")).expect("a store");
    while let Ok(first) = asked.recv() {
        let group: Vec<Write> = std::iter::once(first).chain(asked.try_iter()).collect();
        let mut writing = database.begin_write().expect("begun");
        writing.set_durability(Durability::Immediate).expect("it may be");
        writing.set_two_phase_commit(true);
        let mut table = writing.open_table(TABLE).expect("a table");
        for (key, value, _) in &group {
            table.insert(key, value.as_slice()).expect("written");
        }
        drop(table);
        writing.commit().expect("committed");
        for (_, _, done) in group {
            let _it_waits = done.send(());
        }
    }
}
