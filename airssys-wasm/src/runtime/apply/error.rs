//! Why a topology was not applied.

use crate::apply::InForceError;
use crate::deploy::{DeployError, PlanRefusal};
use crate::runtime::RuntimeError;

/// Why a topology was not applied. All is as it was before, except for what [`ApplyError::Undone`] says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// One at a time.
    #[error("an apply is under way; hint: wait until it has ended")]
    UnderWay,
    /// It would be refused.
    #[error("{}", .refusals.iter().map(|refusal| refusal.message.as_str()).collect::<Vec<_>>().join("\n"))]
    Refused {
        /// Why.
        refusals: Vec<PlanRefusal>,
    },
    /// A release of it cannot be hosted, is not trusted, or there is no room for it.
    #[error(transparent)]
    Runtime(Box<RuntimeError>),
    /// It cannot be written down, and would not outlive the process.
    #[error(transparent)]
    InForce(#[from] InForceError),
    /// Something did not come about, and what had was undone.
    #[error("{step}: {why}; everything is as it was before{}", Left(.left))]
    Undone {
        /// What did not come about.
        step: String,
        /// Why.
        why: String,
        /// What could not be brought back, and how it is now; empty almost always.
        left: Vec<String>,
    },
}

struct Left<'a>(&'a [String]);

impl std::fmt::Display for Left<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ", but for this: {}", self.0.join("; ")) }
    }
}

impl From<RuntimeError> for ApplyError {
    fn from(error: RuntimeError) -> Self {
        Self::Runtime(Box::new(error))
    }
}

impl From<DeployError> for ApplyError {
    fn from(error: DeployError) -> Self {
        Self::Refused { refusals: vec![(&error).into()] }
    }
}

impl ApplyError {
    /// A stable word for it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnderWay => "under-way",
            Self::Refused { .. } | Self::Runtime(_) => "refused",
            Self::InForce(_) => "not-recorded",
            Self::Undone { .. } => "undone",
        }
    }
}
