//! `airssys releases`: what is published.

use airssys_wasm::hint::Coded;
use airssys_wasm::registry::{Record, StoreError};
use serde::Serialize;

use crate::commands::in_one_line;
use crate::explain::note;
use crate::output::{self, DataArgs, Problem, ReleaseLine};

/// Lists the published releases, the newest version of each name last.
///
/// It looks at the records. `airssys inspect NAME@VERSION` also compares the binary and the manifest with their
/// digests.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  airssys releases\n  airssys releases pricing --json")]
pub(crate) struct Args {
    /// Only those of this name.
    #[arg(value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    data: DataArgs,
    /// Print them as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    releases: Vec<ReleaseLine>,
    /// What is said of each record that cannot be used.
    damaged: Vec<String>,
}

/// Runs the subcommand. Where a record is damaged, it tells the others first.
pub(crate) fn run(args: &Args) -> Result<(), Problem> {
    let (mut lines, mut damaged): (Vec<ReleaseLine>, Vec<StoreError>) = Default::default();
    let is_meant = |record: &Record| args.name.as_ref().is_none_or(|name| *name == record.name);
    for found in args.data.store()?.releases()? {
        match found {
            Ok(record) => lines.extend(is_meant(&record).then(|| ReleaseLine::new(&record))),
            Err(error) => damaged.push(error),
        }
    }
    if args.json {
        let damaged = damaged.iter().map(|error| in_one_line(error, error.hint().as_ref())).collect();
        output::print_json(&Report { releases: lines, damaged })?;
    } else if lines.is_empty() {
        note("there are none");
    } else {
        let rows: Vec<Vec<String>> = lines.iter().map(ReleaseLine::row).collect();
        output::print(output::table(&rows).trim_end())?;
    }
    let mut damaged = damaged.into_iter();
    let Some(first) = damaged.next() else { return Ok(()) };
    damaged.for_each(|another| note(&in_one_line(&another, another.hint().as_ref())));
    Err(first.into())
}
