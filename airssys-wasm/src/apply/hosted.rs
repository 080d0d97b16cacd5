//! A mesh on this host: what is to run, what does, and one change of that at a time.

use std::sync::Arc;

use airssys_rt_shim::system::ShutdownReport;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::actual::Actual;
use super::counting::Counting;
use super::desired::Desired;
use super::judge::Judge;
use crate::audit::Audit;
use crate::deploy::Recovery;
use crate::registry::Hold;
use crate::turn::Identity;

/// A mesh that runs, or is about to.
pub(crate) struct Hosted {
    pub(crate) desired: Arc<Desired>,
    pub(crate) actual: Actual,
    /// What the start found in the data folder that is not as the topology says.
    pub(crate) recoveries: Vec<Recovery>,
    /// What services do, where that is counted.
    pub(super) counting: Option<Counting>,
    /// Who did what; none where there is no folder for it.
    pub(crate) audit: Option<Arc<Audit>>,
    /// Who is asked about each change; none for nobody.
    pub(super) judge: Option<Judge>,
    changing: Arc<Mutex<()>>,
    /// Nobody removes what runs here.
    _holds: Vec<Hold>,
}

impl Hosted {
    pub(super) fn new(
        desired: Desired,
        actual: Actual,
        audit: Option<Arc<Audit>>,
        recoveries: Vec<Recovery>,
        holds: Vec<Hold>,
        counting: Option<Counting>,
        judge: Option<Judge>,
    ) -> Self {
        let desired = Arc::new(desired);
        Self { desired, actual, recoveries, counting, audit, judge, changing: Arc::default(), _holds: holds }
    }

    /// Keeps others from applying, stopping and starting while it is held; none where somebody does so already.
    pub(crate) fn change_alone(&self) -> Option<OwnedMutexGuard<()>> {
        Arc::clone(&self.changing).try_lock_owned().ok()
    }

    /// The same, when those who do so are through.
    pub(crate) async fn change_next(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.changing).lock_owned().await
    }

    /// Has capsules of crashes say how the tree is.
    pub(crate) fn tell_tree(self: &Arc<Self>) {
        let Some(shelf) = self.actual.mesh.capsules.get() else { return };
        let hosted = Arc::downgrade(self);
        shelf.tell_tree(move || {
            let hosted = hosted.upgrade();
            Box::pin(async move {
                match hosted {
                    Some(hosted) => hosted.actual.supervisors.tree().await.iter().map(ToString::to_string).collect(),
                    None => String::new(),
                }
            })
        });
    }

    /// Who a service is now, where an actor of it is always there: the first one.
    pub(crate) fn identity(&self, service: &str) -> Option<Arc<Identity>> {
        let placed = self.actual.placed(service)?;
        Some(Arc::clone(&placed.actors.first()?.live.serving().identity))
    }

    /// Stops the tree in order, within the topology's `shutdown_timeout`, and says what had to be killed.
    pub(crate) async fn shutdown(&self) -> ShutdownReport {
        let deadline = self.desired.in_force().settings.shutdown_timeout;
        let report = self.actual.shutdown(deadline).await;
        if let Err(error) = self.desired.write_down(Desired::rest).await {
            tracing::warn!(target: "airssys", %error, "the next start takes this end for a crash");
        }
        if let Some(audit) = self.audit.clone() {
            // It waits for the disk; a panic there leaves the rest unwritten, and there is nobody to tell.
            let _written = crate::blocking::spawn(move || audit.end()).await;
        }
        let logger = Arc::clone(&self.actual.mesh.stack.logger);
        let _written = crate::blocking::spawn(move || logger.end()).await;
        let nothing_ran = ShutdownReport { killed: Vec::new(), unresponsive: Vec::new(), took: Default::default() };
        report.unwrap_or(nothing_ran)
    }
}
