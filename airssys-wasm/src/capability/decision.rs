//! The decision by itself, for who measures it.

use super::grant::{Grants, Requests};
use super::kind::NoLine;
use super::pattern::PatternError;
use super::policy::Policy;
use crate::operation::Operation;

/// What a service may send: requested and granted, as both are written.
///
/// # Example
///
/// ```
/// use airssys_wasm::command::Decision;
///
/// let decision = Decision::new(["**"], ["pricing", "carts/*"])?;
/// assert!(decision.allows("pricing") && decision.allows("carts/7"));
/// assert!(!decision.allows("ledger") && !decision.allows("carts"));
/// # Ok::<(), airssys_wasm::command::NoLine>(())
/// ```
#[derive(Debug)]
pub struct Decision(Policy);

impl Decision {
    /// Compiles it.
    ///
    /// # Errors
    ///
    /// One of these is no pattern.
    pub fn new<'a>(
        requested: impl IntoIterator<Item = &'a str>,
        granted: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, NoLine> {
        let (mut requests, mut grants) = (Requests::default(), Grants::default());
        for text in requested {
            requests.send.push(text.parse().map_err(|why| NoLine::Text(PatternError::to_string(&why)))?);
        }
        for text in granted {
            let given: super::Given<_> = text.parse().map_err(NoLine::Text)?;
            grants.send.push(given);
        }
        Ok(Self(Policy::new(requests, grants)))
    }

    /// Whether a message may go to this address, as each send asks.
    #[must_use]
    pub fn allows(&self, target: &str) -> bool {
        self.0.lets(Operation::Send, target)
    }
}
