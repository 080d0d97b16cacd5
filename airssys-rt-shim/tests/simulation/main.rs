//! The supervisor's decisions against a naive model of OTP's supervisor, over random trees and random things that
//! happen to them.
//!
//! A failing case is shrunk and kept in `regressions`; the seed is printed, and taken from `AIRSSYS_SEED` where that is
//! set. `AIRSSYS_CASES` sets how many cases there are. There is no clock but the simulated one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs, reason = "tests")]

mod machine;
mod plan;
mod world;

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use airssys_rt_shim::supervisor::{ChildStatus, Strategy as Restarts, model};
use machine::Machine;
use plan::{Batch, Ending, Happening, Init, Kind};
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, RngAlgorithm, TestRng, TestRunner};
use world::Simulated;

/// Something that a supervisor did.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Line {
    word: &'static str,
    name: String,
}

impl Line {
    fn new(word: &'static str, name: &str) -> Self {
        Self { word, name: name.to_owned() }
    }

    fn reply(id: u64, answer: &'static str) -> Self {
        Self { word: answer, name: format!("#{id}") }
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.word, self.name)
    }
}

/// What is there when all is quiet: supervisors, and children with supervisor, name, status and restarts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    supervisors: Vec<String>,
    children: Vec<(String, String, ChildStatus, u64)>,
}

/// What somebody wants of a supervisor.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    Start(String, plan::Child),
    Terminate(String),
    Restart(String),
    Delete(String),
}

fn run<S: Strategy>(cases: u32, strategy: &S, test: impl Fn(S::Value)) {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seed = number("AIRSSYS_SEED").unwrap_or_else(|| RandomState::new().hash_one("seed"));
    println!("AIRSSYS_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases: number("AIRSSYS_CASES").and_then(|cases| u32::try_from(cases).ok()).unwrap_or(cases),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        source_file: Some(file!()),
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let result = runner.run(strategy, |value| {
        test(value);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

/// Chooses what a happening is about; none where there is nothing of the kind.
struct Chooser<'a> {
    seen: &'a Seen,
    workers: Vec<String>,
    plan: &'a plan::Supervisor,
    next: &'a mut u64,
}

enum Chosen {
    Exit { supervisor: String, child: String, ending: Ending },
    Ask { supervisor: String, id: u64, command: Command },
}

impl Chooser<'_> {
    fn choose(&mut self, happening: &Happening) -> Option<Chosen> {
        let (supervisor, command) = match happening {
            Happening::Exit(which, ending) => {
                if self.workers.is_empty() {
                    return None;
                }
                let child = self.workers.remove(which % self.workers.len());
                let supervisor = self.seen.children.iter().find(|(_, name, ..)| *name == child)?.0.clone();
                return Some(Chosen::Exit { supervisor, child, ending: *ending });
            }
            Happening::Start { supervisor, child } => {
                let (supervisor, _) = self.supervisor(*supervisor)?;
                let mut child = child.clone();
                plan::sound(&mut child, self.auto_shutdown(&supervisor));
                let name = format!("{supervisor}.x{}", self.next);
                (supervisor, Command::Start(name, child))
            }
            Happening::StartAgain { supervisor, child } => {
                let (supervisor, child) = self.child(*supervisor, *child)?;
                let plan = self.find(&child)?;
                (supervisor, Command::Start(child, plan))
            }
            Happening::Terminate { supervisor, child } => {
                let (supervisor, child) = self.child(*supervisor, *child)?;
                (supervisor, Command::Terminate(child))
            }
            Happening::Restart { supervisor, child } => {
                let (supervisor, child) = self.child(*supervisor, *child)?;
                (supervisor, Command::Restart(child))
            }
            Happening::Delete { supervisor, child } => {
                let (supervisor, child) = self.child(*supervisor, *child)?;
                (supervisor, Command::Delete(child))
            }
        };
        *self.next += 1;
        Some(Chosen::Ask { supervisor, id: *self.next, command })
    }

    fn supervisor(&self, which: usize) -> Option<(String, Vec<String>)> {
        let name = self.seen.supervisors.get(which % self.seen.supervisors.len().max(1))?.clone();
        let children = self.seen.children.iter().filter(|(above, ..)| *above == name);
        let children = children.map(|(_, child, ..)| child.clone()).collect();
        Some((name, children))
    }

    /// One of its children, or one that it has not.
    fn child(&self, supervisor: usize, child: usize) -> Option<(String, String)> {
        let (name, children) = self.supervisor(supervisor)?;
        let nobody = format!("{name}.nobody");
        let child = children.get(child % (children.len() + 1)).cloned().unwrap_or(nobody);
        Some((name, child))
    }

    fn find(&self, name: &str) -> Option<plan::Child> {
        let mut children = &self.plan.children;
        let mut found = None;
        for step in name.split('.').skip(1) {
            let child = children.get(step.parse::<usize>().ok()?)?;
            if let Kind::Supervisor(nested) = &child.kind {
                children = &nested.children;
            }
            found = Some(child.clone());
        }
        found
    }

    fn auto_shutdown(&self, supervisor: &str) -> airssys_rt_shim::supervisor::AutoShutdown {
        match self.find(supervisor).map(|child| child.kind) {
            Some(Kind::Supervisor(nested)) => nested.auto_shutdown,
            _ => self.plan.auto_shutdown,
        }
    }
}

/// Without the answers to those who asked too late: when they get them is nobody's promise.
fn timeless(trace: &[Line]) -> Vec<&Line> {
    trace.iter().filter(|line| line.word != "shutting down").collect()
}

/// Runs both, side by side, and compares what they did after each batch.
fn compare(plan: &plan::Supervisor, batches: &[Batch]) {
    let mut world = Simulated::default();
    let flags = world.modelled("root", plan);
    let mut model = model::Supervisor::new("root".to_owned(), flags);
    let mut machine = Machine::new("root", plan);
    let mut over = model.init(&mut world).is_err();
    machine.run();
    let mut next = 0;
    for batch in batches {
        assert_eq!(timeless(&machine.trace), timeless(&world.trace));
        assert_eq!((machine.now, machine.has_ended()), (world.now, over));
        if over {
            return;
        }
        let mut seen = Seen::default();
        model.seen(&mut seen.supervisors, &mut seen.children);
        assert_eq!(machine.seen(), seen);
        world.now += batch.pause;
        machine.now += batch.pause;
        let mut chooser = Chooser { seen: &seen, workers: machine.workers(), plan, next: &mut next };
        for happening in &batch.happenings {
            match chooser.choose(happening) {
                Some(Chosen::Exit { supervisor, child, ending }) => {
                    model.exit(&supervisor, &child, ending.is_normal());
                    machine.end_by_itself(&child, ending);
                }
                Some(Chosen::Ask { supervisor, id, command }) => {
                    model.ask(&supervisor, id, world.command(command.clone()));
                    machine.ask(&supervisor, id, command);
                }
                None => {}
            }
        }
        over = model.run(&mut world).is_some();
        machine.run();
    }
    if !over {
        model.shut_down("stop", &mut world);
        machine.shut_down();
        machine.run();
    }
    assert_eq!(timeless(&machine.trace), timeless(&world.trace));
    assert!(machine.has_ended());
    assert_eq!(machine.judge.settle(), Vec::<String>::new());
}

#[test]
fn trees_do_what_otp_does() {
    run(10_000, &(plan::trees(), plan::batches(1)), |(plan, batches)| compare(&plan, &batches));
}

/// Where children do not wait for each other, the order of what takes time is not OTP's; so nothing does, and commands
/// come alone.
fn untimed(plan: &mut plan::Supervisor, batches: &mut [Batch]) {
    plan.backoff = None;
    if matches!(plan.strategy, Restarts::OneForAll | Restarts::RestForOne) {
        return;
    }
    for child in &mut plan.children {
        if let Kind::Worker(worker) = &mut child.kind {
            worker.inits.iter_mut().skip(1).filter(|init| **init == Init::Hang).for_each(|init| *init = Init::Fail);
        }
    }
    for batch in batches {
        if batch.happenings.len() > 1 {
            batch.happenings.retain(|happening| matches!(happening, Happening::Exit(..)));
        }
        for happening in &mut batch.happenings {
            if let Happening::Start { child: plan::Child { kind: Kind::Worker(worker), .. }, .. } = happening {
                worker.inits.retain(|init| *init != Init::Hang);
            }
        }
    }
}

#[test]
fn what_happens_at_once_is_done_in_otps_order() {
    run(10_000, &(plan::flat(), plan::batches(5)), |(mut plan, mut batches)| {
        untimed(&mut plan, &mut batches);
        compare(&plan, &batches);
    });
}

#[test]
fn in_any_order_of_events_it_keeps_its_invariants_and_ends() {
    let chaos = (plan::trees(), plan::batches(3), prop::collection::vec(0usize..64, 0..200), any::<bool>());
    run(10_000, &chaos, |(plan, batches, choices, abort)| {
        let mut machine = Machine::new("root", &plan);
        let mut choices = choices.into_iter();
        let mut next = 0;
        for batch in &batches {
            machine.now += batch.pause;
            let seen = machine.seen();
            let mut chooser = Chooser { seen: &seen, workers: machine.workers(), plan: &plan, next: &mut next };
            for happening in &batch.happenings {
                match chooser.choose(happening) {
                    Some(Chosen::Exit { child, ending, .. }) => machine.end_by_itself(&child, ending),
                    Some(Chosen::Ask { supervisor, id, command }) => machine.ask(&supervisor, id, command),
                    None => {}
                }
            }
            for choice in choices.by_ref().take(10) {
                machine.step(choice);
            }
        }
        if abort {
            machine.abort();
        } else {
            machine.shut_down();
        }
        for choice in choices {
            machine.step(choice);
        }
        machine.run();
        assert!(machine.has_ended());
        assert_eq!(machine.judge.settle(), Vec::<String>::new());
    });
}
