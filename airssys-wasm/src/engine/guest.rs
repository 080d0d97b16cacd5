//! What a store holds besides the instance: who the guest is, what it may take, and the turn that runs now.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use airssys_rt_shim::link::Pid;
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use tokio::time::Instant;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::chance::Chance;
use super::cut::Cut;
use super::limiter::Limiter;
use super::mappings::Seat;
use super::script::Script;
use crate::address::Address;
use crate::capability::{Operation, Pattern};
use crate::error::SendError;
use crate::limits::OVERHEAD_BYTES;
use crate::message::Room;
use crate::middleware::Who;
use crate::quota::Quota;
use crate::router::lane::Inbox;
use crate::router::service::{Child, Route, Service, Target, Watcher};
use crate::router::waits::Node;
use crate::router::{Mesh, Origin, Outgoing};
use crate::settings::Terms;
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
    /// The incarnation that runs in this place, once there was one.
    pub(crate) me: Arc<ArcSwapOption<Pid>>,
    /// How many monitors are set in this place, or told and not handled.
    pub(crate) monitors: Arc<AtomicUsize>,
    /// Cuts off what runs in this place.
    pub(crate) cut: Arc<Cut>,
}

impl Identity {
    pub(crate) fn address(&self) -> &Address {
        self.own.address()
    }
}

/// What a turn holds back until it commits.
pub(crate) enum Effect {
    Send(Box<Outgoing>),
    Publish {
        topic: Box<str>,
        body: Bytes,
    },
    Subscribe(Pattern),
    Unsubscribe(Pattern),
    Timer {
        id: TimerId,
        delay: std::time::Duration,
        body: Bytes,
    },
    /// The child's name and place are taken already.
    Spawn(Target),
    Stop(Arc<Child>),
    Monitor {
        of: Watched,
        room: Room,
    },
    Demonitor(Arc<Child>),
    Link(Arc<Child>),
}

/// Who is monitored.
pub(crate) enum Watched {
    Child(Arc<Child>),
    /// Nobody: told at the commit.
    Absent {
        service: Arc<Service>,
        address: Address,
    },
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
    /// What those have together, in bytes.
    pub(crate) effect_bytes: usize,
    /// Whether its sends may wait for room.
    pub(crate) may_wait: bool,
    /// The partition key of the message, where the key chooses the state.
    pub(crate) key: Option<Box<str>>,
    /// What it asks and is told, where two releases are compared: boxed, since that is seldom.
    pub(crate) script: Option<Box<Script>>,
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
    /// Whether it exports `monitoring`.
    pub(crate) hears: bool,
    pub(crate) table: ResourceTable,
    /// The listings of folders that are open, with what each of them has, in bytes.
    pub(crate) listings: Vec<(u32, usize)>,
    /// The bounds of the granted folders that files and folders which are open lie in, where these may be written to.
    pub(crate) quotas: HashMap<u32, Quota>,
    pub(crate) _seat: Seat,
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl Guest {
    /// Whether there is room for one more effect, which has so many bytes.
    pub(crate) fn room_for_effect(&self, bytes: usize) -> Result<(), SendError> {
        let limits = &self.identity.terms.limits;
        let alone = bytes.saturating_add(OVERHEAD_BYTES);
        if alone > limits.effect_bytes {
            // No turn has room for it, however often that is tried.
            let (size_bytes, limit_bytes) = (bytes as u64, limits.effect_bytes as u64);
            return Err(SendError::TooLarge { size_bytes, limit_bytes });
        }
        let held = self.turn.effect_bytes.saturating_add(alone);
        if self.turn.effects.len() < limits.effects && held <= limits.effect_bytes {
            Ok(())
        } else {
            Err(SendError::Overloaded { what: "the set of effects of this turn".to_owned() })
        }
    }

    /// Holds an effect back for which there is room.
    pub(crate) fn hold_back(&mut self, effect: Effect, bytes: usize) {
        self.turn.effects.push(effect);
        self.turn.effect_bytes += bytes + OVERHEAD_BYTES;
    }

    /// Whether [`Guest::save`] has something to do.
    #[inline]
    pub(crate) fn has_to_save(&self) -> bool {
        !self.turn.writes.is_empty() && self.turn.state.as_ref().is_some_and(|state| state.is_durable())
    }

    /// Begins to save what the turn over the message `id` wrote, where its state is durable and it wrote something. The other effects go along: they
    /// leave when it is saved, also where nobody waits for that any more. Nothing is left to commit then.
    pub(crate) fn save(&mut self, id: u64) -> Option<Saving> {
        if !self.has_to_save() {
            return None;
        }
        self.turn.effect_bytes = 0;
        let Turn { state, writes, effects, trace, key, .. } = &mut self.turn;
        let effects = std::mem::take(effects);
        // Allocates, which nobody notices who waits for a disk.
        let held = Held { identity: Arc::clone(&self.identity), trace: *trace, key: key.clone(), effects };
        state.as_ref()?.save(writes, id, self.identity.terms.schema, Box::new(move || held.leave()))
    }

    /// Makes what the turn did happen: state first, then the rest in order. Where there is something to save, [`Guest::save`] has done that.
    pub(crate) fn commit(&mut self) {
        self.turn.effect_bytes = 0;
        let Turn { state, writes, effects, trace, key, .. } = &mut self.turn;
        if let Some(state) = state {
            writes.commit(state, self.identity.terms.schema);
        }
        if !effects.is_empty() {
            leave(&self.identity, *trace, key.as_deref(), effects);
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
        self.turn.effect_bytes = 0;
        forget(&self.identity, &mut self.turn.effects);
    }

    /// Asks the stack for a topic; whether it goes on.
    pub(crate) fn permit(&self, operation: Operation, topic: &str, body: &mut Bytes) -> Result<bool, SendError> {
        let identity = &self.identity;
        let who = Who::Service { address: identity.own.address(), policy: &identity.terms.policy };
        identity.mesh.permit(Origin { who, trace: self.turn.trace }, operation, topic, body)
    }
}

/// Lets effects go, in order.
fn leave(identity: &Identity, trace: u64, key: Option<&str>, effects: &mut Vec<Effect>) {
    let who = Who::Service { address: identity.own.address(), policy: &identity.terms.policy };
    let origin = Origin { who, trace };
    for effect in effects.drain(..) {
        match effect {
            Effect::Send(outgoing) => identity.mesh.deliver(origin, *outgoing),
            Effect::Publish { topic, body } => identity.mesh.publish(origin, &topic, &body),
            Effect::Subscribe(pattern) => identity.mesh.subscribe(&pattern, &identity.own),
            Effect::Unsubscribe(pattern) => identity.mesh.unsubscribe(&pattern, &identity.own),
            Effect::Timer { id, delay, body } => {
                let alarm =
                    crate::router::Alarm { target: identity.own.clone(), key: key.map(Into::into), trace, body };
                identity.mesh.timers.arm(id, delay, alarm);
            }
            Effect::Spawn(child) => child.start_child(),
            Effect::Stop(child) => child.stop(),
            Effect::Monitor { of, room } => monitor(identity, of, room),
            Effect::Demonitor(child) => child.demonitor(&identity.mailbox),
            Effect::Link(child) => {
                if let Some(me) = identity.me.load_full() {
                    child.link(&me);
                }
            }
        }
    }
}

fn monitor(identity: &Identity, of: Watched, room: Room) {
    let watcher = Watcher { target: identity.own.clone(), mailbox: Arc::clone(&identity.mailbox), room };
    match of {
        Watched::Child(child) => child.monitor(watcher),
        Watched::Absent { service, address } => {
            if let Route::Spawned(children) = &service.route {
                children.tell_absent(address, watcher);
            }
        }
    }
}

/// Makes as if there had been no effects. Room that they held is given back.
fn forget(identity: &Identity, effects: &mut Vec<Effect>) {
    for effect in effects.drain(..) {
        match effect {
            Effect::Timer { id, .. } => drop(identity.mesh.timers.cancel(id, identity.address())),
            Effect::Subscribe(pattern) => identity.mesh.forget_subscription(&pattern, &identity.own),
            // What was to be sent to it is given up with its own effect.
            Effect::Spawn(child) => child.release_child(),
            _ => {}
        }
    }
}

/// The effects of a turn whose state is being saved. Dropped, none of them has been.
struct Held {
    identity: Arc<Identity>,
    trace: u64,
    key: Option<Box<str>>,
    effects: Vec<Effect>,
}

impl Held {
    fn leave(mut self) {
        leave(&self.identity, self.trace, self.key.as_deref(), &mut self.effects);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        forget(&self.identity, &mut self.effects);
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // A turn that was cut off: its timers must not hold room for ever.
        self.discard();
    }
}
