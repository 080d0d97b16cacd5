//! What a supervisor does about what happens to it: decisions only, no I/O, no clock, no actor.
//!
//! [`decide`] takes an event and gives the actions that somebody else carries out; whatever comes of them is the next
//! event. Time comes with the event, as the duration since an origin of the caller's choice, and
//! [`State::next_deadline`] says when it wants to be told the time again.
//!
//! Where OTP's supervisor blocks (while a child initialises or stops), this one goes on: it answers, and can be
//! stopped. What OTP would find in its queue afterwards is kept in `deferred` and looked at in the same order. For
//! one-for-one and dynamic supervisors only the supervisor's own start is such a stretch; there children do not wait
//! for each other.
//!
//! Invariants: a child has at most one live incarnation; one group operation at a time; a live child that is starting
//! with a time-out, stopping with a time-out, or killed has a timer; after [`Action::Exit`] nothing follows and nothing
//! lives.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::child::{ChildId, ChildKind, ChildSpec, Restart, StartChild, StopReason};
use crate::exit::ExitReason;
use crate::planted;
use crate::supervisor::children::{Children, For, Status, Stop};
use crate::supervisor::error::{ChildError, StartError};
pub use crate::supervisor::event::{Action, ChildFacts, ChildStatus, Command, Event, KillReason, Outcome};
use crate::supervisor::key::Position;
pub use crate::supervisor::key::{ChildKey, Generation, ReplyId};
use crate::supervisor::spec::{AutoShutdown, Backoff, Beyond, Strategy, SupervisorSpec};
use crate::supervisor::window::Window;

/// How long a killed child may take to be gone. A kill takes effect where the child yields next; one that does not is
/// killed again, and after as long again it is given up: counted as killed, and left to itself.
pub const KILL_GRACE: Duration = Duration::from_secs(1);

/// What keeps others waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    New,
    Idle,
    /// A group is stopped before it is started again; `at` is on its way out.
    StoppingGroup {
        first: Position,
        cause: ChildKey,
        delay: Duration,
        at: Option<(Position, ChildKey)>,
    },
    /// A group is started; `at` is on its way up.
    StartingGroup {
        initial: bool,
        at: ChildKey,
    },
    /// Under a strategy with groups: one child is started or terminated by command.
    Single {
        at: ChildKey,
    },
    /// All are stopped. Those from `done` on need not be looked at again.
    Ending {
        why: StopReason,
        parallel: bool,
        done: Option<Position>,
    },
    Ended,
}

#[derive(Debug)]
pub(crate) enum Deferred {
    Exit { child: ChildKey, generation: Generation, reason: ExitReason },
    TryAgain(ChildKey),
    Resume(ChildKey),
    Command { reply: ReplyId, command: Command },
}

/// What a supervisor knows.
#[derive(Debug)]
pub struct State {
    pub(crate) strategy: Strategy,
    pub(crate) auto_shutdown: AutoShutdown,
    pub(crate) children: Children,
    pub(crate) phase: Phase,
    pub(crate) deferred: VecDeque<Deferred>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) actions: Vec<Action>,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) beyond: Beyond,
    pub(crate) window: Window,
}

impl State {
    /// A supervisor before [`Event::Begin`]. The spec is taken to be [valid](SupervisorSpec::validate).
    #[must_use]
    pub fn new(spec: &SupervisorSpec) -> Self {
        let mut children = Children::default();
        for child in &spec.children {
            children.add(child.clone());
        }
        Self {
            strategy: spec.strategy,
            auto_shutdown: spec.auto_shutdown,
            children,
            phase: Phase::New,
            deferred: VecDeque::new(),
            outcome: None,
            actions: Vec::new(),
            backoff: spec.backoff,
            beyond: spec.beyond,
            window: Window::new(spec.intensity, spec.period),
        }
    }

    /// When it wants an [`Event::Tick`] at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.children.next_timer()
    }

    /// The spec of a child.
    #[must_use]
    pub fn spec(&self, child: ChildKey) -> Option<&ChildSpec> {
        self.children.get(child).map(|child| &child.spec)
    }

    /// What a child is, by its name.
    pub(crate) fn kind(&self, id: &ChildId) -> Option<ChildKind> {
        self.children.get(self.children.find(id)?).map(|child| child.spec.kind)
    }

    /// Whether it is yet to be heard whether a child is ready.
    pub(crate) fn is_starting(&self, child: ChildKey) -> bool {
        matches!(self.children.status(child), Status::Starting(_))
    }

    /// Whether a child that starts is started again without somebody's wish.
    pub(crate) fn is_restart(&self, child: ChildKey) -> bool {
        self.children.get(child).is_some_and(|child| {
            child.generation > 1 && matches!(child.status, Status::Starting(For::Group | For::Restart))
        })
    }

    /// What starts those of its children whose name is not `known`.
    pub(crate) fn unknown(&self, known: impl Fn(&ChildId) -> bool) -> impl Iterator<Item = &Arc<dyn StartChild>> {
        self.children.iter().filter(move |(_, child)| !known(&child.spec.id)).map(|(_, child)| &child.spec.start)
    }

    /// Its children in start order, as far as their specs are known.
    pub fn facts(&self, now: Duration) -> impl Iterator<Item = ChildFacts> {
        self.children.iter().map(move |(key, child)| ChildFacts {
            key,
            id: child.spec.id.clone(),
            kind: child.spec.kind,
            status: match child.status {
                Status::Down => ChildStatus::Down,
                Status::Starting(_) | Status::StartTimedOut(..) => ChildStatus::Starting,
                Status::Running => ChildStatus::Running,
                Status::Stopping(_) => ChildStatus::Stopping,
                Status::Restarting if child.is_aside => ChildStatus::SetAside,
                Status::Ended | Status::Restarting => ChildStatus::Restarting,
            },
            restarts: child.restarts,
            last_exit: child.last_exit.clone(),
            uptime: (child.status == Status::Running).then(|| now.saturating_sub(child.since)),
        })
    }
}

/// Takes what happened, and says what is to be done.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use airssys_rt_shim::supervisor::SupervisorSpec;
/// use airssys_rt_shim::supervisor::decide::{Action, Event, State, decide};
///
/// let mut state = State::new(&SupervisorSpec::default());
/// let actions = decide(&mut state, Event::Begin, Duration::ZERO);
/// assert!(matches!(actions[..], [Action::Ready]));
/// ```
pub fn decide(state: &mut State, event: Event, now: Duration) -> Vec<Action> {
    match event {
        Event::Begin if state.phase == Phase::New => state.begin(now),
        Event::Begin => {}
        Event::Started { child, generation } if state.children.is_current(child, generation) => {
            state.started(child, now)
        }
        Event::Exited { child, generation, reason } if state.children.is_current(child, generation) => {
            state.ended(child, reason, now);
        }
        // Of an incarnation that was given up, or of a child that is forgotten.
        Event::Started { .. } | Event::Exited { .. } => {}
        Event::Tick => {}
        Event::Hurry { child } => state.hurry(&child, now),
        Event::Command { reply, command } => state.command(reply, command, now),
        Event::Shutdown(why) => state.shut_down(why, now),
        Event::Abort => state.abort(now),
    }
    while let Some(child) = state.children.take_due(now) {
        state.timer(child, now);
    }
    while let Some(deferred) = state.next_deferred() {
        state.resume(deferred, now);
    }
    std::mem::take(&mut state.actions)
}

impl State {
    /// What was put off and can be looked at now.
    fn next_deferred(&mut self) -> Option<Deferred> {
        match self.phase {
            Phase::Idle => self.deferred.pop_front(),
            Phase::StartingGroup { initial: false, .. } => {
                let is_change =
                    |deferred: &Deferred| matches!(deferred, Deferred::Command { command: Command::Change(_), .. });
                let at = self.deferred.iter().position(is_change)?;
                self.deferred.remove(at)
            }
            _ => None,
        }
    }

    fn resume(&mut self, deferred: Deferred, now: Duration) {
        match deferred {
            Deferred::Exit { child, generation, reason } => {
                // A group operation has swept up some of those that ended meanwhile.
                if self.children.is_current(child, generation) && self.children.status(child) == Status::Ended {
                    self.exited(child, &reason, now);
                }
            }
            Deferred::TryAgain(child) if self.is_due_again(child) => self.restart(child, now),
            Deferred::Resume(child) if self.is_due_again(child) => self.backed_off(child, now),
            Deferred::TryAgain(_) | Deferred::Resume(_) => {}
            Deferred::Command { reply, command } => self.command(reply, command, now),
        }
    }

    fn is_due_again(&self, child: ChildKey) -> bool {
        self.children.status(child) == Status::Restarting && self.children.timer(child).is_none()
    }

    fn started(&mut self, key: ChildKey, now: Duration) {
        let Status::Starting(wanted_for) = self.children.status(key) else {
            return;
        };
        self.children.set_status(key, Status::Running);
        if let Some(child) = self.children.get_mut(key) {
            child.since = now;
        }
        match wanted_for {
            For::Restart => {}
            For::Group => self.group_started(key, now),
            For::StartCommand(to) | For::RestartCommand(to) => {
                self.reply(to, Ok(Some(key)));
                self.single_done(key);
            }
        }
    }

    /// An incarnation is no more.
    fn ended(&mut self, key: ChildKey, reason: ExitReason, now: Duration) {
        let Some(child) = self.children.get_mut(key) else {
            return;
        };
        if child.status.is_live() {
            child.last_exit = Some(reason.clone());
        }
        let generation = child.generation;
        match child.status {
            Status::Starting(wanted_for) | Status::StartTimedOut(wanted_for, _) => {
                self.start_failed(key, wanted_for, reason, now);
            }
            Status::Stopping(_) => self.stopped(key, now),
            Status::Running => match self.phase {
                Phase::Idle if planted::is_nth("exit-not-seen", 2) => {}
                Phase::Idle => self.exited(key, &reason, now),
                Phase::Ending { .. } => {
                    self.children.set_status(key, Status::Down);
                    self.ending_step(now);
                }
                _ => {
                    self.children.set_status(key, Status::Ended);
                    self.deferred.push_back(Deferred::Exit { child: key, generation, reason });
                }
            },
            Status::Down | Status::Ended | Status::Restarting => {}
        }
    }

    /// A child has ended by itself, and it is its turn. This is the truth table of restarts.
    fn exited(&mut self, key: ChildKey, reason: &ExitReason, now: Duration) {
        let reset_after = self.backoff.map_or(Duration::MAX, |backoff| backoff.reset_after);
        let beyond = self.beyond;
        let Some(child) = self.children.get_mut(key) else {
            return;
        };
        let ran = now.saturating_sub(child.since);
        if ran >= reset_after {
            child.failures = 0;
        }
        if matches!(beyond, Beyond::SetAside(backoff) if ran >= backoff.reset_after) {
            child.set_aside = 0;
        }
        let again = match child.spec.restart {
            Restart::Permanent => true,
            Restart::Transient => !reason.is_normal() || planted::is("transient-after-normal-exit"),
            Restart::Temporary => planted::is("temporary-again"),
        };
        let significant = child.spec.significant;
        if again {
            return self.restart(key, now);
        }
        self.gone(key);
        let over = match self.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::Any => significant,
            AutoShutdown::All => significant && self.children.significant() == 0,
        };
        if over {
            self.end(Outcome::AutoShutdown, StopReason::Shutdown, now);
        }
    }

    fn start_failed(&mut self, key: ChildKey, wanted_for: For, cause: ExitReason, now: Duration) {
        if matches!(self.phase, Phase::Ending { .. }) {
            self.children.set_status(key, Status::Down);
            return self.ending_step(now);
        }
        match wanted_for {
            For::Group => self.group_failed(key, cause, now),
            // It began before there was a group, and one is under way now, which may sweep it up.
            For::Restart if self.strategy.is_group() && self.phase != Phase::Idle => {
                self.children.set_status(key, Status::Restarting);
                self.deferred.push_back(Deferred::TryAgain(key));
            }
            For::Restart => {
                self.children.set_status(key, Status::Restarting);
                self.restart(key, now);
            }
            For::StartCommand(to) | For::RestartCommand(to) => {
                let id = self.children.get(key).map(|child| child.spec.id.clone());
                if matches!(wanted_for, For::StartCommand(_)) {
                    self.forget(key);
                } else {
                    self.gone(key);
                }
                if let Some(child) = id {
                    self.reply(to, Err(ChildError::StartFailed(StartError { child, cause })));
                }
                self.single_done(key);
            }
        }
    }

    /// Counts a restart, and attempts it, now or after the back-off; or gives up.
    pub(crate) fn restart(&mut self, key: ChildKey, now: Duration) {
        let aside = match self.beyond {
            Beyond::GiveUp if !self.window.add(now) => {
                self.children.set_status(key, Status::Down);
                if let Some(child) = self.spec(key).map(|spec| spec.id.clone()) {
                    self.end(Outcome::GaveUp { child }, StopReason::Shutdown, now);
                }
                return;
            }
            Beyond::GiveUp => None,
            Beyond::SetAside(backoff) => self.count_alone(key, now).map(|times| backoff.delay(times)),
        };
        let backoff = self.backoff;
        let Some(child) = self.children.get_mut(key) else {
            return;
        };
        let delay = backoff.map_or(Duration::ZERO, |backoff| backoff.delay(child.failures));
        let delay = if planted::is("no-back-off") { Duration::ZERO } else { delay };
        let delay = aside.map_or(delay, |aside| delay.max(aside));
        child.failures = child.failures.saturating_add(1);
        child.is_aside = aside.is_some();
        if child.is_aside {
            let start = Arc::clone(&child.spec.start);
            self.actions.push(Action::SetAside { child: key, start, delay });
        }
        self.children.set_status(key, Status::Restarting);
        if self.strategy.is_group() {
            self.restart_group(key, delay, now);
        } else if delay.is_zero() {
            self.start(key, For::Restart, now);
        } else {
            self.children.set_timer(key, now + delay);
        }
    }

    /// Counts a restart of one child. Where it is one too many, or it was set aside and has not run for long enough
    /// since: how many times in a row that was before.
    fn count_alone(&mut self, key: ChildKey, now: Duration) -> Option<u32> {
        let fresh = self.window.fresh();
        let child = self.children.get_mut(key)?;
        let borne = child.window.get_or_insert_with(|| Box::new(fresh)).add(now);
        let times = child.set_aside;
        if borne && times == 0 {
            return None;
        }
        child.set_aside = times.saturating_add(1);
        Some(times)
    }

    fn backed_off(&mut self, key: ChildKey, now: Duration) {
        if !self.strategy.is_group() {
            self.start(key, For::Restart, now);
        } else if self.phase == Phase::Idle {
            self.restart_group(key, Duration::ZERO, now);
        } else {
            self.deferred.push_back(Deferred::Resume(key));
        }
    }

    /// Ends the back-off of a child; under a strategy with groups that of whichever child the group waits for.
    fn hurry(&mut self, id: &ChildId, now: Duration) {
        if let Some(key) = self.backs_off_for(id) {
            // Ends the timer as well.
            self.children.set_status(key, Status::Restarting);
            self.backed_off(key, now);
        }
    }

    /// Whether [`Event::Hurry`] for this child would end a back-off.
    pub(crate) fn is_backing_off(&self, id: &ChildId) -> bool {
        self.backs_off_for(id).is_some()
    }

    /// Whose back-off keeps a child from being started: its own, or that of any one under a strategy with groups.
    fn backs_off_for(&self, id: &ChildId) -> Option<ChildKey> {
        let waits = |key| self.children.status(key) == Status::Restarting && self.children.timer(key).is_some();
        match self.strategy.is_group() {
            true => self.children.keys().into_iter().find(|key| waits(*key)),
            false => self.children.find(id).filter(|key| waits(*key)),
        }
    }

    fn timer(&mut self, key: ChildKey, now: Duration) {
        match self.children.status(key) {
            Status::Restarting => self.backed_off(key, now),
            Status::Starting(wanted_for) => {
                self.kill_as(key, Status::StartTimedOut(wanted_for, Stop::Killed), KillReason::StartTimedOut, now);
            }
            Status::StartTimedOut(wanted_for, Stop::Asked | Stop::Killed) => {
                self.kill_as(key, Status::StartTimedOut(wanted_for, Stop::KilledHard), KillReason::StartTimedOut, now);
            }
            Status::Stopping(Stop::Asked) => self.kill(key, KillReason::StopTimedOut, now),
            Status::Stopping(Stop::Killed) => {
                self.kill_as(key, Status::Stopping(Stop::KilledHard), KillReason::StopTimedOut, now);
            }
            Status::StartTimedOut(_, Stop::KilledHard) | Status::Stopping(Stop::KilledHard) => {
                self.actions.push(Action::Abandon { child: key });
                self.ended(key, ExitReason::Killed, now);
            }
            Status::Down | Status::Running | Status::Ended => {}
        }
    }
}
