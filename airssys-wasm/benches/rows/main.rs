//! What the host costs, beside what it stands on: each row is measured together with its floor, which is written by
//! hand with plain wasmtime and plain ractor, from the same component, on the same kind of pool.
//!
//! `cargo xtask bench` runs it. Rounds of host and floor alternate, so that both see the same machine; what is told is
//! the median, and the spread over the rounds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that cannot go on says so by panicking"
)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it prints its rows")]

mod ask;
mod audit;
mod child;
mod command;
mod decide;
mod durable;
mod erlang;
mod files;
mod fixed;
mod floor;
mod fused;
mod host;
mod http;
mod languages;
mod layers;
mod log;
mod many;
mod measure;
mod memory;
mod recording;
mod relay;
mod report;
mod seeded;
mod serve;
mod spawn;
mod swap;
mod tell;
mod throughput;
mod trap;
mod typed;

use std::path::PathBuf;
use std::pin::Pin;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use airssys_wasm::command::Lane;
use tempfile::TempDir;

use crate::report::Row;

/// Whether this is built without optimisation. Figures mean nothing then: all is done once, and as little of it as can
/// be, so that what does not work is seen. `cargo xtask test` does that.
const SMOKE: bool = cfg!(debug_assertions);

/// How often something is done in a round, or how much of it there is, where so much is measured.
const fn times(measured: usize) -> usize {
    if SMOKE { measured.div_ceil(1_000) } else { measured }
}

/// The workers of every tokio runtime here.
const WORKERS: usize = 2;
/// Without it a trap costs a symbolised backtrace of the host's own stack, in both worlds.
const NO_BACKTRACE: &str = "RUST_LIB_BACKTRACE";
/// Where the guests are, in a clone: what `cargo xtask guests` built.
const GUESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/guests/target/airssys");

/// What is to be measured, and how.
#[derive(Debug, Clone)]
struct Bench {
    /// The folder of the guests.
    guests: PathBuf,
    /// The folder of those that are described in another way.
    releases: Arc<TempDir>,
    /// Rounds that count.
    rounds: usize,
    /// How many instances each pool holds; none: as many as the kernel's mappings allow. A pool takes mappings for all
    /// its stacks when it is made, and a row here has up to three pools in one process.
    max_instances: Option<usize>,
    /// Measure one side only, for a profiler to look at.
    only: Option<Side>,
}

/// Which side of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Ours,
    Floor,
}

impl Bench {
    fn guest(&self, name: &str) -> PathBuf {
        let file = self.guests.join(format!("{name}.wasm"));
        assert!(file.is_file(), "there is no {}; hint: cargo xtask guests builds it", file.display());
        file
    }

    /// A release of a guest whose turns run in this lane.
    fn release(&self, guest: &str, lane: Lane) -> PathBuf {
        let built = self.guest(guest);
        // None of the guests has a manifest of its own.
        let (lane, requests) = match (lane, guest) {
            (Lane::Async, "relay") => ("async", "[requests]\ncall = [\"echo\"]\n"),
            (Lane::Async, _) => return built,
            (Lane::Sync, _) => ("sync", ""),
        };
        let release = self.releases.path().join(format!("{guest}-{lane}.wasm"));
        let manifest = format!("name = \"{guest}\"\nversion = \"0.1.0\"\nlane = \"{lane}\"\n{requests}");
        std::fs::write(release.with_extension("toml"), manifest).expect("written");
        std::fs::copy(built, &release).expect("copied");
        release
    }
}

type Measured<'a> = Pin<Box<dyn Future<Output = Vec<Row>> + 'a>>;

/// A group of rows that are measured together.
struct Group {
    /// What its rows' names begin with.
    name: &'static str,
    measure: for<'a> fn(&'a Bench) -> Measured<'a>,
}

const GROUPS: &[Group] = &[
    Group { name: "tell/async", measure: |bench| Box::pin(tell::rows(bench, Lane::Async)) },
    Group { name: "tell/sync", measure: |bench| Box::pin(tell::rows(bench, Lane::Sync)) },
    Group { name: "ask/async", measure: |bench| Box::pin(ask::rows(bench, Lane::Async)) },
    Group { name: "ask/sync", measure: |bench| Box::pin(ask::rows(bench, Lane::Sync)) },
    Group { name: "relay", measure: |bench| Box::pin(relay::rows(bench)) },
    Group { name: "typed", measure: |bench| Box::pin(typed::rows(bench)) },
    Group { name: "typed/fused", measure: |bench| Box::pin(fused::rows(bench)) },
    Group { name: "command", measure: |bench| Box::pin(command::rows(bench)) },
    Group { name: "file/read", measure: |bench| Box::pin(files::rows(bench)) },
    Group { name: "languages", measure: |bench| Box::pin(languages::rows(bench)) },
    Group { name: "http", measure: |bench| Box::pin(http::rows(bench)) },
    Group { name: "spawn/async", measure: |bench| Box::pin(spawn::rows(bench, Lane::Async)) },
    Group { name: "spawn/sync", measure: |bench| Box::pin(spawn::rows(bench, Lane::Sync)) },
    Group { name: "trap/async", measure: |bench| Box::pin(trap::rows(bench, Lane::Async)) },
    Group { name: "trap/sync", measure: |bench| Box::pin(trap::rows(bench, Lane::Sync)) },
    Group { name: "swap", measure: |bench| Box::pin(swap::rows(bench)) },
    Group { name: "serve", measure: |bench| Box::pin(serve::rows(bench)) },
    Group { name: "decide", measure: |bench| Box::pin(decide::rows(bench)) },
    Group { name: "audit", measure: |bench| Box::pin(audit::rows(bench)) },
    Group { name: "log", measure: |bench| Box::pin(log::rows(bench)) },
    Group { name: "layer", measure: |bench| Box::pin(layers::component(bench)) },
    Group { name: "layers", measure: |bench| Box::pin(layers::built_in(bench)) },
    Group { name: "recording", measure: |bench| Box::pin(recording::rows(bench)) },
    Group { name: "replay", measure: |bench| Box::pin(recording::replays(bench)) },
    Group { name: "durable", measure: |bench| Box::pin(durable::rows(bench)) },
    Group { name: "memory/async", measure: |bench| Box::pin(memory::rows(bench, Lane::Async)) },
    Group { name: "memory/sync", measure: |bench| Box::pin(memory::rows(bench, Lane::Sync)) },
    Group { name: "many/async", measure: |bench| Box::pin(many::rows(bench, Lane::Async)) },
    Group { name: "many/sync", measure: |bench| Box::pin(many::rows(bench, Lane::Sync)) },
    Group { name: "throughput/async", measure: |bench| Box::pin(throughput::rows(bench, Lane::Async)) },
    Group { name: "throughput/sync", measure: |bench| Box::pin(throughput::rows(bench, Lane::Sync)) },
    // The last: see there.
    Group { name: "seeded", measure: |bench| Box::pin(seeded::rows(bench)) },
];

/// The command line.
struct Args {
    bench: Bench,
    names: Vec<String>,
    json: Option<PathBuf>,
    check: bool,
    child: Option<Vec<String>>,
}

fn args() -> Args {
    let mut args = Args {
        bench: Bench {
            guests: GUESTS.into(),
            releases: Arc::new(tempfile::tempdir().expect("a folder")),
            rounds: if SMOKE { 1 } else { 11 },
            max_instances: Some(1_000),
            only: None,
        },
        names: Vec::new(),
        json: None,
        check: false,
        child: None,
    };
    let mut given = std::env::args().skip(1);
    while let Some(arg) = given.next() {
        let mut value = |what: &str| given.next().unwrap_or_else(|| panic!("{arg} wants {what}"));
        match arg.as_str() {
            // cargo says it to every bench.
            "--bench" => {}
            "--json" => args.json = Some(value("a file").into()),
            "--guests" => args.bench.guests = value("a folder").into(),
            "--rounds" => args.bench.rounds = value("a number").parse().expect("--rounds wants a number"),
            "--only" => {
                args.bench.only = match value("ours or floor").as_str() {
                    "ours" => Some(Side::Ours),
                    "floor" => Some(Side::Floor),
                    other => panic!("--only {other}: it is ours or floor"),
                }
            }
            "--check" => args.check = true,
            "--child" => args.child = Some(given.by_ref().collect()),
            option if option.starts_with('-') => panic!("{option} is not known"),
            name => args.names.push(name.to_owned()),
        }
    }
    args
}

fn main() -> ExitCode {
    if std::env::var_os(NO_BACKTRACE).is_none_or(|set| set != "0") {
        return again_without_backtrace();
    }
    let args = args();
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .expect("a tokio runtime");
    if let Some(child) = args.child {
        // It has a process of its own, and one pool in it.
        tokio.block_on(child::run(&Bench { max_instances: Some(many::ACTORS), ..args.bench }, &child));
        return ExitCode::SUCCESS;
    }
    let rows = tokio.block_on(measure(&args.bench, &args.names));
    if rows.is_empty() {
        eprintln!("no row is called {}", args.names.join(" or "));
        return ExitCode::FAILURE;
    }
    if SMOKE {
        eprintln!("{} rows ran; without optimisation their figures mean nothing", rows.len());
        return ExitCode::SUCCESS;
    }
    report::print(&rows);
    eprintln!("WASI 0.3 is {}", if cfg!(feature = "wasi-0-3") { "compiled in" } else { "not compiled in" });
    if let Some(file) = args.json {
        std::fs::write(&file, report::json(&rows))
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", file.display()));
    }
    let missed = rows.iter().any(Row::misses);
    if missed && args.check { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

async fn measure(bench: &Bench, names: &[String]) -> Vec<Row> {
    let wanted = |row: &str| names.is_empty() || names.iter().any(|name| row.starts_with(name.as_str()));
    // A name may be a group's beginning, or go on after it.
    let concerned = |group: &str| wanted(group) || names.iter().any(|name| name.starts_with(group));
    let mut rows = Vec::new();
    for group in GROUPS.iter().filter(|group| concerned(group.name)) {
        eprintln!("{} ...", group.name);
        rows.extend((group.measure)(bench).await.into_iter().filter(|row| wanted(&row.name)));
        // What a group's engines had of the kernel's mappings is given back when the last task lets go of them, a
        // moment after their mesh has stopped. Pools of the next group are no larger than what is left.
        tokio::time::sleep(Duration::from_millis(times(1_000) as u64)).await;
    }
    rows
}

/// The lane's name in those of rows.
fn lane_name(lane: Lane) -> &'static str {
    match lane {
        Lane::Async => "async",
        Lane::Sync => "sync",
    }
}

fn again_without_backtrace() -> ExitCode {
    let status = Command::new(std::env::current_exe().expect("the own binary"))
        .args(std::env::args_os().skip(1))
        .env(NO_BACKTRACE, "0")
        .status()
        .expect("the own binary runs");
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}
