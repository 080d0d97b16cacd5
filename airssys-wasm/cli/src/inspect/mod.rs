//! `airssys inspect`: what a component is, needs and asks for. It looks at the binary and its Component.toml; it compiles and starts nothing.

mod report;

use std::path::PathBuf;

use airssys_wasm::engine::{Anatomy, read_component};
use airssys_wasm::registry::Release;

use self::report::Report;
use crate::output::{self, Problem};

/// Shows what a component is, what it imports and exports, what it asks for, and its limits.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  airssys inspect target/airssys/echo.wasm\n  airssys inspect examples/shop/pricing --json"
)]
pub(crate) struct Args {
    /// A component, or the folder of a Component.toml.
    #[arg(value_name = "FILE|FOLDER")]
    path: PathBuf,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), Problem> {
    let release = Release::find(&args.path)?;
    let bytes = read_component(&release.component)?;
    let anatomy = Anatomy::of(&bytes, &release.component)?;
    let report = Report::new(release, &bytes, anatomy);
    if args.json { output::print_json(&report) } else { output::print(report.text().trim_end()) }
}
