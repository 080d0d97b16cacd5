//! OTP's supervisor, written down once more as naively as possible: it blocks, it recurses, it scans.
//!
//! It follows `supervisor.erl` function by function, so that the two can be compared by eye. What it does not have is
//! concurrency. It knows nothing of [`decide`](crate::supervisor::decide), which is compared with it: by the simulation
//! among the tests, over random trees, and by the [judge](crate::supervisor::Judge) of a seeded host, over what was
//! done there. What is not OTP's is here as well, as naively: the back-off, and children that are set aside alone.

use std::collections::VecDeque;
use std::time::Duration;

use crate::child::{Restart, Shutdown};
use crate::supervisor::event::ChildStatus;
use crate::supervisor::spec::{AutoShutdown, Backoff, Beyond, Strategy};

/// What a supervisor does, and what comes of it: simulated, or read from what was done.
pub trait World {
    /// The time that has passed.
    fn now(&self) -> Duration;

    /// A back-off passes before this child is started; whether nothing else waits for its turn.
    fn wait(&mut self, child: &str, delay: Duration, alone: bool);

    /// A worker is started, by itself or because somebody wants it; what comes of it.
    fn start(&mut self, child: &Plan, nth: usize, automatic: bool) -> Came;

    /// A worker is stopped, with this word, and waited for.
    fn stop(&mut self, word: &'static str, child: &Plan);

    /// Workers are stopped at once, in this order, and waited for.
    fn stop_at_once(&mut self, word: &'static str, children: &[&Plan]);

    /// Somebody says something: a supervisor that it is ready or has ended, or what it does with a nested one.
    fn note(&mut self, word: &'static str, name: &str);

    /// Somebody has an answer.
    fn answer(&mut self, id: u64, answer: &'static str);

    /// What was heard while something was waited for.
    fn heard(&mut self) -> Vec<Heard> {
        Vec::new()
    }

    /// A supervisor ends from here on, with all that is below.
    fn ends(&mut self) {}

    /// Whether a child lives, of which the model says so or not.
    fn lives(&self, _child: &str, says: bool) -> bool {
        says
    }

    /// Whether nothing of what is under way is done any more.
    fn is_cut(&self) -> bool {
        false
    }
}

/// What comes of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// It is up.
    Up,
    /// It did not come up.
    Failed,
    /// Somebody stopped it until further notice, and it was not started.
    Left,
}

/// What a child is.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// Whether it is started again.
    pub restart: Restart,
    /// Whether its end counts for the supervisor's.
    pub significant: bool,
    /// How it is stopped.
    pub shutdown: Shutdown,
    /// How long it may take to be up.
    pub start_timeout: Option<Duration>,
    /// The supervisor that it is; none for a worker, and for one that is looked at by itself.
    pub nested: Option<Flags>,
}

/// What a supervisor is.
#[derive(Debug, Clone)]
pub struct Flags {
    /// See [`SupervisorSpec`](crate::supervisor::SupervisorSpec), here and below.
    pub strategy: Strategy,
    /// So many restarts,
    pub intensity: u32,
    /// in so much time.
    pub period: Duration,
    /// The wait before a restart.
    pub backoff: Option<Backoff>,
    /// What happens at one restart more.
    pub beyond: Beyond,
    /// Whether significant children end it.
    pub auto_shutdown: AutoShutdown,
    /// Its children, in start order.
    pub children: Vec<Plan>,
}

/// A supervisor in the middle of its life, when nothing is under way.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// What it is, with its children.
    pub flags: Flags,
    /// How each of them is, in start order.
    pub children: Vec<ChildSnapshot>,
    /// When it started children again.
    pub restarts: Vec<Duration>,
}

/// A child that is up or down.
#[derive(Debug, Clone)]
pub struct ChildSnapshot {
    /// Whether it is up.
    pub is_up: bool,
    /// How often it was started.
    pub starts: usize,
    /// Failures in a row.
    pub failures: u32,
    /// When it became ready.
    pub since: Duration,
    /// When it alone was started again, where that is counted.
    pub own: Vec<Duration>,
    /// How many times in a row it was set aside.
    pub aside: u32,
}

/// What somebody wants of a supervisor.
#[derive(Debug, Clone)]
pub enum Command {
    /// A new child.
    Start(Plan),
    /// That a child stops.
    Terminate(String),
    /// That one that is down starts.
    Restart(String),
    /// That one that is down is forgotten.
    Delete(String),
}

impl Command {
    /// The child that it is about.
    #[must_use]
    pub fn child(&self) -> &str {
        match self {
            Self::Start(plan) => &plan.name,
            Self::Terminate(child) | Self::Restart(child) | Self::Delete(child) => child,
        }
    }
}

/// What a supervisor hears.
#[derive(Debug, Clone)]
pub enum Heard {
    /// A child has ended by itself: its name, its which incarnation that was, and whether it was a normal end.
    Exit(String, usize, bool),
    /// It is time to try once more to start a child.
    TryAgain(String),
    /// Somebody wants something, and is answered by this number.
    Command(u64, Command),
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
    plan: Plan,
    pid: Pid,
    nested: Option<Supervisor>,
    starts: usize,
    restarts: u64,
    failures: u32,
    since: Duration,
    /// Its own restarts, and how many times in a row it was set aside.
    own: Vec<Duration>,
    aside: u32,
}

/// Why a supervisor ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was asked to.
    Shutdown,
    /// Its significant children have ended.
    AutoShutdown,
    /// One restart too many.
    GaveUp,
}

/// A supervisor, with all that is below it.
#[derive(Debug)]
pub struct Supervisor {
    name: String,
    flags: Flags,
    children: Vec<Child>,
    restarts: Vec<Duration>,
    queue: VecDeque<Heard>,
}

/// A child as it is when all is quiet: the supervisor's name, its own, what it does, and how often it was started
/// again.
pub type Seen = (String, String, ChildStatus, u64);

impl Child {
    fn new(plan: Plan) -> Self {
        let since = Duration::ZERO;
        let pid = Pid::Undefined;
        Self { plan, pid, nested: None, starts: 0, restarts: 0, failures: 0, since, own: Vec::new(), aside: 0 }
    }

    fn start(&mut self, automatic: bool, world: &mut dyn World) -> Result<(), ()> {
        let came = match &self.plan.nested {
            None => world.start(&self.plan, self.starts + 1, automatic),
            Some(flags) => {
                world.note("start", &self.plan.name);
                let mut nested = Supervisor::new(self.plan.name.clone(), flags.clone());
                match nested.init(world) {
                    Ok(()) => {
                        self.nested = Some(nested);
                        Came::Up
                    }
                    Err(()) => Came::Failed,
                }
            }
        };
        if came == Came::Left {
            return Ok(());
        }
        self.restarts += u64::from(automatic && self.starts > 0);
        self.starts += 1;
        if came == Came::Failed {
            return Err(());
        }
        self.since = world.now();
        self.pid = Pid::Alive;
        Ok(())
    }

    fn stop(&mut self, word: &'static str, world: &mut dyn World) {
        if !world.lives(&self.plan.name, self.pid == Pid::Alive) {
            return;
        }
        if self.plan.nested.is_none() {
            return world.stop(word, &self.plan);
        }
        if self.plan.shutdown != Shutdown::BrutalKill {
            world.note(word, &self.plan.name);
        }
        if let Some(nested) = &mut self.nested {
            nested.terminate(word, End::Shutdown, world);
        }
        self.nested = None;
    }
}

impl Supervisor {
    /// One that is yet to be started.
    #[must_use]
    pub fn new(name: String, flags: Flags) -> Self {
        let children = flags.children.iter().cloned().map(Child::new).collect();
        Self { name, flags, children, restarts: Vec::new(), queue: VecDeque::new() }
    }

    /// One that stands so. No child of it is a supervisor that is looked at with it.
    #[must_use]
    pub fn of_snapshot(name: String, Snapshot { flags, children, restarts }: Snapshot) -> Self {
        let mut supervisor = Self { restarts, ..Self::new(name, flags) };
        for (child, snapshot) in supervisor.children.iter_mut().zip(children) {
            let ChildSnapshot { is_up, starts, failures, since, own, aside } = snapshot;
            child.pid = if is_up { Pid::Alive } else { Pid::Undefined };
            (child.starts, child.failures, child.since) = (starts, failures, since);
            (child.own, child.aside) = (own, aside);
        }
        supervisor
    }

    /// Starts it, with all that is below.
    ///
    /// # Errors
    ///
    /// A child did not start, and all are stopped again.
    #[allow(clippy::result_unit_err, reason = "the world knows why")]
    pub fn init(&mut self, world: &mut dyn World) -> Result<(), ()> {
        if self.start_children(0, world).is_ok() {
            world.note("ready", &self.name);
            return Ok(());
        }
        world.ends();
        self.stop_all("stop", world);
        world.note("start failed", &self.name);
        Err(())
    }

    fn start_children(&mut self, from: usize, world: &mut dyn World) -> Result<(), usize> {
        let mut at = from;
        while at < self.children.len() && !world.is_cut() {
            let started = self.children[at].start(true, world).map_err(|()| at);
            self.listen(world);
            started?;
            // One that was left alone is as one that was terminated.
            match self.children[at].pid == Pid::Undefined {
                true if self.children[at].plan.restart == Restart::Temporary => drop(self.children.remove(at)),
                _ => at += 1,
            }
        }
        Ok(())
    }

    fn terminate_children(&mut self, from: usize, world: &mut dyn World) {
        for at in (from..self.children.len()).rev() {
            let temporary = self.children[at].plan.restart == Restart::Temporary;
            self.children[at].stop(if temporary { "stop" } else { "stop to restart" }, world);
            if world.is_cut() {
                return;
            }
            self.listen(world);
            self.children[at].pid = Pid::Undefined;
            if temporary {
                self.children.remove(at);
            }
        }
    }

    fn terminate(&mut self, word: &'static str, end: End, world: &mut dyn World) {
        world.ends();
        self.stop_all(word, world);
        world.note(end.word(), &self.name);
    }

    fn stop_all(&mut self, word: &'static str, world: &mut dyn World) {
        if self.flags.strategy != Strategy::Dynamic {
            self.children.iter_mut().rev().for_each(|child| child.stop(word, world));
            return;
        }
        let lives = |child: &&Child| world.lives(&child.plan.name, child.pid == Pid::Alive);
        let live: Vec<&Plan> = self.children.iter().rev().filter(lives).map(|child| &child.plan).collect();
        world.stop_at_once(word, &live);
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.children.iter().position(|child| child.plan.name == name)
    }

    fn del_child(&mut self, at: usize) {
        let forget = self.flags.strategy == Strategy::Dynamic || self.children[at].plan.restart == Restart::Temporary;
        self.children[at].pid = Pid::Undefined;
        if forget {
            self.children.remove(at);
        }
    }

    fn do_restart(&mut self, at: usize, normal: bool, world: &mut dyn World) -> Option<End> {
        let child = &mut self.children[at];
        let ran = world.now().saturating_sub(child.since);
        if self.flags.backoff.is_some_and(|backoff| ran >= backoff.reset_after) {
            child.failures = 0;
        }
        if matches!(self.flags.beyond, Beyond::SetAside(backoff) if ran >= backoff.reset_after) {
            child.aside = 0;
        }
        match child.plan.restart {
            Restart::Permanent => return self.restart(at, world),
            Restart::Transient if !normal => return self.restart(at, world),
            _ => {}
        }
        let significant = child.plan.significant;
        self.del_child(at);
        let others = || self.children.iter().any(|child| child.pid != Pid::Undefined && child.plan.significant);
        match self.flags.auto_shutdown {
            AutoShutdown::Any if significant => Some(End::AutoShutdown),
            AutoShutdown::All if significant && !others() => Some(End::AutoShutdown),
            _ => None,
        }
    }

    fn restart(&mut self, at: usize, world: &mut dyn World) -> Option<End> {
        let (now, period) = (world.now(), self.flags.period);
        let in_period = |then: &Duration| now.saturating_sub(*then) <= period;
        let child = &mut self.children[at];
        let mut delay = self.flags.backoff.map_or(Duration::ZERO, |backoff| backoff.delay(child.failures));
        match self.flags.beyond {
            Beyond::GiveUp => {
                self.restarts.push(now);
                self.restarts.retain(in_period);
                if self.restarts.len() > self.flags.intensity as usize {
                    self.del_child(at);
                    return Some(End::GaveUp);
                }
            }
            Beyond::SetAside(backoff) => {
                child.own.push(now);
                child.own.retain(in_period);
                if child.own.len() > self.flags.intensity as usize || child.aside > 0 {
                    delay = delay.max(backoff.delay(child.aside));
                    child.aside += 1;
                    world.note("set aside", &child.plan.name);
                }
            }
        }
        let child = &mut self.children[at];
        child.failures += 1;
        let failed = match self.flags.strategy {
            Strategy::OneForOne | Strategy::Dynamic => {
                world.wait(&child.plan.name, delay, true);
                child.start(true, world).map_err(|()| at)
            }
            Strategy::RestForOne => self.restart_multiple(at, at, delay, world),
            Strategy::OneForAll => self.restart_multiple(at, 0, delay, world),
        };
        self.listen(world);
        if let Err(at) = failed {
            self.children[at].pid = Pid::Restarting;
            self.queue.push_back(Heard::TryAgain(self.children[at].plan.name.clone()));
        }
        None
    }

    fn restart_multiple(
        &mut self,
        at: usize,
        from: usize,
        delay: Duration,
        world: &mut dyn World,
    ) -> Result<(), usize> {
        let name = self.children[at].plan.name.clone();
        self.children[at].pid = Pid::Undefined;
        self.terminate_children(from, world);
        if !world.is_cut() {
            world.wait(&name, delay, self.queue.is_empty());
        }
        self.start_children(from, world)
    }

    fn command(&mut self, command: Command, world: &mut dyn World) -> &'static str {
        let dynamic = self.flags.strategy == Strategy::Dynamic;
        match command {
            Command::Start(plan) => match self.find(&plan.name).map(|at| self.children[at].pid) {
                Some(Pid::Alive | Pid::Dead) => "already started",
                Some(_) => "already present",
                None => {
                    let mut child = Child::new(plan);
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
                    if !world.is_cut() {
                        self.del_child(at);
                    }
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
                // Where nothing is waited for, one that was told to stop may still be on its way out.
                Some((_, Pid::Undefined)) if world.lives(&name, false) => "running",
                Some((at, Pid::Undefined)) => {
                    self.children.remove(at);
                    "ok"
                }
                Some((_, Pid::Restarting)) => "restarting",
                Some(_) => "running",
            },
        }
    }

    /// Handles messages until there are none, here and below. Why it ended, where it did.
    pub fn run(&mut self, world: &mut dyn World) -> Option<End> {
        loop {
            for child in &mut self.children {
                if child.nested.as_mut().is_some_and(|nested| nested.run(world).is_some()) {
                    child.nested = None;
                    child.pid = Pid::Dead;
                    self.queue.push_back(Heard::Exit(child.plan.name.clone(), child.starts, true));
                }
            }
            if world.is_cut() {
                return None;
            }
            let end = match self.queue.pop_front()? {
                Heard::Exit(name, nth, normal) => match self.find(&name) {
                    Some(at) if self.children[at].pid == Pid::Dead && self.children[at].starts == nth => {
                        self.do_restart(at, normal, world)
                    }
                    _ => None,
                },
                Heard::TryAgain(name) => match self.find(&name) {
                    Some(at) if self.children[at].pid == Pid::Restarting => self.restart(at, world),
                    _ => None,
                },
                Heard::Command(id, command) => {
                    let answer = self.command(command, world);
                    self.listen(world);
                    world.answer(id, answer);
                    None
                }
            };
            if let Some(end) = end {
                for message in std::mem::take(&mut self.queue) {
                    if let Heard::Command(id, _) = message {
                        world.answer(id, "shutting down");
                    }
                }
                self.terminate("stop", end, world);
                return Some(end);
            }
        }
    }

    /// What there is now, from the top to the bottom: the names of supervisors, and the children.
    pub fn seen(&self, supervisors: &mut Vec<String>, children: &mut Vec<Seen>) {
        supervisors.push(self.name.clone());
        for child in &self.children {
            let status = match child.pid {
                Pid::Undefined => ChildStatus::Down,
                Pid::Alive => ChildStatus::Running,
                Pid::Dead | Pid::Restarting => ChildStatus::Restarting,
            };
            children.push((self.name.clone(), child.plan.name.clone(), status, child.restarts));
            if let Some(nested) = &child.nested {
                nested.seen(supervisors, children);
            }
        }
    }

    fn supervisor(&mut self, name: &str) -> Option<&mut Self> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter_mut().filter_map(|child| child.nested.as_mut()).find_map(|nested| nested.supervisor(name))
    }

    /// A child of this supervisor, or of one below, has ended by itself.
    pub fn exit(&mut self, supervisor: &str, child: &str, normal: bool) {
        let Some(supervisor) = self.supervisor(supervisor) else { return };
        let Some(at) = supervisor.find(child) else { return };
        let nth = supervisor.children[at].starts;
        supervisor.hear(Heard::Exit(child.to_owned(), nth, normal));
    }

    /// Somebody wants something of this supervisor, or of one below.
    pub fn ask(&mut self, supervisor: &str, id: u64, command: Command) {
        if let Some(supervisor) = self.supervisor(supervisor) {
            supervisor.hear(Heard::Command(id, command));
        }
    }

    /// Hears something, which is looked at by [`Supervisor::run`].
    pub fn hear(&mut self, heard: Heard) {
        let found = match &heard {
            Heard::Exit(name, nth, _) => self.find(name).map(|at| (at, Pid::Dead, self.children[at].starts == *nth)),
            Heard::TryAgain(name) => self.find(name).map(|at| (at, Pid::Restarting, true)),
            Heard::Command(..) => None,
        };
        if let Some((at, pid, true)) = found
            && self.children[at].pid == Pid::Alive
        {
            self.children[at].pid = pid;
        }
        self.queue.push_back(heard);
    }

    /// Hears what was heard while it waited.
    pub fn listen(&mut self, world: &mut dyn World) {
        world.heard().into_iter().for_each(|heard| self.hear(heard));
    }

    /// A child that was taken to be up is, since now.
    pub fn is_up(&mut self, child: &str, now: Duration) {
        if let Some(at) = self.find(child) {
            self.children[at].since = now;
        }
    }

    /// A child that was taken to be up did not start, and nobody starts it again.
    pub fn did_not_start(&mut self, child: &str, forget: bool) {
        if let Some(at) = self.find(child) {
            self.del_child(at);
        }
        if let Some(at) = self.find(child).filter(|_| forget) {
            self.children.remove(at);
        }
    }

    /// Stops it, with all that is below, which hears this word.
    pub fn shut_down(&mut self, word: &'static str, world: &mut dyn World) {
        self.terminate(word, End::Shutdown, world);
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
