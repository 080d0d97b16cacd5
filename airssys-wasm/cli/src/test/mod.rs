//! `airssys test`: tries a tree, seed after seed, until something does not hold.

mod error;
mod junit;
mod markup;
mod progress;
mod report;
mod text;

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use airssys_wasm::trial::{Bounds, Explored, Exploring, Seeds, Shrunk, Trial, Tried};
use serde::Serialize;

use self::error::TestError;
use self::progress::Progress;
use crate::output::{self, CacheArgs};

/// The usual name of a test file.
const USUAL: &str = "airssys.test.toml";

/// Tries a mesh: with crashes, in virtual time, from seeds that can be run again.
///
/// A test file says what is asked of the mesh, what goes wrong meanwhile, and what has to hold afterwards. Each seed is
/// one run of that, on one thread: the same seed is the same run, step by step. It ends at the first run of which
/// something does not hold, makes that one as short as it can, and prints the test file that runs it again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  airssys test --seeds 1000\n  airssys test shop.test.toml --seed 17 --steps")]
pub(crate) struct Args {
    /// The test file, or the folder of an airssys.test.toml.
    #[arg(value_name = "FILE", default_value = USUAL)]
    file: PathBuf,
    /// Runs this seed alone.
    #[arg(long, value_name = "N", conflicts_with_all = ["seeds", "time"], value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: Option<u64>,
    /// How many seeds are run, from 1 on; by default what the file says, or 100.
    #[arg(long, value_name = "N", conflicts_with = "time", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: Option<u64>,
    /// Runs as many as there is time for, such as 10m.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    time: Option<Duration>,
    /// On how many threads; by default one for each processor. What is found does not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Runs what the seeds say alone, and forces no fault that has not come by chance.
    #[arg(long)]
    unguided: bool,
    /// How long a run that fails is made shorter.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "30s")]
    shrink_for: Duration,
    /// Leaves a run that fails as it is.
    #[arg(long, conflicts_with = "shrink_for")]
    no_shrink: bool,
    /// Prints each step of the run.
    #[arg(long, requires = "seed")]
    steps: bool,
    /// Writes what came of it to this file, as JUnit does.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Writes a page with each step of the run that fails, or of the first one, to this file.
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
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
    /// What was left out of the failure; none where that was not tried.
    shrunk: Option<&'a Shrunk>,
    /// The test file that runs the failure again.
    replay: Option<String>,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), TestError> {
    let file = if args.file.is_dir() { args.file.join(USUAL) } else { args.file.clone() };
    let trial = Trial::read(&file)?;
    let cache = args.cache.folder()?;
    let begun = Instant::now();
    let jobs = args.jobs.map_or_else(|| available_parallelism().map_or(1, NonZero::get), usize::from);
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
            let how = Exploring { jobs, guided: !args.unguided, ..seeds.into() };
            let mut progress = Progress::new(args.json, trial.runs(seeds));
            let explored = trial.explore(how, cache.as_deref(), |tried| progress.over(tried));
            progress.end();
            explored?
        }
    };
    let took = begun.elapsed();
    let shrunk = match &explored.failure {
        Some(failure) if !args.no_shrink && !args.steps => {
            let bounds = Bounds { time: args.shrink_for, jobs, ..Bounds::default() };
            let progress = Progress::new(args.json, None);
            let shrunk = trial.shrink(failure, bounds, cache.as_deref(), |shorter| progress.shorter(shorter));
            progress.end();
            shrunk?
        }
        _ => None,
    };
    let whole = || explored.failure.as_ref().map(|failure| trial.again(failure));
    let replay = shrunk.as_ref().map(|shrunk| shrunk.file.clone()).or_else(whole);
    if let Some(junit) = &args.junit {
        let text = junit::of(&file, &explored, took, replay.as_deref());
        std::fs::write(junit, text).map_err(|source| TestError::Written { file: junit.clone(), source })?;
    }
    if let Some(report) = &args.report {
        let text = page(&trial, &file, &explored, shrunk.as_ref(), cache.as_deref())?;
        std::fs::write(report, text).map_err(|source| TestError::Written { file: report.clone(), source })?;
    }
    if args.json {
        output::print_json(&Told { explored: &explored, shrunk: shrunk.as_ref(), replay })?;
    } else {
        output::print(&text::of(&explored, took, shrunk.as_ref(), replay.as_deref()))?;
    }
    match explored.failure {
        None => Ok(()),
        Some(Tried { seed, broken, forced, .. }) => {
            let (what, forced) = (broken.into_iter().next().unwrap_or_default(), !forced.is_empty());
            Err(TestError::Broken { seed, file, forced, what })
        }
    }
}

/// The page of the run that fails, as short as it is; of the first one where none does.
fn page(
    trial: &Trial,
    file: &Path,
    explored: &Explored,
    shrunk: Option<&Shrunk>,
    cache: Option<&Path>,
) -> Result<String, TestError> {
    let written = match (shrunk, &explored.failure) {
        (Some(shrunk), _) => shrunk.file.clone(),
        (None, Some(failure)) => trial.again(failure),
        (None, None) => trial.with_seed(explored.first),
    };
    let seed = explored.failure.as_ref().map_or(explored.first, |failure| failure.seed);
    let folder = file.parent().unwrap_or(Path::new(""));
    let tried = Trial::parse(&written, folder)?.run(seed, cache, true)?;
    let shrunk = shrunk.map(|Shrunk { from, to, runs, .. }| format!("Shrunk from {from} to {to}, in {runs} runs."));
    Ok(report::page(&file.display().to_string(), &tried, shrunk.as_deref(), &written))
}
