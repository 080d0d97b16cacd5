//! The children of a service whose actors are spawned, as those see them who send to them, start them and watch them.
//!
//! A child is in the table from the call of `spawn`, which takes its name and its place, and found there by others from
//! the commit. It leaves the table when its supervisor will not start it again; the name is free then, before anybody
//! is told.
//!
//! Invariants: there are never more children than the bound. Each monitor says exactly one notice, and one that is told
//! that a child is gone finds its name free.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use airssys_rt_shim::exit::ExitReason;
use airssys_rt_shim::link::{NoProcess, Pid};
use airssys_rt_shim::monitor;
use tokio::sync::mpsc;

use super::names::Names;
use crate::address::Address;
use crate::message::{Down, DownReason, Room};

/// One child, beside its place. Who is told of its end has a place `P`.
#[derive(Debug)]
pub(crate) struct Child<P> {
    address: Address,
    /// Whether the turn that spawned it has committed.
    born: AtomicBool,
    /// Whether it was asked to stop.
    stopping: AtomicBool,
    /// Whether it will not be started again.
    gone: AtomicBool,
    relations: Mutex<Relations<P>>,
    asks: Asks<P>,
    /// Where its name is taken.
    names: Weak<Names<P>>,
}

/// To the controller. Unbounded, and never longer than there are children, twice, and monitors.
pub(super) type Asks<P> = mpsc::UnboundedSender<Ask<P>>;

/// What the controller is asked for.
#[derive(Debug)]
pub(crate) enum Ask<P> {
    Start(P),
    Stop(P),
    Tell(P, Down),
}

/// Who is concerned by the end of a child.
#[derive(Debug)]
struct Relations<P> {
    /// The incarnation that runs.
    pid: Option<Pid>,
    /// Why the last one ended.
    last: Option<DownReason>,
    /// Those who monitor the incarnation that runs, or the next one.
    monitors: Vec<Watcher<P>>,
    /// Those who monitored the last one, and are told when it is known whether there is another one.
    ended: Vec<Watcher<P>>,
    /// Who is linked with the incarnation that runs; where none runs, with the next one.
    links: Vec<Pid>,
    /// Whether all have been told that there is no other one.
    over: bool,
}

/// One who is to be told.
#[derive(Debug)]
pub(crate) struct Watcher<P> {
    /// Where the notice goes; it is known by that.
    pub(crate) place: P,
    pub(crate) room: Room,
}

impl<P> Default for Relations<P> {
    fn default() -> Self {
        Self { pid: None, last: None, monitors: Vec::new(), ended: Vec::new(), links: Vec::new(), over: false }
    }
}

impl<P> Child<P> {
    pub(super) fn new(address: Address, asks: &Asks<P>, names: &Arc<Names<P>>) -> Self {
        Self {
            address,
            born: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            relations: Mutex::default(),
            asks: asks.clone(),
            names: Arc::downgrade(names),
        }
    }
}

/// Tells one who monitors a child that there is none.
pub(super) fn tell_absent<P>(asks: &Asks<P>, child: Address, Watcher { place, room }: Watcher<P>) {
    let down = Down { child, reason: DownReason::NoChild, restarted: false, _room: room };
    let _no_controller = asks.send(Ask::Tell(place, down));
}

impl<P: Clone + PartialEq + Send + Sync + 'static> Child<P> {
    fn relations(&self) -> MutexGuard<'_, Relations<P>> {
        self.relations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An incarnation runs: its own task says so, before anything else.
    pub(crate) fn begins(self: &Arc<Self>, me: &Pid) {
        let child = Arc::clone(self);
        me.watch().on_exit(move |down| child.ended(down));
        let (told, links) = {
            let mut relations = self.relations();
            relations.pid = Some(me.clone());
            (std::mem::take(&mut relations.ended), relations.links.clone())
        };
        self.tell(told, true);
        for other in links {
            other.link(me);
        }
    }

    /// The incarnation ended. Whether there is another one is not known yet.
    fn ended(&self, down: monitor::Down) {
        let mut relations = self.relations();
        relations.pid = None;
        relations.last = Some(match down {
            monitor::Down::Ended(reason) => DownReason::of(&reason),
            monitor::Down::NoProcess => DownReason::Killed,
        });
        relations.links.clear();
        let monitors = std::mem::take(&mut relations.monitors);
        relations.ended.extend(monitors);
    }

    /// Whether it will not be started again.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Says that it will not be started again. Whether that is news: its name may be another one's by the second time.
    pub(super) fn leaves(&self) -> bool {
        !self.gone.swap(true, Ordering::AcqRel)
    }

    /// Whether it was asked to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Tells all whom it concerns that it is gone. `reason` is why, where its last incarnation has not said so.
    pub(super) fn goes(&self, reason: DownReason) {
        let (told, links) = {
            let mut relations = self.relations();
            relations.over = true;
            if relations.pid.is_some() || relations.last.is_none() {
                relations.last = Some(reason);
            }
            let mut told = std::mem::take(&mut relations.ended);
            told.append(&mut relations.monitors);
            let links = std::mem::take(&mut relations.links);
            // Those who are linked with an incarnation that runs learn it from that.
            (told, if relations.pid.is_none() { links } else { Vec::new() })
        };
        self.tell(told, false);
        for other in links {
            other.exit(ExitReason::Failed(Arc::new(NoProcess)));
        }
    }

    fn tell(&self, told: Vec<Watcher<P>>, restarted: bool) {
        if told.is_empty() {
            return;
        }
        let reason = self.relations().last.clone().unwrap_or(DownReason::NoChild);
        for Watcher { place, room } in told {
            let down = Down { child: self.address.clone(), reason: reason.clone(), restarted, _room: room };
            // No controller: the mesh stops.
            let _no_controller = self.asks.send(Ask::Tell(place, down));
        }
    }

    /// Tells the watcher when it ends; now, where it is gone. Once more changes nothing.
    pub(crate) fn monitor(&self, watcher: Watcher<P>) {
        let mut relations = self.relations();
        if relations.over {
            drop(relations);
            return self.tell(vec![watcher], false);
        }
        if !relations.monitors.iter().any(|known| known.place == watcher.place) {
            relations.monitors.push(watcher);
        }
    }

    /// Takes a monitor back.
    pub(crate) fn demonitor(&self, place: &P) {
        let mut relations = self.relations();
        relations.monitors.retain(|watcher| watcher.place != *place);
        relations.ended.retain(|watcher| watcher.place != *place);
    }

    /// Links the incarnation that runs, or the next one, with another actor. Where it is gone, that one ends.
    pub(crate) fn link(&self, other: &Pid) {
        let running = {
            let mut relations = self.relations();
            if relations.over {
                drop(relations);
                return other.exit(ExitReason::Failed(Arc::new(NoProcess)));
            }
            if relations.links.contains(other) {
                return;
            }
            if relations.pid.is_some() {
                // These links are made, and nobody who ended needs one; so there are never more than there are actors.
                relations.links.retain(|known| !known.watch().has_ended());
            }
            relations.links.push(other.clone());
            relations.pid.clone()
        };
        if let Some(me) = running {
            other.link(&me);
        }
    }

    /// Whether the turn that spawned it has committed.
    pub(super) fn is_born(&self) -> bool {
        self.born.load(Ordering::Acquire)
    }

    /// Has it started in its place.
    pub(super) fn start(&self, place: P) {
        self.born.store(true, Ordering::Release);
        // No controller: the mesh stops, and closes the mailbox.
        let _no_controller = self.asks.send(Ask::Start(place));
    }

    /// Has it stopped, in order and for good.
    pub(super) fn stop(&self, place: P) {
        if !self.stopping.swap(true, Ordering::AcqRel) {
            let _no_controller = self.asks.send(Ask::Stop(place));
        }
    }

    /// Gives its name back.
    pub(super) fn release(&self, place: &P) {
        // Where there are no names any more, nobody asks for one.
        if let Some(names) = self.names.upgrade() {
            names.remove(self.address.key().unwrap_or_default(), |known| known == place);
        }
    }
}

/// Why there is no child of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoChild {
    BadName,
    Taken,
    TooMany,
}
