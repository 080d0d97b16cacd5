//! What a turn holds back until it commits, and how that leaves, or is forgotten.

use std::sync::Arc;
use std::time::Duration;

use airssys_rt_shim::timer::TimerId;
use bytes::Bytes;

use super::identity::Identity;
use crate::address::Address;
use crate::capability::Pattern;
use crate::message::Room;
use crate::router::service::{Child, Route, Service, Target, Watcher};
use crate::router::{Alarm, Outgoing};

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
        delay: Duration,
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

/// Lets effects go, in order. They came of the message `trace`, which has this key where that chooses the state.
pub(super) fn leave(identity: &Identity, trace: u64, key: Option<&str>, effects: &mut Vec<Effect>) {
    let origin = identity.origin(trace);
    for effect in effects.drain(..) {
        match effect {
            Effect::Send(outgoing) => identity.mesh.deliver(origin, *outgoing),
            Effect::Publish { topic, body } => identity.mesh.publish(origin, &topic, &body),
            Effect::Subscribe(pattern) => identity.mesh.subscribe(&pattern, &identity.own),
            Effect::Unsubscribe(pattern) => identity.mesh.unsubscribe(&pattern, &identity.own),
            Effect::Timer { id, delay, body } => {
                let alarm = Alarm { target: identity.own.clone(), key: key.map(Into::into), trace, body };
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
pub(super) fn forget(identity: &Identity, effects: &mut Vec<Effect>) {
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
pub(super) struct Held {
    pub(super) identity: Arc<Identity>,
    pub(super) trace: u64,
    pub(super) key: Option<Box<str>>,
    pub(super) effects: Vec<Effect>,
}

impl Held {
    pub(super) fn leave(mut self) {
        leave(&self.identity, self.trace, self.key.as_deref(), &mut self.effects);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        forget(&self.identity, &mut self.effects);
    }
}
