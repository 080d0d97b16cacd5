//! `airssys inspect`: what a component is, needs and asks for. It looks at the binary and its Component.toml; it
//! compiles and starts nothing. A published release is compared with its digests first.

mod report;

use std::path::PathBuf;

use airssys_wasm::command::Reference;
use airssys_wasm::registry::Release;

use self::report::Report;
use crate::output::{self, DataArgs, Problem};

/// Shows what a component is, what it imports and exports, what it asks for, and its limits.
///
/// It ends with an error where this host cannot run the component under those limits, in the words of `airssys check`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  airssys inspect target/airssys/echo.wasm\n  airssys inspect examples/shop/guests/pricing --json\n  airssys inspect pricing@1.2.0"
)]
pub(crate) struct Args {
    /// A component, the folder of a Component.toml, or a published release.
    #[arg(value_name = "FILE|FOLDER|NAME@VERSION")]
    release: PathBuf,
    #[command(flatten)]
    data: DataArgs,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), Problem> {
    let release = match args.release.to_str().filter(|text| Reference::is_meant(text)) {
        Some(reference) => args.data.store()?.resolve(reference)?,
        None => Release::find(&args.release)?,
    };
    let inspected = release.inspect()?;
    let checked = inspected.check(&release);
    let report = Report::new(release, inspected);
    if args.json {
        output::print_json(&report)?
    } else {
        output::print(report.text().trim_end())?
    }
    // What it is was told; that no mesh can host it, and why, is an error as everywhere else.
    Ok(checked?)
}
