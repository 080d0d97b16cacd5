//! The supervisors that run, by the names from the root down to each, with slashes between them; the root has none.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use airssys_rt_shim::exit::ExitReason;
use airssys_rt_shim::monitor::Monitor;
use airssys_rt_shim::supervisor::{ChildError, Listener, SupervisorHandle, SupervisorSpec, SupervisorStart, TreeNode};
use airssys_rt_shim::system::{ShutdownReport, System, SystemError};

/// The tree of supervisors. It has no root until that was started.
#[derive(Debug, Default)]
pub(crate) struct Supervisors {
    root: OnceLock<System>,
    below: Mutex<BTreeMap<String, Arc<SupervisorStart>>>,
}

impl Supervisors {
    fn below(&self) -> MutexGuard<'_, BTreeMap<String, Arc<SupervisorStart>>> {
        self.below.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the root with all that is under it, in order, and tells a listener of it; answers when all of it is up.
    pub(super) async fn start(&self, name: &str, spec: SupervisorSpec, listener: Listener) -> Result<(), SystemError> {
        let system = System::start_told(name, spec, Some(listener)).await?;
        // One that is started twice is the first one: nobody does.
        drop(self.root.set(system));
        Ok(())
    }

    /// The names down to each supervisor below the root.
    pub(super) fn paths(&self) -> Vec<String> {
        self.below().keys().cloned().collect()
    }

    pub(super) fn get(&self, path: &str) -> Option<Arc<SupervisorStart>> {
        self.below().get(path).cloned()
    }

    pub(super) fn insert(&self, path: String, start: Arc<SupervisorStart>) {
        self.below().insert(path, start);
    }

    pub(super) fn remove(&self, path: &str) {
        self.below().remove(path);
    }

    /// Speaks to a supervisor; to the root where there is none of that name.
    pub(super) fn handle(&self, path: &str) -> SupervisorHandle {
        self.get(path).map_or_else(|| self.root(), |start| start.handle())
    }

    /// What a supervisor is now; none where there is none.
    pub(super) fn spec(&self, path: &str) -> Option<Arc<SupervisorSpec>> {
        match path {
            "" => self.root.get().map(System::spec),
            path => self.get(path).map(|start| start.spec()),
        }
    }

    /// Makes a supervisor another one, which starts and stops nobody.
    pub(super) async fn change(&self, path: &str, spec: SupervisorSpec) -> Result<(), ChildError> {
        match (self.get(path), self.root.get()) {
            (Some(start), _) => start.change(spec).await,
            (None, Some(root)) => root.change(spec).await,
            (None, None) => Err(ChildError::NotRunning),
        }
    }

    pub(crate) fn root(&self) -> SupervisorHandle {
        self.root.get().map(System::root).unwrap_or_default()
    }

    pub(crate) async fn tree(&self) -> Vec<TreeNode> {
        self.root().tree().await.unwrap_or_default()
    }

    /// The child for which the root gave up, where it did.
    pub(crate) fn gave_up(&self) -> Option<String> {
        self.root.get()?.gave_up().map(|child| child.to_string())
    }

    /// Learns of the end of the tree; none where it was not started.
    pub(super) fn monitor(&self) -> Option<Monitor> {
        self.root.get().map(System::monitor)
    }

    /// Waits until the tree has ended, and says why.
    pub(crate) async fn ended(&self) -> ExitReason {
        match self.root.get() {
            Some(root) => root.ended().await,
            None => ExitReason::Killed,
        }
    }

    /// Stops all of it in order; none where it was not started.
    pub(super) async fn shutdown(&self, deadline: Duration) -> Option<ShutdownReport> {
        match self.root.get() {
            Some(root) => Some(root.shutdown(deadline).await),
            None => None,
        }
    }
}
