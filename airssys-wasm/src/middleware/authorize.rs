//! Refuses what was not granted. It is the first layer, and its no is final.

use bytes::Bytes;
use tracing::warn;

use super::{Context, Layer, Metrics, Verdict, Who};
use crate::error::{CallError, SendError};

/// The capability check. A service may always write to itself.
#[derive(Debug)]
pub struct Authorize;

impl Layer for Authorize {
    fn name(&self) -> &'static str {
        "authorize"
    }

    fn priority(&self) -> i32 {
        1000
    }

    fn before(&self, context: &mut Context<'_>, _body: &mut Bytes) -> Verdict {
        let Who::Service { address, policy } = context.who else { return Verdict::Continue };
        let to_itself = context.target == address.as_str() && context.operation.is_free_to_oneself();
        if policy.allows(context.operation, context.target) || to_itself {
            return Verdict::Continue;
        }
        // The layer that counts comes after this one, and never sees it.
        if let Some(metrics) = context.metrics {
            Metrics::count(&metrics.denied);
        }
        let denied = policy.denial(address.service(), context.operation, context.target);
        warn!(
            target: "airssys::audit",
            service = %address, operation = denied.operation, target = %denied.target, missing = %denied.missing, "denied"
        );
        Verdict::Reject(CallError::NotSent(SendError::Denied(Box::new(denied))))
    }
}
