//! OTP's supervisor, written down once more as naively as possible: it blocks, it recurses, it scans.
//!
//! It follows `supervisor.erl` function by function, so that the two can be compared by eye. What it does not have is
//! concurrency.

use std::collections::VecDeque;
use std::time::Duration;

use airssys_rt_shim::child::{Restart, Shutdown};
use airssys_rt_shim::supervisor::decide::KILL_GRACE;
use airssys_rt_shim::supervisor::{AutoShutdown, ChildStatus, Strategy};

use crate::plan::{self, Ending, Init, Kind, OnStop, START_TIMEOUT};
use crate::{Command, Line, Seen};

/// The time that has passed and what was done, over all supervisors.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) now: Duration,
    pub(crate) trace: Vec<Line>,
}

impl World {
    fn note(&mut self, word: &'static str, name: &str) {
        self.trace.push(Line::new(word, name));
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pid {
    Undefined,
    Alive,
    /// It ended, and its exit is in the queue.
    Dead,
    Restarting,
}

#[derive(Debug)]
struct Child {
    name: String,
    plan: plan::Child,
    pid: Pid,
    nested: Option<Supervisor>,
    starts: usize,
    restarts: u64,
    failures: u32,
    since: Duration,
}

#[derive(Debug)]
enum Message {
    Exit(String, Ending),
    TryAgain(String),
    Command(u64, Command),
}

/// Why a supervisor ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Shutdown,
    AutoShutdown,
    GaveUp,
}

#[derive(Debug)]
pub(crate) struct Supervisor {
    name: String,
    plan: plan::Supervisor,
    children: Vec<Child>,
    restarts: Vec<Duration>,
    queue: VecDeque<Message>,
}

impl Child {
    fn new(name: String, plan: plan::Child) -> Self {
        let since = Duration::ZERO;
        Self { name, plan, pid: Pid::Undefined, nested: None, starts: 0, restarts: 0, failures: 0, since }
    }

    fn start(&mut self, automatic: bool, world: &mut World) -> Result<(), ()> {
        world.note("start", &self.name);
        self.restarts += u64::from(automatic && self.starts > 0);
        self.starts += 1;
        match &self.plan.kind {
            Kind::Worker(worker) => match worker.inits.get(self.starts - 1).unwrap_or(&Init::Ready) {
                Init::Ready => {}
                Init::Fail => return Err(()),
                Init::Hang => {
                    world.now += START_TIMEOUT;
                    world.note("kill", &self.name);
                    return Err(());
                }
            },
            Kind::Supervisor(plan) => {
                let mut nested = Supervisor::new(self.name.clone(), plan.clone());
                nested.init(world)?;
                self.nested = Some(nested);
            }
        }
        self.since = world.now;
        self.pid = Pid::Alive;
        Ok(())
    }

    fn stop(&mut self, word: &'static str, world: &mut World) {
        if self.pid != Pid::Alive {
            return;
        }
        if self.plan.shutdown != Shutdown::BrutalKill {
            world.note(word, &self.name);
        }
        match &self.plan.kind {
            Kind::Supervisor(_) => {
                if let Some(nested) = &mut self.nested {
                    nested.terminate(word, End::Shutdown, world);
                }
                self.nested = None;
            }
            Kind::Worker(worker) => {
                let (patience, asked) = match self.plan.shutdown {
                    Shutdown::BrutalKill => (Duration::ZERO, false),
                    Shutdown::Timeout(timeout) => (timeout, true),
                    Shutdown::Infinity => (Duration::MAX, true),
                };
                if asked && worker.on_stop == OnStop::Obey {
                    return;
                }
                world.now += patience;
                world.note("kill", &self.name);
                if worker.on_stop == OnStop::Zombie {
                    world.now += KILL_GRACE;
                    world.note("kill again", &self.name);
                    world.now += KILL_GRACE;
                    world.note("abandon", &self.name);
                }
            }
        }
    }
}

impl Supervisor {
    pub(crate) fn new(name: String, plan: plan::Supervisor) -> Self {
        let child = |(at, child): (usize, &plan::Child)| Child::new(format!("{name}.{at}"), child.clone());
        let children = plan.children.iter().enumerate().map(child).collect();
        Self { name, plan, children, restarts: Vec::new(), queue: VecDeque::new() }
    }

    pub(crate) fn init(&mut self, world: &mut World) -> Result<(), ()> {
        if self.start_children(0, world).is_ok() {
            world.note("ready", &self.name);
            return Ok(());
        }
        self.stop_all("stop", world);
        world.note("start failed", &self.name);
        Err(())
    }

    fn start_children(&mut self, from: usize, world: &mut World) -> Result<(), usize> {
        for at in from..self.children.len() {
            self.children[at].start(true, world).map_err(|()| at)?;
        }
        Ok(())
    }

    fn terminate_children(&mut self, from: usize, world: &mut World) {
        for at in (from..self.children.len()).rev() {
            let temporary = self.children[at].plan.restart == Restart::Temporary;
            self.children[at].stop(if temporary { "stop" } else { "stop to restart" }, world);
            self.children[at].pid = Pid::Undefined;
            if temporary {
                self.children.remove(at);
            }
        }
    }

    fn terminate(&mut self, word: &'static str, end: End, world: &mut World) {
        self.stop_all(word, world);
        world.note(end.word(), &self.name);
    }

    fn stop_all(&mut self, word: &'static str, world: &mut World) {
        if self.plan.strategy != Strategy::Dynamic {
            self.children.iter_mut().rev().for_each(|child| child.stop(word, world));
            return;
        }
        // At once: each as if it were alone, and then sorted by time.
        let mut later = Vec::new();
        let begun = world.now;
        for (at, child) in self.children.iter_mut().enumerate().rev() {
            let mut alone = World { now: begun, trace: Vec::new() };
            child.stop_timed(word, &mut alone, begun, at, &mut later, world);
        }
        later.sort_by_key(|&(time, at, _)| (time, at));
        for (time, _, line) in later {
            world.now = time;
            world.trace.push(line);
        }
    }

    fn find(&mut self, name: &str) -> Option<usize> {
        self.children.iter().position(|child| child.name == name)
    }

    fn del_child(&mut self, at: usize) {
        let forget = self.plan.strategy == Strategy::Dynamic || self.children[at].plan.restart == Restart::Temporary;
        self.children[at].pid = Pid::Undefined;
        if forget {
            self.children.remove(at);
        }
    }

    fn do_restart(&mut self, at: usize, ending: Ending, world: &mut World) -> Option<End> {
        let child = &mut self.children[at];
        if self.plan.backoff.is_some_and(|backoff| world.now - child.since >= backoff.reset_after) {
            child.failures = 0;
        }
        let normal = matches!(ending, Ending::Normal | Ending::Shutdown);
        match child.plan.restart {
            Restart::Permanent => return self.restart(at, world),
            Restart::Transient if !normal => return self.restart(at, world),
            _ => {}
        }
        let significant = child.plan.significant;
        self.del_child(at);
        let others = || self.children.iter().any(|child| child.pid != Pid::Undefined && child.plan.significant);
        match self.plan.auto_shutdown {
            AutoShutdown::Any if significant => Some(End::AutoShutdown),
            AutoShutdown::All if significant && !others() => Some(End::AutoShutdown),
            _ => None,
        }
    }

    fn restart(&mut self, at: usize, world: &mut World) -> Option<End> {
        self.restarts.push(world.now);
        self.restarts.retain(|then| world.now - *then <= self.plan.period);
        if self.restarts.len() > self.plan.intensity as usize {
            self.del_child(at);
            return Some(End::GaveUp);
        }
        let child = &mut self.children[at];
        let delay = self.plan.backoff.map_or(Duration::ZERO, |backoff| backoff.delay(child.failures));
        child.failures += 1;
        let failed = match self.plan.strategy {
            Strategy::OneForOne | Strategy::Dynamic => {
                world.now += delay;
                self.children[at].start(true, world).map_err(|()| at)
            }
            Strategy::RestForOne => self.restart_multiple(at, at, delay, world),
            Strategy::OneForAll => self.restart_multiple(at, 0, delay, world),
        };
        if let Err(at) = failed {
            self.children[at].pid = Pid::Restarting;
            self.queue.push_back(Message::TryAgain(self.children[at].name.clone()));
        }
        None
    }

    fn restart_multiple(&mut self, at: usize, from: usize, delay: Duration, world: &mut World) -> Result<(), usize> {
        self.children[at].pid = Pid::Undefined;
        self.terminate_children(from, world);
        world.now += delay;
        self.start_children(from, world)
    }

    fn command(&mut self, command: Command, world: &mut World) -> &'static str {
        let dynamic = self.plan.strategy == Strategy::Dynamic;
        match command {
            Command::Start(name, plan) => match self.find(&name).map(|at| self.children[at].pid) {
                Some(Pid::Alive | Pid::Dead) => "already started",
                Some(_) => "already present",
                None => {
                    let mut child = Child::new(name, plan);
                    let started = child.start(false, world);
                    if started.is_ok() {
                        self.children.push(child);
                    }
                    started.map_or("start failed", |()| "ok")
                }
            },
            Command::Terminate(name) => match self.find(&name) {
                None => "not found",
                Some(at) => {
                    self.children[at].stop("stop", world);
                    self.del_child(at);
                    "ok"
                }
            },
            Command::Restart(_) | Command::Delete(_) if dynamic => "dynamic",
            Command::Restart(name) => match self.find(&name).map(|at| (at, self.children[at].pid)) {
                None => "not found",
                Some((at, Pid::Undefined)) => self.children[at].start(false, world).map_or("start failed", |()| "ok"),
                Some((_, Pid::Restarting)) => "restarting",
                Some(_) => "running",
            },
            Command::Delete(name) => match self.find(&name).map(|at| (at, self.children[at].pid)) {
                None => "not found",
                Some((at, Pid::Undefined)) => {
                    self.children.remove(at);
                    "ok"
                }
                Some((_, Pid::Restarting)) => "restarting",
                Some(_) => "running",
            },
        }
    }

    /// Handles messages until there are none, here and below.
    pub(crate) fn run(&mut self, world: &mut World) -> Option<End> {
        loop {
            for child in &mut self.children {
                if child.nested.as_mut().is_some_and(|nested| nested.run(world).is_some()) {
                    child.nested = None;
                    child.pid = Pid::Dead;
                    self.queue.push_back(Message::Exit(child.name.clone(), Ending::Shutdown));
                }
            }
            let end = match self.queue.pop_front()? {
                Message::Exit(name, ending) => match self.find(&name) {
                    Some(at) if self.children[at].pid == Pid::Dead => self.do_restart(at, ending, world),
                    _ => None,
                },
                Message::TryAgain(name) => match self.find(&name) {
                    Some(at) if self.children[at].pid == Pid::Restarting => self.restart(at, world),
                    _ => None,
                },
                Message::Command(id, command) => {
                    let answer = self.command(command, world);
                    world.trace.push(Line::reply(id, answer));
                    None
                }
            };
            if let Some(end) = end {
                for message in std::mem::take(&mut self.queue) {
                    if let Message::Command(id, _) = message {
                        world.trace.push(Line::reply(id, "shutting down"));
                    }
                }
                self.terminate("stop", end, world);
                return Some(end);
            }
        }
    }

    /// What is there now, from the top to the bottom.
    pub(crate) fn seen(&self, into: &mut Seen) {
        into.supervisors.push(self.name.clone());
        for child in &self.children {
            let status = match child.pid {
                Pid::Undefined => ChildStatus::Down,
                Pid::Alive => ChildStatus::Running,
                Pid::Dead | Pid::Restarting => ChildStatus::Restarting,
            };
            into.children.push((self.name.clone(), child.name.clone(), status, child.restarts));
            if let Some(nested) = &child.nested {
                nested.seen(into);
            }
        }
    }

    fn supervisor(&mut self, name: &str) -> Option<&mut Self> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter_mut().filter_map(|child| child.nested.as_mut()).find_map(|nested| nested.supervisor(name))
    }

    /// Lets a worker end by itself.
    pub(crate) fn exit(&mut self, supervisor: &str, child: &str, ending: Ending) {
        let supervisor = self.supervisor(supervisor).unwrap();
        let at = supervisor.find(child).unwrap();
        supervisor.children[at].pid = Pid::Dead;
        supervisor.queue.push_back(Message::Exit(child.to_owned(), ending));
    }

    pub(crate) fn ask(&mut self, supervisor: &str, id: u64, command: Command) {
        self.supervisor(supervisor).unwrap().queue.push_back(Message::Command(id, command));
    }

    pub(crate) fn shut_down(&mut self, world: &mut World) {
        self.terminate("stop", End::Shutdown, world);
    }
}

impl Child {
    /// Stops as if it were alone, and sorts what it takes into now and later.
    fn stop_timed(
        &mut self,
        word: &'static str,
        alone: &mut World,
        begun: Duration,
        at: usize,
        later: &mut Vec<(Duration, usize, Line)>,
        world: &mut World,
    ) {
        let mut times = Vec::new();
        let before = alone.trace.len();
        self.stop(word, alone);
        let lines = alone.trace.split_off(before);
        let patience = match self.plan.shutdown {
            Shutdown::Timeout(timeout) => timeout,
            _ => Duration::ZERO,
        };
        for line in &lines {
            times.push(match line.word() {
                "kill" => begun + patience,
                "kill again" => begun + patience + KILL_GRACE,
                "abandon" => begun + patience + 2 * KILL_GRACE,
                _ => begun,
            });
        }
        let asked = self.plan.shutdown != Shutdown::BrutalKill;
        for (line, time) in lines.into_iter().zip(times) {
            if line.word() == word || (!asked && line.word() == "kill") {
                world.trace.push(line);
            } else {
                later.push((time, at, line));
            }
        }
    }
}

impl End {
    fn word(self) -> &'static str {
        match self {
            Self::Shutdown => "shut down",
            Self::AutoShutdown => "auto-shutdown",
            Self::GaveUp => "gave up",
        }
    }
}
