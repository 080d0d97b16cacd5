//! Stops one service and nothing else, and starts it again.

use std::sync::Arc;

use airssys_rt_shim::supervisor::{ChildError, SupervisorHandle};
use tokio::task::JoinHandle;

use super::hosted::Hosted;
use super::tree::supervisor_of;
use crate::actor::Placed;
use crate::audit::Unrecorded;
use crate::deploy::RecordError;
use crate::events::Happening;
use crate::hint::{Act, Coded, Hint};

/// Why a service was not stopped, or not started.
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::mesh("", async |runtime, _| {
/// use airssys_wasm::StopError;
///
/// let error = runtime.stop_service("nobody").await.unwrap_err();
/// assert!(matches!(error, StopError::NoSuchService { .. }));
/// # Ok(()) });
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StopError {
    /// There is no such service.
    #[error("there is no service {service:?}")]
    NoSuchService {
        /// What was asked for.
        service: String,
    },
    /// The mesh is being brought to another topology, or another service is being stopped or started.
    #[error("an apply, or another stop or start, is under way")]
    UnderWay,
    /// It cannot be written to the data folder, and would not outlive the host. Nothing was stopped or started.
    #[error(transparent)]
    NotKept(#[from] RecordError),
    /// The audit is required and cannot record it. Nothing was done.
    #[error(transparent)]
    Unrecorded(#[from] Unrecorded),
    /// It was to start and did not. It no longer counts as stopped: the next start of the host starts it.
    #[error("{service} does not start: {source}")]
    NotStarted {
        /// The service.
        service: String,
        /// Why not.
        source: ChildError,
    },
}

impl Coded for StopError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoSuchService { .. } => "no-such-service",
            Self::UnderWay => "under-way",
            Self::NotKept(_) => "not-kept",
            Self::Unrecorded(error) => error.code(),
            Self::NotStarted { .. } => "not-started",
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::NoSuchService { .. } => Some(Act::ListServices.into()),
            Self::UnderWay => Some("try again when it is over".into()),
            Self::NotKept(error) => error.hint(),
            Self::Unrecorded(error) => error.hint(),
            Self::NotStarted { service, .. } => {
                Some(Hint::from(Act::ReadLog { service: service.clone() }).words("; deploy a release that does"))
            }
        }
    }
}

/// Lets no supervisor start the children of a service by itself, or lets it.
pub(super) fn hold(placed: &Placed, is_stopped: bool) {
    placed.children.iter().for_each(|child| child.start.set_stopped(is_stopped));
}

impl Hosted {
    /// See [`crate::Runtime::stop_service`].
    pub(crate) async fn stop_service(self: &Arc<Self>, service: &str) -> Result<bool, StopError> {
        let (hosted, service) = (Arc::clone(self), service.to_owned());
        done(tokio::spawn(async move { hosted.stop_here(&service).await })).await
    }

    async fn stop_here(&self, service: &str) -> Result<bool, StopError> {
        let _one_at_a_time = self.change_alone().ok_or(StopError::UnderWay)?;
        let (placed, supervisor) = self.standing(service)?;
        let kept = self.note_stop(service, true).await?;
        self.tell_operator(service, "stopped", kept);
        hold(&placed, true);
        for child in placed.children.iter().rev() {
            // Where its supervisor does not run, it starts nothing of it when it does.
            let _stopped_or_not_there = supervisor.terminate_child(child.id.as_str()).await;
            child.start.gone();
        }
        Ok(kept)
    }

    /// See [`crate::Runtime::start_service`].
    pub(crate) async fn start_service(self: &Arc<Self>, service: &str) -> Result<bool, StopError> {
        let (hosted, service) = (Arc::clone(self), service.to_owned());
        done(tokio::spawn(async move { hosted.start_here(&service).await })).await
    }

    async fn start_here(&self, service: &str) -> Result<bool, StopError> {
        let _one_at_a_time = self.change_alone().ok_or(StopError::UnderWay)?;
        let (placed, supervisor) = self.standing(service)?;
        let kept = self.note_stop(service, false).await?;
        self.tell_operator(service, "started", kept);
        hold(&placed, false);
        for child in &placed.children {
            let started = match supervisor.restart_child(child.id.as_str()).await {
                // A temporary one is forgotten where it ends.
                Err(ChildError::NotFound { .. }) => supervisor.start_child(child.clone()).await,
                started => started,
            };
            match started {
                // Where its supervisor is about to start, that starts it as well.
                Ok(_) | Err(ChildError::Running { .. } | ChildError::Restarting { .. } | ChildError::NotRunning) => {}
                Err(source) => return Err(StopError::NotStarted { service: service.to_owned(), source }),
            }
        }
        Ok(kept)
    }

    /// Before its actors end or start, so that whoever reads of those knows why.
    fn tell_operator(&self, service: &str, state: &str, kept: bool) {
        let what = Happening::Operator { state: state.to_owned(), kept };
        self.actual.mesh.events.publish(Some(service), what);
    }

    /// A service, and the supervisor that it is under.
    fn standing(&self, service: &str) -> Result<(Arc<Placed>, SupervisorHandle), StopError> {
        let missing = || StopError::NoSuchService { service: service.to_owned() };
        let placed = self.actual.placed(service).filter(|placed| placed.service.address.as_str() == service);
        let placed = placed.ok_or_else(missing)?;
        let above = supervisor_of(&self.desired.in_force(), service).ok_or_else(missing)?;
        Ok((placed, self.actual.supervisors.handle(&above)))
    }

    /// Writes it down; whether that outlives the host.
    async fn note_stop(&self, service: &str, is_stopped: bool) -> Result<bool, RecordError> {
        let service = service.to_owned();
        self.desired.write_down(move |desired| desired.stop(&service, is_stopped)).await
    }
}

/// What came of a task of its own: whoever waits may go away, and half of a stop is none. A panic there is one here.
async fn done(task: JoinHandle<Result<bool, StopError>>) -> Result<bool, StopError> {
    task.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}
