//! The handle of what a guest watches.

use wasmtime_wasi::p2::Pollable;

use crate::turn::files::Watching;

/// A folder or a file that is watched, in the table of the guest that wants to know: it ends where this is dropped.
#[allow(unreachable_pub, reason = "the generated code re-exports it")]
pub struct Watched(pub(super) Watching);

#[wasmtime_wasi::async_trait]
impl Pollable for Watched {
    async fn ready(&mut self) {
        self.0.ready().await;
    }
}
