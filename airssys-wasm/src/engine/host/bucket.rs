//! The handle of its state that a guest has.

/// The one bucket. It has no contents of its own: those are the turn's.
#[derive(Debug)]
#[allow(unreachable_pub, reason = "the generated code re-exports it")]
pub struct Bucket;
