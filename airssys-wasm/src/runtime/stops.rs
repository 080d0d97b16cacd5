//! Services that an operator stopped. They stay stopped, also when the host starts again on the same data folder, until somebody starts them.
//!
//! The file is written before anything stops, and before anything starts again: what was acknowledged outlives a kill.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use airssys_rt_shim::supervisor::{ChildError, SupervisorHandle};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::Runtime;
use super::apply::supervisor_of;
use crate::actor::Placed;
use crate::deploy::Recovery;
use crate::registry::sealed::{self, Unsound};
use crate::registry::{StoreError, files};
use crate::unique;

/// The version of what the file says.
const FORMAT: u32 = 1;
/// Where it is in the data folder.
const FOLDER: &str = "topology";
const FILE: &str = "stopped.json";

/// Which services an operator stopped cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StopsError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] StoreError),
    /// The file is not what was written, or makes no sense.
    #[error("which services were stopped cannot be known: {}: {detail}; hint: put the newest copy of it back, or remove it: the next start then starts all services, and `airssys stop SERVICE` stops one again", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
}

/// Why a service was not stopped, or not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StopError {
    /// There is no such service.
    #[error("there is no service {service:?}; hint: `airssys ps` lists them")]
    NoSuchService {
        /// What was asked for.
        service: String,
    },
    /// The mesh is being brought to another topology, or another service is being stopped or started.
    #[error("an apply, or another stop or start, is under way; hint: try again when it is over")]
    UnderWay,
    /// It cannot be written down, and would not outlive the host. Nothing was stopped or started.
    #[error(transparent)]
    NotKept(#[from] StopsError),
    /// It did not start. It counts as stopped by nobody: the next start of the host starts it.
    #[error("{service} does not start: {source}; hint: `airssys logs {service}` says why; deploy a release that does")]
    NotStarted {
        /// The service.
        service: String,
        /// Why not.
        source: ChildError,
    },
}

impl StopError {
    /// A stable word for it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoSuchService { .. } => "no-such-service",
            Self::UnderWay => "under-way",
            Self::NotKept(_) => "not-kept",
            Self::NotStarted { .. } => "not-started",
        }
    }
}

/// What a stop or a start of a service did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServiceStop {
    /// The service.
    pub service: String,
    /// Whether it is stopped now.
    pub stopped: bool,
    /// Whether that outlives the host, because there is a data folder.
    pub kept: bool,
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: u32,
    /// Since when, in UTC, by RFC 3339, by service.
    #[serde(deserialize_with = "unique::map")]
    stopped: BTreeMap<String, String>,
}

/// Which services are stopped, and where that is written down.
#[derive(Debug, Default)]
pub(super) struct Stops {
    /// None without a data folder.
    folder: Option<PathBuf>,
    stopped: Mutex<BTreeMap<String, String>>,
}

impl Stops {
    pub(super) fn open(data: Option<&Path>) -> Result<Self, StopsError> {
        let Some(folder) = data.map(|data| data.join(FOLDER)) else { return Ok(Self::default()) };
        let path = folder.join(FILE);
        let damaged = |detail| StopsError::Damaged { path: path.clone(), detail };
        let read = sealed::read(&path).map_err(|unsound| match unsound {
            Unsound::File(error) => error.into(),
            Unsound::Damaged(detail) => damaged(detail),
        });
        let stopped = match read? {
            None => BTreeMap::new(),
            Some(text) => {
                let written: Written = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
                if written.format != FORMAT {
                    let detail =
                        format!("it has format {}, and this version of airssys knows {FORMAT}", written.format);
                    return Err(damaged(detail));
                }
                written.stopped
            }
        };
        Ok(Self { folder: Some(folder), stopped: Mutex::new(stopped) })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has(&self, service: &str) -> bool {
        self.lock().contains_key(service)
    }

    /// Forgets those that are not there any more; what is to be told of a start.
    pub(super) fn settle(&self, is_there: impl Fn(&str) -> bool) -> Result<Vec<Recovery>, StopsError> {
        let mut stopped = self.lock().clone();
        let told = stopped.iter().map(|(service, since)| Recovery::Stopped {
            service: service.clone(),
            since: since.clone(),
            is_gone: !is_there(service),
        });
        let told = told.collect();
        stopped.retain(|service, _| is_there(service));
        if stopped.len() < self.lock().len() {
            self.write(stopped)?;
        }
        Ok(told)
    }

    /// Says that a service is stopped, or that it is not any more. After this it is on disk. Waits for the disk: not for a runtime's thread.
    fn set(&self, service: &str, is_stopped: bool) -> Result<(), StopsError> {
        let mut stopped = self.lock().clone();
        let is_new = match is_stopped {
            true => {
                let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
                stopped.insert(service.to_owned(), now).is_none()
            }
            false => stopped.remove(service).is_some(),
        };
        if is_new { self.write(stopped) } else { Ok(()) }
    }

    fn write(&self, stopped: BTreeMap<String, String>) -> Result<(), StopsError> {
        if let Some(folder) = &self.folder {
            files::make_folder(folder)?;
            let path = folder.join(FILE);
            let written = Written { format: FORMAT, stopped: stopped.clone() };
            let text = serde_json::to_vec_pretty(&written)
                .map_err(|error| StopsError::Damaged { path: path.clone(), detail: error.to_string() })?;
            sealed::write(&path, &text)?;
        }
        *self.lock() = stopped;
        Ok(())
    }
}

/// Lets no supervisor start the children of a service by itself, or lets it.
pub(super) fn hold(placed: &Placed, is_stopped: bool) {
    placed.children.iter().for_each(|child| child.start.set_stopped(is_stopped));
}

impl Runtime {
    /// Stops a service, and nothing else. It is stopped until [`Runtime::start_service`], also when the host is killed and started again on the same data
    /// folder; without one until the host ends. Messages to it are refused; what waits for it becomes dead letters. It answers when the service has stopped.
    ///
    /// # Errors
    ///
    /// [`StopError`]; nothing was stopped then.
    pub async fn stop_service(self: &Arc<Self>, service: &str) -> Result<ServiceStop, StopError> {
        let (runtime, service) = (Arc::clone(self), service.to_owned());
        done(tokio::spawn(async move { runtime.stop_here(&service).await })).await
    }

    async fn stop_here(&self, service: &str) -> Result<ServiceStop, StopError> {
        let _one_at_a_time = self.applying.try_lock().map_err(|_| StopError::UnderWay)?;
        let (placed, supervisor) = self.standing(service)?;
        self.note_stop(service, true).await?;
        hold(&placed, true);
        for child in placed.children.iter().rev() {
            // Where its supervisor does not run, it starts nothing of it when it does.
            let _stopped_or_not_there = supervisor.terminate_child(child.id.as_str()).await;
            child.start.gone();
        }
        tracing::info!(target: "airssys", service, "stopped by an operator");
        Ok(ServiceStop { service: service.to_owned(), stopped: true, kept: self.stops.folder.is_some() })
    }

    /// Starts a service that was stopped, or that ended for good, and answers when it is up. Where it runs, nothing is done.
    ///
    /// # Errors
    ///
    /// [`StopError`].
    pub async fn start_service(self: &Arc<Self>, service: &str) -> Result<ServiceStop, StopError> {
        let (runtime, service) = (Arc::clone(self), service.to_owned());
        done(tokio::spawn(async move { runtime.start_here(&service).await })).await
    }

    async fn start_here(&self, service: &str) -> Result<ServiceStop, StopError> {
        let _one_at_a_time = self.applying.try_lock().map_err(|_| StopError::UnderWay)?;
        let (placed, supervisor) = self.standing(service)?;
        self.note_stop(service, false).await?;
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
        tracing::info!(target: "airssys", service, "started by an operator");
        Ok(ServiceStop { service: service.to_owned(), stopped: false, kept: self.stops.folder.is_some() })
    }

    /// A service, and the supervisor that it is under.
    fn standing(&self, service: &str) -> Result<(Arc<Placed>, SupervisorHandle), StopError> {
        let missing = || StopError::NoSuchService { service: service.to_owned() };
        let placed = self.placed(service).filter(|placed| placed.service.address.as_str() == service);
        let placed = placed.ok_or_else(missing)?;
        let above = supervisor_of(&self.in_force.load(), service).ok_or_else(missing)?;
        let supervisor = self.lock(&self.supervisors).get(&above).map(|start| start.handle());
        Ok((placed, supervisor.unwrap_or_else(|| self.system.root())))
    }

    async fn note_stop(&self, service: &str, is_stopped: bool) -> Result<(), StopsError> {
        let (stops, service) = (Arc::clone(&self.stops), service.to_owned());
        // A panic there is one here.
        match crate::blocking::spawn(move || stops.set(&service, is_stopped)).await {
            Ok(written) => written,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
}

/// What came of a task of its own: whoever waits may go away, and half of a stop is none. A panic there is one here.
async fn done(task: JoinHandle<Result<ServiceStop, StopError>>) -> Result<ServiceStop, StopError> {
    task.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}
