//! What leaves, and when.
//!
//! A send takes its way through the dispatch stack and its room now, and leaves at the commit. A call leaves now.

use std::sync::Arc;
use std::time::Duration;

use airssys_rt_shim::timer::{Most, TimerId, TooManyTimers};
use bytes::Bytes;
use tokio::time::Instant;

use super::Turn;
use super::effect::Effect;
use crate::address::{AddressError, MAX_KEY, MAX_SERVICE_NAME};
use crate::capability::{Operation, Pattern, PatternError};
use crate::error::{CallError, NotFound, SendError};
use crate::limits::{OVERHEAD_BYTES, TOPIC_BYTES, cut};
use crate::message::Answer;
use crate::middleware::RunsOn;
use crate::router::service::Resolved;
use crate::router::{Caller, Said, Until, Waiter};
use crate::typed::FunctionType;
use crate::wire::{BETWEEN_TRIES, OnFailure};

/// What a turn has left at most when a call over a wire is given up: whoever made the call is to be told, and to go on.
const TO_GO_ON: Duration = Duration::from_millis(100);

impl Turn {
    pub(super) async fn send(&mut self, to: &str, key: Option<&str>, body: Bytes) -> Result<(), SendError> {
        is_address(to, key)?;
        let bytes = body.len() + key.map_or(0, str::len);
        self.room_for_effect(bytes)?;
        let identity = &self.identity;
        // A child that this turn spawns is found by nobody else yet.
        let resolved =
            identity.mesh.resolve(to, key).or_else(|error| self.unborn(to, key).map(Resolved::Place).ok_or(error));
        let runs_on = if self.has_tasks { RunsOn::Nobody } else { RunsOn::Guest };
        let waiter = self.may_wait.then_some(Waiter { mailbox: &identity.mailbox, node: identity.node, runs_on });
        let held = identity.mesh.reserve(identity.origin(self.trace), waiter, resolved, to, key, body).await?;
        if let Some(outgoing) = held {
            self.hold_back(Effect::Send(Box::new(outgoing)), bytes);
        }
        Ok(())
    }

    pub(super) async fn call(&self, to: &str, key: Option<&str>, body: Bytes, timeout_ms: u64) -> Answer {
        let timeout = Duration::from_millis(timeout_ms);
        self.ask(to, key, body.into(), |now, latest| now.checked_add(timeout).unwrap_or(latest)).await
    }

    /// Calls a function by its own type, which the guest imports by this name, or by that of its interface. It has as
    /// long as the turn has, but for some time to go on.
    pub(super) async fn invoke(
        &self,
        to: &str,
        name: Option<&str>,
        function: &Arc<FunctionType>,
        body: Bytes,
    ) -> Answer {
        let terms = &self.identity.terms;
        let wire = name.or(function.interface.as_deref()).and_then(|import| terms.wire(import));
        let keyed = match wire.and_then(|wire| Some((wire, wire.key.as_deref()?))) {
            // Without a key it is one of nobody, and told so.
            Some((wire, key)) => {
                let key = function.key_argument(key, &body).unwrap_or_default();
                Some(format!("{}/{key}", wire.to.service()))
            }
            None => None,
        };
        let to = keyed.as_deref().unwrap_or(to);
        if wire.is_some_and(|wire| wire.on_failure == OnFailure::Retry) {
            // A future has room for all that it may wait for, and the one of every call is not to have more.
            return Box::pin(self.persist(to, function, body)).await;
        }
        let said = Said::call(function, body);
        self.ask(to, None, said, to_go_on).await
    }

    /// Tells another service that a handle of its is dropped.
    pub(super) fn release(&self, to: &str, function: &Arc<FunctionType>, body: Bytes) {
        let identity = &self.identity;
        identity.mesh.release(identity.origin(self.trace), to, function, body);
    }

    /// Calls a function until it is answered, or there is no time left for another try. Where the one called ended over
    /// it, it may have been carried out already.
    async fn persist(&self, to: &str, function: &Arc<FunctionType>, body: Bytes) -> Answer {
        let begun = Instant::now();
        let until = to_go_on(begun, self.latest(begun));
        for failures in 0.. {
            let said = Said::call(function, body.clone());
            let answer = self.ask(to, None, said, |_, _| until).await;
            let again = Instant::now() + BETWEEN_TRIES.delay(failures);
            if !matches!(&answer, Err(why) if why.is_outage()) || again >= until {
                return answer;
            }
            tokio::time::sleep_until(again).await;
        }
        Err(CallError::Timeout)
    }

    /// When the turn has to be over, and whoever waits for it has stopped waiting.
    fn latest(&self, now: Instant) -> Instant {
        let latest = self.clock.begun(now) + self.identity.terms.limits.turn_deadline;
        self.deadline.map_or(latest, |served| served.min(latest))
    }

    /// Calls, and waits until a time that is said when it is known what time it is, and when the turn has to be over;
    /// never longer than that.
    async fn ask(
        &self,
        to: &str,
        key: Option<&str>,
        said: Said<'_>,
        until: impl FnOnce(Instant, Instant) -> Instant,
    ) -> Answer {
        is_address(to, key)?;
        let identity = &self.identity;
        let now = Instant::now();
        let latest = self.latest(now);
        let deadline = until(now, latest).min(latest);
        let caller = if self.has_tasks { Caller::Tasks(identity.node) } else { Caller::Turn(identity.node) };
        let origin = identity.origin(self.trace);
        identity.mesh.call(origin, caller, to, key, said, Until { now, deadline }).await
    }

    pub(super) fn publish(&mut self, topic: String, mut body: Bytes) -> Result<(), SendError> {
        is_topic(&topic)?;
        self.room_for_effect(body.len() + topic.len())?;
        self.is_message(&body)?;
        if let Some(entry) = self.permit(Operation::Publish, &topic, &mut body)? {
            let bytes = body.len() + topic.len();
            self.hold_back(Effect::Publish { topic: topic.into(), body, entry }, bytes);
        }
        Ok(())
    }

    pub(super) fn subscribe(&mut self, pattern: &str) -> Result<(), SendError> {
        is_topic(pattern)?;
        self.room_for_effect(pattern.len())?;
        let Some(entry) = self.permit(Operation::Subscribe, pattern, &mut Bytes::new())? else { return Ok(()) };
        match self.reserve_subscription(pattern) {
            Ok(pattern) => {
                let bytes = pattern.as_str().len();
                self.hold_back(Effect::Subscribe(pattern, entry), bytes);
                Ok(())
            }
            Err(error) => self.refuse(pattern, entry, error).sent(),
        }
    }

    fn reserve_subscription(&self, pattern: &str) -> Result<Pattern, SendError> {
        let pattern = parse(pattern)?;
        let identity = &self.identity;
        identity.mesh.reserve_subscription(&pattern, &identity.own, identity.terms.limits.subscriptions)?;
        Ok(pattern)
    }

    pub(super) fn unsubscribe(&mut self, pattern: &str) -> Result<(), SendError> {
        is_topic(pattern)?;
        self.room_for_effect(pattern.len())?;
        let pattern = parse(pattern)?;
        let bytes = pattern.as_str().len();
        self.hold_back(Effect::Unsubscribe(pattern), bytes);
        Ok(())
    }

    pub(super) fn send_after(&mut self, delay_ms: u64, body: Bytes) -> Result<u64, SendError> {
        let bytes = body.len();
        self.room_for_effect(bytes)?;
        self.is_message(&body)?;
        let identity = &self.identity;
        let limits = &identity.terms.limits;
        let most = Most { timers: limits.timers, bytes: limits.timer_bytes };
        let reserved = identity.mesh.timers.reserve(identity.address(), OVERHEAD_BYTES + bytes, most);
        let id = reserved.map_err(|full| {
            let limit = if matches!(full, TooManyTimers::Number { .. }) { "timers" } else { "timer_bytes" };
            identity.reach(limit, full);
            SendError::Overloaded { what: full.to_string() }
        })?;
        self.hold_back(Effect::Timer { id, delay: Duration::from_millis(delay_ms), body }, bytes);
        Ok(id.0)
    }

    pub(super) fn cancel(&mut self, timer: u64) -> bool {
        let id = TimerId(timer);
        let mut given_back = 0;
        self.effects.retain(|effect| match effect {
            Effect::Timer { id: held, body, .. } if *held == id => {
                given_back += OVERHEAD_BYTES + body.len();
                false
            }
            _ => true,
        });
        self.effect_bytes = self.effect_bytes.saturating_sub(given_back);
        self.identity.mesh.timers.cancel(id, self.identity.address())
    }

    fn is_message(&self, body: &Bytes) -> Result<(), SendError> {
        let (size_bytes, limit_bytes) = (body.len() as u64, self.identity.terms.limits.message_bytes);
        if size_bytes <= limit_bytes {
            return Ok(());
        }
        let error = SendError::TooLarge { size_bytes, limit_bytes };
        self.identity.reach("message", &error);
        Err(error)
    }
}

/// Until when a call over a wire may take in a turn that has to be over at `latest`: a tenth of what is left is kept,
/// [`TO_GO_ON`] at most.
fn to_go_on(now: Instant, latest: Instant) -> Instant {
    let left = latest.saturating_duration_since(now);
    now + (left - TO_GO_ON.min(left / 10))
}

/// What is longer than any address is not looked at any further: it would stand in errors, in the log and in the audit.
pub(super) fn is_address(to: &str, key: Option<&str>) -> Result<(), SendError> {
    if to.len() > MAX_SERVICE_NAME + 1 + MAX_KEY {
        return Err(AddressError::Service { service: cut(to.to_owned(), MAX_SERVICE_NAME) }.into());
    }
    match key {
        Some(key) if key.len() > MAX_KEY => Err(AddressError::Key { key: cut(key.to_owned(), MAX_KEY) }.into()),
        _ => Ok(()),
    }
}

/// A topic is kept with each publication, and a pattern with each subscription.
fn is_topic(topic: &str) -> Result<(), SendError> {
    if topic.len() > TOPIC_BYTES {
        return Err(SendError::TooLarge { size_bytes: topic.len() as u64, limit_bytes: TOPIC_BYTES as u64 });
    }
    Ok(())
}

fn parse(pattern: &str) -> Result<Pattern, SendError> {
    pattern.parse().map_err(|error: PatternError| SendError::NoSuchService {
        address: error.to_string(),
        why: NotFound::NoPattern,
    })
}
