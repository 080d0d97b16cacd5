//! What a supervisor promises, case by case, of the decisions alone, and before the judge. Each case is a spec and a
//! script: what happens,
//! and what is done then.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::decide::{Action, Command, Event, Generation, Outcome, ReplyId, State};
use super::{
    AutoShutdown, Backoff, Beyond, ChildContext, ChildError, ChildKey, Judge, SpecError, Strategy, SupervisorSpec,
};
use crate::child::{ChildSpec, Restart, Shutdown, StartChild, Starting, StopReason};
use crate::exit::ExitReason;

/// Somebody may have stopped it until further notice.
#[derive(Default)]
struct Never(AtomicBool);

impl StartChild for Never {
    fn start(&self, _: ChildContext) -> Starting {
        unreachable!("decisions start nothing")
    }

    fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set_stopped(&self, is_stopped: bool) {
        self.0.store(is_stopped, Ordering::Relaxed);
    }
}

/// `one-for-all 2/10s auto-any | a | b temporary brutal | c transient significant`: a supervisor and its children.
/// Children are permanent and get 5 s.
fn supervisor(text: &str) -> SupervisorSpec {
    let mut parts = text.split('|').map(str::trim);
    let mut spec = SupervisorSpec::default();
    for word in parts.next().unwrap().split_whitespace() {
        match word {
            "one-for-one" => spec.strategy = Strategy::OneForOne,
            "one-for-all" => spec.strategy = Strategy::OneForAll,
            "rest-for-one" => spec.strategy = Strategy::RestForOne,
            "dynamic" => spec.strategy = Strategy::Dynamic,
            "auto-any" => spec.auto_shutdown = AutoShutdown::Any,
            "auto-all" => spec.auto_shutdown = AutoShutdown::All,
            "aside" => spec.beyond = Beyond::SetAside(Backoff { initial: seconds("1s"), ..Backoff::default() }),
            "backoff" => spec.backoff = Some(Backoff { initial: seconds("1s"), ..Backoff::default() }),
            _ => {
                let (intensity, period) = word.split_once('/').unwrap_or_else(|| panic!("{word}"));
                (spec.intensity, spec.period) = (intensity.parse().unwrap(), seconds(period));
            }
        }
    }
    spec.children = parts.map(child).collect();
    spec
}

fn child(text: &str) -> ChildSpec {
    let mut words = text.split_whitespace();
    let mut spec = ChildSpec::worker(words.next().unwrap(), Arc::new(Never::default()));
    for word in words {
        match word {
            "transient" => spec.restart = Restart::Transient,
            "temporary" => spec.restart = Restart::Temporary,
            "significant" => spec.significant = true,
            "brutal" => spec.shutdown = Shutdown::BrutalKill,
            "patient" => spec.shutdown = Shutdown::Infinity,
            _ => panic!("{word}"),
        }
    }
    spec
}

fn seconds(text: &str) -> Duration {
    Duration::from_secs(text.trim_end_matches('s').parse().unwrap())
}

struct Bench {
    state: State,
    now: Duration,
    /// The last incarnation of each name.
    started: Vec<(String, ChildKey, Generation)>,
    answers: u64,
    judge: Judge,
}

impl Bench {
    fn of(spec: &str) -> Self {
        let state = State::new(&supervisor(spec));
        // A script says when somebody looks at the clock, which may be late.
        let judge = Judge::with_late_timers(Duration::from_secs(1_000));
        Self { state, now: Duration::ZERO, started: Vec::new(), answers: 0, judge }
    }

    fn child(&self, name: &str) -> (ChildKey, Generation) {
        let found = self.started.iter().rev().find(|(started, ..)| started == name);
        found.map(|&(_, key, generation)| (key, generation)).unwrap_or_else(|| panic!("{name} was not started"))
    }

    fn command(&mut self, command: Command) -> String {
        self.answers += 1;
        let reply = ReplyId(self.answers);
        self.event(Event::Command { reply, command })
    }

    fn event(&mut self, event: Event) -> String {
        let actions = self.judge.decide("judged", &mut self.state, event, self.now);
        actions.into_iter().map(|action| self.show(&action)).collect::<Vec<_>>().join(", ")
    }

    fn name(&self, child: ChildKey) -> String {
        let known = self.started.iter().find(|(_, key, _)| *key == child).map(|(name, ..)| name.clone());
        known.unwrap_or_else(|| self.state.spec(child).unwrap().id.to_string())
    }

    fn show(&mut self, action: &Action) -> String {
        match action {
            Action::Start { child, generation } => {
                let name = self.name(*child);
                self.started.push((name.clone(), *child, *generation));
                format!("start {name}")
            }
            Action::Stop { child, why: StopReason::Restart } => format!("pause {}", self.name(*child)),
            Action::Stop { child, .. } => format!("stop {}", self.name(*child)),
            Action::Kill { child, again, .. } => {
                format!("{} {}", if *again { "kill-again" } else { "kill" }, self.name(*child))
            }
            Action::Abandon { child } => format!("abandon {}", self.name(*child)),
            Action::Gone { child, .. } => format!("gone {child}"),
            Action::SetAside { child, delay, .. } => format!("aside {} {}s", self.name(*child), delay.as_secs()),
            Action::Reply { to, answer: Ok(_) } => format!("#{} ok", to.0),
            Action::Reply { to, answer: Err(error) } => format!("#{} {}", to.0, short(error)),
            Action::Ready => "ready".to_owned(),
            Action::Exit(Outcome::Shutdown) => "exit".to_owned(),
            Action::Exit(Outcome::AutoShutdown) => "exit auto".to_owned(),
            Action::Exit(Outcome::GaveUp { child }) => format!("exit gave-up {child}"),
            Action::Exit(Outcome::StartFailed(error)) => {
                format!("exit not-started {}", error.child)
            }
            Action::Exit(Outcome::Aborted) => "exit aborted".to_owned(),
        }
    }

    /// One line of a script.
    fn happens(&mut self, line: &str) -> String {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["begin"] => self.event(Event::Begin),
            ["up"] => {
                self.event(Event::Begin);
                for at in 0..self.state.facts(self.now).count() {
                    let (_, child, generation) = self.started[at];
                    self.event(Event::Started { child, generation });
                }
                String::new()
            }
            ["ready", name] => {
                let (child, generation) = self.child(name);
                self.event(Event::Started { child, generation })
            }
            [name, how] if matches!(how, "crashes" | "exits" | "shuts-down" | "is-killed") => {
                let (child, generation) = self.child(name);
                let reason = match how {
                    "crashes" => ExitReason::Panicked("crashed".into()),
                    "exits" => ExitReason::Normal,
                    "shuts-down" => ExitReason::Shutdown,
                    _ => ExitReason::Killed,
                };
                self.event(Event::Exited { child, generation, reason })
            }
            ["at", time] => {
                self.now = seconds(time);
                self.event(Event::Tick)
            }
            ["add", ..] => self.command(Command::StartChild(child(line.trim_start_matches("add ")))),
            ["terminate", name] => self.command(Command::TerminateChild(name.into())),
            ["restart", name] => self.command(Command::RestartChild(name.into())),
            ["change", ..] => self.command(Command::Change(Box::new(supervisor(line.trim_start_matches("change "))))),
            ["delete", name] => self.command(Command::DeleteChild(name.into())),
            ["hurry", name] => self.event(Event::Hurry { child: name.into() }),
            ["shutdown"] => self.event(Event::Shutdown(StopReason::Shutdown)),
            ["abort"] => self.event(Event::Abort),
            ["halt", name] => {
                let (child, _) = self.child(name);
                self.state.spec(child).unwrap().start.set_stopped(true);
                String::new()
            }
            _ => panic!("{line}"),
        }
    }
}

fn short(error: &ChildError) -> &'static str {
    match error {
        ChildError::AlreadyStarted { .. } => "already-started",
        ChildError::AlreadyPresent { .. } => "already-present",
        ChildError::NotFound { .. } => "not-found",
        ChildError::Running { .. } => "running",
        ChildError::Restarting { .. } => "restarting",
        ChildError::Unsettled { .. } => "unsettled",
        ChildError::Terminated { .. } => "terminated",
        ChildError::Dynamic => "dynamic",
        ChildError::StartFailed(_) => "not-started",
        ChildError::Spec(_) => "refused",
        ChildError::ShuttingDown => "shutting-down",
        ChildError::NotRunning => "not-running",
    }
}

/// What is promised, the spec, and the script: what happens => what is done.
type Case = (&'static str, &'static str, &'static [&'static str]);

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("children start in order, each when the one before is ready", "one-for-one | a | b", &[
        "begin => start a", "ready a => start b", "ready b => ready",
    ]),
    ("a supervisor without children is ready at once", "one-for-one", &[
        "begin => ready",
    ]),
    ("a permanent child restarts after a normal exit", "one-for-one | a", &[
        "up", "a exits => start a",
    ]),
    ("a permanent child restarts after a shutdown", "one-for-one | a", &[
        "up", "a shuts-down => start a",
    ]),
    ("a permanent child restarts after a crash", "one-for-one | a", &[
        "up", "a crashes => start a",
    ]),
    ("a transient child does not restart after a normal exit", "one-for-one | a transient", &[
        "up", "a exits => gone a",
    ]),
    ("a transient child does not restart after a shutdown", "one-for-one | a transient", &[
        "up", "a shuts-down => gone a",
    ]),
    ("a transient child restarts after a crash", "one-for-one | a transient", &[
        "up", "a crashes => start a",
    ]),
    ("a transient child restarts after a kill", "one-for-one | a transient", &[
        "up", "a is-killed => start a",
    ]),
    ("a temporary child never restarts", "one-for-one | a temporary", &[
        "up", "a crashes => gone a",
    ]),
    ("a temporary child's spec goes with it, a transient one's stays", "one-for-one | a temporary | b transient", &[
        "up", "a crashes => gone a", "b exits => gone b", "restart a => #1 not-found", "restart b => start b",
        "ready b => #2 ok",
    ]),
    ("one-for-one leaves siblings alone", "one-for-one | a | b | c", &[
        "up", "b crashes => start b", "ready b",
    ]),
    ("one-for-all stops in reverse and starts in order", "one-for-all | a | b | c", &[
        "up", "b crashes => pause c", "c shuts-down => pause a", "a shuts-down => start a", "ready a => start b",
        "ready b => start c", "ready c",
    ]),
    ("rest-for-one concerns only those started after", "rest-for-one | a | b | c", &[
        "up", "b crashes => pause c", "c shuts-down => start b", "ready b => start c", "ready c",
    ]),
    ("a temporary bystander does not come back", "one-for-all | a | b temporary | c", &[
        "up", "a crashes => pause c", "c shuts-down => stop b", "b shuts-down => gone b, start a",
        "ready a => start c",
    ]),
    ("a transient bystander that was done comes back with its group", "one-for-all | a | b transient", &[
        "up", "b exits => gone b", "a crashes => start a", "ready a => start b",
    ]),
    ("who ended while the group is stopped is swept up", "one-for-all | a | b", &[
        "up", "b crashes => pause a", "a crashes => start a", "ready a => start b", "ready b",
    ]),
    ("who ends while the group starts is looked at afterwards", "one-for-all 2/5s | a | b", &[
        "up", "b crashes => pause a", "a shuts-down => start a", "ready a => start b", "a crashes",
        "ready b => pause b", "b shuts-down => start a",
    ]),
    ("one before the group that ends meanwhile has its turn afterwards", "rest-for-one 2/5s | a | b | c", &[
        "up", "b crashes => pause c", "a crashes", "c shuts-down => start b", "ready b => start c",
        "ready c => pause c", "c shuts-down => pause b", "b shuts-down => start a",
    ]),
    ("the intensity exceeded stops the rest in reverse and ends", "one-for-one | a | b | c", &[
        "up", "b crashes => start b", "ready b", "b crashes => stop c", "c shuts-down => stop a",
        "a shuts-down => exit gave-up b",
    ]),
    ("an intensity of zero bears nothing", "one-for-one 0/5s | a | b", &[
        "up", "a crashes => stop b", "b shuts-down => exit gave-up a",
    ]),
    ("the period slides", "one-for-one 1/5s | a", &[
        "up", "a crashes => start a", "ready a", "at 6s", "a crashes => start a", "ready a", "at 11s",
        "a crashes => exit gave-up a",
    ]),
    ("a restart exactly one period ago counts", "one-for-one 1/5s | a", &[
        "up", "a crashes => start a", "ready a", "at 5s", "a crashes => exit gave-up a",
    ]),
    ("the restarts of all children count together", "one-for-one | a | b", &[
        "up", "a crashes => start a", "ready a", "b crashes => stop a", "a shuts-down => exit gave-up b",
    ]),
    ("a restart that fails counts and is tried again", "one-for-one 2/5s | a", &[
        "up", "a crashes => start a", "a crashes => start a", "a crashes => exit gave-up a",
    ]),
    ("a failing restart is retried whatever it failed with", "one-for-one 2/5s | a transient", &[
        "up", "a crashes => start a", "a exits => start a",
    ]),
    ("a group whose restart fails is tried again from the failed one", "rest-for-one 2/5s | a | b | c", &[
        "up", "a crashes => pause c", "c shuts-down => pause b", "b shuts-down => start a", "ready a => start b",
        "b crashes => start b", "ready b => start c", "ready c",
    ]),
    ("a whole group is tried again from the start", "one-for-all 2/5s | a | b", &[
        "up", "b crashes => pause a", "a shuts-down => start a", "ready a => start b", "b crashes => pause a",
        "a shuts-down => start a",
    ]),
    ("a restart under way keeps no other child from restarting", "one-for-one 9/5s | a | b", &[
        "up", "a crashes => start a", "b crashes => start b", "ready b", "ready a",
    ]),
    ("a start that fails in the middle stops what was started, in reverse", "one-for-one 9/5s | a | b | c | d", &[
        "begin => start a", "ready a => start b", "ready b => start c", "c crashes => stop b",
        "b shuts-down => stop a", "a shuts-down => exit not-started c",
    ]),
    ("a child that ends during the first start is looked at afterwards", "one-for-one | a | b", &[
        "begin => start a", "ready a => start b", "a crashes", "ready b => ready, start a",
    ]),
    ("a start takes no longer than it may", "one-for-one | a", &[
        "begin => start a", "at 59s", "at 60s => kill a", "a is-killed => exit not-started a",
    ]),
    ("a shutdown goes in reverse, one after the other", "one-for-one | a | b", &[
        "up", "shutdown => stop b", "b shuts-down => stop a", "a shuts-down => exit",
    ]),
    ("a child that does not stop in time is killed", "one-for-one | a | b", &[
        "up", "shutdown => stop b", "at 5s => kill b", "b is-killed => stop a", "at 9s", "a shuts-down => exit",
    ]),
    ("a killed child that stays is given up in the end", "one-for-one | a", &[
        "up", "shutdown => stop a", "at 5s => kill a", "at 6s => kill-again a", "at 7s => abandon a, exit",
    ]),
    ("a brutal kill does not ask", "one-for-one | a brutal | b", &[
        "up", "shutdown => stop b", "b shuts-down => kill a", "a is-killed => exit",
    ]),
    ("infinity waits", "one-for-one | a patient", &[
        "up", "shutdown => stop a", "at 9999s", "a shuts-down => exit",
    ]),
    ("infinity waits for a start no longer than the start may take", "one-for-one | a patient", &[
        "begin => start a", "shutdown => stop a", "at 60s => kill a", "a is-killed => exit",
    ]),
    ("who ends before its turn need not be stopped", "one-for-one | a | b", &[
        "up", "shutdown => stop b", "a crashes", "b shuts-down => exit",
    ]),
    ("nothing is restarted during a shutdown", "one-for-one | a | b", &[
        "up", "a crashes => start a", "shutdown => stop b", "a crashes", "b shuts-down => exit",
    ]),
    ("a shutdown ends the first start", "one-for-one | a | b", &[
        "begin => start a", "shutdown => stop a", "a shuts-down => exit",
    ]),
    ("a shutdown ends a group restart", "one-for-all | a | b | c", &[
        "up", "a crashes => pause c", "shutdown", "c shuts-down => stop b", "b shuts-down => exit",
    ]),
    ("an abort kills all at once", "one-for-one | a | b", &[
        "up", "abort => kill b, kill a", "a is-killed", "b is-killed => exit aborted",
    ]),
    ("an abort ends a shutdown", "one-for-one | a | b patient", &[
        "up", "shutdown => stop b", "abort => kill b, kill a", "a is-killed", "b is-killed => exit aborted",
    ]),
    ("dynamic children stop in parallel", "dynamic | a | b | c brutal", &[
        "up", "shutdown => kill c, stop b, stop a", "a shuts-down", "c is-killed", "at 5s => kill b",
        "b is-killed => exit",
    ]),
    ("dynamic children are forgotten when they are gone", "dynamic | a transient | b", &[
        "up", "a exits => gone a", "terminate b => stop b", "b shuts-down => #1 ok, gone b",
        "restart b => #2 dynamic", "delete b => #3 dynamic", "terminate b => #4 not-found", "shutdown => exit",
    ]),
    ("dynamic children restart alone", "dynamic | a | b", &[
        "up", "a crashes => start a", "ready a",
    ]),
    ("any significant child ends its supervisor", "one-for-one auto-any | a transient significant | b", &[
        "up", "a exits => gone a, stop b", "b shuts-down => exit auto",
    ]),
    ("a significant child that restarts does not", "one-for-one auto-any | a transient significant | b", &[
        "up", "a crashes => start a",
    ]),
    ("a child that is not significant does not", "one-for-one auto-any | a temporary | b", &[
        "up", "a exits => gone a",
    ]),
    ("the last of all significant children ends its supervisor", "one-for-one auto-all | a transient significant | b temporary significant | c", &[
        "up", "a exits => gone a", "b crashes => gone b, stop c", "c shuts-down => exit auto",
    ]),
    ("a significant child that is terminated by command does not count", "one-for-one auto-any | a transient significant | b", &[
        "up", "terminate a => stop a", "a shuts-down => #1 ok, gone a",
    ]),
    ("one that was terminated is not waited for either", "one-for-one auto-all | a transient significant | b transient significant", &[
        "up", "terminate a => stop a", "a shuts-down => #1 ok, gone a", "b exits => gone b, exit auto",
    ]),
    ("a child is added behind the others", "rest-for-one | a", &[
        "up", "add b => start b", "ready b => #1 ok", "a crashes => pause b", "b shuts-down => start a",
        "ready a => start b",
    ]),
    ("an added child that does not start is forgotten", "one-for-one", &[
        "up", "add a => start a", "a crashes => gone a, #1 not-started", "add a => start a",
    ]),
    ("a name is taken while its spec is there", "one-for-one | a", &[
        "up", "add a => #1 already-started", "terminate a => stop a", "a shuts-down => #2 ok, gone a",
        "add a => #3 already-present", "delete a => gone a, #4 ok", "add a => start a",
    ]),
    ("only what is down is restarted or deleted by hand", "one-for-one 1/5s backoff | a", &[
        "up", "restart a => #1 running", "delete a => #2 running", "a crashes", "restart a => #3 restarting",
        "delete a => #4 restarting", "restart b => #5 not-found",
    ]),
    ("a child restarted by hand that does not start stays down", "one-for-one | a", &[
        "up", "terminate a => stop a", "a shuts-down => #1 ok, gone a", "restart a => start a",
        "a crashes => gone a, #2 not-started", "restart a => start a", "ready a => #3 ok",
    ]),
    ("terminating ends a restart", "one-for-one backoff | a", &[
        "up", "a crashes", "terminate a => gone a, #1 ok", "at 99s", "restart a => start a",
    ]),
    ("terminating ends a start", "one-for-one", &[
        "up", "add a => start a", "terminate a => #1 terminated, stop a", "a shuts-down => #2 ok, gone a",
    ]),
    ("two may terminate one child", "one-for-one | a", &[
        "up", "terminate a => stop a", "terminate a", "a shuts-down => #1 ok, #2 ok, gone a",
    ]),
    ("a change takes effect at once, for those who are there", "one-for-one 0/5s | a | b", &[
        "up", "change one-for-all 1/5s | a | b transient => #1 ok", "b exits => gone b", "a crashes => start a",
        "ready a => start b", "ready b", "a crashes => stop b",
    ]),
    ("what was counted stays counted", "one-for-one 5/5s | a", &[
        "up", "a crashes => start a", "ready a", "change one-for-one 1/5s | a => #1 ok", "a crashes => exit gave-up a",
    ]),
    ("one that a change adds is down until it is started", "rest-for-one | a", &[
        "up", "change rest-for-one | a | b => #1 ok", "restart b => start b", "ready b => #2 ok",
        "a crashes => pause b", "b shuts-down => start a", "ready a => start b",
    ]),
    ("one that a change leaves out stays, behind the others", "rest-for-one | a | b", &[
        "up", "change rest-for-one | b => #1 ok", "b crashes => pause a", "a shuts-down => start b",
        "ready b => start a", "ready a", "terminate a => stop a", "a shuts-down => #2 ok, gone a", "delete a => gone a, #3 ok",
    ]),
    ("a change puts children into another order", "rest-for-one 9/5s | a | b | c", &[
        "up", "change rest-for-one 9/5s | c | d | a | b => #1 ok", "restart d => start d", "ready d => #2 ok",
        "b crashes => start b", "ready b", "d crashes => pause b", "b shuts-down => pause a", "a shuts-down => start d",
        "ready d => start a", "ready a => start b", "ready b", "shutdown => stop b", "b shuts-down => stop a",
        "a shuts-down => stop d", "d shuts-down => stop c", "c shuts-down => exit",
    ]),
    ("who waits for a back-off waits on in another order", "one-for-one 9/5s backoff | a | b", &[
        "up", "a crashes", "change one-for-one 9/5s backoff | b | a => #1 ok", "at 1s => start a", "ready a",
    ]),
    ("one that starts holds up no change", "one-for-one | a | b", &[
        "up", "a crashes => start a", "change one-for-one 9/5s | b | a => #1 ok", "a crashes => start a",
        "change one-for-all 9/5s | b | a => #2 ok", "ready a", "b crashes => pause a", "a shuts-down => start b", "ready b => start a",
    ]),
    ("one that stops holds up another order and nothing else", "one-for-one | a | b", &[
        "up", "terminate a => stop a", "change one-for-one | b | a => #2 unsettled", "change one-for-all | a | b => #3 unsettled",
        "change one-for-one 9/5s | a | b => #4 ok", "a shuts-down => #1 ok, gone a", "change one-for-all 9/5s | b | a => #5 ok",
    ]),
    ("one that somebody starts is not swept up by a group that was none", "one-for-one | a", &[
        "up", "add b => start b", "change one-for-all | a | b => #2 unsettled", "change one-for-one | b | a => #3 ok",
    ]),
    ("one that starts when it becomes one of a group is swept up by it", "one-for-one 9/5s | a | b", &[
        "up", "a crashes => start a", "change one-for-all 9/5s | a | b => #1 ok", "b crashes => pause a", "a crashes => start a",
        "ready a => start b", "ready b",
    ]),
    ("one that starts and fails while its new group stops is tried again with it", "one-for-one 9/5s | a | b | c", &[
        "up", "a crashes => start a", "change one-for-all 9/5s | a | b | c => #1 ok", "b crashes => pause c", "a crashes",
        "c shuts-down => start a", "ready a => start b", "ready b => start c", "ready c",
    ]),
    ("a change waits for a group that stops", "one-for-all | a | b", &[
        "up", "a crashes => pause b", "change one-for-all | b | a", "b shuts-down => start a, start b, #1 ok",
    ]),
    ("a change waits for no start of a group, which goes on in the new order", "one-for-all 9/5s | a | b | c", &[
        "up", "a crashes => pause c", "c shuts-down => pause b", "b shuts-down => start a",
        "change one-for-all 9/5s | a | c | b => #1 ok", "ready a => start c", "ready c => start b", "ready b",
    ]),
    ("whom a change puts before the one that starts does not wait for it any more", "one-for-all 9/5s | a | b | c", &[
        "up", "a crashes => pause c", "c shuts-down => pause b", "b shuts-down => start a",
        "change one-for-all 9/5s | b | a | c => start b, #1 ok", "ready b => start c", "a crashes",
        "ready c => pause c", "c shuts-down => pause b", "b shuts-down => start b",
    ]),
    ("one that is to go holds up no other of its group", "one-for-all 9/5s | a | b", &[
        "up", "a crashes => pause b", "b shuts-down => start a", "change one-for-all 9/5s | b => start b, #1 ok",
        "ready b", "terminate a => stop a", "a shuts-down => #2 ok, gone a", "delete a => gone a, #3 ok",
    ]),
    ("whom a group holds back starts where it is none any more", "one-for-all 9/5s | a | b", &[
        "up", "a crashes => pause b", "b shuts-down => start a", "change one-for-one 9/5s | b | a => start b, #1 ok",
        "a crashes => start a", "ready b", "ready a",
    ]),
    ("whom a group holds back over a back-off starts where it is none any more", "rest-for-one 9/5s backoff | a | b | c", &[
        "up", "b crashes => pause c", "c shuts-down", "change one-for-one 9/5s backoff | a | b | c => start c, #1 ok", "ready c",
        "at 1s => start b",
    ]),
    ("a change that makes no sense changes nothing", "one-for-one | a transient", &[
        "up", "change one-for-one | a transient significant => #1 refused",
        "change one-for-one auto-any | a transient significant => #2 ok",
        "change one-for-one | b => #3 refused", "a exits => gone a, exit auto",
    ]),
    ("commands wait for a group", "one-for-all | a | b", &[
        "up", "a crashes => pause b", "terminate b", "b shuts-down => start a", "ready a => start b",
        "ready b => stop b", "b shuts-down => #1 ok, gone b",
    ]),
    ("commands do not wait for a sibling's start under one-for-one", "one-for-one | a | b", &[
        "up", "a crashes => start a", "terminate b => stop b", "b shuts-down => #1 ok, gone b",
    ]),
    ("who waits is answered when the supervisor ends", "one-for-all | a", &[
        "up", "add b => start b", "add c", "shutdown => #2 shutting-down, #1 shutting-down, stop b",
        "b shuts-down => stop a", "a shuts-down => exit", "add d => #3 shutting-down",
    ]),
    ("a back-off waits and grows", "one-for-one 9/5s backoff | a | b", &[
        "up", "a crashes", "b crashes", "at 1s => start a, start b", "ready b", "ready a", "a crashes", "at 2s",
        "at 3s => start a",
    ]),
    ("a back-off starts over for a child that was stable", "one-for-one 9/5s backoff | a", &[
        "up", "a crashes", "at 1s => start a", "ready a", "at 61s", "a crashes", "at 62s => start a",
    ]),
    ("a back-off of a group waits with the group stopped", "one-for-all 9/5s backoff | a | b", &[
        "up", "a crashes => pause b", "b shuts-down", "at 1s => start a", "ready a => start b",
    ]),
    ("whoever is waited for waits for no back-off", "one-for-one 9/5s backoff | a | b", &[
        "up", "hurry a", "a crashes", "hurry b", "hurry a => start a", "hurry a", "a crashes", "at 1s", "at 2s => start a", "ready a", "hurry a",
        "b crashes", "shutdown => stop a", "hurry b", "a shuts-down => exit", "hurry b",
    ]),
    ("a group does not wait for a back-off where one of it is waited for", "one-for-all 9/5s backoff | a | b", &[
        "up", "b crashes => pause a", "hurry b", "a shuts-down", "hurry a => start a", "ready a => start b", "ready b", "at 99s",
    ]),
    ("a child that ends too often is set aside alone, for longer each time, and nobody gives up", "dynamic 2/5s aside | a | b", &[
        "up", "a crashes => start a", "ready a", "a crashes => start a", "ready a", "b crashes => start b", "ready b",
        "a crashes => aside a 1s", "b crashes => start b", "ready b", "at 1s => start a", "ready a", "a crashes => aside a 2s",
        "at 20s => start a", "a crashes => aside a 4s", "at 99s => start a", "ready a", "at 160s", "a crashes => start a",
        "b crashes => start b",
    ]),
    ("one that is set aside can be stopped, and is waited for no longer where somebody wants it", "one-for-one 0/5s aside | a | b", &[
        "up", "a crashes => aside a 1s", "hurry a => start a", "ready a", "a crashes => aside a 2s", "terminate a => gone a, #1 ok",
        "at 99s", "b crashes => aside b 1s", "shutdown => exit",
    ]),
    ("a shutdown ends a back-off", "one-for-one backoff | a", &[
        "up", "a crashes", "shutdown => exit", "at 99s",
    ]),
    ("terminating the one a group waits for leaves the group down", "one-for-all backoff | a | b", &[
        "up", "a crashes => pause b", "b shuts-down", "terminate a => gone a, gone b, #1 ok", "at 99s",
    ]),
    ("a significant permanent child is refused", "one-for-one auto-any", &[
        "up", "add a significant => #1 refused",
    ]),
    ("a significant child is refused where nobody looks", "one-for-one", &[
        "up", "add a transient significant => #1 refused",
    ]),
    ("what an earlier incarnation says is not heard", "one-for-one 9/5s | a", &[
        "up", "a crashes => start a", "ready a", "ready a", "begin",
    ]),
];

#[test]
fn promises() {
    for (promise, text, script) in CASES {
        let spec = supervisor(text);
        spec.validate().unwrap_or_else(|error| panic!("{promise}: {error}"));
        let mut bench = Bench::of(text);
        for line in *script {
            let (happens, expected) = line.split_once(" => ").unwrap_or((line, ""));
            assert_eq!(bench.happens(happens), expected, "{promise}: when {happens}");
        }
        assert_eq!(bench.judge.settle(), Vec::<String>::new(), "{promise}");
    }
}

/// What somebody stopped until further notice is no part of OTP: its group leaves it down, which the judge knows.
#[test]
fn who_is_stopped_beside_a_crash_is_left_down_and_the_judge_wants_nobody_started() {
    let cases: [&[&str]; 3] = [
        // The last one is terminated while the first one ends by itself, which is to be terminated next.
        &["terminate b => stop b", "a crashes", "b crashes => #1 ok, gone b, gone a, gone b", "terminate a => #2 ok"],
        &["terminate b => stop b", "a crashes", "b shuts-down => #1 ok, gone b, gone a, gone b"],
        &["a crashes => pause b", "terminate b", "b shuts-down => gone a, gone b, #1 ok"],
    ];
    for strategy in ["rest-for-one", "one-for-all"] {
        for script in cases {
            let mut bench = Bench::of(&format!("{strategy} 9/5s | a | b"));
            ["up", "halt a", "halt b"].iter().for_each(|line| drop(bench.happens(line)));
            for line in script {
                let (happens, expected) = line.split_once(" => ").unwrap_or((line, ""));
                assert_eq!(bench.happens(happens), expected, "{strategy}: when {happens}");
            }
            assert_eq!(bench.judge.settle(), Vec::<String>::new(), "{strategy} {script:?}");
        }
    }
}

#[test]
fn a_stale_exit_changes_nothing() {
    let mut bench = Bench::of("one-for-one | a");
    bench.happens("up");
    let (child, generation) = bench.child("a");
    bench.happens("a crashes");
    assert_eq!(bench.happens("ready a"), "");
    assert_eq!(bench.event(Event::Exited { child, generation, reason: ExitReason::Normal }), "");
    assert_eq!(bench.state.facts(Duration::ZERO).next().unwrap().restarts, 1);
}

#[test]
fn defects_of_a_spec_are_refused() {
    let refused = |text: &str| supervisor(text).validate().unwrap_err();
    assert_eq!(refused("one-for-one 1/0s"), SpecError::ZeroPeriod);
    assert_eq!(refused("one-for-one | a | a"), SpecError::DuplicateChild { child: "a".into() });
    assert_eq!(refused("auto-any | a significant"), SpecError::SignificantPermanent { child: "a".into() });
    assert_eq!(refused("one-for-one | a transient significant"), SpecError::SignificantNever { child: "a".into() });
    for backoff in [
        Backoff { factor: 0.5, ..Backoff::default() },
        Backoff { factor: f64::NAN, ..Backoff::default() },
        Backoff { initial: Duration::ZERO, ..Backoff::default() },
        Backoff { max: Duration::from_millis(1), ..Backoff::default() },
    ] {
        let spec = SupervisorSpec { backoff: Some(backoff), ..SupervisorSpec::default() };
        assert!(matches!(spec.validate(), Err(SpecError::Backoff { .. })), "{backoff:?}");
    }
}

#[test]
fn a_back_off_is_bounded_by_its_maximum() {
    let backoff = Backoff { initial: seconds("1s"), factor: 3.0, max: seconds("10s"), reset_after: seconds("60s") };
    let delays: Vec<_> = (0..5).map(|failures| backoff.delay(failures).as_secs()).collect();
    assert_eq!(delays, [1, 3, 9, 10, 10]);
    assert_eq!(backoff.delay(u32::MAX), seconds("10s"));
}
