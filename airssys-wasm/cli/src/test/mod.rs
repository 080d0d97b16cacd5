//! `airssys test`: tries a tree, seed after seed, until something does not hold.

mod error;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use airssys_wasm::trial::{Explored, Seeds, Trial, Tried};
use serde::Serialize;

use self::error::TestError;
use crate::output::{self, CacheArgs};

/// The usual name of a test file.
const USUAL: &str = "airssys.test.toml";

/// Tries a mesh: with crashes, in virtual time, from seeds that can be run again.
///
/// A test file says what is asked of the mesh, what goes wrong meanwhile, and what has to hold afterwards. Each seed is
/// one run of that, on one thread: the same seed is the same run, step by step. It ends at the first run of which
/// something does not hold, and prints the test file that runs it again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  airssys test --seeds 1000\n  airssys test shop.test.toml --seed 17 --steps")]
pub(crate) struct Args {
    /// The test file, or the folder of an airssys.test.toml.
    #[arg(value_name = "FILE", default_value = USUAL)]
    file: PathBuf,
    /// Runs this seed alone.
    #[arg(long, value_name = "N", conflicts_with_all = ["seeds", "time"])]
    seed: Option<u64>,
    /// How many seeds are run, from 1 on; by default what the file says, or 100.
    #[arg(long, value_name = "N", conflicts_with = "time", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: Option<u64>,
    /// Runs as many as there is time for, such as 10m.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    time: Option<Duration>,
    /// Prints each step of the run.
    #[arg(long, requires = "seed")]
    steps: bool,
    /// Prints what came of it as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cache: CacheArgs,
}

/// What came of it, for programs.
#[derive(Debug, Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    explored: &'a Explored,
    /// The test file that runs the failure again.
    replay: Option<String>,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), TestError> {
    let file = if args.file.is_dir() { args.file.join(USUAL) } else { args.file.clone() };
    let trial = Trial::read(&file)?;
    let cache = args.cache.folder()?;
    let begun = Instant::now();
    let explored = match (args.seed, args.steps) {
        (Some(seed), true) => {
            let tried = trial.run(seed, cache.as_deref(), true)?;
            if !args.json {
                output::print(&tried.steps.join("\n"))?;
            }
            Explored::of(tried)
        }
        _ => {
            let seeds = match (args.seed, args.seeds, args.time) {
                (Some(seed), ..) => Seeds::One(seed),
                (None, Some(many), _) => Seeds::Many(many),
                (None, None, Some(time)) => Seeds::For(time),
                (None, None, None) => Seeds::AsWritten,
            };
            let mut progress = Progress::new(args.json);
            let explored = trial.explore(seeds, cache.as_deref(), |tried| progress.over(tried));
            progress.end();
            explored?
        }
    };
    let replay = explored.failure.as_ref().map(|failure| trial.with_seed(failure.seed));
    if args.json {
        output::print_json(&Told { explored: &explored, replay: replay.clone() })?;
    } else {
        output::print(&text(&explored, begun.elapsed(), replay.as_deref()))?;
    }
    match explored.failure {
        None => Ok(()),
        Some(Tried { seed, broken, .. }) => {
            Err(TestError::Broken { seed, file, what: broken.into_iter().next().unwrap_or_default() })
        }
    }
}

fn text(
    Explored { runs, turns, faults, acts, digest, failure, .. }: &Explored,
    took: Duration,
    replay: Option<&str>,
) -> String {
    let seconds = took.as_secs_f64().max(0.001);
    let rate = (*turns as f64 / seconds) as u64;
    let injected: u64 = faults.values().sum();
    let mut text = format!(
        "{}, {}, {rate} turns a second, {}",
        output::count(usize::try_from(*runs).unwrap_or(usize::MAX), "run"),
        output::count(usize::try_from(*turns).unwrap_or(usize::MAX), "turn"),
        output::count(usize::try_from(injected).unwrap_or(usize::MAX), "fault"),
    );
    for (fault, times) in faults {
        text.push_str(&format!("\n  {times} x {fault}"));
    }
    for (act, times) in acts {
        text.push_str(&format!("\n  {times} x {act}"));
    }
    let Some(failure) = failure else {
        text.push_str(&format!("\nall that has to hold did; the digest is {digest}"));
        return text;
    };
    text.push_str(&format!("\nseed {} does not hold, with the digest {}:", failure.seed, failure.digest));
    for broken in &failure.broken {
        text.push_str(&format!("\n  {broken}"));
    }
    if let Some(replay) = replay {
        text.push_str(&format!("\nthis test file runs it again:\n\n{}", replay.trim_end()));
    }
    text
}

/// A line that says how far it is, where somebody looks at it.
struct Progress {
    bar: Option<indicatif::ProgressBar>,
    runs: u64,
    turns: u64,
}

impl Progress {
    fn new(quiet: bool) -> Self {
        let shows = !quiet && std::io::stderr().is_terminal();
        Self { bar: shows.then(indicatif::ProgressBar::new_spinner), runs: 0, turns: 0 }
    }

    fn over(&mut self, tried: &Tried) {
        self.runs += 1;
        self.turns += tried.turns;
        if let Some(bar) = &self.bar {
            bar.set_message(format!("seed {}, {} runs, {} turns", tried.seed, self.runs, self.turns));
            bar.tick();
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
