//! What runs of a mesh: its services, the supervisors above them, which release serves each, where it listens, and
//! where durable state is saved.
//!
//! Invariant: a service that can be found in the mesh is among those that are placed, but for the moment in which it
//! comes or goes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use airssys_rt_shim::system::ShutdownReport;
use arc_swap::ArcSwap;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::releases::LiveReleases;
use super::supervisors::Supervisors;
use crate::actor::{Placed, Post};
use crate::deploy;
use crate::engine::Engines;
use crate::listener::Listeners;
use crate::router::Mesh;
use crate::state::durable::Journal;

/// How often unused storage of mailboxes is given back.
const COMPACT_EVERY: Duration = Duration::from_secs(10);

/// What runs.
pub(crate) struct Actual {
    pub(crate) engines: Arc<Engines>,
    pub(crate) mesh: Arc<Mesh>,
    pub(crate) releases: Arc<LiveReleases>,
    pub(crate) supervisors: Supervisors,
    pub(crate) listeners: Arc<Listeners>,
    placed: ArcSwap<Vec<Arc<Placed>>>,
    /// The task of each service whose actors come and go, which starts them.
    controllers: Mutex<HashMap<String, JoinHandle<()>>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    /// None where no service has had durable state yet.
    journal: Mutex<Option<Journal>>,
}

impl Actual {
    /// Nothing but the mesh itself, with its timers.
    pub(super) fn new(engines: Arc<Engines>, mesh: Arc<Mesh>, journal: Option<Journal>) -> Self {
        let (timers, storage) = (Arc::clone(&mesh), Arc::clone(&mesh));
        let tasks = vec![
            tokio::spawn(async move { timers.timers.run(|id, alarm| timers.ring(id, alarm)).await }),
            tokio::spawn(compact(storage)),
        ];
        Self {
            engines,
            mesh,
            releases: Arc::default(),
            supervisors: Supervisors::default(),
            listeners: Arc::default(),
            placed: ArcSwap::default(),
            controllers: Mutex::default(),
            tasks: Mutex::new(tasks),
            journal: Mutex::new(journal),
        }
    }

    /// When the tree ends by itself nobody will run any more: who waits is told, and who comes is refused.
    pub(super) fn close_when_ended(&self) {
        if let Some(ended) = self.supervisors.monitor() {
            let (left, listeners) = (Arc::clone(&self.mesh), Arc::clone(&self.listeners));
            lock(&self.tasks).push(tokio::spawn(async move {
                ended.await;
                listeners.cut_off();
                left.close_all();
                left.events.end();
            }));
        }
    }

    /// All services.
    pub(crate) fn all_placed(&self) -> Arc<Vec<Arc<Placed>>> {
        self.placed.load_full()
    }

    /// The service of this name, or whose key it is.
    pub(crate) fn placed(&self, service: &str) -> Option<Arc<Placed>> {
        self.placed.load().iter().find(|placed| placed.service.address.service() == service).cloned()
    }

    /// The actors of a service, however they come to be there.
    pub(super) fn actors(&self, service: &str) -> deploy::Posts {
        let placed = self.placed(service);
        match placed.as_ref().and_then(|placed| placed.roster.clone()) {
            Some(roster) => deploy::Posts::Keyed(roster),
            None => deploy::Posts::Fixed(placed.map_or_else(|| <Arc<[Post]>>::from([]), |found| found.actors.clone())),
        }
    }

    /// Lets services be known that were placed, in the place of those of the same names, and lets the actors wake of
    /// those that have them come and go.
    pub(super) fn enter(&self, all: Vec<Placed>) -> Vec<Arc<Placed>> {
        let mut controllers = lock(&self.controllers);
        let mut entered = Vec::with_capacity(all.len());
        for mut placed in all {
            let controller = placed.controller.take().map(|controller| tokio::spawn((*controller).run()));
            let service = placed.service.address.to_string();
            let before = match controller {
                Some(controller) => controllers.insert(service, controller),
                None => controllers.remove(&service),
            };
            if let Some(before) = before {
                before.abort();
            }
            entered.push(Arc::new(placed));
        }
        drop(controllers);
        let names: std::collections::HashSet<&str> =
            entered.iter().map(|placed| placed.service.address.as_str()).collect();
        self.placed.rcu(|all| {
            let others = all.iter().filter(|other| !names.contains(other.service.address.as_str()));
            others.chain(&entered).cloned().collect::<Vec<_>>()
        });
        entered
    }

    /// Takes a service that does not run any more out of all of this.
    pub(super) fn leave(&self, service: &str) {
        self.mesh.unregister(service);
        if let Some(controller) = lock(&self.controllers).remove(service) {
            controller.abort();
        }
        let others = |placed: &&Arc<Placed>| placed.service.address.as_str() != service;
        self.placed.rcu(|all| all.iter().filter(others).cloned().collect::<Vec<_>>());
        self.releases.remove(service);
    }

    pub(crate) fn journal(&self) -> Option<Journal> {
        lock(&self.journal).clone()
    }

    pub(super) fn set_journal(&self, journal: Journal) {
        *lock(&self.journal) = Some(journal);
    }

    /// Stops all of it in order, within this time, and says what had to be killed. Requests that are under way are
    /// answered first. Messages that wait are dead letters then.
    pub(crate) async fn shutdown(&self, deadline: Duration) -> Option<ShutdownReport> {
        let began = Instant::now();
        // What answers them has to stop within the rest.
        self.listeners.close(|_| true, deadline / 2).await;
        let report = self.supervisors.shutdown(deadline.saturating_sub(began.elapsed())).await;
        self.mesh.close_all();
        self.mesh.events.end();
        self.abort_tasks();
        if let Some(journal) = self.journal() {
            // A disk that hangs does not hold up the end: what it has not taken was never acknowledged.
            let _closed_or_left = timeout(deadline, journal.close()).await;
        }
        report
    }

    fn abort_tasks(&self) {
        lock(&self.tasks).iter().for_each(JoinHandle::abort);
        lock(&self.controllers).values().for_each(JoinHandle::abort);
    }
}

impl Drop for Actual {
    fn drop(&mut self) {
        self.listeners.cut_off();
        self.mesh.events.end();
        self.abort_tasks();
        if let Some(journal) = self.journal() {
            journal.close_soon();
        }
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn compact(mesh: Arc<Mesh>) {
    let mut every = tokio::time::interval(COMPACT_EVERY);
    loop {
        every.tick().await;
        for service in mesh.services() {
            service.directory.each(|place| {
                place.inbox.mailbox().compact();
            });
        }
    }
}
