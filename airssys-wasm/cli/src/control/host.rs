//! What all connections of the control socket share.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use airssys_wasm::Runtime;
use tokio::sync::{Notify, Semaphore, SemaphorePermit, watch};

use super::connections::MOST_CONNECTIONS;
use super::protocol::{Refusal, Stopped};

/// Requests at a time that have many lines as their answer, and take as long as their client likes.
const FEEDS: usize = 8;
/// Requests at a time that wait for a service; the other connections are for those that look or stop.
const WAITING: usize = MOST_CONNECTIONS - FEEDS - 8;

/// The host, as its clients see it.
pub(super) struct Host {
    pub(super) runtime: Arc<Runtime>,
    pub(super) mesh: String,
    /// Its data folder, where published releases are.
    pub(super) data: PathBuf,
    pub(super) up_since: Instant,
    /// To be told when a client wants the host to stop.
    pub(super) stop: Arc<Notify>,
    pub(super) stopped: watch::Sender<Option<Stopped>>,
    pub(super) waiting: Semaphore,
    pub(super) feeds: Semaphore,
    /// The user whose host it is.
    pub(super) owner: u32,
}

impl Host {
    pub(super) fn new(runtime: Arc<Runtime>, mesh: &str, data: &Path, stop: Arc<Notify>, owner: u32) -> Self {
        let (mesh, data, up_since) = (mesh.to_owned(), data.to_owned(), Instant::now());
        let (stopped, waiting, feeds) = (watch::Sender::new(None), Semaphore::new(WAITING), Semaphore::new(FEEDS));
        Self { runtime, mesh, data, up_since, stop, stopped, waiting, feeds, owner }
    }

    /// A permit to wait for a service.
    pub(super) fn wait(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        let busy = |_| Refusal::new("busy", "as many requests as may be wait for services already");
        self.waiting.try_acquire().map_err(busy)
    }

    /// Whether the mesh has a service of this name.
    pub(super) fn is_known(&self, service: &str) -> bool {
        self.runtime.services().iter().any(|status| status.service == service)
    }
}
