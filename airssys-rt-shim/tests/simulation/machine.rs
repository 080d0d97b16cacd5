//! The supervisors' real decisions, in a world of simulated workers and a simulated clock.
//!
//! It checks on the way what must hold always: no child runs twice, a supervisor that ends has no live child, every
//! question is answered exactly once, what is down was told to be gone, and one operation at a time under a strategy
//! with groups.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use airssys_rt_shim::child::{ChildKind, ChildSpec, StartChild, Starting, StopReason};
use airssys_rt_shim::exit::ExitReason;
use airssys_rt_shim::supervisor::decide::{self, Action, ChildKey, Event, Generation, Outcome, ReplyId, State};
use airssys_rt_shim::supervisor::{Beyond, ChildContext, ChildError, ChildStatus, Judge, Strategy, SupervisorSpec};

use crate::plan::{self, Ending, Init, Kind, OnStop, START_TIMEOUT};
use crate::{Command, Line, Seen};

/// The clock jumps over what rings meanwhile.
const LATE: Duration = Duration::from_secs(3600);

/// Is never started: the machine starts nothing for real.
struct Simulated;

impl StartChild for Simulated {
    fn start(&self, _: ChildContext) -> Starting {
        unreachable!("decisions start nothing")
    }
}

#[derive(Debug, Clone)]
struct Running {
    supervisor: String,
    key: ChildKey,
    generation: Generation,
    asked: bool,
}

struct Supervisor {
    state: State,
    strategy: Strategy,
}

pub(crate) struct Machine {
    root: String,
    supervisors: HashMap<String, Supervisor>,
    plans: HashMap<String, plan::Child>,
    running: HashMap<String, Running>,
    gone: HashSet<String>,
    queue: VecDeque<(String, Event)>,
    /// Questions without an answer, and whom they were put to.
    asked: HashMap<u64, String>,
    /// Whether the tree as a whole is to end.
    ending: bool,
    pub(crate) now: Duration,
    pub(crate) trace: Vec<Line>,
    pub(crate) judge: Judge,
}

fn child_spec(name: &str, plan: &plan::Child) -> ChildSpec {
    let start: Arc<dyn StartChild> = Arc::new(Simulated);
    let spec = match plan.kind {
        Kind::Worker(_) => ChildSpec { start_timeout: Some(START_TIMEOUT), ..ChildSpec::worker(name, start) },
        Kind::Supervisor(_) => ChildSpec::supervisor(name, start),
    };
    ChildSpec { restart: plan.restart, significant: plan.significant, shutdown: plan.shutdown, ..spec }
}

fn reason(ending: Ending) -> ExitReason {
    match ending {
        Ending::Normal => ExitReason::Normal,
        Ending::Shutdown => ExitReason::Shutdown,
        Ending::Killed => ExitReason::Killed,
        Ending::Crash => ExitReason::Panicked("crashed".into()),
    }
}

fn word(answer: &Result<Option<ChildKey>, ChildError>) -> &'static str {
    match answer {
        Ok(_) => "ok",
        Err(ChildError::AlreadyStarted { .. }) => "already started",
        Err(ChildError::AlreadyPresent { .. }) => "already present",
        Err(ChildError::NotFound { .. }) => "not found",
        Err(ChildError::Running { .. }) => "running",
        Err(ChildError::Restarting { .. }) => "restarting",
        Err(ChildError::Terminated { .. }) => "terminated",
        Err(ChildError::Dynamic) => "dynamic",
        Err(ChildError::StartFailed(_)) => "start failed",
        Err(ChildError::ShuttingDown) => "shutting down",
        Err(other) => panic!("{other}"),
    }
}

impl Machine {
    pub(crate) fn new(root: &str, plan: &plan::Supervisor) -> Self {
        let mut machine = Self {
            root: root.to_owned(),
            supervisors: HashMap::new(),
            plans: HashMap::new(),
            running: HashMap::new(),
            gone: HashSet::new(),
            queue: VecDeque::new(),
            asked: HashMap::new(),
            ending: false,
            now: Duration::ZERO,
            trace: Vec::new(),
            judge: Judge::with_late_timers(LATE),
        };
        machine.begin(root, plan);
        machine
    }

    fn begin(&mut self, name: &str, plan: &plan::Supervisor) {
        let mut children = Vec::new();
        for (at, child) in plan.children.iter().enumerate() {
            let name = format!("{name}.{at}");
            children.push(child_spec(&name, child));
            self.plans.insert(name, child.clone());
        }
        let spec = SupervisorSpec {
            strategy: plan.strategy,
            intensity: plan.intensity,
            period: plan.period,
            backoff: plan.backoff,
            beyond: Beyond::GiveUp,
            auto_shutdown: plan.auto_shutdown,
            children,
        };
        spec.validate().unwrap();
        let supervisor = Supervisor { state: State::new(&spec), strategy: plan.strategy };
        self.supervisors.insert(name.to_owned(), supervisor);
        self.queue.push_back((name.to_owned(), Event::Begin));
    }

    pub(crate) fn has_ended(&self) -> bool {
        !self.supervisors.contains_key(&self.root)
    }

    /// Lets everything happen that will, in the order in which it comes.
    pub(crate) fn run(&mut self) {
        for _ in 0..100_000 {
            if !self.step(0) {
                self.check_quiet();
                return;
            }
        }
        panic!("it does not come to rest");
    }

    /// One thing happens: the one chosen among those that wait, as far as the order of one child's doings allows it; or
    /// the next deadline. Says false where nothing is left.
    pub(crate) fn step(&mut self, choice: usize) -> bool {
        let deadline =
            self.supervisors.iter().filter_map(|(name, it)| Some((it.state.next_deadline()?, name.clone()))).min();
        let choices = self.queue.len() + usize::from(deadline.is_some());
        if choices == 0 {
            return false;
        }
        let choice = choice % choices;
        if let Some((name, event)) = self.take(choice) {
            self.decide(&name, event);
        } else if let Some((at, name)) = deadline {
            self.now = self.now.max(at);
            self.decide(&name, Event::Tick);
        }
        true
    }

    fn take(&mut self, choice: usize) -> Option<(String, Event)> {
        let of = |event: &Event| match event {
            Event::Started { child, .. } | Event::Exited { child, .. } => Some(*child),
            _ => None,
        };
        let (name, event) = self.queue.get(choice)?;
        let who = of(event);
        // A supervisor hears of one child in order, and of its own beginning first.
        let first = self
            .queue
            .iter()
            .position(|(other, earlier)| other == name && (of(earlier) == who || matches!(earlier, Event::Begin)));
        self.queue.remove(first.unwrap_or(choice))
    }

    fn decide(&mut self, name: &str, event: Event) {
        let now = self.now;
        let Some(supervisor) = self.supervisors.get_mut(name) else {
            if let Event::Command { reply, .. } = event {
                self.reply(reply, Err(ChildError::ShuttingDown));
            }
            return;
        };
        let actions = self.judge.decide(name, &mut supervisor.state, event, now);
        for action in actions {
            assert!(self.supervisors.contains_key(name), "{name} goes on after its exit: {action:?}");
            self.carry_out(name, action);
        }
    }

    fn carry_out(&mut self, supervisor: &str, action: Action) {
        match action {
            Action::Start { child, generation } => self.start(supervisor, child, generation),
            Action::Stop { child, why } => {
                let Some(name) = self.alive(supervisor, child) else {
                    return;
                };
                self.check_alone(supervisor, &name);
                self.note(if why == StopReason::Restart { "stop to restart" } else { "stop" }, &name);
                self.stop(&name, why);
            }
            Action::Kill { child, again, .. } => {
                let Some(name) = self.alive(supervisor, child) else {
                    return;
                };
                self.note(if again { "kill again" } else { "kill" }, &name);
                if again {
                    self.kill_below(&name);
                }
                self.kill(&name);
            }
            Action::Abandon { child } => {
                // Where its end is on the way already, there is nothing left to abandon.
                let Some(name) = self.alive(supervisor, child) else {
                    return;
                };
                self.note("abandon", &name);
                self.running.remove(&name);
            }
            Action::Gone { child, .. } => {
                self.gone.insert(child.to_string());
            }
            Action::SetAside { .. } => unreachable!("no supervisor of a plan sets children aside"),
            Action::Reply { to, answer } => self.reply(to, answer),
            Action::Ready => {
                self.note("ready", supervisor);
                self.tell_above(supervisor, |child, generation| Event::Started { child, generation });
            }
            Action::Exit(outcome) => self.exit(supervisor, &outcome),
        }
    }

    fn note(&mut self, word: &'static str, name: &str) {
        self.trace.push(Line::new(word, name));
    }

    /// The child's name, where it lives.
    fn alive(&self, supervisor: &str, child: ChildKey) -> Option<String> {
        let is_it = |running: &Running| running.supervisor == supervisor && running.key == child;
        self.running.iter().find(|(_, running)| is_it(running)).map(|(name, _)| name.clone())
    }

    fn start(&mut self, supervisor: &str, key: ChildKey, generation: Generation) {
        let name = self.supervisors[supervisor].state.spec(key).expect("its spec is known").id.to_string();
        self.note("start", &name);
        self.gone.remove(&name);
        let running = Running { supervisor: supervisor.to_owned(), key, generation, asked: false };
        let twice = self.running.insert(name.clone(), running);
        assert!(twice.is_none(), "{name} runs twice");
        match self.plans[&name].kind.clone() {
            Kind::Supervisor(plan) => self.begin(&name, &plan),
            Kind::Worker(worker) => match worker.inits.get(generation as usize - 1).unwrap_or(&Init::Ready) {
                Init::Ready => self.tell_above(&name, |child, generation| Event::Started { child, generation }),
                Init::Fail => self.end(&name, ExitReason::Panicked("init".into())),
                Init::Hang => {}
            },
        }
    }

    fn stop(&mut self, name: &str, why: StopReason) {
        self.running.get_mut(name).unwrap().asked = true;
        match &self.plans[name].kind {
            Kind::Supervisor(_) => self.queue.push_back((name.to_owned(), Event::Shutdown(why))),
            Kind::Worker(worker) if worker.on_stop == OnStop::Obey && !self.hangs(name) => {
                self.end(name, ExitReason::Shutdown);
            }
            Kind::Worker(_) => {}
        }
    }

    /// Whether it hangs in its start, and so looks at no order.
    fn hangs(&self, name: &str) -> bool {
        let Kind::Worker(worker) = &self.plans[name].kind else {
            return false;
        };
        worker.inits.get(self.running[name].generation as usize - 1) == Some(&Init::Hang)
    }

    /// A supervisor that is killed the hard way takes all that is below with it.
    fn kill_below(&mut self, name: &str) {
        if self.supervisors.remove(name).is_some() {
            self.close(name);
            self.asked.retain(|_, supervisor| supervisor != name);
            let below = |(_, child): &(&String, &Running)| child.supervisor == name;
            let below: Vec<_> = self.running.iter().filter(below).map(|(child, _)| child.clone()).collect();
            for child in below {
                self.kill_below(&child);
                self.running.remove(&child);
            }
        }
    }

    fn kill(&mut self, name: &str) {
        match &self.plans[name].kind {
            Kind::Supervisor(_) if !self.supervisors.contains_key(name) => self.end(name, ExitReason::Killed),
            Kind::Supervisor(_) => self.queue.push_back((name.to_owned(), Event::Abort)),
            Kind::Worker(worker) if worker.on_stop == OnStop::Zombie && !self.hangs(name) => {}
            Kind::Worker(_) => self.end(name, ExitReason::Killed),
        }
    }

    fn tell_above(&mut self, name: &str, event: impl FnOnce(ChildKey, Generation) -> Event) {
        if let Some(running) = self.running.get(name) {
            self.queue.push_back((running.supervisor.clone(), event(running.key, running.generation)));
        }
    }

    fn end(&mut self, name: &str, reason: ExitReason) {
        self.tell_above(name, |child, generation| Event::Exited { child, generation, reason });
        self.running.remove(name);
    }

    fn exit(&mut self, supervisor: &str, outcome: &Outcome) {
        self.note(
            match outcome {
                Outcome::Shutdown => "shut down",
                Outcome::AutoShutdown => "auto-shutdown",
                Outcome::GaveUp { .. } => "gave up",
                Outcome::StartFailed(_) => "start failed",
                Outcome::Aborted => "aborted",
            },
            supervisor,
        );
        let alive: Vec<_> = self.running.iter().filter(|(_, child)| child.supervisor == supervisor).collect();
        assert!(alive.is_empty(), "{supervisor} ends before {alive:?}");
        self.supervisors.remove(supervisor);
        self.close(supervisor);
        self.end(supervisor, outcome.exit_reason());
    }

    /// What waits in a supervisor's queue ends with it.
    fn close(&mut self, name: &str) {
        let (closed, open): (Vec<_>, Vec<_>) = self.queue.drain(..).partition(|(supervisor, _)| supervisor == name);
        self.queue = open.into();
        for (_, event) in closed {
            if let Event::Command { reply, .. } = event {
                self.reply(reply, Err(ChildError::ShuttingDown));
            }
        }
    }

    fn reply(&mut self, to: ReplyId, answer: Result<Option<ChildKey>, ChildError>) {
        assert!(self.asked.remove(&to.0).is_some(), "#{} is answered twice", to.0);
        self.trace.push(Line::reply(to.0, word(&answer)));
    }

    fn check_alone(&self, supervisor: &str, name: &str) {
        let one_at_a_time = matches!(self.supervisors[supervisor].strategy, Strategy::OneForAll | Strategy::RestForOne);
        let mut siblings = self.running.iter().filter(|(_, child)| child.supervisor == supervisor && child.asked);
        // A supervisor that is to end leaves what it was doing.
        let ending = self.ending || self.running.get(supervisor).is_some_and(|it| it.asked);
        if one_at_a_time && !ending {
            let other = siblings.next();
            assert!(other.is_none(), "{name} is stopped while {other:?} is");
        }
    }

    fn check_quiet(&self) {
        assert!(self.asked.is_empty(), "without an answer: {:?}", self.asked);
        for (name, supervisor) in &self.supervisors {
            for facts in supervisor.state.facts(self.now) {
                let id = facts.id.to_string();
                match facts.status {
                    ChildStatus::Running => {
                        assert!(self.running.contains_key(&id), "{id} does not run")
                    }
                    ChildStatus::Down => {
                        assert!(self.gone.contains(&id), "{id} is down and nobody was told")
                    }
                    other => panic!("{id} under {name} is {other:?} for ever"),
                }
            }
        }
    }

    /// What is there now, from the top to the bottom.
    pub(crate) fn seen(&self) -> Seen {
        let mut seen = Seen::default();
        self.see(&self.root, &mut seen);
        seen
    }

    fn see(&self, name: &str, into: &mut Seen) {
        let Some(supervisor) = self.supervisors.get(name) else {
            return;
        };
        into.supervisors.push(name.to_owned());
        for facts in supervisor.state.facts(self.now) {
            let id = facts.id.to_string();
            into.children.push((name.to_owned(), id.clone(), facts.status, facts.restarts));
            if facts.kind == ChildKind::Supervisor {
                self.see(&id, into);
            }
        }
    }

    /// Lets a worker end by itself, where it runs.
    pub(crate) fn end_by_itself(&mut self, name: &str, ending: Ending) {
        self.end(name, reason(ending));
    }

    pub(crate) fn ask(&mut self, supervisor: &str, id: u64, command: Command) {
        let command = match command {
            Command::Start(name, plan) => {
                let spec = child_spec(&name, &plan);
                self.plans.insert(name, plan);
                decide::Command::StartChild(spec)
            }
            Command::Terminate(name) => decide::Command::TerminateChild(name.into()),
            Command::Restart(name) => decide::Command::RestartChild(name.into()),
            Command::Delete(name) => decide::Command::DeleteChild(name.into()),
        };
        self.asked.insert(id, supervisor.to_owned());
        self.queue.push_back((supervisor.to_owned(), Event::Command { reply: ReplyId(id), command }));
    }

    pub(crate) fn shut_down(&mut self) {
        self.ending = true;
        self.queue.push_back((self.root.clone(), Event::Shutdown(StopReason::Shutdown)));
    }

    pub(crate) fn abort(&mut self) {
        self.ending = true;
        self.queue.push_back((self.root.clone(), Event::Abort));
    }

    /// Workers that live, in the order of their names.
    pub(crate) fn workers(&self) -> Vec<String> {
        let is_worker = |name: &&String| matches!(self.plans[*name].kind, Kind::Worker(_));
        let mut workers: Vec<_> = self.running.keys().filter(is_worker).cloned().collect();
        workers.sort();
        workers
    }
}
