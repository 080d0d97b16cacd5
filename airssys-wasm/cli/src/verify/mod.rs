//! `airssys verify`: a release is held against turns that were recorded, without a host.

use std::path::{Path, PathBuf};

use airssys_wasm::command::{Comparison, Recording, Reference, recorded_release, verify_release};
use airssys_wasm::deploy::{Deviation, RecordedGate};
use airssys_wasm::registry::{Release, Store};

use crate::ask::deploy::way;
use crate::capsules::CapsuleCommandError;
use crate::explain::note;
use crate::output::{self, CacheArgs, DataArgs, Problem, count};

/// Holds a release against turns that were recorded, and says over which message it first does something else.
///
/// Each recorded message is handled again by this release, on the state that there was, with what the host and others
/// answered then; nothing that it asks for gets out, and no host runs. It ends with 0 where it does the same, with 1
/// where not, and with 2 where nothing can be compared. `airssys capsules record` makes a recording.
///
/// Where the release that was recorded is at hand, turns that this does not do again either are left out: they rest on
/// what is not recorded.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  airssys verify target/airssys/till.wasm --against till.recording\n  airssys verify till@1.1.0 --against till.recording --allow answers,errors --json"
)]
pub(crate) struct Args {
    /// A published release, or the file or folder of one.
    #[arg(value_name = "NAME@VERSION|FILE|FOLDER")]
    release: String,
    /// The recording.
    #[arg(long, value_name = "RECORDING")]
    against: PathBuf,
    /// Compare the last N turns alone.
    #[arg(long, value_name = "N")]
    last: Option<usize>,
    /// In which ways it may differ: `answers`, `effects` (what it asks of others), `state` (what it writes), `errors`
    /// (that it fails, or does not). A crash is never let through. How long it takes is not looked at here.
    #[arg(long, value_name = "WAY,...", value_parser = way, value_delimiter = ',')]
    allow: Vec<Deviation>,
    /// The component that was recorded, or the folder of its release; by default what the data folder has of it, where
    /// it has that.
    #[arg(long, value_name = "FILE")]
    recorded: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    cache: CacheArgs,
    /// Print what came of it as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), CapsuleCommandError> {
    let recording = Recording::read(&args.against)?;
    let next = find(&args.release, args.data.folder())?;
    let before = match recorded_release(&recording, args.data.folder(), args.recorded.as_deref()) {
        Ok(release) => Some(release),
        Err(error) if args.recorded.is_some() => return Err(error.into()),
        // It says more with it, and something without.
        Err(_) => None,
    };
    if before.is_none() {
        note(&format!("note: {} is not here, so nobody knows which turns it would do again", recording.release));
    }
    let gate = RecordedGate { turns: args.last, allow: args.allow.clone() };
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Problem::Threads)?;
    let found = threads.block_on(verify_release(recording, next, before, &gate, args.cache.folder()?))?;
    if args.json {
        output::print_json(&found)?;
    } else if found.divergence.is_none() {
        output::print(&text(&found))?;
    }
    match &found.divergence {
        None => Ok(()),
        Some(divergence) => Err(CapsuleCommandError::Diverges(Box::new(divergence.clone()))),
    }
}

fn find(release: &str, data: &Path) -> Result<Release, CapsuleCommandError> {
    if Reference::is_meant(release) {
        return Ok(Store::open(data)?.resolve(release)?);
    }
    Ok(Release::find(Path::new(release))?)
}

fn text(found: &Comparison) -> String {
    let Comparison { service, turns, compared, allowed, skipped, .. } = found;
    let mut text = format!("{service}: as recorded, over {compared} of {}", count(*turns, "turn"));
    if *allowed > 0 {
        text.push_str(&format!("; {allowed} differ in ways that are allowed"));
    }
    for (why, count) in skipped {
        text.push_str(&format!("\n  {count} not compared: {why}"));
    }
    text
}
