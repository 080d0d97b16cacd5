//! How many tasks, streams and futures a guest may have at a time. The engine keeps a few hundred bytes for each, and
//! has no bound of its own.

use wasmtime::StoreContextMut;

use crate::engine::guest::Guest;

/// What each resource that an instance may have lets it have of the engine's records of tasks: a stream takes four.
const RECORDS_EACH: usize = 8;
/// What it may have where it may have no resource at all: a call alone takes some.
const LEAST_RECORDS: usize = 256;

/// A guest has more of them than it may.
#[derive(Debug, thiserror::Error)]
#[error("too many tasks, streams and futures at a time: the limit `resources` is {0}")]
pub(in crate::engine) struct TooManyTasks(usize);

/// Looks how many there are, which is done at each tick of a busy guest: that is how many more it can make.
///
/// # Errors
///
/// There are too many.
pub(in crate::engine) fn check_tasks(store: &mut StoreContextMut<'_, Guest>) -> Result<(), TooManyTasks> {
    if store.concurrent_state_table_size() > most(store) {
        return Err(TooManyTasks(store.data().turn.identity.terms.limits.resources));
    }
    Ok(())
}

/// For how many more resources there is room, as far as that is a matter of tasks, streams and futures.
pub(in crate::engine) fn room(store: &mut StoreContextMut<'_, Guest>) -> usize {
    most(store).saturating_sub(store.concurrent_state_table_size()) / RECORDS_EACH
}

fn most(store: &StoreContextMut<'_, Guest>) -> usize {
    let resources = store.data().turn.identity.terms.limits.resources;
    resources.saturating_mul(RECORDS_EACH).saturating_add(LEAST_RECORDS)
}
