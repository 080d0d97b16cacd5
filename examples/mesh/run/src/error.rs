//! Why the mesh cannot be run.

use airssys_wasm::ConfigError;
use airssys_wasm::deploy::DeployError;
use airssys_wasm::hint::{Coded, Hint};
use airssys_wasm::{ExitReason, InvokeError, RuntimeError};

/// Why the mesh does not open, or cannot be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeshError {
    /// The topology is wrong, or a guest is not built.
    #[error("{}{}", .0, behind(.0.hint()))]
    Topology(#[from] ConfigError),
    /// It does not start.
    #[error("{}{}", .0, behind(.0.hint()))]
    Runtime(#[from] RuntimeError),
    /// A release cannot take over.
    #[error("{}{}", .0, behind(.0.hint()))]
    Deploy(#[from] DeployError),
    /// The tree gave up while there were customers.
    #[error("the tree has ended: {reason}; hint: a supervisor gave up; raise its `intensity` in the topology")]
    Ended {
        /// Why.
        reason: ExitReason,
    },
    /// A service does not say what it knows.
    #[error("{service}: {source}; hint: build host and guests from the same source")]
    Silent {
        /// Which.
        service: &'static str,
        /// Why not.
        source: InvokeError,
    },
    /// What a service keeps or answers is not what it is to be.
    #[error("{service}: {key} is no number; hint: build host and guests from the same source")]
    Unreadable {
        /// Which.
        service: &'static str,
        /// Where.
        key: String,
    },
}

impl MeshError {
    /// That a service does not say what it knows.
    pub(crate) fn silent(service: &'static str) -> impl FnOnce(InvokeError) -> Self {
        move |source| Self::Silent { service, source }
    }
}

/// What to do about it, behind an error.
fn behind(hint: Option<Hint>) -> String {
    hint.map_or_else(String::new, |hint| format!("; hint: {hint}"))
}
