//! How much a line must matter to be logged, changed while a mesh runs.

use std::sync::Arc;

use super::error::ApplyError;
use super::hosted::Hosted;
use super::plan::Applied;
use crate::audit::Unrecorded;
use crate::deploy::DeployOptions;
use crate::hint::{Act, Coded, Hint};
use crate::logger::{LogLevel, LogSettings, LogStatus, LogTo};
use crate::topology::Topology;

/// Why a log is as it was.
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::mesh("", async |runtime, _| {
/// use airssys_wasm::command::{LogError, LogLevel};
/// use airssys_wasm::deploy::DeployOptions;
///
/// let error = runtime.set_log("all", None, LogLevel::Warn, DeployOptions::default()).await.unwrap_err();
/// assert!(matches!(error, LogError::NoSuchLog { .. }));
/// # Ok(()) });
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// There is no such log.
    #[error("there is no log {log:?}; {there}")]
    NoSuchLog {
        /// What was asked for.
        log: String,
        /// Which there are.
        there: String,
    },
    /// There is no such service.
    #[error("there is no service {service:?}")]
    NoSuchService {
        /// What was asked for.
        service: String,
    },
    /// The audit is required and cannot record it. Nothing was done.
    #[error(transparent)]
    Unrecorded(#[from] Unrecorded),
    /// It was not changed.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

impl Coded for LogError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoSuchLog { .. } => "no-such-log",
            Self::NoSuchService { .. } => "no-such-service",
            Self::Unrecorded(error) => error.code(),
            Self::Apply(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::NoSuchLog { .. } => Some("name one of those that there are".into()),
            Self::NoSuchService { .. } => Some(Act::ListServices.into()),
            Self::Unrecorded(error) => error.hint(),
            Self::Apply(error) => error.hint(),
        }
    }
}

impl Hosted {
    /// See [`crate::Runtime::logs`].
    pub(crate) fn logs(&self) -> Vec<LogStatus> {
        self.actual.mesh.stack.logger.status()
    }

    /// See [`crate::Runtime::set_log`].
    pub(crate) async fn set_log(
        self: &Arc<Self>,
        name: &str,
        service: Option<&str>,
        level: LogLevel,
        options: DeployOptions,
    ) -> Result<Option<Applied>, LogError> {
        let mut topology = Topology::clone(&self.desired.in_force());
        if let Some(service) = service.filter(|name| !topology.services().any(|node| node.address.as_str() == *name)) {
            return Err(LogError::NoSuchService { service: service.to_owned() });
        }
        // The log that is there where the topology has none to `tracing`.
        let own = LogSettings::of_guests();
        if name == own.name && !topology.logs.iter().any(|log| log.to == LogTo::Tracing || log.name == name) {
            topology.logs.push(own);
        }
        let there = topology.logs.iter().map(|log| log.name.as_str()).collect::<Vec<_>>().join(", ");
        let Some(log) = topology.logs.iter_mut().find(|log| log.name == name) else {
            let there =
                if there.is_empty() { "there is \"tracing\"".to_owned() } else { format!("there are: {there}") };
            return Err(LogError::NoSuchLog { log: name.to_owned(), there });
        };
        let before = match service {
            Some(service) => log.levels.insert(service.to_owned(), level),
            None => Some(std::mem::replace(&mut log.level, level)),
        };
        if before == Some(level) {
            return Ok(None);
        }
        Ok(Some(self.apply(topology, options).await?))
    }
}
