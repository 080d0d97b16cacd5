//! Many runs of a trial: seed after seed, and after a while also what has not come yet.
//!
//! Runs come in rounds of [`ROUND`]. What a round runs depends on what those before it reached, and on nothing else: so
//! the same file explores the same, whatever the number of threads. After the first round every second run is guided:
//! it is a seed with faults that are forced, each at one turn. They are of the kinds, and at the services, that the
//! file has by rate: first those pairs that have not come yet, then one more fault in a run that reached something new.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::file::Plan;
use super::jobs::in_order;
use super::{TrialError, Tried, run};
use crate::hex;
use crate::seeded::{Fault, FaultKind, Moment, Reached, Seeded};
use crate::topology::Topology;

/// How many seeds are run where nobody says.
const SEEDS: u64 = 100;
/// How many runs know as little as each other.
const ROUND: u64 = 16;
/// The most faults that are forced in one run.
const MOST_FORCED: usize = 3;

/// Which seeds are run.
///
/// # Example
///
/// ```
/// use airssys_wasm::trial::Seeds;
///
/// assert_ne!(Seeds::One(7), Seeds::Many(7));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Seeds {
    /// What the file says: its `seed`, or as many as its `seeds`; 100 where it says neither.
    AsWritten,
    /// This one alone.
    One(u64),
    /// So many, from 1 on.
    Many(u64),
    /// As many as there is time for, from 1 on, and one at least.
    For(Duration),
}

/// How a trial is explored. One that is made from [`Seeds`] has one thread, and is guided.
///
/// # Example
///
/// ```
/// use airssys_wasm::trial::{Exploring, Seeds};
///
/// let two_threads = Exploring { jobs: 2, ..Seeds::Many(1000).into() };
/// assert!(two_threads.guided);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exploring {
    /// Which seeds are run.
    pub seeds: Seeds,
    /// On how many threads, from 1. What comes of it does not depend on that, unless time ends it.
    pub jobs: usize,
    /// Whether faults are forced where they have not come by chance.
    pub guided: bool,
}

impl From<Seeds> for Exploring {
    fn from(seeds: Seeds) -> Self {
        Self { seeds, jobs: 1, guided: true }
    }
}

/// What came of many runs.
///
/// # Example
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let echo = wat::parse_file(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/echo.wat"))?;
/// # std::fs::write(folder.path().join("echo.wasm"), echo)?;
/// # let text = "name = \"example\"\n[[service]]\nname = \"echo\"\nrelease = \"echo.wasm\"\n";
/// # std::fs::write(folder.path().join("airssys.toml"), text)?;
/// # let file = folder.path().join("airssys.test.toml");
/// # std::fs::write(&file, "[[workload]]\nservice = \"echo\"\nask = \"hello\"\n")?;
/// use airssys_wasm::trial::{Explored, Seeds, Trial};
///
/// let Explored { runs, failure, .. } = Trial::read(&file)?.explore(Seeds::Many(3), None, |_| ())?;
/// assert_eq!((runs, failure), (3, None));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Explored {
    /// The first seed.
    pub first: u64,
    /// How many runs there were.
    pub runs: u64,
    /// In how many of them faults were forced.
    pub guided: u64,
    /// The turns of all of them.
    pub turns: u64,
    /// How often each fault came.
    pub faults: BTreeMap<String, u64>,
    /// What the acts of an operator came to, and how often.
    pub acts: BTreeMap<String, u64>,
    /// How many pairs of a fault and a service the file has by rate.
    pub pairs: usize,
    /// Those of them that never came.
    pub missed: BTreeSet<Reached>,
    /// What came: faults, and what supervisors, deployments and other parts of the host decided, and where.
    pub reached: BTreeSet<Reached>,
    /// The SHA-256 of the digests of all runs, each after that of those before.
    pub digest: String,
    /// The first run of which something did not hold. It is the last one.
    pub failure: Option<Tried>,
}

impl Explored {
    /// One run alone.
    ///
    /// # Example
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let text = "name = \"empty\"\n[[supervisor]]\nname = \"later\"\n";
    /// # std::fs::write(folder.path().join("airssys.toml"), text)?;
    /// # let file = folder.path().join("airssys.test.toml");
    /// # std::fs::write(&file, "[[workload]]\nservice = \"echo\"\nask = \"hello\"\n")?;
    /// use airssys_wasm::trial::{Explored, Trial};
    ///
    /// let explored = Explored::of(Trial::read(&file)?.run(7, None, false)?);
    /// assert_eq!((explored.runs, explored.failure), (1, None));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn of(tried: Tried) -> Self {
        let mut explored = Self { first: tried.seed, ..Self::default() };
        explored.add(&tried);
        if !tried.broken.is_empty() {
            explored.failure = Some(tried);
        }
        explored
    }

    /// Adds a run; whether it reached what none before it did.
    fn add(&mut self, tried: &Tried) -> bool {
        self.runs += 1;
        self.guided += u64::from(!tried.forced.is_empty());
        self.turns += tried.turns;
        self.digest = hex::encode(&Sha256::digest(format!("{}{}", self.digest, tried.digest)));
        for (fault, times) in &tried.faults {
            *self.faults.entry(fault.clone()).or_default() += times;
        }
        for (act, times) in &tried.acts {
            *self.acts.entry(act.clone()).or_default() += times;
        }
        let before = self.reached.len();
        self.reached.extend(tried.reached.iter().cloned());
        self.missed.retain(|pair| !tried.reached.contains(pair));
        self.reached.len() > before
    }
}

/// A run that is to be made.
struct Task {
    seed: u64,
    forced: Vec<Fault>,
}

/// Runs what is to be run until one fails, and tells each when it is over.
pub(super) fn explore(
    (plan, topology): (&Plan, &Topology),
    Exploring { seeds, jobs, guided }: Exploring,
    code_cache: Option<&Path>,
    tell: &mut dyn FnMut(&Tried),
) -> Result<Explored, TrialError> {
    let begun = Instant::now();
    let (first, most) = range(plan, seeds);
    let most = most.unwrap_or(u64::MAX);
    let time = if let Seeds::For(time) = seeds { Some(time) } else { None };
    let mut guide = Guide::new(plan, topology);
    let missed: BTreeSet<Reached> = guide.pairs.iter().map(|(pair, _)| pair.clone()).collect();
    let mut explored = Explored { first, pairs: missed.len(), missed, ..Explored::default() };
    let mut error = None;
    let mut done = 0;
    while done < most {
        let round: Vec<Task> = (done..most.min(done.saturating_add(ROUND)))
            .map(|number| {
                let seed = first.wrapping_add(number);
                let is_guided = guided && number >= ROUND && number % 2 == 1;
                if is_guided { guide.task(seed, &explored) } else { Task { seed, forced: Vec::new() } }
            })
            .collect();
        done += round.len() as u64;
        let run = |Task { seed, forced }: &Task| {
            let plan = plan.forced(forced);
            let tried = run::run(&plan, topology, &run::seeded(&plan, *seed), code_cache);
            tried.map(|tried| Tried { forced: forced.clone(), ..tried })
        };
        let taken = in_order(&round, jobs, run, |task, tried| {
            let tried = match tried {
                Ok(tried) => tried,
                Err(why) => {
                    error = Some(why);
                    return ControlFlow::Break(());
                }
            };
            let is_new = explored.add(&tried);
            guide.saw(task, &tried, is_new);
            tell(&tried);
            let fails = !tried.broken.is_empty();
            if fails {
                explored.failure = Some(tried);
            }
            if fails || time.is_some_and(|time| begun.elapsed() >= time) {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        if taken.is_break() {
            break;
        }
    }
    error.map_or(Ok(explored), Err)
}

/// The first seed, and how many runs there are at most; none where time ends it.
pub(super) fn range(plan: &Plan, seeds: Seeds) -> (u64, Option<u64>) {
    match seeds {
        Seeds::AsWritten => match plan.seed {
            Some(seed) => (seed, Some(plan.seeds.unwrap_or(1))),
            None => (1, Some(plan.seeds.unwrap_or(SEEDS))),
        },
        Seeds::One(seed) => (seed, Some(1)),
        Seeds::Many(most) => (1, Some(most)),
        Seeds::For(_) => (1, None),
    }
}

/// What decides which faults are forced.
struct Guide {
    /// Each fault that the file has by rate, at each service that it is about, as one that is forced.
    pairs: Vec<(Reached, Fault)>,
    /// The most turns that a service had in a run.
    turns: BTreeMap<String, u64>,
    /// The runs that reached something new after the first round.
    parents: Vec<(u64, Vec<Fault>)>,
    runs: u64,
    /// Which pair is next.
    next: usize,
}

impl Guide {
    fn new(plan: &Plan, topology: &Topology) -> Self {
        let services: BTreeSet<String> =
            topology.services().map(|node| service(node.address.as_str()).to_owned()).collect();
        let mut pairs: Vec<(Reached, Fault)> = Vec::new();
        for fault in plan.faults.iter().filter(|fault| fault.rate.is_some_and(|rate| rate > 0.0)) {
            let moments: Vec<Option<Moment>> = match (fault.kind, fault.at) {
                (FaultKind::Crash, None) => [Moment::Before, Moment::During, Moment::After].map(Some).into(),
                (FaultKind::Crash, at) => vec![at],
                // They go by writes of the host, and are of no service.
                (kind, _) if kind.is_of_the_disk() => Vec::new(),
                // They go by requests to others.
                (kind, _) if kind.is_of_peers() => Vec::new(),
                _ => vec![None],
            };
            let place = fault.service.as_deref();
            for at in services.iter().filter(|at| place.is_none_or(|place| service(place) == at.as_str())) {
                for moment in &moments {
                    let what =
                        moment.map_or_else(|| fault.kind.to_string(), |moment| format!("{} {moment}", fault.kind));
                    let pair = Reached { what, at: at.clone() };
                    let forced =
                        Fault { at: *moment, service: Some(place.unwrap_or(at).to_owned()), ..Fault::new(fault.kind) };
                    if !pairs.iter().any(|(known, _)| *known == pair) {
                        pairs.push((pair, forced));
                    }
                }
            }
        }
        Self { pairs, turns: BTreeMap::new(), parents: Vec::new(), runs: 0, next: 0 }
    }

    /// A run is over.
    fn saw(&mut self, task: &Task, tried: &Tried, is_new: bool) {
        self.runs += 1;
        for (service, turns) in &tried.turns_of {
            let most = self.turns.entry(service.clone()).or_default();
            *most = (*most).max(*turns);
        }
        if is_new && self.runs > ROUND {
            self.parents.push((task.seed, task.forced.clone()));
        }
    }

    /// A run of that seed with a fault that has not come yet; where all came that can, one of a run that was of use,
    /// with one more fault.
    fn task(&mut self, seed: u64, explored: &Explored) -> Task {
        let draw = Seeded::new(seed);
        let can_come = |(_, fault): &&(Reached, Fault)| self.most(fault) > 0;
        let missed: Vec<&(Reached, Fault)> =
            self.pairs.iter().filter(|(pair, _)| explored.missed.contains(pair)).filter(can_come).collect();
        if let Some((_, fault)) = missed.get(self.next % missed.len().max(1)) {
            let forced = vec![self.at_some_turn(fault, &draw)];
            self.next += 1;
            return Task { seed, forced };
        }
        let pairs: Vec<&(Reached, Fault)> = self.pairs.iter().filter(can_come).collect();
        let one = |count: usize| usize::try_from(draw.below(count as u64)).unwrap_or_default();
        let Some((_, fault)) = pairs.get(one(pairs.len())) else { return Task { seed, forced: Vec::new() } };
        let parent = self.parents.get(one(self.parents.len())).filter(|(_, forced)| forced.len() < MOST_FORCED);
        let (seed, mut forced) = parent.cloned().unwrap_or((seed, Vec::new()));
        forced.push(self.at_some_turn(fault, &draw));
        Task { seed, forced }
    }

    fn most(&self, fault: &Fault) -> u64 {
        fault.service.as_deref().and_then(|place| self.turns.get(service(place))).copied().unwrap_or_default()
    }

    fn at_some_turn(&self, fault: &Fault, draw: &Seeded) -> Fault {
        // An actor is seldom more than a few times in a moment outside of its turns.
        let is_of_turns = fault.at.is_none_or(Moment::is_of_turns);
        let most = if is_of_turns { self.most(fault) } else { 3 };
        Fault { nth: Some(1 + draw.below(most)), ..fault.clone() }
    }
}

impl Plan {
    /// The plan with these faults forced. They count as those that come by rate.
    pub(super) fn forced(&self, forced: &[Fault]) -> Self {
        let mut plan = self.clone();
        for one in forced {
            let rule = plan
                .faults
                .iter_mut()
                .find(|rule| rule.rate.is_some() && rule.kind == one.kind && rule.count.is_some());
            if let Some(count) = rule.and_then(|rule| rule.count.as_mut()) {
                *count = count.saturating_sub(1);
            }
        }
        plan.faults.retain(|fault| fault.count != Some(0));
        plan.faults.extend(forced.iter().cloned());
        plan
    }
}

fn service(address: &str) -> &str {
    address.split('/').next().unwrap_or(address)
}
