//! Has what failed tried again, as the policy says that its service uses. What passes the layers once more begins anew:
//! each try is a message of its own.
//!
//! It decides nothing about what goes on; services without a policy are looked up in a map, where any service has one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use tokio::time::Instant;

use super::{Context, ErrorVerdict, Layer, Operations};
use crate::error::{CallError, Fault, SendError};
use crate::hint::Coded;
use crate::retry::{RetryPolicy, chance};

/// The layer of retries.
pub(crate) struct Retry {
    of_service: ArcSwap<HashMap<String, Arc<RetryPolicy>>>,
    seed: AtomicU64,
}

impl Retry {
    pub(super) fn new() -> Self {
        let mut seed = [0; 8];
        // Where there is no chance, the times are those of any other mesh.
        let _is_random = getrandom::fill(&mut seed);
        Self { of_service: ArcSwap::default(), seed: AtomicU64::new(u64::from_le_bytes(seed)) }
    }

    /// Has the times between tries follow from this.
    pub(super) fn spread_by(&self, seed: u64) {
        self.seed.store(seed, Ordering::Relaxed);
    }

    /// Puts these policies in force, each for the services that use it; what it is about now.
    pub(super) fn put<'a>(
        &self,
        policies: &[RetryPolicy],
        uses: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Operations {
        let all: HashMap<&str, Arc<RetryPolicy>> =
            policies.iter().map(|policy| (policy.name.as_str(), Arc::new(policy.clone()))).collect();
        let used = uses.filter_map(|(service, name)| Some((service.to_owned(), Arc::clone(all.get(name)?))));
        let of_service: HashMap<String, Arc<RetryPolicy>> = used.collect();
        let about = of_service.values().fold(Operations::NONE, |about, policy| about | policy.about());
        self.of_service.store(Arc::new(of_service));
        about
    }

    fn chance(&self) -> u64 {
        // Two that ask at once may be given the same: it is chance all the same.
        let (number, next) = chance(self.seed.load(Ordering::Relaxed));
        self.seed.store(next, Ordering::Relaxed);
        number
    }
}

impl Layer for Retry {
    fn name(&self) -> &'static str {
        "retry"
    }

    fn priority(&self) -> i32 {
        950
    }

    fn applies_to(&self) -> Operations {
        Operations::NONE
    }

    fn on_error(&self, context: &Context<'_>, error: &CallError) -> ErrorVerdict {
        let Some(own) = context.sender.filter(|_| context.settles_later) else { return ErrorVerdict::Continue };
        let of_service = self.of_service.load();
        let Some(policy) = of_service.get(own.service()) else { return ErrorVerdict::Continue };
        if !policy.about().contains(context.operation) || !policy.errors.iter().any(|word| is(error, word)) {
            return ErrorVerdict::Continue;
        }
        let Some(wait) = policy.wait(context.retries.saturating_add(1), self.chance()) else {
            return ErrorVerdict::Continue;
        };
        let again = Instant::now() + wait;
        // Nobody would wait for it.
        if context.deadline.is_some_and(|deadline| again >= deadline) {
            return ErrorVerdict::Continue;
        }
        ErrorVerdict::Later(Box::pin(async move {
            tokio::time::sleep_until(again).await;
            ErrorVerdict::Retry
        }))
    }
}

/// Whether an error is the one of this word.
fn is(error: &CallError, word: &str) -> bool {
    match error {
        // A denial stays one.
        CallError::NotSent(SendError::Denied(_)) | CallError::Discarded => false,
        CallError::Fault(Fault::Unavailable(_)) => word == "unavailable",
        CallError::Fault(Fault::Internal(_)) => word == "internal",
        CallError::Failed { code } => word == code,
        other => other.code() == word,
    }
}
