//! The small steps that the decisions of a supervisor are made of.

use std::time::Duration;

use crate::child::{Shutdown, StopReason};
use crate::supervisor::children::{For, Status, Stop};
use crate::supervisor::decide::{Action, KILL_GRACE, KillReason, Phase, ReplyId, State};
use crate::supervisor::error::ChildError;
use crate::supervisor::key::ChildKey;
use crate::supervisor::spec::Strategy;

impl State {
    pub(crate) fn reply(&mut self, to: ReplyId, answer: Result<Option<ChildKey>, ChildError>) {
        self.actions.push(Action::Reply { to, answer });
    }

    pub(crate) fn start(&mut self, key: ChildKey, wanted_for: For, now: Duration) {
        let Some(child) = self.children.get_mut(key) else {
            return;
        };
        child.generation += 1;
        child.is_aside = false;
        if child.generation > 1 && matches!(wanted_for, For::Group | For::Restart) {
            child.restarts += 1;
        }
        let (generation, timeout) = (child.generation, child.spec.start_timeout);
        self.children.set_status(key, Status::Starting(wanted_for));
        if let Some(timeout) = timeout {
            self.children.set_timer(key, now + timeout);
        }
        self.actions.push(Action::Start { child: key, generation });
    }

    /// Asks or kills, as its spec says.
    pub(crate) fn stop(&mut self, key: ChildKey, why: StopReason, now: Duration) {
        let Some(child) = self.children.get(key) else {
            return;
        };
        let shutdown = child.spec.shutdown;
        if matches!(child.status, Status::StartTimedOut(..)) || shutdown == Shutdown::BrutalKill {
            return self.kill(key, KillReason::Brutal, now);
        }
        // One that still starts may be deaf to a stop: what was left of its start's time-out bounds it then.
        let start_deadline = self.children.timer(key);
        self.children.set_status(key, Status::Stopping(Stop::Asked));
        let deadline = match shutdown {
            Shutdown::Timeout(timeout) => Some(now + timeout),
            _ => start_deadline,
        };
        if let Some(deadline) = deadline {
            self.children.set_timer(key, deadline);
        }
        self.actions.push(Action::Stop { child: key, why });
    }

    pub(crate) fn kill(&mut self, key: ChildKey, why: KillReason, now: Duration) {
        self.kill_as(key, Status::Stopping(Stop::Killed), why, now);
    }

    pub(crate) fn kill_as(&mut self, key: ChildKey, status: Status, why: KillReason, now: Duration) {
        self.children.set_status(key, status);
        self.children.set_timer(key, now + KILL_GRACE);
        let again = matches!(status, Status::Stopping(Stop::KilledHard) | Status::StartTimedOut(_, Stop::KilledHard));
        self.actions.push(Action::Kill { child: key, why, again });
    }

    /// It will not come back by itself. Its spec stays where OTP keeps it.
    pub(crate) fn gone(&mut self, key: ChildKey) {
        if self.strategy == Strategy::Dynamic || self.children.is_temporary(key) {
            return self.forget(key);
        }
        self.children.set_status(key, Status::Down);
        if let Some(spec) = self.spec(key).cloned() {
            self.actions.push(Action::Gone { child: spec.id, start: spec.start });
        }
    }

    pub(crate) fn forget(&mut self, key: ChildKey) {
        if let Some(spec) = self.children.remove(key) {
            self.actions.push(Action::Gone { child: spec.id, start: spec.start });
        }
    }

    pub(crate) fn single_done(&mut self, key: ChildKey) {
        if self.phase == (Phase::Single { at: key }) {
            self.phase = Phase::Idle;
        }
    }
}
