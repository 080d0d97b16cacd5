//! `airssys replay`: a crash again, on this machine, from its capsule.

mod debug;

use std::path::PathBuf;

use airssys_wasm::command::{Capsule, Replayed, release_of, replay};

use crate::capsules::{CapsuleCommandError, find};
use crate::explain::note;
use crate::output::{self, CacheArgs, DataArgs, LogArgs, Problem, count};

/// Runs what a capsule has again, and says whether it is the same crash.
///
/// An instance of the same release is handed what the one was handed that crashed, and told what that was told by its
/// host: state, clocks, randomness, answers. No mesh runs, and nothing that it asks for gets out. Where it asks for
/// something else than was recorded, both are shown. It ends with 0 where it is the same crash, and with 1 where not.
/// What the guest logs is logged to stderr.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  airssys replay 20260131T120000.000Z-till-0.capsule\n  airssys replay ./till.capsule --release till.wasm --json"
)]
pub(crate) struct Args {
    /// A file, or the name of one in the data folder.
    #[arg(value_name = "CAPSULE")]
    capsule: PathBuf,
    /// The component that crashed, or the folder of its release; by default what the data folder has of it.
    #[arg(long, value_name = "FILE")]
    release: Option<PathBuf>,
    /// Open gdb where the guest crashes, with the functions and lines of its source as far as the component has them.
    ///
    /// The release is compiled anew for that, with nothing optimized away. A component keeps its lines where it was
    /// built with them: for Rust, `debug = true` and `strip = "none"` in the profile. Without them gdb knows the names
    /// of its functions. gdb has to be installed. Where stdin is no terminal it prints the functions that ran and ends.
    #[arg(long, conflicts_with = "json")]
    debug: bool,
    /// What gdb runs.
    #[arg(long, hide = true, value_name = "FOLDER")]
    debugged: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    log: LogArgs,
    /// Print what came of it as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), CapsuleCommandError> {
    let _kept_by_nobody = args.log.start()?;
    let capsule = Capsule::read(&find(&args.capsule, &args.data))?;
    let release = release_of(&capsule, args.data.folder(), args.release.as_deref())?;
    if args.debug && capsule.has_bodies {
        return debug::open(args);
    }
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Problem::Threads)?;
    let replayed = match &args.debugged {
        Some(folder) => threads.block_on(debug::debugged(&capsule, release, folder))?,
        None => threads.block_on(replay(&capsule, release, args.cache.folder()?))?,
    };
    if args.json {
        output::print_json(&replayed)?;
    } else {
        tell(&capsule, &replayed)?;
    }
    match replayed.differs.is_empty() {
        true => Ok(()),
        false => Err(CapsuleCommandError::Differs(replayed.differs.join("; "))),
    }
}

fn tell(capsule: &Capsule, replayed: &Replayed) -> Result<(), Problem> {
    if capsule.lost > 0 {
        note(&format!("note: of the {} before, nothing was kept", count_of(capsule.lost)));
    }
    let Replayed { steps, crash, frames, differs, .. } = replayed;
    let how = if differs.is_empty() { "the same crash" } else { "not the same" };
    let mut text = format!("{how} after {}: {}", count(*steps, "step"), crash.as_deref().unwrap_or("none"));
    frames.iter().for_each(|frame| text.push_str(&format!("\n  in {frame}")));
    output::print(&text)
}

fn count_of(lost: u64) -> String {
    count(usize::try_from(lost).unwrap_or(usize::MAX), "step")
}
