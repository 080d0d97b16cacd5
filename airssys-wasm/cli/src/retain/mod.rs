//! `airssys retain`: keeps the newest releases, and removes the others.

use std::time::Duration;

use airssys_wasm::command;
use semver::Version;
use serde::Serialize;

use crate::explain::note;
use crate::output::{self, DataArgs, Problem, ReleaseLine};

/// Removes old releases: of each name the newest versions stay, those that were published lately, and those that a
/// running mesh uses, or that the next one in this data folder starts with or can go back to.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  airssys retain --keep 5 --keep-for 30d")]
pub(crate) struct Args {
    /// How many versions of each name stay, the newest.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep: u32,
    /// How long after its publication a release stays in any case.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = time)]
    keep_for: Duration,
    #[command(flatten)]
    data: DataArgs,
    /// Print what was removed as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    removed: Vec<ReleaseLine>,
}

fn time(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write it like 30d or 12h"))
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), Problem> {
    let keep = usize::try_from(args.keep).unwrap_or(usize::MAX);
    let needed = command::needed(args.data.folder())?;
    let in_use = |name: &str, version: &Version| needed.contains(&format!("{name}@{version}"));
    let records = args.data.store()?.retention(keep, args.keep_for, in_use)?;
    let removed: Vec<ReleaseLine> = records.iter().map(ReleaseLine::new).collect();
    if args.json {
        return output::print_json(&Report { removed });
    }
    note(&format!("removed {}", output::count(removed.len(), "release")));
    if removed.is_empty() {
        return Ok(());
    }
    let rows: Vec<Vec<String>> = removed.iter().map(ReleaseLine::row).collect();
    output::print(output::table(&rows).trim_end())
}
