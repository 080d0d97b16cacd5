//! Why a handle of a resource is good for nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A handle that is given with a call is of no resource there. The call was not made.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::{DeadHandle, HandleDeath};
///
/// let (service, resource) = ("carts".to_owned(), "cart".to_owned());
/// let dead = DeadHandle { service, resource, why: HandleDeath::Instance };
/// assert!(dead.to_string().starts_with("dead handle of a cart of carts: the instance that made it is gone"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("dead handle of a {resource} of {service}: {why}")]
pub struct DeadHandle {
    /// Who was asked: a service, with its key.
    pub service: String,
    /// The resource that was wanted.
    pub resource: String,
    /// Why it is dead.
    pub why: HandleDeath,
}

/// Why a handle is dead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum HandleDeath {
    /// It was made by another instance: one that crashed, was replaced or stopped, or that of another service or key.
    Instance,
    /// It was dropped or given away, or was never made.
    Unknown,
    /// It is of another resource.
    Other {
        /// Of which one.
        found: String,
    },
    /// It is given away in the same call.
    Given,
}

impl fmt::Display for HandleDeath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance => f.write_str("the instance that made it is gone, or another one is asked"),
            Self::Unknown => f.write_str("it was dropped or given away, or was never made"),
            Self::Other { found } => write!(f, "it is of a {found}"),
            Self::Given => f.write_str("it is given away in the same call"),
        }
    }
}
