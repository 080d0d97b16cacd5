//! Which services an operator stopped. They stay stopped, also when the host starts again on the same data folder,
//! until somebody starts them.
//!
//! It is written before anything stops, and before anything starts again: what was acknowledged outlives a kill.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::deploy::RecordError;
use crate::deploy::Recovery;
use crate::registry::log::{Key, Log};
use crate::unique;

/// The version of what the record says.
const FORMAT: u32 = 1;

/// The record.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    format: u32,
    /// Since when, in UTC, by RFC 3339, by service.
    #[serde(deserialize_with = "unique::map")]
    stopped: BTreeMap<String, String>,
}

/// Which services are stopped, and where that is written down.
#[derive(Debug, Default)]
pub(super) struct Stops {
    log: Arc<Log>,
    stopped: Mutex<BTreeMap<String, String>>,
}

impl Stops {
    pub(super) fn of(log: &Arc<Log>) -> Result<Self, RecordError> {
        let path = log.file().unwrap_or_default();
        let damaged = |detail| RecordError::Stopped { path, record: Some(Key::Stopped.to_string()), detail };
        if log.damage().contains(&Some(Key::Stopped)) {
            return Err(damaged(log.lost(Some(&Key::Stopped))));
        }
        let written = log.said(&Key::Stopped).pop().map(|text| Written::of(&text)).transpose().map_err(damaged)?;
        let stopped = written.map(|written| written.stopped).unwrap_or_default();
        Ok(Self { log: Arc::clone(log), stopped: Mutex::new(stopped) })
    }

    /// Whether what is said here outlives the host.
    pub(super) fn is_kept(&self) -> bool {
        self.log.file().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has(&self, service: &str) -> bool {
        self.lock().contains_key(service)
    }

    /// Forgets those that are not there any more; what is to be told of a start.
    pub(super) fn settle(&self, is_there: impl Fn(&str) -> bool) -> Result<Vec<Recovery>, RecordError> {
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

    /// Says that a service is stopped, or that it is not any more. After this it is on disk. Waits for the disk: not
    /// for a runtime's thread.
    pub(super) fn set(&self, service: &str, is_stopped: bool) -> Result<(), RecordError> {
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

    fn write(&self, stopped: BTreeMap<String, String>) -> Result<(), RecordError> {
        let written = Written { format: FORMAT, stopped };
        self.log.add(Key::Stopped, &written)?;
        *self.lock() = written.stopped;
        Ok(())
    }
}

impl Written {
    /// Reads what was written down, by this version or an earlier one.
    pub(super) fn of(text: &str) -> Result<Self, String> {
        let written: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match written.format {
            FORMAT => Ok(written),
            other => Err(format!("it has format {other}, and this version of airssys knows {FORMAT}")),
        }
    }
}
