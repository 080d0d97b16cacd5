//! Refuses what was not granted. It is the first layer, and its no is final.

use std::sync::Arc;

use bytes::Bytes;

use super::{Context, Layer, Metrics, Verdict, Who, deny};
use crate::address::Address;
use crate::capability::{Operation, Policy};
use crate::error::{CallError, Denied, SendError};
use crate::events::Events;
use crate::typed::FunctionType;

/// The capability check. A service may always write to itself.
#[derive(Debug)]
pub(crate) struct Authorize {
    /// Where a denial is told.
    pub(super) events: Arc<Events>,
}

impl Authorize {
    /// Why the service of this address may not do this under its policy; none where it may.
    pub(crate) fn nothing(address: &Address, policy: &Policy, operation: Operation, target: &str) -> Option<Denied> {
        let may = (target == address.as_str() && operation.is_free_to_oneself()) || policy.lets(operation, target);
        (!may).then(|| policy.denial(address.service(), operation, target))
    }

    /// Why it may not call this function; none where it may.
    pub(crate) fn no_function(
        address: &Address,
        policy: &Policy,
        target: &str,
        function: &FunctionType,
    ) -> Option<Denied> {
        let may = policy.lets_function(target, function);
        (!may).then(|| policy.function_denial(address.service(), target, function))
    }
}

impl Layer for Authorize {
    fn name(&self) -> &'static str {
        "authorize"
    }

    fn priority(&self) -> i32 {
        1000
    }

    fn before(&self, context: &mut Context<'_>, _body: &mut Bytes) -> Verdict {
        let Who::Service { address, policy } = context.who else { return Verdict::Continue };
        let denied = match context.function {
            Some(function) => Self::no_function(address, policy, context.target, function),
            None => Self::nothing(address, policy, context.operation, context.target),
        };
        let Some(denied) = denied else { return Verdict::Continue };
        // The layer that counts comes after this one, and never sees it.
        if let Some(metrics) = context.metrics {
            Metrics::count(&metrics.denied);
        }
        deny(&self.events, address, &denied);
        Verdict::Reject(CallError::NotSent(SendError::Denied(Box::new(denied))))
    }
}
