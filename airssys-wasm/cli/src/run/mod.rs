//! `airssys run`: a mesh, from its topology to its ordered end.
//!
//! What can be wrong with the arguments is found before anything starts. Then, in this order: start, feed or serve, let
//! what is under way settle, stop the tree, tell what happened. It ends by itself where there is an input; else SIGINT,
//! SIGTERM or the control socket ends it. A second signal ends the process at once. The data folder is held from before
//! the start to the very end.

mod answer;
mod error;
mod feed;
mod gave_up;
mod input;
mod judge;
mod lines;
mod signals;
mod stdout;
mod summary;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use airssys_wasm::command::ApplyPlan;
use airssys_wasm::hint::Coded;
use airssys_wasm::topology::Topology;
use airssys_wasm::{Runtime, RuntimeBuilder, ShutdownReport, command};

use self::answer::Sink;
pub(crate) use self::error::RunError;
use self::feed::{End, Feed};
use self::gave_up::GaveUp;
use self::input::{Input, InputSpec};
pub(crate) use self::signals::{Signals, without_backtraces};
use self::stdout::Stdout;
use self::summary::Summary;
use crate::commands::in_one_line;
use crate::control::{Claim, Control};
use crate::explain::{note, note_lines};
use crate::output::{self, CacheArgs, LogArgs, Problem, TopologyArgs};

/// As many threads at a time for what blocks and has none of its own: the files of guests have, and what the mesh does
/// itself.
const BLOCKING_THREADS: usize = 64;
/// How often it is asked whether the mesh has settled.
const SETTLING: Duration = Duration::from_millis(5);
/// How long threads and tasks that do not end are waited for, when all is told.
pub(crate) const PARTING: Duration = Duration::from_secs(1);

/// Runs a mesh: to the end of an input, or until SIGINT, SIGTERM or `airssys stop`.
///
/// A mesh that serves can be looked at and spoken to meanwhile, by `airssys ps` and its like, through a socket in its
/// data folder. With --input there is such a socket only where --data names the folder.
///
/// The first run in a data folder makes the topology the one in force there. A later one starts with what is in force,
/// also where the file was edited meanwhile: it says what is different, and `airssys apply` brings that in. A service
/// that another release was deployed to starts with that release, also after a crash of the host; the run says so.
///
/// With --input, each line is a call. Lines are sent in their order, several at a time; each answer is printed as it
/// comes, with the number of its line. A line is sent as it is, as bytes, without its end of line. When all are
/// answered and nothing is under way in the mesh any more (timers that are set do not count), the tree is stopped in
/// order, and a summary ends the run. A line that is refused, too long or not answered in time is an error of that line
/// only.
///
/// With --json each answer is a line {"line":N,"ok":ANSWER} or {"line":N,"error":{"code":...,"message":...}}, and the
/// last line is {"summary":{...}}. An answer that is JSON stands there as it is, other text as a string, other bytes as
/// {"line":N,"ok_hex":"..."}.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  airssys run examples/shop/airssys.toml\n  airssys run examples/shop --input gateway=orders.jsonl --json\n  echo hello | airssys run --input echo=-"
)]
pub(crate) struct Args {
    #[command(flatten)]
    topology: TopologyArgs,
    /// Start with the topology as it is written, and forget what was applied and deployed.
    #[arg(long)]
    as_written: bool,
    /// Deny nothing, and learn which grants are needed: they are told at the end, and by `airssys caps learn`.
    /// Everything that a guest asks for is let through and written to the log, so only for a mesh that no stranger can
    /// reach. A service with `learn = false` in the topology is held to its grants as ever.
    #[arg(long)]
    learn: bool,
    /// A program that is asked before each start, apply and deployment whether it may be: it gets the change as JSON
    /// and writes a JSON list of what it has against it. Where it does not, nothing is done.
    #[arg(long, value_name = "PROGRAM")]
    judge: Option<PathBuf>,
    /// A service, or service/key, and the file whose lines it is called with; `-` is stdin.
    #[arg(long, value_name = "SERVICE=FILE")]
    input: Option<InputSpec>,
    /// How long each line waits for its answer, and then the mesh to settle.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = timeout)]
    timeout: Duration,
    /// How many lines are under way at a time.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,
    /// End with 1 where a line had an error or a fault, or where something had to be killed.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    cache: CacheArgs,
    /// Print answers and the summary as JSON lines to stdout.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    log: LogArgs,
}

/// The longest time-out: a year. The clock has an end.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

pub(crate) fn timeout(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| format!("{error}; write it like 5s or 250ms"))?;
    if time > LONGEST { Err("a year is the most".to_owned()) } else { Ok(time) }
}

/// [`timeout`], where none at all makes no sense.
pub(crate) fn some_time(text: &str) -> Result<Duration, String> {
    let least = Duration::from_millis(1);
    let time = timeout(text)?;
    if time < least { Err("1ms is the least".to_owned()) } else { Ok(time) }
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), RunError> {
    without_backtraces();
    let log = args.log.start()?;
    let mut input = args.input.as_ref().map(InputSpec::open).transpose()?;
    let served = args.input.is_none() || args.topology.data.is_given();
    let written = if served { args.topology.read_to_start()? } else { args.topology.read()? };
    let data = args.topology.data.folder();
    let mut builder = Runtime::builder().data_folder(data);
    if let Some(folder) = args.cache.folder()? {
        builder = builder.code_cache(folder);
    }
    if args.learn {
        note("--learn: NOTHING IS DENIED to the services of this mesh, but to those with `learn = false`");
        builder = builder.learn();
    }
    if let Some(program) = &args.judge {
        builder = builder.judge(judge::judge(program.clone()));
    }
    let claim = served.then(|| Claim::take(data)).transpose()?;
    let kept = claim.as_ref().and_then(|_| log.begin(data));
    if claim.is_none() {
        // Another host may have the folder, and what was deployed to that is its own.
        builder = builder.as_written();
    } else if args.as_written {
        command::forget(data, None).map_err(Problem::from)?;
    }
    let topology = match claim {
        Some(_) => in_force(args, written)?,
        None => written,
    };
    if let Some(input) = &mut input {
        input.check_target(&topology)?;
    }
    let threads = threads()?;
    let outcome = threads.block_on(async {
        let keeping = kept.as_ref().map(|keeper| tokio::spawn(keeper.follow(builder.events())));
        let outcome = session(args, builder, &topology, input, claim).await;
        if let Some(keeping) = keeping {
            // The mesh has ended, and so have its events; whoever keeps the last ones is on the way.
            let _kept_or_left = tokio::time::timeout(PARTING, keeping).await;
        }
        outcome
    });
    threads.shutdown_timeout(PARTING);
    // What was said to the very end is in the log before the process is gone.
    drop(kept);
    outcome
}

/// The threads of a host.
pub(crate) fn threads() -> Result<tokio::runtime::Runtime, Problem> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().max_blocking_threads(BLOCKING_THREADS).build().map_err(Problem::Threads)
}

/// The topology that runs: what is in force in the data folder, and where nothing is, what is written. Where the two
/// differ, that is said.
fn in_force(args: &Args, written: Topology) -> Result<Topology, Problem> {
    let data = args.topology.data.folder();
    let Some(found) = command::in_force(data)? else {
        // The first start: from then on an apply or a deployment says so. Of who is denied nothing it is not so.
        if !args.learn {
            ApplyPlan::at_rest(None, &written, false).ungranted.iter().for_each(output::plan::tell_ungranted);
        }
        return Ok(written);
    };
    if let Some(cut_off) = found.cut_off {
        note(&cut_off.to_string());
    }
    if found.topology.name() != written.name() {
        let (in_force, written) = (found.topology.name().to_owned(), written.name().to_owned());
        return Err(Problem::OtherMesh { data: data.to_owned(), in_force, written });
    }
    let differences = ApplyPlan::at_rest(Some(&found.topology), &written, false).differences;
    if differences.is_empty() {
        return Ok(written);
    }
    let file = args.topology.path().display();
    note_lines(&format!(
        "{file} is not what is in force since {}, and what is in force runs; to make it what it says:\n{}bring it in: `airssys apply {file}{}`",
        found.since,
        output::difference::lines(&differences),
        args.topology.data.as_argument()
    ));
    Ok(found.topology)
}

async fn session(
    args: &Args,
    builder: RuntimeBuilder,
    topology: &Topology,
    input: Option<Input>,
    claim: Option<Claim>,
) -> Result<(), RunError> {
    let mut signals = Signals::listen()?;
    let runtime = tokio::select! {
        started = builder.start(topology) => Arc::new(started.map_err(Problem::from)?),
        () = signals.first() => return Err(RunError::NotUp),
    };
    for recovery in runtime.recoveries() {
        note(&in_one_line(recovery, recovery.hint().as_ref()));
    }
    output::damage(&runtime.services()).iter().for_each(|damage| note_lines(damage));
    let open = |claim| Control::open(claim, Arc::clone(&runtime), topology.name(), signals.asker());
    let control = match claim.map(open).transpose() {
        Ok(control) => control,
        Err(error) => {
            runtime.shutdown().await;
            return Err(error.into());
        }
    };
    let begun = Instant::now();
    let mut sink = match Sink::new(args.json) {
        Ok(sink) => sink,
        Err(error) => {
            runtime.shutdown().await;
            return Err(Problem::Output(error).into());
        }
    };
    let mut feed = input.map(|input| Feed::new(&runtime, input, args.timeout, usize::from(args.concurrency)));
    let end = match &mut feed {
        Some(feed) => feed.run(&mut sink, &mut signals).await,
        None => {
            let services = output::count(topology.declared().len(), "service");
            note(&format!(
                "{} is up: {services}; SIGINT (Ctrl-C), SIGTERM or `airssys stop` stops it in order",
                topology.name()
            ));
            serve(&runtime, &mut signals).await
        }
    };
    let took = begun.elapsed();
    if matches!(end, End::Done | End::InputFailed(_)) && !settle(&runtime, args.timeout, &mut signals).await {
        note("something is still under way; what waits becomes dead letters");
    }
    let stopped = runtime.shutdown().await;
    if let Some(control) = &control {
        control.stopped(&stopped).await;
    }
    if let Some(feed) = &mut feed
        && matches!(end, End::Interrupted | End::TreeEnded { .. })
    {
        // The end of the tree answered those that were under way.
        feed.finish(&mut sink).await;
    }
    let summary = Summary::new(topology, &runtime, feed.is_some().then_some(&sink.tally), took, &stopped);
    let told =
        if matches!(end, End::NobodyReads) { Ok(()) } else { tell(args.json, sink.to, &mut signals, &summary).await };
    tell_killed(&stopped);
    if let Some(learned) = runtime.learned() {
        match args.json {
            true => output::print_data(&serde_json::json!({ "learned": learned }).to_string())?,
            false => note_lines(crate::learn::text(&learned, &args.topology.file()).trim_end()),
        }
    }
    verdict(end, feed.is_some(), topology, &runtime)?;
    told?;
    let failed = sink.tally.failed();
    if args.strict && (failed > 0 || !stopped.is_clean()) {
        return Err(RunError::Strict { failed, killed: stopped.killed.len() });
    }
    Ok(())
}

pub(crate) fn tell_killed(stopped: &ShutdownReport) {
    if !stopped.is_clean() {
        note(&format!("had to be killed: {}", stopped.killed.join(", ")));
    }
    if !stopped.unresponsive.is_empty() {
        note(&format!("did not go even then: {}", stopped.unresponsive.join(", ")));
    }
}

async fn serve(runtime: &Runtime, signals: &mut Signals) -> End {
    tokio::select! {
        reason = runtime.ended() => End::TreeEnded { reason: reason.to_string(), normal: reason.is_normal() },
        () = signals.first() => End::Interrupted,
    }
}

/// Waits until nothing is under way in the mesh; false where it did not come to that in time.
async fn settle(runtime: &Runtime, patience: Duration, signals: &mut Signals) -> bool {
    let settled = async {
        loop {
            let looked = Instant::now();
            if runtime.is_quiet() {
                return;
            }
            // A look at a million keys takes its time: most of it is left to the mesh.
            tokio::time::sleep(SETTLING.max(looked.elapsed() * 8)).await;
        }
    };
    tokio::select! {
        settled = tokio::time::timeout(patience, settled) => settled.is_ok(),
        _ended = runtime.ended() => true,
        () = signals.first() => false,
    }
}

async fn tell(json: bool, mut stdout: Stdout, signals: &mut Signals, summary: &Summary) -> Result<(), Problem> {
    if json {
        stdout.line(&serde_json::to_string(&serde_json::json!({ "summary": summary })).map_err(Problem::Json)?);
    }
    stdout.end(signals).await.map_err(Problem::Output)?;
    if !json {
        note_lines(summary.text().trim_end());
    }
    Ok(())
}

/// That the root supervisor gave up, where it did.
pub(crate) fn gave_up(topology: &Topology, runtime: &Runtime) -> Option<RunError> {
    runtime.gave_up().map(|child| RunError::GaveUp(GaveUp::new(topology, child)))
}

/// Whether this was the end that was wanted.
fn verdict(end: End, fed: bool, topology: &Topology, runtime: &Runtime) -> Result<(), RunError> {
    if let Some(gave_up) = gave_up(topology, runtime) {
        return Err(gave_up);
    }
    match end {
        End::Done | End::NobodyReads => Ok(()),
        End::Interrupted if fed => Err(RunError::Interrupted),
        End::Interrupted => Ok(()),
        // Its significant children were done.
        End::TreeEnded { normal: true, .. } if !fed => Ok(()),
        End::TreeEnded { reason, .. } => Err(RunError::EndedEarly { reason }),
        End::InputFailed(error) => Err(error.into()),
        End::OutputFailed(error) => Err(Problem::Output(error).into()),
    }
}
