//! A judge, who compares what supervisors did with what OTP's would have done.
//!
//! What each supervisor hears and decides is written down as it happens. When it has ended, or somebody wants to know,
//! the [model](crate::supervisor::model) does it once more over what was heard, and each of its deeds has to be the
//! next one that was done (`replay.rs`). It refuses to judge what OTP has no word for: how a supervisor is made
//! another one while it runs, how one ends that is told to stop at once, and what comes into the middle of a back-off
//! of a whole group. There the judge looks away until nothing is under way, and goes on from how the supervisor stands
//! then.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::child::{ChildSpec, StopReason};
use crate::supervisor::children::{Child, Status};
use crate::supervisor::decide::{Action, ChildKey, Command, Event, Outcome, Phase, State, decide};
use crate::supervisor::deed::{Deed, Entry, Hearing, What};
use crate::supervisor::model;
use crate::supervisor::news::Listener;
use crate::supervisor::replay;
use crate::supervisor::spec::check_child;

/// Who compares what the supervisors of a system do with what OTP's would. Clones are the same judge.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use airssys_rt_shim::supervisor::decide::{Event, State};
/// use airssys_rt_shim::supervisor::{Judge, SupervisorSpec};
///
/// let (judge, spec) = (Judge::default(), SupervisorSpec::default());
/// let mut state = State::new(&spec);
/// judge.decide("root", &mut state, Event::Begin, Duration::ZERO);
/// assert!(judge.settle().is_empty(), "nothing was to be done, and nothing was");
/// ```
#[derive(Debug, Clone)]
pub struct Judge(Arc<Mutex<Judging>>);

/// How late a timer may be: it rings with the next tick of the runtime's clock.
const LATE: Duration = Duration::from_millis(5);

impl Default for Judge {
    fn default() -> Self {
        Self::with_late_timers(LATE)
    }
}

#[derive(Debug)]
struct Judging {
    late: Duration,
    /// By their paths: those that run.
    supervisors: BTreeMap<String, Written>,
    broken: Vec<String>,
    decisions: u64,
}

/// What one incarnation of a supervisor heard and did.
#[derive(Debug)]
struct Written {
    flags: model::Flags,
    entries: Vec<Entry>,
    names: HashMap<ChildKey, String>,
    /// Whether something came since it stood last that nobody may be able to judge.
    is_beyond: bool,
}

impl Judge {
    /// One for whom timers may be so late; by default 5 ms, which is more than a clock that is paused needs.
    #[must_use]
    pub fn with_late_timers(late: Duration) -> Self {
        let judging = Judging { late, supervisors: BTreeMap::new(), broken: Vec::new(), decisions: 0 };
        Self(Arc::new(Mutex::new(judging)))
    }

    /// [`decide`], of the supervisor with this path, before the judge's eyes.
    pub fn decide(&self, path: &str, state: &mut State, event: Event, now: Duration) -> Vec<Action> {
        let begins = matches!(event, Event::Begin);
        let heard = self.hear(path, state, &event, begins);
        let actions = decide(state, event, now);
        let mut judging = self.lock();
        judging.decisions += 1;
        let step = judging.decisions;
        if let Some(written) = judging.supervisors.get_mut(path) {
            written.entries.extend(heard.map(|heard| Entry { at: now, step, what: What::Heard(heard) }));
            let deeds: Vec<Deed> = actions.iter().filter_map(|action| written.deed(state, action)).collect();
            written.entries.extend(deeds.into_iter().map(|deed| Entry { at: now, step, what: What::Did(deed) }));
            if written.is_beyond
                && let Some(snapshot) = snapshot(state)
            {
                written.is_beyond = false;
                written.entries.push(Entry { at: now, step, what: What::Stands(Box::new(snapshot)) });
            }
        }
        if actions.iter().any(|action| matches!(action, Action::Exit(_))) {
            judging.close(path);
        }
        actions
    }

    /// What was done otherwise than OTP does it, since somebody asked last. Those that run are judged up to here, and
    /// no further.
    #[must_use]
    pub fn settle(&self) -> Vec<String> {
        let mut judging = self.lock();
        let paths: Vec<String> = judging.supervisors.keys().cloned().collect();
        paths.iter().for_each(|path| judging.close(path));
        std::mem::take(&mut judging.broken)
    }

    /// How many decisions it has seen.
    #[must_use]
    pub fn decisions(&self) -> u64 {
        self.lock().decisions
    }

    /// What the event means, and in a new incarnation who is there.
    fn hear(&self, path: &str, state: &State, event: &Event, begins: bool) -> Option<Hearing> {
        let mut judging = self.lock();
        if begins {
            // Where the one before was killed, it said nothing of its end.
            judging.close(path);
            judging.supervisors.insert(path.to_owned(), Written::new(state));
        }
        let written = judging.supervisors.get_mut(path)?;
        written.is_beyond |= may_be_beyond(state, event);
        let name = |child: ChildKey| state.spec(child).map(|spec| spec.id.to_string());
        Some(match event {
            Event::Begin | Event::Tick => return None,
            Event::Started { child, generation } => {
                let current = state.children.is_current(*child, *generation) && state.is_starting(*child);
                Hearing::Started(name(*child)?).when(current)?
            }
            Event::Exited { child, generation, reason } => {
                let status = state.children.status(*child);
                let was_starting = matches!(status, Status::Starting(_) | Status::StartTimedOut(..));
                let (normal, why) = (reason.is_normal(), reason.to_string());
                let current = state.children.is_current(*child, *generation) && status.is_live();
                Hearing::Ended { child: name(*child)?, normal, why, was_starting }.when(current)?
            }
            Event::Hurry { child } => Hearing::Hurry(child.to_string()),
            Event::Command { command, .. } => match command {
                // It is refused as it is written.
                Command::StartChild(spec) if check_child(spec, state.auto_shutdown).is_err() => return None,
                Command::StartChild(spec) => Hearing::Command(model::Command::Start(plan(spec))),
                Command::TerminateChild(child) => Hearing::Command(model::Command::Terminate(child.to_string())),
                Command::RestartChild(child) => Hearing::Command(model::Command::Restart(child.to_string())),
                Command::DeleteChild(child) => Hearing::Command(model::Command::Delete(child.to_string())),
                Command::Change(_) => Hearing::Beyond,
            },
            Event::Shutdown(why) => Hearing::Shutdown(*why),
            Event::Abort => Hearing::Beyond,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Judging> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener {
    /// With a judge, before whose eyes supervisors decide.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use airssys_rt_shim::supervisor::{Judge, Listener, SupervisorSpec};
    /// use airssys_rt_shim::system::System;
    ///
    /// let judge = Judge::default();
    /// let listener = Listener::new(|_| {}).judged_by(&judge);
    /// let system = System::start_told("shop", SupervisorSpec::default(), Some(listener)).await?;
    /// system.shutdown(Duration::from_secs(5)).await;
    /// assert!(judge.decisions() > 0 && judge.settle().is_empty());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn judged_by(self, judge: &Judge) -> Self {
        self.with(judge.clone())
    }
}

impl Judging {
    /// Judges a supervisor, which is over.
    fn close(&mut self, path: &str) {
        if let Some(Written { flags, entries, .. }) = self.supervisors.remove(path)
            && let Err(wrong) = replay::judge(path, self.late, flags, &entries)
        {
            self.broken.push(wrong);
        }
    }
}

impl Written {
    fn new(state: &State) -> Self {
        Self { flags: flags(state), entries: Vec::new(), names: HashMap::new(), is_beyond: false }
    }

    /// A child may be forgotten before its name is asked for.
    fn name(&mut self, state: &State, child: ChildKey) -> String {
        if let Some(spec) = state.spec(child) {
            self.names.insert(child, spec.id.to_string());
        }
        self.names.get(&child).cloned().unwrap_or_default()
    }

    fn deed(&mut self, state: &State, action: &Action) -> Option<Deed> {
        Some(match action {
            Action::Start { child, .. } => Deed::Start(self.name(state, *child)),
            Action::Stop { child, why } => Deed::Stop(
                if *why == StopReason::Restart { "stop to restart" } else { "stop" },
                self.name(state, *child),
            ),
            Action::Kill { child, why, .. } => Deed::Kill(self.name(state, *child), *why),
            Action::Abandon { child } => Deed::Abandon(self.name(state, *child)),
            Action::Gone { child, start } if start.is_stopped() => Deed::Leave(child.to_string()),
            Action::Gone { .. } | Action::Reply { .. } => return None,
            Action::SetAside { child, .. } => Deed::SetAside(self.name(state, *child)),
            Action::Ready => Deed::Say("ready"),
            Action::Exit(outcome) => Deed::Say(match outcome {
                Outcome::Shutdown => "shut down",
                Outcome::AutoShutdown => "auto-shutdown",
                Outcome::GaveUp { .. } => "gave up",
                Outcome::StartFailed(_) => "start failed",
                Outcome::Aborted => "aborted",
            }),
        })
    }
}

impl Hearing {
    fn when(self, is_so: bool) -> Option<Self> {
        is_so.then_some(self)
    }
}

/// Whether this comes where OTP has no word for it: another spec, or into the middle of a back-off of a whole group.
fn may_be_beyond(state: &State, event: &Event) -> bool {
    let backs_off = || match state.phase {
        Phase::StoppingGroup { delay, .. } => !delay.is_zero(),
        _ => state.strategy.is_group() && state.children.iter().any(|(_, child)| child.status == Status::Restarting),
    };
    match event {
        Event::Command { command: Command::Change(_), .. } => true,
        Event::Exited { .. } | Event::Command { .. } => backs_off(),
        _ => false,
    }
}

/// How a supervisor stands; none where something is under way.
fn snapshot(state: &State) -> Option<model::Snapshot> {
    let is_settled = |status: Status| matches!(status, Status::Running | Status::Down);
    let stands = state.phase == Phase::Idle
        && state.deferred.is_empty()
        && state.children.iter().all(|(_, child)| is_settled(child.status));
    let of_child = |child: &Child| model::ChildSnapshot {
        is_up: child.status == Status::Running,
        // One that is new is no less known than one that was down.
        starts: usize::try_from(child.generation).unwrap_or(usize::MAX).max(1),
        failures: child.failures,
        since: child.since,
        own: child.window.as_ref().map(|window| window.counted()).unwrap_or_default(),
        aside: child.set_aside,
    };
    stands.then(|| model::Snapshot {
        flags: flags(state),
        children: state.children.iter().map(|(_, child)| of_child(child)).collect(),
        restarts: state.window.counted(),
    })
}

fn flags(state: &State) -> model::Flags {
    let (intensity, period) = state.window.bounds();
    model::Flags {
        strategy: state.strategy,
        intensity,
        period,
        backoff: state.backoff,
        beyond: state.beyond,
        auto_shutdown: state.auto_shutdown,
        children: state.children.iter().map(|(_, child)| plan(&child.spec)).collect(),
    }
}

fn plan(spec: &ChildSpec) -> model::Plan {
    model::Plan {
        name: spec.id.to_string(),
        restart: spec.restart,
        significant: spec.significant,
        shutdown: spec.shutdown,
        start_timeout: spec.start_timeout,
        nested: None,
    }
}
