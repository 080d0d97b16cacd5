//! Bounds what services send and do in a second, by the quotas of the topology.
//!
//! A quota that several services use is looked at by all of them, so it is behind a lock; nobody holds that for longer
//! than it takes to reckon. Services without a quota take none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::time::Instant;

use super::{Context, Layer, Operations, Verdict};
use crate::error::{CallError, SendError};
use crate::events::Events;
use crate::operation::Operation;
use crate::rate::{Each, MESSAGES, Rate, Taken, Takes, Then, TooMuch};

/// The longest that something is delayed: what would have to wait longer is rejected at once.
const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// How many senders or targets of one quota are told apart. More have one together.
const MOST_APART: usize = 10_000;

/// The layer of quotas.
pub(crate) struct RateLimit {
    pub(super) events: Arc<Events>,
    of_service: ArcSwap<HashMap<String, Arc<Quota>>>,
    began: Instant,
}

/// A quota in force.
struct Quota {
    rate: Rate,
    taken: Mutex<Together>,
}

#[derive(Default)]
struct Together {
    all: Taken,
    apart: HashMap<Box<str>, Taken>,
}

impl Together {
    /// That of one sender or target.
    fn of(&mut self, name: &str, now: Duration) -> &mut Taken {
        if !self.apart.contains_key(name) && self.apart.len() >= MOST_APART {
            self.apart.retain(|_, taken| !taken.is_good(now));
            if self.apart.len() >= MOST_APART {
                return &mut self.all;
            }
        }
        self.apart.entry(name.into()).or_default()
    }
}

impl RateLimit {
    pub(super) fn new(events: &Arc<Events>) -> Self {
        Self { events: Arc::clone(events), of_service: ArcSwap::default(), began: Instant::now() }
    }

    /// Puts these quotas in force, each for the services that use it; what it is about now. What is taken of one that
    /// stays the same stays taken.
    pub(super) fn put<'a>(&self, rates: &[Rate], uses: impl Iterator<Item = (&'a str, &'a str)>) -> Operations {
        let before = self.of_service.load();
        let quota = |rate: &Rate| {
            let same = before.values().find(|quota| quota.rate == *rate).cloned();
            let new = || Arc::new(Quota { rate: rate.clone(), taken: Mutex::default() });
            (rate.name.clone(), same.unwrap_or_else(new))
        };
        let quotas: HashMap<String, Arc<Quota>> = rates.iter().map(quota).collect();
        let used = uses.filter_map(|(service, quota)| Some((service.to_owned(), Arc::clone(quotas.get(quota)?))));
        let of_service: HashMap<String, Arc<Quota>> = used.collect();
        let about = of_service.values().fold(Operations::NONE, |all, quota| all | quota.rate.applies_to());
        self.of_service.store(Arc::new(of_service));
        about
    }

    /// Says that it is used up, where that was not said a moment ago.
    #[cold]
    fn tell(&self, context: &Context<'_>, quota: &Rate, too_much: &TooMuch) {
        let Some(own) = context.sender else { return };
        let (name, operation) = (&quota.name, context.operation);
        let TooMuch { what, allowed, .. } = too_much;
        let detail =
            format_args!("{own}: the quota {name:?} of {allowed} {what} a second is used up, at a {operation}");
        if self.events.reach(own.service(), "quota", detail) {
            tracing::warn!(
                target: "airssys::limit", service = %own, quota = %name, %operation, target = context.target,
                "a quota of {allowed} {what} a second is used up"
            );
        }
    }
}

impl Layer for RateLimit {
    fn name(&self) -> &'static str {
        "quota"
    }

    fn priority(&self) -> i32 {
        750
    }

    fn applies_to(&self) -> Operations {
        Operations::NONE
    }

    fn before(&self, context: &mut Context<'_>, body: &mut Bytes) -> Verdict {
        let Some(own) = context.sender else { return Verdict::Continue };
        let of_service = self.of_service.load();
        let Some(quota) = of_service.get(own.service()) else { return Verdict::Continue };
        let rate = &quota.rate;
        if !rate.applies_to().contains(context.operation) {
            return Verdict::Continue;
        }
        let is_message = MESSAGES.contains(context.operation);
        let bytes = (body.len() as u64).saturating_add(context.wants_bytes);
        let takes = Takes { messages: u64::from(is_message), bytes, operations: u64::from(!is_message) };
        let now = context.when().saturating_duration_since(self.began);
        let too_much = {
            // See the module.
            let mut together = quota.taken.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = match rate.each {
                Each::All => &mut together.all,
                Each::Sender => together.of(own.as_str(), now),
                Each::Target => together.of(context.target, now),
            };
            let Err(too_much) = taken.take(rate, takes, now) else { return Verdict::Continue };
            if rate.then == Then::Delay && context.may_wait && too_much.wait <= LONGEST_DELAY {
                taken.borrow(rate, takes, now);
            }
            too_much
        };
        self.tell(context, rate, &too_much);
        let TooMuch { what, allowed, wait } = too_much;
        let told = || format!("the quota {:?} of {allowed} {what} a second", rate.name);
        match rate.then {
            Then::Delay if context.may_wait && wait <= LONGEST_DELAY => Verdict::Later(Box::pin(async move {
                tokio::time::sleep(wait).await;
                Verdict::Continue
            })),
            Then::Drop if matches!(context.operation, Operation::Send | Operation::Publish) => Verdict::Handled(None),
            Then::Drop if is_message => Verdict::Reject(CallError::Dropped(format!("{} is used up", told()))),
            _ => Verdict::Reject(SendError::Overloaded { what: told() }.into()),
        }
    }
}
