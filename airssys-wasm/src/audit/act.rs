//! Acts: what somebody asks the host to do to the mesh, and in whose name.

use crate::hint::{Coded, Hint};

tokio::task_local! {
    /// Who asks, where that is not the program around the host.
    static BY: Box<str>;
}

/// Who is on record where nobody is named.
const PROGRAM: &str = "program";

/// Does something in the name of somebody: what is recorded of it says so.
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::mesh("", async |runtime, _| {
/// use airssys_wasm::command::acting_for;
///
/// acting_for("uid 1000, process 42", runtime.stop_service("echo")).await?;
/// # Ok(()) });
/// ```
pub async fn acting_for<F: Future>(who: &str, work: F) -> F::Output {
    BY.scope(who.into(), work).await
}

/// In whose name what runs here is done.
pub(crate) fn by() -> String {
    BY.try_with(|who| who.to_string()).unwrap_or_else(|_| PROGRAM.to_owned())
}

/// An act is not recorded, and the audit is required: it was not done.
///
/// # Example
///
/// ```
/// use airssys_wasm::StopError;
/// use airssys_wasm::command::Unrecorded;
///
/// /// Whether it may go well when the disk has room again.
/// fn is_for_later(error: &StopError) -> bool {
///     matches!(error, StopError::Unrecorded(Unrecorded { .. }))
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the audit is required and cannot record this, so it is not done: {why}")]
#[non_exhaustive]
pub struct Unrecorded {
    /// Why not.
    pub why: String,
}

impl Unrecorded {
    pub(super) fn of(why: impl Into<String>) -> Self {
        Self { why: why.into() }
    }

    pub(super) fn ended() -> Self {
        Self::of("the host ends")
    }
}

impl Coded for Unrecorded {
    fn code(&self) -> &'static str {
        "unaudited"
    }

    fn hint(&self) -> Option<Hint> {
        Some("look at the disk that the audit is on: it goes on by itself when it can be written".into())
    }
}
