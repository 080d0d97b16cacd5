//! What of a data folder is not what was written, beside durable state.

use std::path::Path;
use std::sync::Arc;

use super::earlier;
use super::record::Ledger;
use super::record_error::InForceError;
use super::stopped::Stops;
use crate::deploy::{self, Source};
use crate::registry::{Description, Keep, Store, StoreError};

/// What is damaged of what was deployed, applied and stopped in a data folder; empty where all of it is as it was
/// written. Changes nothing.
///
/// # Errors
///
/// It cannot be read.
pub fn damage(data: &Path) -> Result<Vec<InForceError>, InForceError> {
    let (log, mut damaged) = earlier::found(data)?;
    let log = Arc::new(log);
    damaged.extend(deploy::damage(&log).into_iter().map(InForceError::from));
    damaged.extend(Ledger::of(&log).err());
    damaged.extend(Stops::of(&log).err().map(InForceError::from));
    Ok(damaged)
}

/// The releases that are damaged in a data folder, published ones and those that are kept since they serve from a path.
/// Reads all of them, and changes nothing.
///
/// # Errors
///
/// A folder cannot be read.
pub fn damaged_releases(data: &Path) -> Result<Vec<StoreError>, InForceError> {
    let mut damaged = Store::open(data)?.verify()?;
    let (log, _) = earlier::found(data)?;
    let log = Arc::new(log);
    let mut needed = deploy::sources(&log);
    // What is in force and is damaged itself is told elsewhere.
    needed.extend(Ledger::of(&log).iter().flat_map(Ledger::sources).map(|(_, source)| source));
    damaged.extend(Keep::new(data).damage(needed.iter().filter_map(kept))?);
    Ok(damaged)
}

fn kept(source: &Source) -> Option<(&Path, &str, &Description)> {
    Some((&source.component, &source.digest, source.kept.as_ref()?))
}
