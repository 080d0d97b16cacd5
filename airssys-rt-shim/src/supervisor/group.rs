//! Operations on several children, one at a time: the supervisor's own start, and restarts under one-for-all and
//! rest-for-one.

use std::ops::Bound;
use std::time::Duration;

use crate::child::StopReason;
use crate::exit::ExitReason;
use crate::planted;
use crate::supervisor::children::{For, Status};
use crate::supervisor::decide::{Action, Deferred, Outcome, Phase, State};
use crate::supervisor::error::StartError;
use crate::supervisor::key::{ChildKey, Position};
use crate::supervisor::spec::Strategy;

impl State {
    pub(crate) fn begin(&mut self, now: Duration) {
        self.start_group(Bound::Unbounded, true, now);
    }

    /// Stops those whom the strategy concerns, in reverse, then starts them in order; waits in between where there is a
    /// delay.
    pub(crate) fn restart_group(&mut self, cause: ChildKey, delay: Duration, now: Duration) {
        let first = self.first_of_group(cause);
        self.phase = Phase::StoppingGroup { first, cause, delay, at: None };
        self.stop_group(now);
    }

    /// Where those begin whom the strategy concerns when this one ends.
    pub(crate) fn first_of_group(&self, cause: ChildKey) -> Position {
        match self.strategy {
            Strategy::RestForOne if planted::is("rest-for-one-and-one-before") => {
                let before = self.children.last_in(Position::FIRST..self.children.position(cause));
                before.map_or(Position::FIRST, |(position, _)| position)
            }
            Strategy::RestForOne => self.children.position(cause),
            _ => Position::FIRST,
        }
    }

    fn stop_group(&mut self, now: Duration) {
        let Phase::StoppingGroup { first, cause, delay, at } = self.phase else {
            return;
        };
        let mut below = at.map(|(position, _)| position);
        loop {
            let next = match below {
                None => self.children.last_in(first..),
                Some(position) => self.children.last_in(first..position),
            };
            let Some((position, key)) = next else { break };
            below = Some(position);
            if planted::is_nth("one-for-all-forgets-one", 1) {
                continue;
            }
            if self.children.status(key).is_live() {
                self.phase = Phase::StoppingGroup { first, cause, delay, at: Some((position, key)) };
                let comes_back = !self.children.is_temporary(key);
                let why = if comes_back { StopReason::Restart } else { StopReason::Shutdown };
                return self.stop(key, why, now);
            }
            self.leave_group(key);
        }
        if delay.is_zero() {
            self.start_group(Bound::Included(first), false, now);
        } else {
            self.phase = Phase::Idle;
            self.children.set_status(cause, Status::Restarting);
            self.children.set_timer(cause, now + delay);
        }
    }

    /// One of a group is down before the group is started again. Temporary ones do not come back.
    fn leave_group(&mut self, key: ChildKey) {
        if self.children.is_temporary(key) {
            self.forget(key);
        } else {
            self.children.set_status(key, Status::Down);
        }
    }

    /// The one that was on its way out is gone; whether it was one of a group.
    pub(crate) fn group_stopped(&mut self, key: ChildKey, now: Duration) -> bool {
        let ours = matches!(self.phase, Phase::StoppingGroup { at: Some((_, at)), .. } if at == key);
        if ours {
            self.leave_group(key);
            self.stop_group(now);
        }
        ours
    }

    pub(crate) fn start_group(&mut self, from: Bound<Position>, initial: bool, now: Duration) {
        let mut from = from;
        while let Some((position, key)) = self.children.first_in((from, Bound::Unbounded)) {
            let is_stopped = self.spec(key).is_some_and(|spec| spec.start.is_stopped());
            if is_stopped && self.children.status(key) == Status::Down {
                // Whoever waits for it need not.
                self.gone(key);
            } else if self.children.status(key) == Status::Down {
                self.phase = Phase::StartingGroup { initial, at: key };
                return self.start(key, For::Group, now);
            }
            from = Bound::Excluded(position);
        }
        self.phase = Phase::Idle;
        if initial {
            self.actions.push(Action::Ready);
        }
    }

    pub(crate) fn group_started(&mut self, key: ChildKey, now: Duration) {
        if let Phase::StartingGroup { initial, at } = self.phase
            && at == key
        {
            self.start_group(Bound::Excluded(self.children.position(key)), initial, now);
        }
    }

    /// One of a group did not start. The first start of the supervisor fails with it; a restart is tried again, after
    /// what has happened meanwhile.
    pub(crate) fn group_failed(&mut self, key: ChildKey, cause: ExitReason, now: Duration) {
        let Phase::StartingGroup { initial, .. } = self.phase else {
            return;
        };
        if !initial {
            self.children.set_status(key, Status::Restarting);
            self.deferred.push_back(Deferred::TryAgain(key));
            self.phase = Phase::Idle;
            return;
        }
        self.children.set_status(key, Status::Down);
        if let Some(child) = self.spec(key).map(|spec| spec.id.clone()) {
            self.end(Outcome::StartFailed(StartError { child, cause }), StopReason::Shutdown, now);
        }
    }
}
