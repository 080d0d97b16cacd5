//! A deployment that is about to switch the first actor, or on its way, and the set that it is of: plain data.

use serde::{Deserialize, Serialize};

use super::source::Source;

/// What a deployment is about to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Intent {
    /// The deployments of the service that had ended.
    pub(super) after: u64,
    /// What serves.
    pub(super) live: Source,
    /// What is to.
    pub(super) next: Source,
    /// How far it came.
    pub(super) step: Option<Step>,
    /// The set that it belongs to.
    pub(super) set: Option<SetId>,
}

/// The step at which a deployment in steps was cut off.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::{Recovery, Step};
///
/// /// How far a deployment had come that the end of a host cut off.
/// fn came_to(recovery: &Recovery) -> Option<&Step> {
///     match recovery {
///         Recovery::RolledBack { step, .. } => step.as_ref(),
///         _ => None,
///     }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The strategy.
    pub strategy: String,
    /// The step that it was about to make, from 1.
    pub step: usize,
    /// How many steps it has.
    pub steps: usize,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at step {} of {} ({})", self.step, self.steps, self.strategy)
    }
}

/// A set of deployments, told by the one whose end is written first, which decides about all.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetId {
    /// Its service.
    pub(crate) first: String,
    /// The deployments of that which had ended.
    pub(crate) after: u64,
}
