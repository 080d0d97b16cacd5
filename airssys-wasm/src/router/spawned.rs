//! The children of a service whose actors are spawned, as those see them who send to them, start them and watch them.
//!
//! A child is in the table from the call of `spawn`, which takes its name and its place, and found there by others from the commit. It leaves the table
//! when its supervisor will not start it again; the name is free then, before anybody is told.
//!
//! Invariants: there are never more children than the bound. Each monitor says exactly one notice, and one that is told that a child is gone finds its
//! name free.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use airssys_rt_shim::exit::ExitReason;
use airssys_rt_shim::link::{NoProcess, Pid};
use airssys_rt_shim::monitor;
use tokio::sync::mpsc;

use super::lane::{Holding, Inbox, Lane};
use super::shards::Shards;
use super::waits::Waits;
use crate::address::Address;
use crate::message::{Down, DownReason, Room};
use crate::settings::Shape;
use crate::state::Together;

/// One child.
#[derive(Debug)]
pub struct Child<W> {
    /// Its address.
    pub address: Address,
    /// Its mailbox and its state.
    pub lane: Lane,
    /// Whether the turn that spawned it has committed.
    born: AtomicBool,
    /// Whether it was asked to stop.
    stopping: AtomicBool,
    /// Whether it will not be started again.
    gone: AtomicBool,
    ties: Mutex<Ties<W>>,
    asks: Asks<W>,
}

/// To the controller. Unbounded, and never longer than there are children, twice, and monitors.
type Asks<W> = mpsc::UnboundedSender<Ask<W>>;

/// What the controller is asked for.
#[derive(Debug)]
pub(crate) enum Ask<W> {
    Start(Arc<Child<W>>),
    Stop(Arc<Child<W>>),
    Tell(W, Down),
}

/// Who is concerned by the end of a child.
#[derive(Debug)]
struct Ties<W> {
    /// The incarnation that runs.
    pid: Option<Pid>,
    /// Why the last one ended.
    last: Option<DownReason>,
    /// Those who monitor the incarnation that runs, or the next one.
    monitors: Vec<Watcher<W>>,
    /// Those who monitored the last one, and are told when it is known whether there is another one.
    ended: Vec<Watcher<W>>,
    /// Who is linked with the incarnation that runs; where none runs, with the next one.
    links: Vec<Pid>,
    /// Whether all have been told that there is no other one.
    over: bool,
}

/// One who is to be told.
#[derive(Debug)]
pub(crate) struct Watcher<W> {
    /// Where the notice goes.
    pub(crate) target: W,
    /// Its mailbox, by which it is known.
    pub(crate) mailbox: Arc<Inbox>,
    pub(crate) room: Room,
}

impl<W> Default for Ties<W> {
    fn default() -> Self {
        Self { pid: None, last: None, monitors: Vec::new(), ended: Vec::new(), links: Vec::new(), over: false }
    }
}

impl<W> Watcher<W> {
    fn is(&self, mailbox: &Arc<Inbox>) -> bool {
        Arc::ptr_eq(&self.mailbox, mailbox)
    }
}

impl<W: Send + 'static> Child<W> {
    fn ties(&self) -> MutexGuard<'_, Ties<W>> {
        self.ties.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An incarnation runs: its own task says so, before anything else.
    pub(crate) fn begins(self: &Arc<Self>, me: &Pid) {
        let child = Arc::clone(self);
        me.watch().on_exit(move |down| child.ended(down));
        let (told, links) = {
            let mut ties = self.ties();
            ties.pid = Some(me.clone());
            (std::mem::take(&mut ties.ended), ties.links.clone())
        };
        self.tell(told, true);
        for other in links {
            other.link(me);
        }
    }

    /// The incarnation ended. Whether there is another one is not known yet.
    fn ended(&self, down: monitor::Down) {
        let mut ties = self.ties();
        ties.pid = None;
        ties.last = Some(match down {
            monitor::Down::Ended(reason) => DownReason::of(&reason),
            monitor::Down::NoProcess => DownReason::Killed,
        });
        ties.links.clear();
        let monitors = std::mem::take(&mut ties.monitors);
        ties.ended.extend(monitors);
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
            let mut ties = self.ties();
            ties.over = true;
            if ties.pid.is_some() || ties.last.is_none() {
                ties.last = Some(reason);
            }
            let mut told = std::mem::take(&mut ties.ended);
            told.append(&mut ties.monitors);
            let links = std::mem::take(&mut ties.links);
            // Those who are linked with an incarnation that runs learn it from that.
            (told, if ties.pid.is_none() { links } else { Vec::new() })
        };
        self.tell(told, false);
        for other in links {
            other.exit(ExitReason::Failed(Arc::new(NoProcess)));
        }
    }

    fn tell(&self, told: Vec<Watcher<W>>, restarted: bool) {
        if told.is_empty() {
            return;
        }
        let reason = self.ties().last.clone().unwrap_or(DownReason::NoChild);
        for Watcher { target, room, .. } in told {
            let down = Down { child: self.address.clone(), reason: reason.clone(), restarted, _room: room };
            // No controller: the mesh stops.
            let _no_controller = self.asks.send(Ask::Tell(target, down));
        }
    }

    /// Tells the watcher when it ends; now, where it is gone. Once more changes nothing.
    pub(crate) fn monitor(&self, watcher: Watcher<W>) {
        let mut ties = self.ties();
        if ties.over {
            drop(ties);
            return self.tell(vec![watcher], false);
        }
        if !ties.monitors.iter().any(|known| known.is(&watcher.mailbox)) {
            ties.monitors.push(watcher);
        }
    }

    /// Takes a monitor back.
    pub(crate) fn demonitor(&self, mailbox: &Arc<Inbox>) {
        let mut ties = self.ties();
        ties.monitors.retain(|watcher| !watcher.is(mailbox));
        ties.ended.retain(|watcher| !watcher.is(mailbox));
    }

    /// Links the incarnation that runs, or the next one, with another actor. Where it is gone, that one ends.
    pub(crate) fn link(&self, other: &Pid) {
        let running = {
            let mut ties = self.ties();
            if ties.over {
                drop(ties);
                return other.exit(ExitReason::Failed(Arc::new(NoProcess)));
            }
            if ties.links.contains(other) {
                return;
            }
            if ties.pid.is_some() {
                // These links are made, and nobody who ended needs one; so there are never more than there are actors.
                ties.links.retain(|known| !known.watch().has_ended());
            }
            ties.links.push(other.clone());
            ties.pid.clone()
        };
        if let Some(me) = running {
            other.link(&me);
        }
    }

    /// Has it stopped, in order and for good.
    pub(crate) fn stop(self: &Arc<Self>) {
        if !self.stopping.swap(true, Ordering::AcqRel) {
            let _no_controller = self.asks.send(Ask::Stop(Arc::clone(self)));
        }
    }

    /// Whether it has no message and does nothing.
    pub(crate) fn is_quiet(&self) -> bool {
        self.lane.mailbox.is_closed() || self.lane.mailbox.is_quiet()
    }
}

/// Why there is no child of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoChild {
    BadName,
    Taken,
    TooMany,
}

/// All children of a service.
#[derive(Debug)]
pub struct Children<W> {
    children: Shards<Arc<Child<W>>>,
    count: AtomicUsize,
    most: usize,
    shape: Shape,
    waits: Arc<Waits>,
    together: Arc<Together>,
    asks: Asks<W>,
}

impl<W: Send + 'static> Children<W> {
    pub(crate) fn new(
        shape: Shape,
        most: usize,
        waits: Arc<Waits>,
        together: Arc<Together>,
    ) -> (Self, mpsc::UnboundedReceiver<Ask<W>>) {
        let (asks, asked) = mpsc::unbounded_channel();
        let count = AtomicUsize::new(0);
        (Self { children: Shards::default(), count, most, shape, waits, together, asks }, asked)
    }

    /// The child of this name that was spawned.
    pub(crate) fn known(&self, name: &str) -> Option<Arc<Child<W>>> {
        self.children.of(name).get(name).filter(|child| child.born.load(Ordering::Acquire)).cloned()
    }

    /// Takes a name and a place for a child, until it is gone or [`Children::release`]d.
    pub(super) fn reserve(&self, service: &Address, name: &str) -> Result<Arc<Child<W>>, NoChild> {
        let address = service.with_key(name).map_err(|_| NoChild::BadName)?;
        let mut shard = self.children.of(name);
        if shard.contains_key(name) {
            return Err(NoChild::Taken);
        }
        if self.count.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return Err(NoChild::TooMany);
        }
        let child = Arc::new(Child {
            address,
            lane: Lane::new(&self.shape, &self.waits, 1, Holding::one(None, name, Some(&self.together))),
            born: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            ties: Mutex::default(),
            asks: self.asks.clone(),
        });
        shard.insert(name.into(), Arc::clone(&child));
        Ok(child)
    }

    /// Gives name and place of a child back.
    pub(super) fn release(&self, child: &Arc<Child<W>>) {
        let name = child.address.key().unwrap_or_default();
        let mut shard = self.children.of(name);
        if shard.get(name).is_some_and(|known| Arc::ptr_eq(known, child)) {
            shard.remove(name);
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Has a child started whose name was taken.
    pub(super) fn start(&self, child: &Arc<Child<W>>) {
        child.born.store(true, Ordering::Release);
        // No controller: the mesh stops, and closes the mailbox.
        let _no_controller = self.asks.send(Ask::Start(Arc::clone(child)));
    }

    /// Tells one who monitors a child that there is none.
    pub(crate) fn tell_absent(&self, child: Address, Watcher { target, room, .. }: Watcher<W>) {
        let down = Down { child, reason: DownReason::NoChild, restarted: false, _room: room };
        let _no_controller = self.asks.send(Ask::Tell(target, down));
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    pub(crate) fn each(&self, see: impl FnMut(&Arc<Child<W>>)) {
        self.children.each(see);
    }
}
