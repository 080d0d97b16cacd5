//! What of the releases in a data folder is not what was written.

use std::path::Path;

use super::record::Ledger;
use crate::deploy::{self, RecordError, Source};
use crate::registry::{Description, Keep, Store, StoreError};

/// The releases that are damaged in a data folder, published ones and those that are kept since they serve from a path. Reads all of them, and changes
/// nothing.
///
/// # Errors
///
/// A folder cannot be read.
pub fn damaged_releases(data: &Path) -> Result<Vec<StoreError>, RecordError> {
    let mut damaged = Store::open(data)?.verify()?;
    let mut needed = deploy::sources(data)?;
    // What is in force and is damaged itself is told elsewhere.
    needed.extend(Ledger::open(Some(data)).iter().flat_map(Ledger::sources).map(|(_, source)| source));
    damaged.extend(Keep::new(data).damage(needed.iter().filter_map(kept))?);
    Ok(damaged)
}

fn kept(source: &Source) -> Option<(&Path, &str, &Description)> {
    Some((&source.component, &source.digest, source.kept.as_ref()?))
}
