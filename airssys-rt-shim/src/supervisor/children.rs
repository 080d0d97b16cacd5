//! The children of one supervisor, in start order, with their timers.
//!
//! Everything here costs at most the logarithm of their number, so that ten thousand dynamic children are no worse than
//! ten.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeBounds;
use std::time::Duration;

use crate::child::{ChildId, ChildSpec, Restart};
use crate::exit::ExitReason;
use crate::supervisor::key::{ChildKey, Generation, Position, ReplyId};
use crate::supervisor::window::Window;

/// For whom an incarnation is started, which decides what a failure to start means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    /// The supervisor's own start, or a restart of the group.
    Group,
    /// A new child, wanted by somebody.
    StartCommand(ReplyId),
    /// A child that is down, wanted again by somebody.
    RestartCommand(ReplyId),
    /// The child itself, which has ended.
    Restart,
}

/// How far the stopping of a child has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It was asked, and may take its time-out.
    Asked,
    /// It was killed.
    Killed,
    /// It was killed once more: a supervisor that did not get its own children killed.
    KilledHard,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Nothing runs and nothing will by itself.
    Down,
    /// Spawned, not ready.
    Starting(For),
    /// Spawned, not ready in time, and killed for it.
    StartTimedOut(For, Stop),
    /// Ready.
    Running,
    /// On its way out.
    Stopping(Stop),
    /// It ended by itself while something else was under way; that is looked at when its turn comes.
    Ended,
    /// To be started again: its back-off runs, or it waits for its turn.
    Restarting,
}

impl Status {
    /// Whether it is down or on its way there: OTP would have waited for that before it heard of anybody else.
    fn is_out(self) -> bool {
        matches!(self, Self::Down | Self::Stopping(_))
    }

    /// Whether an incarnation was spawned whose end was not seen.
    pub(crate) fn is_live(self) -> bool {
        matches!(self, Self::Starting(_) | Self::StartTimedOut(..) | Self::Running | Self::Stopping(_))
    }
}

#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) spec: ChildSpec,
    pub(crate) status: Status,
    pub(crate) generation: Generation,
    /// When it became ready.
    pub(crate) since: Duration,
    pub(crate) restarts: u64,
    pub(crate) last_exit: Option<ExitReason>,
    /// Failures in a row, for the back-off.
    pub(crate) failures: u32,
    /// Its own restarts, where they are counted for each child. Boxed, since most never end.
    pub(crate) window: Option<Box<Window>>,
    /// How many times in a row it was set aside.
    pub(crate) set_aside: u32,
    /// Whether it is set aside now.
    pub(crate) is_aside: bool,
    /// Who waits for it to be terminated.
    pub(crate) terminators: Vec<ReplyId>,
    position: Position,
    timer: Option<Duration>,
}

#[derive(Debug, Default)]
pub(crate) struct Children {
    /// Boxed: a table has room for up to twice as many as are in it.
    by_key: HashMap<ChildKey, Box<Child>>,
    /// In start order.
    order: BTreeMap<Position, ChildKey>,
    by_id: HashMap<ChildId, ChildKey>,
    timers: BTreeSet<(Duration, ChildKey)>,
    next_key: u64,
    next_position: u64,
    live: usize,
    /// Significant children that are not [out](Status::is_out).
    significant: usize,
}

impl Children {
    /// Adds one that is down, behind all others.
    pub(crate) fn add(&mut self, spec: ChildSpec) -> ChildKey {
        let key = ChildKey::nth(self.next_key);
        self.next_key += 1;
        self.by_id.insert(spec.id.clone(), key);
        let position = self.behind_all(key);
        let child = Child {
            spec,
            status: Status::Down,
            generation: 0,
            since: Duration::ZERO,
            restarts: 0,
            last_exit: None,
            failures: 0,
            window: None,
            set_aside: 0,
            is_aside: false,
            terminators: Vec::new(),
            position,
            timer: None,
        };
        self.by_key.insert(key, Box::new(child));
        key
    }

    /// Gives it another spec, under the same name.
    pub(crate) fn respecify(&mut self, key: ChildKey, spec: ChildSpec) {
        let Some(child) = self.by_key.get_mut(&key) else {
            return;
        };
        if !child.status.is_out() {
            self.significant = self.significant + usize::from(spec.significant) - usize::from(child.spec.significant);
        }
        child.spec = spec;
    }

    fn behind_all(&mut self, key: ChildKey) -> Position {
        let position = Position::nth(self.next_position);
        self.next_position += 1;
        self.order.insert(position, key);
        position
    }

    /// Puts all of them into this order.
    pub(crate) fn reorder(&mut self, order: &[ChildKey]) {
        self.order.clear();
        for &key in order {
            let position = self.behind_all(key);
            if let Some(child) = self.by_key.get_mut(&key) {
                child.position = position;
            }
        }
    }

    pub(crate) fn remove(&mut self, key: ChildKey) -> Option<ChildSpec> {
        self.set_status(key, Status::Down);
        let child = self.by_key.remove(&key)?;
        self.order.remove(&child.position);
        self.by_id.remove(&child.spec.id);
        Some(child.spec)
    }

    pub(crate) fn find(&self, id: &ChildId) -> Option<ChildKey> {
        self.by_id.get(id).copied()
    }

    pub(crate) fn get(&self, key: ChildKey) -> Option<&Child> {
        self.by_key.get(&key).map(Box::as_ref)
    }

    pub(crate) fn get_mut(&mut self, key: ChildKey) -> Option<&mut Child> {
        self.by_key.get_mut(&key).map(Box::as_mut)
    }

    pub(crate) fn status(&self, key: ChildKey) -> Status {
        self.get(key).map_or(Status::Down, |child| child.status)
    }

    /// Whether this incarnation is the one that counts.
    pub(crate) fn is_current(&self, key: ChildKey, generation: Generation) -> bool {
        self.get(key).is_some_and(|child| child.generation == generation)
    }

    /// Whether it is temporary, so that its spec goes with it.
    pub(crate) fn is_temporary(&self, key: ChildKey) -> bool {
        self.get(key).is_some_and(|child| child.spec.restart == Restart::Temporary)
    }

    /// Changes the status, and ends the timer that belonged to the old one.
    pub(crate) fn set_status(&mut self, key: ChildKey, status: Status) {
        let Some(child) = self.by_key.get_mut(&key) else {
            return;
        };
        let old = std::mem::replace(&mut child.status, status);
        if let Some(at) = child.timer.take() {
            self.timers.remove(&(at, key));
        }
        self.live = self.live + usize::from(status.is_live()) - usize::from(old.is_live());
        if child.spec.significant {
            let up = |status: Status| usize::from(!status.is_out());
            self.significant = self.significant + up(status) - up(old);
        }
    }

    /// One that starts is no longer wanted by anybody in particular; its time to start stays.
    pub(crate) fn nobody_waits(&mut self, key: ChildKey) {
        self.starts_for(key, For::Group);
    }

    /// One that starts does so for somebody else; its time to start stays.
    pub(crate) fn starts_for(&mut self, key: ChildKey, whom: For) {
        if let Some(Child { status: Status::Starting(wanted_for), .. }) = self.get_mut(key) {
            *wanted_for = whom;
        }
    }

    /// Sets the timer of its present status.
    pub(crate) fn set_timer(&mut self, key: ChildKey, at: Duration) {
        let Some(child) = self.by_key.get_mut(&key) else {
            return;
        };
        if let Some(old) = child.timer.replace(at) {
            self.timers.remove(&(old, key));
        }
        self.timers.insert((at, key));
    }

    pub(crate) fn next_timer(&self) -> Option<Duration> {
        self.timers.first().map(|&(at, _)| at)
    }

    /// Takes a timer that is due.
    pub(crate) fn take_due(&mut self, now: Duration) -> Option<ChildKey> {
        let &(at, key) = self.timers.first()?;
        if at > now {
            return None;
        }
        self.timers.remove(&(at, key));
        if let Some(child) = self.by_key.get_mut(&key) {
            child.timer = None;
        }
        Some(key)
    }

    pub(crate) fn timer(&self, key: ChildKey) -> Option<Duration> {
        self.get(key)?.timer
    }

    /// Where a child stands; before all others, where there is no such child.
    pub(crate) fn position(&self, key: ChildKey) -> Position {
        self.get(key).map_or(Position::FIRST, |child| child.position)
    }

    /// The one that is started first among those in `range`, and where it stands.
    pub(crate) fn first_in(&self, range: impl RangeBounds<Position>) -> Option<(Position, ChildKey)> {
        self.order.range(range).next().map(|(&position, &key)| (position, key))
    }

    /// The one that is started last among those in `range`, and where it stands.
    pub(crate) fn last_in(&self, range: impl RangeBounds<Position>) -> Option<(Position, ChildKey)> {
        self.order.range(range).next_back().map(|(&position, &key)| (position, key))
    }

    /// Bears another number of restarts of each within another time.
    pub(crate) fn rewindow(&mut self, intensity: u32, period: Duration) {
        for window in self.by_key.values_mut().filter_map(|child| child.window.as_mut()) {
            window.change(intensity, period);
        }
    }

    pub(crate) fn keys(&self) -> Vec<ChildKey> {
        self.order.values().copied().collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ChildKey, &Child)> {
        self.order.values().filter_map(|key| Some((*key, self.get(*key)?)))
    }

    pub(crate) fn live(&self) -> usize {
        self.live
    }

    pub(crate) fn significant(&self) -> usize {
        self.significant
    }
}
