//! What is to run of a mesh, and where that is written down: the topology in force, what was deployed, and what an
//! operator stopped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::record::{Ledger, Next, Served};
use super::stopped::Stops;
use crate::deploy::RecordError;
use crate::deploy::Records;
use crate::topology::Topology;
use crate::topology::folders::Guarded;

/// What is to run. What is said here waits for the disk, but for what only looks: it is for [`Desired::write_down`].
pub(crate) struct Desired {
    /// The topology in force, as it was written.
    in_force: ArcSwap<Topology>,
    /// Tells that there is another one.
    changed: watch::Sender<()>,
    ledger: Ledger,
    records: Arc<Records>,
    stops: Stops,
    data_folder: Option<PathBuf>,
    /// What of the host is granted to nobody.
    guarded: Vec<Guarded>,
}

impl Desired {
    /// Of a mesh of which nothing is in force yet.
    pub(super) fn new(
        nothing: Topology,
        (ledger, records, stops): (Ledger, Records, Stops),
        data_folder: Option<PathBuf>,
        guarded: Vec<Guarded>,
    ) -> Self {
        let (in_force, records) = (ArcSwap::from_pointee(nothing), Arc::new(records));
        Self { in_force, changed: watch::Sender::new(()), ledger, records, stops, data_folder, guarded }
    }

    /// The topology in force, as it was written.
    pub(crate) fn in_force(&self) -> Arc<Topology> {
        self.in_force.load_full()
    }

    pub(super) fn put_in_force(&self, topology: Topology) {
        self.in_force.store(Arc::new(topology));
        self.changed.send_replace(());
    }

    /// Tells each time that another one is in force, for as long as this is there.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(super) fn data_folder(&self) -> Option<&Path> {
        self.data_folder.as_deref()
    }

    /// Whether what is said here outlives the host.
    pub(super) fn is_kept(&self) -> bool {
        self.data_folder.is_some()
    }

    pub(super) fn guarded(&self) -> &[Guarded] {
        &self.guarded
    }

    /// Where deployments are written down.
    pub(crate) fn records(&self) -> &Arc<Records> {
        &self.records
    }

    /// Whether an operator stopped a service.
    pub(crate) fn is_stopped(&self, service: &str) -> bool {
        self.stops.has(service)
    }

    /// Writes something down, off the runtime's threads.
    pub(super) async fn write_down<T: Send + 'static>(
        self: &Arc<Self>,
        what: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> T {
        let desired = Arc::clone(self);
        // A panic there is one here.
        match crate::blocking::spawn(move || what(&desired)).await {
            Ok(written) => written,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    /// This topology was started as a whole, and this is what serves.
    pub(super) fn started(&self, topology: &Topology, served: BTreeMap<String, Served>) -> Result<(), RecordError> {
        self.ledger.enforce(topology, served)
    }

    /// An apply is about to change something.
    pub(super) fn intend(&self, next: Next) -> Result<(), RecordError> {
        self.ledger.intend(next)
    }

    /// All of it has come about.
    pub(super) fn commit(&self, next: Next) -> Result<(), RecordError> {
        self.ledger.commit(next)
    }

    /// The topology in force says something else from here on; whether that outlives the host.
    pub(super) fn amend(&self, topology: &Topology) -> Result<bool, RecordError> {
        self.ledger.amend(topology.to_text().map_err(RecordError::from)?)?;
        Ok(self.is_kept())
    }

    /// It is as it was before.
    pub(super) fn withdraw(&self) -> Result<(), RecordError> {
        self.ledger.withdraw()
    }

    /// Lets all say the same of an apply that was committed: what is gone is neither stopped nor deployed.
    pub(super) fn settle(&self, target: &Topology) -> Result<(), RecordError> {
        if let Err(error) = self.stops.settle(|name| target.services().any(|node| node.address.as_str() == name)) {
            tracing::error!(target: "airssys::apply", %error, "a service that is gone stays written down as stopped");
        }
        let finished = self.ledger.finish(&self.records);
        self.sweep();
        finished
    }

    /// Forgets the bytes of releases that no start needs any more.
    pub(super) fn sweep(&self) {
        self.records.sweep(&self.ledger.sources());
    }

    /// Says that a service is stopped, or that it is not any more; whether that outlives the host.
    pub(super) fn stop(&self, service: &str, is_stopped: bool) -> Result<bool, RecordError> {
        self.stops.set(service, is_stopped)?;
        Ok(self.stops.is_kept())
    }

    /// The host has ended in order.
    pub(super) fn rest(&self) -> Result<(), RecordError> {
        self.ledger.rest()
    }
}
