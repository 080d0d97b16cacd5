//! What somebody wants of a supervisor's children.

use std::time::Duration;

use crate::child::{ChildId, ChildSpec, StopReason};
use crate::supervisor::children::{For, Status};
use crate::supervisor::decide::{Command, Deferred, Phase, ReplyId, State};
use crate::supervisor::error::ChildError;
use crate::supervisor::key::ChildKey;
use crate::supervisor::spec::{Strategy, check_child};

impl State {
    pub(crate) fn command(&mut self, reply: ReplyId, command: Command, now: Duration) {
        match self.phase {
            Phase::Ending { .. } | Phase::Ended => {
                return self.reply(reply, Err(ChildError::ShuttingDown));
            }
            Phase::Idle => {}
            // It starts and stops nobody, and need not wait for a start that may never end.
            Phase::StartingGroup { initial: false, .. } if matches!(command, Command::Change(_)) => {}
            _ => {
                return self.deferred.push_back(Deferred::Command { reply, command });
            }
        }
        let refused = match command {
            Command::StartChild(spec) => self.start_child(reply, spec, now),
            Command::TerminateChild(child) => self.terminate_child(reply, &child, now),
            Command::RestartChild(child) => self.restart_child(reply, &child, now),
            Command::DeleteChild(child) => self.delete_child(reply, &child),
            Command::Change(spec) => self.change(reply, *spec, now),
        };
        if let Err(error) = refused {
            self.reply(reply, Err(error));
        }
    }

    fn start_child(&mut self, reply: ReplyId, spec: ChildSpec, now: Duration) -> Result<(), ChildError> {
        check_child(&spec, self.auto_shutdown)?;
        if let Some(key) = self.children.find(&spec.id) {
            let child = spec.id;
            return Err(match self.children.status(key) {
                Status::Down | Status::Restarting => ChildError::AlreadyPresent { child },
                _ => ChildError::AlreadyStarted { child },
            });
        }
        let key = self.children.add(spec);
        self.single(key);
        self.start(key, For::StartCommand(reply), now);
        Ok(())
    }

    fn terminate_child(&mut self, reply: ReplyId, id: &ChildId, now: Duration) -> Result<(), ChildError> {
        let key = self.find(id)?;
        let status = self.children.status(key);
        if let Status::Starting(wanted_for) | Status::StartTimedOut(wanted_for, _) = status
            && let For::StartCommand(starter) | For::RestartCommand(starter) = wanted_for
        {
            self.reply(starter, Err(ChildError::Terminated { child: id.clone() }));
        }
        if !status.is_live() {
            match status {
                Status::Down => {}
                Status::Restarting => self.give_up_restart(key),
                _ => self.gone(key),
            }
            self.reply(reply, Ok(Some(key)));
            return Ok(());
        }
        if let Some(child) = self.children.get_mut(key) {
            child.terminators.push(reply);
        }
        if !matches!(status, Status::Stopping(_)) {
            self.single(key);
            self.stop(key, StopReason::Shutdown, now);
        }
        Ok(())
    }

    /// The siblings that were stopped to be started again with this one stay down, as in OTP.
    fn give_up_restart(&mut self, key: ChildKey) {
        self.gone(key);
        if self.strategy.is_group() {
            for sibling in self.children.keys() {
                if sibling != key && self.children.status(sibling) == Status::Down {
                    self.gone(sibling);
                }
            }
        }
    }

    fn restart_child(&mut self, reply: ReplyId, id: &ChildId, now: Duration) -> Result<(), ChildError> {
        let key = self.find_down(id)?;
        self.single(key);
        self.start(key, For::RestartCommand(reply), now);
        Ok(())
    }

    fn delete_child(&mut self, reply: ReplyId, id: &ChildId) -> Result<(), ChildError> {
        let key = self.find_down(id)?;
        self.forget(key);
        self.reply(reply, Ok(Some(key)));
        Ok(())
    }

    /// A child that was on its way out is gone.
    pub(crate) fn stopped(&mut self, key: ChildKey, now: Duration) {
        let waiting = self.children.get_mut(key).map(|child| std::mem::take(&mut child.terminators));
        for to in waiting.into_iter().flatten() {
            self.reply(to, Ok(Some(key)));
        }
        if matches!(self.phase, Phase::Ending { .. }) {
            self.children.set_status(key, Status::Down);
            self.ending_step(now);
        } else if !self.group_stopped(key, now) {
            self.gone(key);
            self.single_done(key);
        }
    }

    fn find(&self, id: &ChildId) -> Result<ChildKey, ChildError> {
        self.children.find(id).ok_or_else(|| ChildError::NotFound { child: id.clone() })
    }

    fn find_down(&self, id: &ChildId) -> Result<ChildKey, ChildError> {
        if self.strategy == Strategy::Dynamic {
            return Err(ChildError::Dynamic);
        }
        let key = self.find(id)?;
        let child = id.clone();
        match self.children.status(key) {
            Status::Down => Ok(key),
            Status::Restarting | Status::Starting(For::Restart) | Status::StartTimedOut(For::Restart, _) => {
                Err(ChildError::Restarting { child })
            }
            _ => Err(ChildError::Running { child }),
        }
    }

    /// Under a strategy with groups nothing else happens until this child is where it was wanted.
    fn single(&mut self, key: ChildKey) {
        if self.strategy.is_group() {
            self.phase = Phase::Single { at: key };
        }
    }
}
