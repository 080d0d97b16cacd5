//! What a store holds besides the instance: who the guest is, what it may take, and the turn that runs now.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::time::Instant;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::host::random::Chance;
use super::limiter::Limiter;
use super::mappings::Seat;
use crate::address::Address;
use crate::capability::{Operation, Pattern};
use crate::error::SendError;
use crate::middleware::Who;
use crate::router::service::{Inbox, Service, Target, Terms};
use crate::router::waits::Node;
use crate::router::{Mesh, Origin, Outgoing};
use crate::state::durable::Saving;
use crate::state::{State, Transaction};

use airssys_rt_shim::timer::TimerId;

/// Who a guest is in the mesh, and the rules it runs under. The same for all its turns.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) mesh: Arc<Mesh>,
    pub(crate) service: Arc<Service>,
    /// The place its own messages come to.
    pub(crate) own: Target,
    pub(crate) mailbox: Arc<Inbox>,
    pub(crate) node: Node,
    pub(crate) terms: Arc<Terms>,
}

impl Identity {
    pub(crate) fn address(&self) -> &Address {
        self.own.address()
    }
}

/// What a turn holds back until it commits.
pub(crate) enum Effect {
    Send(Box<Outgoing>),
    Publish { topic: Box<str>, body: Bytes },
    Subscribe(Pattern),
    Unsubscribe(Pattern),
    Timer { id: TimerId, delay: std::time::Duration, body: Bytes },
}

/// The turn that runs now.
#[derive(Default)]
pub(crate) struct Turn {
    /// The message from outside that it serves; 0 for none.
    pub(crate) trace: u64,
    /// When whoever waits for it stops waiting.
    pub(crate) deadline: Option<Instant>,
    /// The state it reads and writes; none in a stateless pool.
    pub(crate) state: Option<Arc<State>>,
    pub(crate) writes: Transaction,
    pub(crate) effects: Vec<Effect>,
    /// Whether its sends may wait for room.
    pub(crate) may_wait: bool,
    /// The partition key of the message, where the key chooses the state.
    pub(crate) key: Option<Box<str>>,
    /// When the turn's clock was started. The one who runs the turn starts it, outside of the store.
    pub(crate) clock: Clock,
}

/// When a turn first had to wait; nothing before that. Shared between the turn and who runs it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock(Arc<Mutex<Option<Instant>>>);

impl Clock {
    /// Starts it; when that was.
    pub(crate) fn start(&self) -> Instant {
        let now = Instant::now();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        now
    }

    pub(crate) fn reset(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Turn {
    /// When the turn's deadline began to count; `now`, where it has not yet.
    pub(crate) fn begun_waiting(&self, now: Instant) -> Instant {
        self.clock.0.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or(now)
    }
}

/// The data of a store.
pub(crate) struct Guest {
    pub(crate) identity: Arc<Identity>,
    pub(crate) limiter: Limiter,
    pub(crate) turn: Turn,
    /// Busy ticks that the turn has left.
    pub(crate) ticks: u64,
    pub(crate) wasi: WasiCtx,
    pub(crate) chance: Chance,
    pub(crate) table: ResourceTable,
    pub(crate) _seat: Seat,
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl Guest {
    /// Takes room for one more effect.
    pub(crate) fn room_for_effect(&self) -> Result<(), SendError> {
        if self.turn.effects.len() < self.identity.terms.limits.effects {
            Ok(())
        } else {
            Err(SendError::Overloaded { what: "the set of effects of this turn".to_owned() })
        }
    }

    /// Begins to save what the turn wrote, where its state is durable and it wrote something. The rest of the commit must wait for the outcome.
    pub(crate) fn save(&mut self) -> Option<Saving> {
        self.turn.state.as_ref()?.save(&mut self.turn.writes)
    }

    /// Makes what the turn did happen: state first, then the rest in order. A durable state's writes have been saved before, by [`Guest::save`].
    pub(crate) fn commit(&mut self) {
        let identity = &self.identity;
        if let Some(state) = &self.turn.state {
            self.turn.writes.commit(state);
        }
        let who = Who::Service { address: identity.own.address(), policy: &identity.terms.policy };
        let origin = Origin { who, trace: self.turn.trace };
        for effect in self.turn.effects.drain(..) {
            match effect {
                Effect::Send(outgoing) => identity.mesh.deliver(origin, *outgoing),
                Effect::Publish { topic, body } => identity.mesh.publish(origin, &topic, &body),
                Effect::Subscribe(pattern) => identity.mesh.subscribe(&pattern, &identity.own),
                Effect::Unsubscribe(pattern) => identity.mesh.unsubscribe(&pattern, &identity.own),
                Effect::Timer { id, delay, body } => {
                    let key = self.turn.key.clone();
                    let alarm =
                        crate::router::Alarm { target: identity.own.clone(), key, trace: self.turn.trace, body };
                    identity.mesh.timers.arm(id, delay, alarm);
                }
            }
        }
    }

    /// Takes out the effects that the turn holds back, to be put back by [`Guest::resume`]. Its writes stay to be read as well.
    pub(crate) fn hold(&mut self) -> (Transaction, Vec<Effect>) {
        (self.turn.writes.clone(), std::mem::take(&mut self.turn.effects))
    }

    /// Puts back what [`Guest::hold`] took out.
    pub(crate) fn resume(&mut self, (writes, effects): (Transaction, Vec<Effect>)) {
        self.turn.writes = writes;
        self.turn.effects = effects;
    }

    /// Makes as if the turn had not been. Room that its sends held is given back.
    pub(crate) fn discard(&mut self) {
        self.turn.writes.discard();
        for effect in self.turn.effects.drain(..) {
            if let Effect::Timer { id, .. } = effect {
                self.identity.mesh.timers.cancel(id, self.identity.address());
            }
        }
    }

    /// Asks the stack for a topic; whether it goes on.
    pub(crate) fn permit(&self, operation: Operation, topic: &str, body: &mut Bytes) -> Result<bool, SendError> {
        let identity = &self.identity;
        let who = Who::Service { address: identity.own.address(), policy: &identity.terms.policy };
        identity.mesh.permit(Origin { who, trace: self.turn.trace }, operation, topic, body)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // A turn that was cut off: its timers must not hold room for ever.
        self.discard();
    }
}
