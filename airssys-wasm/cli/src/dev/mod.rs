//! `airssys dev`: a mesh that follows its sources. What is saved is built, and deployed in place; state stays.
//!
//! What does not build, or is refused, is told, and what runs goes on. It decides nothing of its own about releases: it
//! runs `airssys build`, and deploys and applies as those commands do.

mod bring;
mod building;
mod error;
mod sources;
mod watch;
mod workshop;

use std::convert::Infallible;
use std::sync::Arc;

use airssys_wasm::Runtime;
use airssys_wasm::command::{self, ApplyPlan};
use airssys_wasm::hint::Coded;
use airssys_wasm::topology::Topology;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub(crate) use self::error::DevError;
use self::workshop::Workshop;
use crate::commands::in_one_line;
use crate::control::{Claim, Control};
use crate::explain::{self, note, note_lines};
use crate::logs::Keeper;
use crate::output::{self, CacheArgs, LogArgs, Problem, TopologyArgs};
use crate::run::{self, RunError, Signals};

/// Runs a mesh while it is written: builds what is saved, and deploys it in place.
///
/// Each service whose release is the folder of a guest, in any language that `airssys build` knows, is built and
/// started. Then the sources are watched. When a file is saved, the guests that it is a source of are built and take
/// over, with their state kept, whatever their version says. When the topology is saved, it is applied. What does not
/// build is told with its place; what is refused, such as another interface than a caller wants, with what to do. What
/// runs goes on then.
///
/// It is a host like that of `airssys run`: `airssys ps`, `call`, `logs` and the others speak to it, and SIGINT
/// (Ctrl-C), SIGTERM or `airssys stop` stops it in order. It starts with the topology as it is written, and forgets
/// what was applied and deployed in its data folder; durable state stays.
///
/// Guests in Rust are built with a profile of their own, for speed: `airssys build` them before they are published.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  airssys new hello && cd hello && airssys dev\n  airssys dev examples/shop")]
pub(crate) struct Args {
    #[command(flatten)]
    topology: TopologyArgs,
    /// Build as `airssys build` does: slower to build, faster to run.
    #[arg(long)]
    release: bool,
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// The host, as long as there is one.
struct Up {
    runtime: Arc<Runtime>,
    control: Control,
    keeping: Option<JoinHandle<()>>,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), DevError> {
    run::without_backtraces();
    let log = args.log.start()?;
    let topology = args.topology.read_to_start()?;
    let data = args.topology.data.folder();
    let claim = Claim::take(data)?;
    let kept = log.begin(data);
    let threads = run::threads()?;
    let outcome = threads.block_on(session(args, &topology, claim, kept.as_ref()));
    threads.shutdown_timeout(run::PARTING);
    drop(kept);
    outcome
}

async fn session(args: &Args, topology: &Topology, claim: Claim, keeper: Option<&Keeper>) -> Result<(), DevError> {
    let mut signals = Signals::listen()?;
    let asker = signals.asker();
    let mut up = None;
    let outcome = tokio::select! {
        () = signals.first() => Ok(()),
        ended = live(args, topology, (claim, asker), keeper, &mut up) => ended.map(|never| match never {}),
    };
    if let Some(up) = up {
        down(up).await;
    }
    outcome
}

/// Builds, starts, and follows the sources, for ever. A mesh that does not start, or ends by itself, is started again
/// when something was saved.
async fn live(
    args: &Args,
    topology: &Topology,
    (claim, asker): (Claim, Arc<Notify>),
    keeper: Option<&Keeper>,
    up: &mut Option<Up>,
) -> Result<Infallible, DevError> {
    let mut claim = Some(claim);
    let mut workshop = Workshop::new(&args.topology, args.release, topology)?;
    loop {
        workshop.all_built().await?;
        let (runtime, topology, keeping) = match start(args, keeper).await {
            Ok(started) => started,
            Err(error) => {
                explain::print(&error);
                workshop.wait("it is started again").await;
                continue;
            }
        };
        let free = claim.take().map_or_else(|| Claim::take(args.topology.data.folder()), Ok);
        let opened =
            free.and_then(|claim| Control::open(claim, Arc::clone(&runtime), topology.name(), Arc::clone(&asker)));
        let control = match opened {
            Ok(control) => control,
            Err(error) => {
                runtime.shutdown().await;
                return Err(error.into());
            }
        };
        let runtime = &up.insert(Up { runtime, control, keeping }).runtime;
        tell_up(&topology);
        let ended = tokio::select! {
            reason = runtime.ended() => {
                let ended = || RunError::EndedEarly { reason: reason.to_string() };
                run::gave_up(&topology, runtime).unwrap_or_else(ended)
            }
            failed = workshop.follow(runtime) => return failed,
        };
        explain::print(&ended);
        if let Some(up) = up.take() {
            down(up).await;
        }
        workshop.wait("it is started again, without the state that is not durable").await;
    }
}

fn tell_up(topology: &Topology) {
    let (name, services) = (topology.name(), output::count(topology.declared().len(), "service"));
    let stops = "SIGINT (Ctrl-C), SIGTERM or `airssys stop` stops it in order";
    note(&format!("{name} is up: {services}; what is saved is brought in; {stops}"));
}

async fn down(Up { runtime, control, keeping }: Up) {
    let stopped = runtime.shutdown().await;
    control.stopped(&stopped).await;
    run::tell_killed(&stopped);
    if let Some(keeping) = keeping {
        // The mesh has ended, and so have its events; whoever keeps the last ones is on the way.
        let _kept_or_left = tokio::time::timeout(run::PARTING, keeping).await;
    }
}

/// A mesh that is up, its topology, and who keeps its events.
type Started = (Arc<Runtime>, Topology, Option<JoinHandle<()>>);

/// Starts the mesh as its topology is written now.
async fn start(args: &Args, keeper: Option<&Keeper>) -> Result<Started, Problem> {
    let topology = args.topology.read_to_start()?;
    let mut builder = Runtime::builder().data_folder(args.topology.data.folder());
    if let Some(folder) = args.cache.folder()? {
        builder = builder.code_cache(folder);
    }
    // What was in force before is what is written no longer.
    command::forget(args.topology.data.folder(), None)?;
    let keeping = keeper.map(|keeper| tokio::spawn(keeper.follow(builder.events())));
    ApplyPlan::at_rest(None, &topology, false).ungranted.iter().for_each(output::plan::tell_ungranted);
    let runtime = builder.start(&topology).await?;
    for recovery in runtime.recoveries() {
        note(&in_one_line(recovery, recovery.hint().as_ref()));
    }
    output::damage(&runtime.services()).iter().for_each(|damage| note_lines(damage));
    Ok((Arc::new(runtime), topology, keeping))
}
