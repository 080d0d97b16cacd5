//! Threads of the host's own for work that blocks: reading and comparing releases, compiling, records of deployments
//! and applies.
//!
//! What guests do with files blocks threads too, those of their service (`engine/file_threads.rs`), and may do so for
//! good. And what an embedder does on the runtime that the host is on may take all threads of that. So nothing that the
//! host needs may wait for one of either.

use std::cell::Cell;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// As many at a time: a start compiles several releases side by side.
const MOST: usize = 16;

thread_local! {
    /// Whether what blocks is done on this thread itself.
    static IN_PLACE: Cell<bool> = const { Cell::new(false) };
}

/// Has everything that blocks done in a task of the runtime of this thread, from now on: for a host whose every step
/// comes in one order.
pub(crate) fn in_place() {
    IN_PLACE.set(true);
}

/// Whether this thread does what blocks itself.
pub(crate) fn is_in_place() -> bool {
    IN_PLACE.get()
}

/// Runs something that blocks, on a thread of the runtime that is entered; in its task, where that is done in place.
pub(crate) fn on_entered<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    if is_in_place() { tokio::spawn(async move { work() }) } else { tokio::task::spawn_blocking(work) }
}

/// Runs something that blocks, on a thread of the host's own. To be called on a runtime.
///
/// # Example
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let bytes = airssys_wasm::command::spawn_blocking(|| std::fs::read("Cargo.toml")).await??;
/// assert!(!bytes.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    if is_in_place() {
        return tokio::spawn(async move { work() });
    }
    static OWN: OnceLock<Option<Runtime>> = OnceLock::new();
    let make = || Builder::new_current_thread().max_blocking_threads(MOST).thread_name("airssys-own").build().ok();
    match OWN.get_or_init(make) {
        Some(own) => own.spawn_blocking(work),
        // It would need nothing that the caller's own runtime has not got.
        None => tokio::task::spawn_blocking(work),
    }
}
