//! `airssys capsules`: what is left of crashes of services that have a recorder. No host need run.

mod error;

use std::path::{Path, PathBuf};

use airssys_wasm::command::{Capsule, CapsuleError, Recording, Repeats, capsules};
use serde_json::{Value, json};

pub(crate) use self::error::CapsuleCommandError;
use crate::control;
use crate::control::protocol::{Recorded, Request};
use crate::output::{self, DataArgs, Problem};

/// Shows what is left of crashes.
///
/// Each crash of a service that has a `recorder` in the topology leaves a capsule in the folder `capsules` of the data
/// folder: what the instance was handed since it began, all that it asked of the host and was told, and how it ended.
/// No host need run to read it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  airssys capsules list\n  airssys capsules show 20260131T120000.000Z-till-0.capsule"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(ListArgs),
    Show(ShowArgs),
    Record(RecordArgs),
}

/// Lists the capsules of a data folder, the oldest first.
///
/// A crash that came again, with the same release, function and message, is listed once, with how often and when it was
/// there last. One that is damaged is listed with what is wrong with it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  airssys capsules list\n  airssys capsules list --data /var/lib/shop --json")]
struct ListArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Print them as JSON.
    #[arg(long)]
    json: bool,
}

/// Shows a capsule: who crashed over what, and what it had asked before. Of a recording, its turns.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  airssys capsules show 20260131T120000.000Z-till-0.capsule\n  airssys capsules show ./till.capsule --json"
)]
struct ShowArgs {
    /// A file, also that of a recording, or the name of a capsule in the data folder.
    #[arg(value_name = "CAPSULE")]
    capsule: PathBuf,
    #[command(flatten)]
    data: DataArgs,
    /// Print all of it as JSON.
    #[arg(long)]
    json: bool,
}

/// Writes the turns that the recorder of a service has to a file.
///
/// It is what `airssys verify` holds a release against, and `airssys rewind` looks at: of each actor that is awake the
/// turns since it began that are kept, with what it asked, what it was told and what came of it, and the states before
/// the first of them. Values that are secret are hidden in it, and it is for its owner only.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  airssys capsules record till --out till.recording")]
struct RecordArgs {
    /// The service, of a running host.
    #[arg(value_name = "SERVICE")]
    service: String,
    /// The file.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    data: DataArgs,
    /// Print what was written as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), CapsuleCommandError> {
    match &args.command {
        Command::List(args) => list(args),
        Command::Show(args) => show(args),
        Command::Record(args) => record(args),
    }
}

/// The file of a capsule: one that is there by its path, or else by its name in the data folder.
pub(crate) fn find(named: &Path, data: &DataArgs) -> PathBuf {
    let kept = data.folder().join("capsules").join(named);
    if !named.exists() && kept.exists() { kept } else { named.to_owned() }
}

fn list(args: &ListArgs) -> Result<(), CapsuleCommandError> {
    let head = ["capsule", "actor", "release", "times", "last", "crash"].map(str::to_owned).to_vec();
    let (mut rows, mut all) = (vec![head], Vec::new());
    for path in capsules(args.data.folder())? {
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        match Capsule::read(&path) {
            Ok(capsule) => {
                let Capsule { at, actor, release, sha256, code, text, .. } = &capsule;
                let repeats = Repeats::of(&path);
                let count = repeats.as_ref().map_or(1, |repeats| repeats.count);
                let last = repeats.map_or_else(|| at.clone(), |repeats| repeats.last);
                all.push(json!({ "capsule": name, "path": path, "at": at, "actor": actor, "release": release,
                                 "sha256": sha256, "code": code, "text": text, "count": count, "last": last }));
                rows.push(vec![name, actor.clone(), release.clone(), count.to_string(), last, text.clone()]);
            }
            Err(error) => {
                all.push(json!({ "capsule": name, "path": path, "error": error.to_string() }));
                rows.push(vec![name, String::new(), String::new(), String::new(), String::new(), error.to_string()]);
            }
        }
    }
    match (args.json, rows.len()) {
        (true, _) => output::print_json(&all)?,
        (false, 1) => output::print("no capsules")?,
        (false, _) => output::print(output::table(&rows).trim_end())?,
    }
    Ok(())
}

fn record(args: &RecordArgs) -> Result<(), CapsuleCommandError> {
    // The host has a current folder of its own.
    let out = std::path::absolute(&args.out).unwrap_or_else(|_| args.out.clone());
    let request = Request::Record { service: args.service.clone(), out };
    let recorded: Recorded = control::ask(args.data.folder(), &request)?;
    if args.json {
        return Ok(output::print_json(&recorded)?);
    }
    let Recorded { service, release, turns, actors, .. } = recorded;
    let (turns, actors) = (output::count(turns, "turn"), output::count(actors, "actor"));
    Ok(output::print(&format!("{service}: {turns} of {actors} of {release} in {}", args.out.display()))?)
}

fn show(args: &ShowArgs) -> Result<(), CapsuleCommandError> {
    let path = find(&args.capsule, &args.data);
    match Recording::read(&path) {
        Ok(recording) => return show_recording(args, &recording),
        Err(CapsuleError::Other { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let capsule = Capsule::read(&path)?;
    let repeats = Repeats::of(&path);
    if args.json {
        let all: Value = capsule.value().map_err(Problem::Json)?;
        return Ok(output::print_json(&all)?);
    }
    let again = match repeats.filter(|repeats| repeats.count > 1) {
        Some(Repeats { count, first, last, .. }) => {
            format!("\nit came {count} times: first at {first}, last at {last}")
        }
        None => String::new(),
    };
    Ok(output::print(&(text(&capsule) + &again))?)
}

fn show_recording(args: &ShowArgs, recording: &Recording) -> Result<(), CapsuleCommandError> {
    if args.json {
        let all: Value = recording.value().map_err(Problem::Json)?;
        return Ok(output::print_json(&all)?);
    }
    let Recording { at, service, release, sha256, .. } = recording;
    let mut lines = vec![format!("{service}, recorded until {at}"), format!("  release {release}, SHA-256 {sha256}")];
    for ((actor, turns), (_, _, lost)) in recording.told().into_iter().zip(recording.actors()) {
        let before = if lost > 0 { format!(", after {lost} that were not kept") } else { String::new() };
        lines.push(format!("{actor} did{before}:"));
        lines.extend(turns.into_iter().map(|turn| format!("  {turn}")));
    }
    Ok(output::print(&lines.join("\n"))?)
}

fn text(capsule: &Capsule) -> String {
    let Capsule { at, actor, key, release, sha256, text: crash, frames, state, lost, tree, steps_told, .. } = capsule;
    let mut lines = vec![format!("{actor} crashed at {at}: {crash}"), format!("  release {release}, SHA-256 {sha256}")];
    lines.extend(key.iter().map(|key| format!("  key {key}")));
    lines.extend(frames.iter().map(|frame| format!("  in {frame}")));
    if *lost > 0 {
        lines.push(format!("  {} before those below were not kept", output::count(count(*lost), "step")));
    }
    if !capsule.has_bodies {
        lines.push("  bodies are left out, and so it cannot be replayed".to_owned());
    }
    lines.push("what it did:".to_owned());
    lines.extend(steps_told.iter().map(|step| format!("  {step}")));
    if let Some(state) = state.as_ref().filter(|state| !state.is_empty()) {
        lines.push("the state before:".to_owned());
        lines.extend(state.iter().map(|(key, value)| format!("  {key} = {value}")));
    }
    if let Some(tree) = tree.as_ref().filter(|tree| !tree.is_empty()) {
        lines.push("the tree right after:".to_owned());
        lines.extend(tree.lines().map(|line| format!("  {line}")));
    }
    lines.join("\n")
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
