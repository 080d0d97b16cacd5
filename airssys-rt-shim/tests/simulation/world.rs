//! The world of the model: workers that do what their plans say, and a clock that is turned on by whatever takes time.

use std::collections::HashMap;
use std::time::Duration;

use airssys_rt_shim::child::Shutdown;
use airssys_rt_shim::supervisor::Beyond;
use airssys_rt_shim::supervisor::decide::KILL_GRACE;
use airssys_rt_shim::supervisor::model::{self, Came, Flags, Plan, World};

use crate::plan::{self, Init, Kind, OnStop, START_TIMEOUT, Worker};
use crate::{Command, Line};

/// The time that has passed and what was done, over all supervisors.
#[derive(Debug, Default)]
pub(crate) struct Simulated {
    pub(crate) now: Duration,
    pub(crate) trace: Vec<Line>,
    workers: HashMap<String, Worker>,
}

impl Simulated {
    /// What a plan is to the model. What its workers do is known from now on.
    pub(crate) fn modelled(&mut self, name: &str, plan: &plan::Supervisor) -> Flags {
        let children = plan.children.iter().enumerate();
        Flags {
            strategy: plan.strategy,
            intensity: plan.intensity,
            period: plan.period,
            backoff: plan.backoff,
            beyond: Beyond::GiveUp,
            auto_shutdown: plan.auto_shutdown,
            children: children.map(|(at, child)| self.child(format!("{name}.{at}"), child)).collect(),
        }
    }

    fn child(&mut self, name: String, plan: &plan::Child) -> Plan {
        let nested = match &plan.kind {
            Kind::Supervisor(nested) => Some(self.modelled(&name, nested)),
            Kind::Worker(worker) => {
                self.workers.insert(name.clone(), worker.clone());
                None
            }
        };
        let plan::Child { restart, significant, shutdown, .. } = *plan;
        Plan { name, restart, significant, shutdown, start_timeout: Some(START_TIMEOUT), nested }
    }

    pub(crate) fn command(&mut self, command: Command) -> model::Command {
        match command {
            Command::Start(name, plan) => model::Command::Start(self.child(name, &plan)),
            Command::Terminate(name) => model::Command::Terminate(name),
            Command::Restart(name) => model::Command::Restart(name),
            Command::Delete(name) => model::Command::Delete(name),
        }
    }

    /// What is done to stop a worker, each with how long after the beginning.
    fn stopping(&self, word: &'static str, child: &Plan) -> Vec<(Duration, Line)> {
        let does = self.workers[&child.name].on_stop;
        let mut done = Vec::new();
        let patience = match child.shutdown {
            Shutdown::BrutalKill => Duration::ZERO,
            Shutdown::Timeout(timeout) => timeout,
            Shutdown::Infinity => Duration::MAX,
        };
        let mut note = |after: Duration, word| done.push((after, Line::new(word, &child.name)));
        if child.shutdown != Shutdown::BrutalKill {
            note(Duration::ZERO, word);
            if does == OnStop::Obey {
                return done;
            }
        }
        note(patience, "kill");
        if does == OnStop::Zombie {
            note(patience + KILL_GRACE, "kill again");
            note(patience + 2 * KILL_GRACE, "abandon");
        }
        done
    }
}

impl World for Simulated {
    fn now(&self) -> Duration {
        self.now
    }

    fn wait(&mut self, _: &str, delay: Duration, _: bool) {
        self.now += delay;
    }

    fn start(&mut self, child: &Plan, nth: usize, _: bool) -> Came {
        self.note("start", &child.name);
        match self.workers[&child.name].inits.get(nth - 1).unwrap_or(&Init::Ready) {
            Init::Ready => Came::Up,
            Init::Fail => Came::Failed,
            Init::Hang => {
                self.now += START_TIMEOUT;
                self.note("kill", &child.name);
                Came::Failed
            }
        }
    }

    fn stop(&mut self, word: &'static str, child: &Plan) {
        let begun = self.now;
        for (after, line) in self.stopping(word, child) {
            self.now = begun + after;
            self.trace.push(line);
        }
    }

    /// Each as if it were alone, and then sorted by time.
    fn stop_at_once(&mut self, word: &'static str, children: &[&Plan]) {
        let (begun, last) = (self.now, children.len());
        let mut later = Vec::new();
        for (nth, child) in children.iter().enumerate() {
            for (at, (after, line)) in self.stopping(word, child).into_iter().enumerate() {
                match at {
                    0 => self.trace.push(line),
                    // Timers of one moment ring in start order.
                    _ => later.push((after, last - nth, line)),
                }
            }
        }
        later.sort_by_key(|&(after, nth, _)| (after, nth));
        for (after, _, line) in later {
            self.now = begun + after;
            self.trace.push(line);
        }
    }

    fn note(&mut self, word: &'static str, name: &str) {
        self.trace.push(Line::new(word, name));
    }

    fn answer(&mut self, id: u64, answer: &'static str) {
        self.trace.push(Line::reply(id, answer));
    }
}
