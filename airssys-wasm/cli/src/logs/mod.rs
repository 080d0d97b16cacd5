//! `airssys logs`: what guests said, and what the host did, from the file that a host keeps in its data folder. No host
//! need run.

pub(crate) mod changes;
mod error;
mod file;
mod keep;
mod read;
mod record;

use std::collections::BTreeSet;

use self::changes::Changes;
use self::error::LogsError;
pub(crate) use self::keep::{Keep, Keeper};
use self::read::{Follow, Line};
use crate::explain::note;
use crate::output::{DataArgs, print_lines};

/// Shows what the guests of a host logged and what the host did with them: starts, crashes, ends, deployments, dead
/// letters, denials.
///
/// The log is kept in the data folder, in two files of 8 MiB at most, and is there also when the host has ended. A line
/// is a time, a level, the service or `(host)`, and what was said. What is logged to stderr is another matter: see
/// `airssys run --log`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  airssys logs\n  airssys logs payments --follow\n  airssys logs payments --tail 20 --json"
)]
pub(crate) struct Args {
    /// Only what is about this service, its actors and its children.
    #[arg(value_name = "SERVICE")]
    service: Option<String>,
    /// Go on with what comes, until it is interrupted.
    #[arg(long, short)]
    follow: bool,
    /// Begin with the last N lines; without it with the first that is there.
    #[arg(long, value_name = "N")]
    tail: Option<usize>,
    /// Print each line as the JSON object that it is in the file.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataArgs,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), LogsError> {
    let mut changes = Changes::of(&file::folder(args.data.folder()));
    let mut follow = Follow::open(args.data.folder(), args.follow)?;
    let mut others = BTreeSet::new();
    let mut shown = Vec::new();
    follow.take(|line| {
        if is_wanted(args, &line) {
            shown.push(text(args, &line));
        } else {
            others.extend(line.record.iter().flat_map(|record| record.guest().map(str::to_owned)));
        }
    })?;
    if let (true, Some(service)) = (shown.is_empty() && !args.follow, &args.service) {
        let others: Vec<String> = others.into_iter().collect();
        let others = if others.is_empty() { "nobody's".to_owned() } else { others.join(", ") };
        note(&format!("nothing is logged about `{service}`; there are lines of: {others}"));
    }
    let begin = args.tail.map_or(0, |tail| shown.len().saturating_sub(tail));
    if !print_lines(&shown[begin..]).map_err(LogsError::Output)? {
        return Ok(());
    }
    if !args.follow {
        return Ok(());
    }
    loop {
        if !changes.wait() {
            return Ok(());
        }
        // Before it is looked: what comes after that is a change.
        changes = Changes::of(&file::folder(args.data.folder()));
        let mut shown = Vec::new();
        follow.take(|line| shown.extend(is_wanted(args, &line).then(|| text(args, &line))))?;
        if !print_lines(&shown).map_err(LogsError::Output)? {
            return Ok(());
        }
    }
}

/// What cannot be read as a record, as after a full disk, is shown to who asks for everything.
fn is_wanted(args: &Args, line: &Line) -> bool {
    match (&args.service, &line.record) {
        (None, _) => true,
        (Some(service), Some(record)) => record.services().any(|about| about == service),
        (Some(_), None) => false,
    }
}

fn text(args: &Args, line: &Line) -> String {
    match &line.record {
        Some(record) if !args.json => record.text(),
        None if !args.json => crate::output::printable(&line.text),
        _ => line.text.clone(),
    }
}
