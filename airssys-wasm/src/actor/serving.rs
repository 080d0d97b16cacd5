//! A release at work: its code, and who it is with the rules it runs under. One value, so that they switch together.

use std::sync::Arc;

use super::decide::{self, Release};
use crate::engine::Template;
use crate::settings::Terms;
use crate::turn::Identity;

/// A release at work: its code, and who it is with the rules it runs under.
#[derive(Debug, Clone)]
pub(crate) struct Serving {
    pub(crate) template: Arc<Template>,
    pub(crate) identity: Arc<Identity>,
}

impl Serving {
    /// Whether each message's key chooses the state.
    pub(super) fn state_per_key(&self) -> bool {
        self.identity.own.has_state_per_key()
    }

    /// Another release in the same place, under its own rules.
    pub(crate) fn with(&self, template: &Arc<Template>, terms: &Arc<Terms>) -> Self {
        let identity = Identity { terms: Arc::clone(terms), ..(*self.identity).clone() };
        Self { template: Arc::clone(template), identity: Arc::new(identity) }
    }
}

impl Release for Arc<Serving> {
    fn schema(&self) -> u32 {
        self.identity.terms.schema
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(self, other)
    }

    fn has_code_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.template, &other.template)
    }
}

pub(crate) type Probation = decide::Probation<Arc<Serving>>;
