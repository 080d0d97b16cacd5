//! A mesh on this host: what is to run, what does, and one change of that at a time.

use std::sync::Arc;

use airssys_rt_shim::system::ShutdownReport;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::actual::Actual;
use super::counting::Counting;
use super::desired::Desired;
use crate::deploy::Recovery;
use crate::registry::Hold;

/// A mesh that runs, or is about to.
pub(crate) struct Hosted {
    pub(crate) desired: Arc<Desired>,
    pub(crate) actual: Actual,
    /// What the start found in the data folder that is not as the topology says.
    pub(crate) recoveries: Vec<Recovery>,
    /// What services do, where that is counted.
    pub(super) counting: Option<Counting>,
    changing: Arc<Mutex<()>>,
    /// Nobody removes what runs here.
    _holds: Vec<Hold>,
}

impl Hosted {
    pub(super) fn new(
        desired: Desired,
        actual: Actual,
        recoveries: Vec<Recovery>,
        holds: Vec<Hold>,
        counting: Option<Counting>,
    ) -> Self {
        Self { desired: Arc::new(desired), actual, recoveries, counting, changing: Arc::default(), _holds: holds }
    }

    /// Keeps others from applying, stopping and starting while it is held; none where somebody does so already.
    pub(crate) fn change_alone(&self) -> Option<OwnedMutexGuard<()>> {
        Arc::clone(&self.changing).try_lock_owned().ok()
    }

    /// The same, when those who do so are through.
    pub(crate) async fn change_next(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.changing).lock_owned().await
    }

    /// Stops the tree in order, within the topology's `shutdown_timeout`, and says what had to be killed.
    pub(crate) async fn shutdown(&self) -> ShutdownReport {
        let deadline = self.desired.in_force().settings.shutdown_timeout;
        let report = self.actual.shutdown(deadline).await;
        if let Err(error) = self.desired.write_down(Desired::rest).await {
            tracing::warn!(target: "airssys", %error, "the next start takes this end for a crash");
        }
        let nothing_ran = ShutdownReport { killed: Vec::new(), unresponsive: Vec::new(), took: Default::default() };
        report.unwrap_or(nothing_ran)
    }
}
