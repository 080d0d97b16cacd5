//! `airssys:actor/messaging`: what leaves, and when.
//!
//! A send takes its way through the dispatch stack and its room now, and leaves at the commit. A call leaves now. In the sync lane nothing waits, so
//! there is no call.

use std::time::Duration;

use airssys_rt_shim::timer::{Most, TimerId};
use bytes::Bytes;
use tokio::time::Instant;

use crate::address::{AddressError, MAX_KEY, MAX_SERVICE_NAME};
use crate::capability::{Operation, Pattern};
use crate::engine::bindings::waiting::airssys::actor::types as wit;
use crate::engine::bindings::{prompt, waiting};
use crate::engine::guest::{Effect, Guest};
use crate::engine::script::{Asked, Script, Told};
use crate::error::{CallError, Fault, SendError};
use crate::limits::{OVERHEAD_BYTES, REASON_BYTES, TOPIC_BYTES, cut};
use crate::middleware::Who;
use crate::router::service::Place;
use crate::router::{Caller, Origin, Until};

type Sent = wasmtime::Result<Result<(), wit::SendError>>;
type Answered = wasmtime::Result<Result<Option<Vec<u8>>, wit::CallError>>;

impl waiting::airssys::actor::messaging::Host for Guest {
    async fn send(&mut self, to: String, key: Option<String>, body: Vec<u8>) -> Sent {
        let body = Bytes::from(body);
        if self.turn.script.is_none() {
            return Ok(self.hold_send(&to, key.as_deref(), body).await.map_err(|error| to_wit(&error)));
        }
        // Boxed: a turn that is not compared does not carry it around.
        Ok(Box::pin(self.send_by_script(to, key, body)).await)
    }

    async fn call(&mut self, to: String, key: Option<String>, body: Vec<u8>, timeout_ms: u64) -> Answered {
        let body = Bytes::from(body);
        if self.turn.script.is_none() {
            return Ok(self.call_now(&to, key.as_deref(), body, timeout_ms).await);
        }
        Ok(Box::pin(self.call_by_script(to, key, body, timeout_ms)).await)
    }

    fn publish(&mut self, topic: String, body: Vec<u8>) -> Sent {
        let body = Bytes::from(body);
        if self.turn.script.is_none() {
            return Ok(self.hold_publish(topic, body).map_err(|error| to_wit(&error)));
        }
        let asked = || Asked::Publish { topic: topic.as_str().into(), body: body.clone() };
        Ok(self.by_script(asked, |guest| guest.hold_publish(topic.clone(), body.clone())))
    }

    fn subscribe(&mut self, pattern: String) -> Sent {
        let asked = || Asked::Subscribe { pattern: pattern.as_str().into() };
        Ok(self.by_script(asked, |guest| guest.hold_subscription(&pattern, true)))
    }

    fn unsubscribe(&mut self, pattern: String) -> Sent {
        let asked = || Asked::Unsubscribe { pattern: pattern.as_str().into() };
        Ok(self.by_script(asked, |guest| guest.hold_subscription(&pattern, false)))
    }

    fn send_after(&mut self, delay_ms: u64, body: Vec<u8>) -> wasmtime::Result<Result<u64, wit::SendError>> {
        let body = Bytes::from(body);
        if self.turn.script.is_none() {
            return Ok(self.hold_timer(delay_ms, body).map_err(|error| to_wit(&error)));
        }
        let asked = Asked::Timer { delay: Duration::from_millis(delay_ms), body: body.clone() };
        if let Some(told) = self.read_back(|| asked.clone()) {
            return Ok(match told {
                Told::Timer(told) => told,
                Told::Done(Err(error)) => Err(error),
                _ => Ok(0),
            });
        }
        let set = self.hold_timer(delay_ms, body).map_err(|error| to_wit(&error));
        self.write_down(|| (asked, Told::Timer(set.clone())));
        Ok(set)
    }

    fn cancel(&mut self, timer: u64) -> wasmtime::Result<bool> {
        if let Some(told) = self.read_back(|| Asked::Cancel { timer }) {
            return Ok(matches!(told, Told::Cancelled(true)));
        }
        let cancelled = self.cancel_timer(TimerId(timer));
        self.write_down(|| (Asked::Cancel { timer }, Told::Cancelled(cancelled)));
        Ok(cancelled)
    }

    fn self_address(&mut self) -> wasmtime::Result<String> {
        Ok(self.identity.address().as_str().to_owned())
    }
}

impl prompt::airssys::actor::messaging::Host for Guest {
    fn send(&mut self, to: String, key: Option<String>, body: Vec<u8>) -> Sent {
        // Nothing in it waits, since the sync lane's turns may not: it is ready at the first poll.
        let sent = ready(waiting::airssys::actor::messaging::Host::send(self, to, key, body));
        sent.unwrap_or(Ok(Err(wit::SendError::Overloaded)))
    }

    fn call(&mut self, _: String, _: Option<String>, _: Vec<u8>, _: u64) -> Answered {
        Err(wasmtime::Error::msg("a guest in the sync lane cannot call: it cannot wait for the answer"))
    }

    fn publish(&mut self, topic: String, body: Vec<u8>) -> Sent {
        waiting::airssys::actor::messaging::Host::publish(self, topic, body)
    }

    fn subscribe(&mut self, pattern: String) -> Sent {
        waiting::airssys::actor::messaging::Host::subscribe(self, pattern)
    }

    fn unsubscribe(&mut self, pattern: String) -> Sent {
        waiting::airssys::actor::messaging::Host::unsubscribe(self, pattern)
    }

    fn send_after(&mut self, delay_ms: u64, body: Vec<u8>) -> wasmtime::Result<Result<u64, wit::SendError>> {
        waiting::airssys::actor::messaging::Host::send_after(self, delay_ms, body)
    }

    fn cancel(&mut self, timer: u64) -> wasmtime::Result<bool> {
        waiting::airssys::actor::messaging::Host::cancel(self, timer)
    }

    fn self_address(&mut self) -> wasmtime::Result<String> {
        waiting::airssys::actor::messaging::Host::self_address(self)
    }
}

/// The output of a future that does not wait; none where it does.
fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

/// What two releases are compared by: see `engine/script.rs`.
impl Guest {
    async fn send_by_script(&mut self, to: String, key: Option<String>, body: Bytes) -> Result<(), wit::SendError> {
        let asked = Asked::Send { to: to.as_str().into(), key: key.as_deref().map(Into::into), body: body.clone() };
        if let Some(told) = self.read_back(|| asked.clone()) {
            return done(told);
        }
        let sent = self.hold_send(&to, key.as_deref(), body).await.map_err(|error| to_wit(&error));
        self.write_down(|| (asked, Told::Done(sent.clone())));
        sent
    }

    async fn call_by_script(
        &mut self,
        to: String,
        key: Option<String>,
        body: Bytes,
        timeout_ms: u64,
    ) -> Result<Option<Vec<u8>>, wit::CallError> {
        let asked = Asked::Call { to: to.as_str().into(), key: key.as_deref().map(Into::into), body: body.clone() };
        if let Some(told) = self.read_back(|| asked.clone()) {
            return match told {
                Told::Answer(answer) => answer,
                told => done(told).map(|()| None).map_err(wit::CallError::NotSent),
            };
        }
        let answer = self.call_now(&to, key.as_deref(), body, timeout_ms).await;
        self.write_down(|| (asked, Told::Answer(answer.clone())));
        answer
    }

    fn by_script(
        &mut self,
        asked: impl Fn() -> Asked,
        ask: impl FnOnce(&mut Self) -> Result<(), SendError>,
    ) -> Result<(), wit::SendError> {
        if let Some(told) = self.read_back(&asked) {
            return done(told);
        }
        let sent = ask(self).map_err(|error| to_wit(&error));
        self.write_down(|| (asked(), Told::Done(sent.clone())));
        sent
    }

    /// What the live turn was told, where this one is only shown its message.
    pub(super) fn read_back(&mut self, asked: impl FnOnce() -> Asked) -> Option<Told> {
        let Some(Script::Read(reading)) = self.turn.script.as_deref_mut() else { return None };
        let asked = asked();
        let policy = &self.identity.terms.policy;
        let itself = |to: &str| to == self.identity.address().as_str();
        let allowed = match &asked {
            Asked::Send { to, .. } => policy.allows(Operation::Send, to) || itself(to),
            Asked::Call { to, .. } => policy.allows(Operation::Call, to) || itself(to),
            Asked::Publish { topic, .. } => policy.allows(Operation::Publish, topic),
            Asked::Subscribe { pattern } => policy.allows(Operation::Subscribe, pattern),
            Asked::Supervise { child, .. } => policy.allows(Operation::Spawn, child),
            Asked::Unsubscribe { .. } | Asked::Timer { .. } | Asked::Cancel { .. } => true,
        };
        Some(reading.ask(asked, allowed))
    }

    pub(super) fn write_down(&mut self, line: impl FnOnce() -> (Asked, Told)) {
        if let Some(Script::Written(writing)) = self.turn.script.as_deref_mut() {
            let (asked, told) = line();
            writing.push(asked, told);
        }
    }
}

fn done(told: Told) -> Result<(), wit::SendError> {
    match told {
        Told::Done(sent) => sent,
        _ => Ok(()),
    }
}

impl Guest {
    async fn hold_send(&mut self, to: &str, key: Option<&str>, body: Bytes) -> Result<(), SendError> {
        is_address(to, key)?;
        let bytes = body.len() + key.map_or(0, str::len);
        self.room_for_effect(bytes)?;
        let identity = &self.identity;
        let who = Who::Service { address: identity.address(), policy: &identity.terms.policy };
        let origin = Origin { who, trace: self.turn.trace };
        // A child that this turn spawns is found by nobody else yet.
        let resolved =
            identity.mesh.resolve(to, key).or_else(|error| self.unborn(to, key).map(Place::Target).ok_or(error));
        let waiter = self.turn.may_wait.then_some(&*identity.mailbox);
        let held = identity.mesh.reserve(origin, waiter, resolved, to, key, body).await?;
        if let Some(outgoing) = held {
            self.hold_back(Effect::Send(Box::new(outgoing)), bytes);
        }
        Ok(())
    }

    async fn call_now(
        &mut self,
        to: &str,
        key: Option<&str>,
        body: Bytes,
        timeout_ms: u64,
    ) -> Result<Option<Vec<u8>>, wit::CallError> {
        is_address(to, key).map_err(|error| wit::CallError::NotSent(to_wit(&error)))?;
        let identity = &self.identity;
        let now = Instant::now();
        let latest = self.turn.begun_waiting(now) + identity.terms.limits.turn_deadline;
        let asked = now.checked_add(Duration::from_millis(timeout_ms)).unwrap_or(latest).min(latest);
        let deadline = self.turn.deadline.map_or(asked, |served| served.min(asked));
        let who = Who::Service { address: identity.address(), policy: &identity.terms.policy };
        let origin = Origin { who, trace: self.turn.trace };
        match identity.mesh.call(origin, Caller::Turn(identity.node), to, key, body, Until { now, deadline }).await {
            Ok(answer) => Ok(answer.map(Vec::from)),
            Err(error) => Err(call_error_to_wit(&error)),
        }
    }

    fn hold_publish(&mut self, topic: String, body: Bytes) -> Result<(), SendError> {
        is_topic(&topic)?;
        self.room_for_effect(body.len() + topic.len())?;
        let limit_bytes = self.identity.terms.limits.message_bytes;
        if body.len() as u64 > limit_bytes {
            return Err(SendError::TooLarge { size_bytes: body.len() as u64, limit_bytes });
        }
        let mut body = body;
        if self.permit(Operation::Publish, &topic, &mut body)? {
            let bytes = body.len() + topic.len();
            self.hold_back(Effect::Publish { topic: topic.into(), body }, bytes);
        }
        Ok(())
    }

    fn hold_subscription(&mut self, pattern: &str, subscribe: bool) -> Result<(), SendError> {
        is_topic(pattern)?;
        self.room_for_effect(pattern.len())?;
        if subscribe && !self.permit(Operation::Subscribe, pattern, &mut Bytes::new())? {
            return Ok(());
        }
        let pattern: Pattern = pattern.parse().map_err(|error: crate::capability::PatternError| {
            SendError::NoSuchService { address: error.to_string(), hint: "a topic pattern was expected" }
        })?;
        let bytes = pattern.as_str().len();
        if !subscribe {
            self.hold_back(Effect::Unsubscribe(pattern), bytes);
            return Ok(());
        }
        let identity = &self.identity;
        identity.mesh.reserve_subscription(&pattern, &identity.own, identity.terms.limits.subscriptions)?;
        self.hold_back(Effect::Subscribe(pattern), bytes);
        Ok(())
    }

    fn hold_timer(&mut self, delay_ms: u64, body: Bytes) -> Result<u64, SendError> {
        let bytes = body.len();
        self.room_for_effect(bytes)?;
        let identity = &self.identity;
        let limits = &identity.terms.limits;
        let limit_bytes = limits.message_bytes;
        if body.len() as u64 > limit_bytes {
            return Err(SendError::TooLarge { size_bytes: body.len() as u64, limit_bytes });
        }
        let id = identity
            .mesh
            .timers
            .reserve(
                identity.address(),
                OVERHEAD_BYTES + bytes,
                Most { timers: limits.timers, bytes: limits.timer_bytes },
            )
            .map_err(|full| SendError::Overloaded { what: full.to_string() })?;
        self.hold_back(Effect::Timer { id, delay: Duration::from_millis(delay_ms), body }, bytes);
        Ok(id.0)
    }

    fn cancel_timer(&mut self, id: TimerId) -> bool {
        let mut given_back = 0;
        self.turn.effects.retain(|effect| match effect {
            Effect::Timer { id: held, body, .. } if *held == id => {
                given_back += OVERHEAD_BYTES + body.len();
                false
            }
            _ => true,
        });
        self.turn.effect_bytes = self.turn.effect_bytes.saturating_sub(given_back);
        self.identity.mesh.timers.cancel(id, self.identity.address())
    }
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

fn to_wit(error: &SendError) -> wit::SendError {
    match error {
        SendError::Denied(denied) => wit::SendError::Denied(denied.to_string()),
        SendError::Address(_) | SendError::NoSuchService { .. } => wit::SendError::NoSuchService(error.to_string()),
        SendError::Overloaded { .. } => wit::SendError::Overloaded,
        SendError::TooLarge { limit_bytes, .. } => wit::SendError::TooLarge(*limit_bytes),
        SendError::Stopped { .. } => wit::SendError::Stopped,
        SendError::Rejected { .. } => wit::SendError::Denied(error.to_string()),
    }
}

fn call_error_to_wit(error: &CallError) -> wit::CallError {
    match error {
        CallError::NotSent(error) => wit::CallError::NotSent(to_wit(error)),
        CallError::Timeout => wit::CallError::Timeout,
        CallError::Deadlock => wit::CallError::Deadlock,
        CallError::Fault(fault) => wit::CallError::Fault(fault_to_wit(fault)),
        CallError::Crashed(crash) => wit::CallError::Crashed(crash.to_string()),
        CallError::Dropped(why) => wit::CallError::Dropped(why.clone()),
    }
}

fn fault_to_wit(fault: &Fault) -> wit::Fault {
    match fault.clone() {
        Fault::Invalid(text) => wit::Fault::Invalid(text),
        Fault::Refused(text) => wit::Fault::Refused(text),
        Fault::Unavailable(text) => wit::Fault::Unavailable(text),
        Fault::Internal(text) => wit::Fault::Internal(text),
    }
}

/// A guest's fault, as the host knows it.
pub(crate) fn fault_from_wit(fault: wit::Fault) -> Fault {
    // Kept in dead letters and passed on to whoever called, who may have a smaller boundary.
    let cut = |text| cut(text, REASON_BYTES);
    match fault {
        wit::Fault::Invalid(text) => Fault::Invalid(cut(text)),
        wit::Fault::Refused(text) => Fault::Refused(cut(text)),
        wit::Fault::Unavailable(text) => Fault::Unavailable(cut(text)),
        wit::Fault::Internal(text) => Fault::Internal(cut(text)),
    }
}
