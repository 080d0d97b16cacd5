//! The handle of a program that a guest has.

use wasmtime_wasi::p2::Pollable;

use crate::turn::programs::Program;

/// A program, in the table of the guest that started it: it ends where this is dropped.
#[allow(unreachable_pub, reason = "the generated code re-exports it")]
pub struct Running(pub(super) Program);

#[wasmtime_wasi::async_trait]
impl Pollable for Running {
    async fn ready(&mut self) {
        self.0.process.child.exit().await;
    }
}
