//! The end of a supervisor: in reverse, one after the other, each with its own time-out; dynamic children all at once.

use std::time::Duration;

use crate::child::StopReason;
use crate::planted;
use crate::supervisor::children::{For, Status, Stop};
use crate::supervisor::decide::{Action, Deferred, KillReason, Outcome, Phase, State};
use crate::supervisor::error::ChildError;
use crate::supervisor::key::{ChildKey, Position};
use crate::supervisor::spec::Strategy;

impl State {
    /// Somebody asks it to stop. Whatever is under way is left; a start that was not over counts as not wanted.
    pub(crate) fn shut_down(&mut self, why: StopReason, now: Duration) {
        self.end(Outcome::Shutdown, why, now);
    }

    pub(crate) fn end(&mut self, outcome: Outcome, why: StopReason, now: Duration) {
        if matches!(self.phase, Phase::Ending { .. } | Phase::Ended) {
            return;
        }
        let parallel = self.strategy == Strategy::Dynamic;
        self.enter(outcome, Phase::Ending { why, parallel, done: None }, now);
        if parallel {
            for key in self.children.keys().into_iter().rev() {
                self.stop_for_good(key, why, now);
            }
        }
        self.ending_step(now);
    }

    pub(crate) fn abort(&mut self, now: Duration) {
        if self.phase == Phase::Ended {
            return;
        }
        let why = StopReason::Shutdown;
        self.enter(Outcome::Aborted, Phase::Ending { why, parallel: true, done: None }, now);
        for key in self.children.keys().into_iter().rev() {
            match self.children.status(key) {
                Status::Stopping(Stop::Killed | Stop::KilledHard) => {}
                status if status.is_live() => self.kill(key, KillReason::Aborted, now),
                _ => {}
            }
        }
        self.ending_step(now);
    }

    /// Nobody who waits is left without an answer.
    fn enter(&mut self, outcome: Outcome, phase: Phase, now: Duration) {
        self.outcome = Some(outcome);
        self.phase = phase;
        for deferred in std::mem::take(&mut self.deferred) {
            if let Deferred::Command { reply, .. } = deferred {
                self.reply(reply, Err(ChildError::ShuttingDown));
            }
        }
        for key in self.children.keys() {
            match self.children.status(key) {
                Status::Starting(For::StartCommand(to) | For::RestartCommand(to)) => {
                    self.reply(to, Err(ChildError::ShuttingDown));
                    self.children.nobody_waits(key);
                }
                Status::StartTimedOut(For::StartCommand(to) | For::RestartCommand(to), _) => {
                    self.reply(to, Err(ChildError::ShuttingDown));
                    self.kill(key, KillReason::StartTimedOut, now);
                }
                status if status.is_live() => {}
                _ => self.children.set_status(key, Status::Down),
            }
        }
    }

    fn stop_for_good(&mut self, key: ChildKey, why: StopReason, now: Duration) {
        match self.children.status(key) {
            Status::Stopping(_) => {}
            status if status.is_live() => self.stop(key, why, now),
            _ => {}
        }
    }

    /// Looks at the next child that has to go, or finds that none is left.
    pub(crate) fn ending_step(&mut self, now: Duration) {
        if !self.stop_next(now) || self.children.live() > 0 {
            return;
        }
        self.phase = Phase::Ended;
        if let Some(outcome) = self.outcome.take() {
            self.actions.push(Action::Exit(outcome));
        }
    }

    /// One after the other: stops the last that lives. Says whether none has to be stopped any more.
    fn stop_next(&mut self, now: Duration) -> bool {
        loop {
            let Phase::Ending { why, parallel: false, done } = self.phase else {
                return true;
            };
            let next = match done {
                None if planted::is("stopped-in-start-order") => self.children.first_in(Position::FIRST..),
                None => self.children.last_in(Position::FIRST..),
                Some(position) => self.children.last_in(Position::FIRST..position),
            };
            let Some((position, key)) = next else { return true };
            self.stop_for_good(key, why, now);
            if self.children.status(key).is_live() {
                return false;
            }
            self.phase = Phase::Ending { why, parallel: false, done: Some(position) };
        }
    }
}
