//! Opens the durable states of a mesh.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::error::RuntimeError;
use crate::error::Crash;
use crate::seeded::Seeded;
use crate::state::durable::{self, Journal, ServiceStates, StateError, StateFile};

/// A file of durable states that is smaller than this, in bytes, is never compacted at a start. What could be gained is
/// no more than the compiled code of one or two releases takes in the same folder.
const WORTH_COMPACTING: u64 = 16 << 20;

/// All durable states of a mesh, by service, and where they are saved.
pub(super) struct DurableStates {
    pub(super) journal: Journal,
    pub(super) services: HashMap<String, Arc<ServiceStates>>,
}

/// Reads all durable states, off the runtime's threads. All of the file together may have so many bytes.
pub(super) async fn opened(
    folder: PathBuf,
    services: Vec<String>,
    most: Option<u64>,
    seeded: Option<Seeded>,
) -> Result<DurableStates, RuntimeError> {
    let path = StateFile::path(&folder);
    let disk = seeded.as_ref().and_then(Seeded::disk);
    let reading = crate::blocking::spawn(move || {
        let mut file = match disk {
            Some(disk) => StateFile::on_disk(disk)?,
            None => StateFile::open_without_damage(&folder)?,
        };
        let begun = Instant::now();
        if let Some((before, after)) = file.compact_past(WORTH_COMPACTING)? {
            let took_ms = begun.elapsed().as_millis();
            tracing::info!(target: "airssys::state", before_bytes = before, after_bytes = after, took_ms, "the durable state was compacted");
        }
        // Those that are not asked for count too.
        let mut bytes = 0;
        for service in file.services()?.iter().filter(|service| !services.contains(service)) {
            bytes += file.bytes(service)?;
        }
        let mut all = Vec::with_capacity(services.len());
        for service in services {
            let kept = file.load(&service)?;
            bytes += kept.states.values().map(|loaded| loaded.kept.bytes() as u64).sum::<u64>();
            if !kept.lost.is_empty() {
                let why = Crash::StateDamaged { detail: durable::told(&kept.lost) };
                tracing::error!(target: "airssys::state", service, "suspended, as far as its state is damaged: {why}");
            }
            all.push((service, kept));
        }
        Ok((all, bytes, file))
    });
    let (kept, bytes, file) = reading.await.unwrap_or_else(|panic| {
        Err(StateError::Damaged { path: path.clone(), detail: format!("reading it panicked: {panic}") })
    })?;
    if let Some(seeded) = &seeded {
        for (service, found) in &kept {
            let told = found.states.iter().filter_map(|(actor, loaded)| Some((actor.to_string(), loaded.told()?)));
            let states = told.collect();
            seeded.kept(|kept| kept.found(service, states)).into_iter().for_each(|what| seeded.breaks(what));
        }
    }
    let started = Journal::start(file, bytes, seeded);
    let journal = started.map_err(|source| StateError::File { what: "start the thread for", path, source })?;
    journal.budget().set_most(most);
    let durable = |(service, kept): (String, _)| {
        let durable = ServiceStates::new(journal.clone(), &service, kept);
        (service, Arc::new(durable))
    };
    let services = kept.into_iter().map(durable).collect();
    Ok(DurableStates { journal, services })
}
