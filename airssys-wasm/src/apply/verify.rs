//! What of a data folder is not what was written, beside durable state.

use std::path::Path;
use std::sync::Arc;

use super::earlier;
use super::record::Ledger;
use super::stopped::Stops;
use crate::deploy::RecordError;
use crate::deploy::{self, Source};
use crate::registry::log::Log;
use crate::registry::{Description, Keep, Store, StoreError};

/// What is damaged of what was deployed, applied and stopped in a data folder, and of its releases
/// ([`RecordError::Release`]): those that were published, and those that are kept since they serve from a path. Empty
/// where all of it is as it was written. Reads all of it, and changes nothing.
///
/// # Errors
///
/// It cannot be read.
pub fn damage(data: &Path) -> Result<Vec<RecordError>, RecordError> {
    let (log, mut damaged) = earlier::found(data)?;
    let log = Arc::new(log);
    damaged.extend(deploy::damage(&log));
    damaged.extend(Ledger::of(&log).err());
    damaged.extend(Stops::of(&log).err());
    damaged.extend(damaged_releases(data, &log)?.into_iter().map(RecordError::Release));
    Ok(damaged)
}

/// The releases that are damaged.
fn damaged_releases(data: &Path, log: &Arc<Log>) -> Result<Vec<StoreError>, RecordError> {
    let mut damaged = Store::open(data)?.verify()?;
    let mut needed = deploy::sources(log);
    // What is in force and is damaged itself is told elsewhere.
    needed.extend(Ledger::of(log).iter().flat_map(Ledger::sources).map(|(_, source)| source));
    damaged.extend(Keep::new(data).damage(needed.iter().filter_map(kept))?);
    Ok(damaged)
}

fn kept(source: &Source) -> Option<(&Path, &str, &Description)> {
    Some((&source.component, &source.digest, source.kept.as_ref()?))
}
