//! Services that an operator stopped. They stay stopped, also when the host starts again on the same data folder, until somebody starts them.
//!
//! The file is written before anything stops, and before anything starts again: what was acknowledged outlives a kill.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::deploy::Recovery;
use crate::hint::{Act, Hint};
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
    #[error("which services were stopped cannot be known: {}: {detail}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
}

impl StopsError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Self::File(error) => error.hint(),
            Self::Damaged { .. } => Some(
                Hint::from(
                    "put the newest copy of it back, or remove it: the next start then starts all services, and ",
                )
                .act(Act::StopAgain),
            ),
        }
    }
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
    pub(super) fn set(&self, service: &str, is_stopped: bool) -> Result<(), StopsError> {
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
