//! What a turn holds back until it commits, and how that leaves, or is forgotten.

use std::sync::Arc;
use std::time::Duration;

use airssys_rt_shim::planted;
use airssys_rt_shim::timer::{Most, TimerId};
use bytes::Bytes;

use super::identity::Identity;
use crate::address::Address;
use crate::capability::Pattern;
use crate::error::CallError;
use crate::message::Room;
use crate::middleware::Entry;
use crate::router::place::{Place, Watcher};
use crate::router::service::Service;
use crate::router::{Alarm, Outgoing};

/// What a turn holds back until it commits. What the layers let on keeps its entry, which is settled when that leaves
/// or is forgotten.
pub(crate) enum Effect {
    Send(Box<Outgoing>),
    Publish {
        topic: Box<str>,
        body: Bytes,
        entry: Entry,
    },
    Subscribe(Pattern, Entry),
    Unsubscribe(Pattern),
    Timer {
        id: TimerId,
        delay: Duration,
        body: Bytes,
    },
    /// The child's name and place are taken already.
    Spawn(Arc<Place>, Entry),
    Stop(Arc<Place>, Entry),
    Monitor {
        of: Watched,
        room: Room,
        entry: Entry,
    },
    Demonitor(Watched, Entry),
    Link(Arc<Place>, Entry),
}

/// Who is monitored.
pub(crate) enum Watched {
    Child(Arc<Place>),
    /// Nobody: told at the commit.
    Absent {
        service: Arc<Service>,
        address: Address,
    },
}

impl Watched {
    fn address(&self) -> &Address {
        match self {
            Self::Child(child) => child.address(),
            Self::Absent { address, .. } => address,
        }
    }
}

/// Lets effects go, in order. They came of the message `trace`, which has this key where that chooses the state.
pub(super) fn leave(identity: &Identity, trace: u64, key: Option<&str>, effects: &mut Vec<Effect>) {
    let origin = identity.origin(trace);
    let done = |target: &str, entry: Entry| {
        // The turn was told already: what a layer makes of it now changes nothing.
        let _settled = identity.mesh.settle(origin, target, entry, Ok(()));
    };
    if planted::is("effects-leave-in-reverse") {
        effects.reverse();
    }
    for effect in effects.drain(..) {
        match effect {
            Effect::Send(outgoing) if planted::is_nth("effect-lost", 4) => identity.mesh.discard(origin, *outgoing),
            Effect::Send(outgoing) => identity.mesh.deliver(origin, *outgoing),
            Effect::Publish { topic, body, entry } => identity.mesh.publish(origin, &topic, &body, entry),
            Effect::Subscribe(pattern, entry) => {
                identity.mesh.subscribe(&pattern, &identity.own);
                done(pattern.as_str(), entry);
            }
            Effect::Unsubscribe(pattern) => identity.mesh.unsubscribe(&pattern, &identity.own),
            Effect::Timer { id, delay, body } => {
                if planted::is_nth("timer-armed-twice", 3) {
                    let most = Most { timers: usize::MAX, bytes: usize::MAX };
                    if let Ok(again) = identity.mesh.timers.reserve(identity.address(), body.len(), most) {
                        let body = body.clone();
                        let alarm = Alarm { target: identity.own.clone(), key: key.map(Into::into), trace, body };
                        identity.mesh.timers.arm(again, delay, alarm);
                    }
                }
                let alarm = Alarm { target: identity.own.clone(), key: key.map(Into::into), trace, body };
                identity.mesh.timers.arm(id, delay, alarm);
            }
            Effect::Spawn(child, entry) => {
                child.start_child();
                done(child.address().as_str(), entry);
            }
            Effect::Stop(child, entry) => {
                child.stop_child();
                done(child.address().as_str(), entry);
            }
            Effect::Monitor { of, room, entry } => {
                let address = of.address().clone();
                monitor(identity, of, room);
                done(address.as_str(), entry);
            }
            Effect::Demonitor(of, entry) => {
                if let Watched::Child(place) = &of
                    && let Some(child) = place.child()
                {
                    child.demonitor(&identity.own);
                }
                done(of.address().as_str(), entry);
            }
            Effect::Link(to, entry) => {
                if let (Some(child), Some(me)) = (to.child(), identity.me.load_full()) {
                    child.link(&me);
                }
                done(to.address().as_str(), entry);
            }
        }
    }
}

fn monitor(identity: &Identity, of: Watched, room: Room) {
    let watcher = Watcher { place: Arc::clone(&identity.own), room };
    match of {
        Watched::Child(of) => {
            if let Some(child) = of.child() {
                child.monitor(watcher);
            }
        }
        Watched::Absent { service, address } => {
            if let Some(children) = service.directory.spawned() {
                children.tell_absent(address, watcher);
            }
        }
    }
}

/// Makes as if there had been no effects. Room that they held is given back.
pub(super) fn forget(identity: &Identity, trace: u64, effects: &mut Vec<Effect>) {
    let origin = identity.origin(trace);
    let discarded = |target: &str, entry: Entry| {
        let _nobody_is_told = identity.mesh.settle(origin, target, entry, Err(CallError::Discarded));
    };
    for effect in effects.drain(..) {
        match effect {
            Effect::Send(outgoing) => identity.mesh.discard(origin, *outgoing),
            Effect::Publish { topic, entry, .. } => discarded(&topic, entry),
            Effect::Subscribe(pattern, entry) => {
                identity.mesh.forget_subscription(&pattern, &identity.own);
                discarded(pattern.as_str(), entry);
            }
            Effect::Unsubscribe(_) => {}
            Effect::Timer { id, .. } => drop(identity.mesh.timers.cancel(id, identity.address())),
            Effect::Spawn(child, entry) => {
                // What was to be sent to it is given up with its own effect.
                child.release_child();
                discarded(child.address().as_str(), entry);
            }
            Effect::Stop(child, entry) | Effect::Link(child, entry) => discarded(child.address().as_str(), entry),
            Effect::Monitor { of, room, entry } => {
                drop(room);
                discarded(of.address().as_str(), entry);
            }
            Effect::Demonitor(of, entry) => discarded(of.address().as_str(), entry),
        }
    }
}

/// The effects of a turn whose state is being saved. Dropped, none of them has been.
pub(super) struct HeldEffects {
    pub(super) identity: Arc<Identity>,
    pub(super) trace: u64,
    pub(super) key: Option<Box<str>>,
    pub(super) effects: Vec<Effect>,
}

impl HeldEffects {
    pub(super) fn leave(mut self) {
        leave(&self.identity, self.trace, self.key.as_deref(), &mut self.effects);
    }
}

impl Drop for HeldEffects {
    fn drop(&mut self) {
        forget(&self.identity, self.trace, &mut self.effects);
    }
}
