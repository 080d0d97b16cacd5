//! `airssys publish`: a component and its Component.toml into the store, for good.

use std::path::PathBuf;

use airssys_wasm::registry::{Draft, Published, SecretKey};
use serde::Serialize;

use crate::output::{self, DataArgs, Problem, ReleaseLine};

/// Publishes a component with its Component.toml: from then on NAME@VERSION is that, to the last byte.
///
/// A version is published once. Publishing the same again does nothing, except that with --sign it adds a signature,
/// and that it mends files of the store that were damaged. Publishing something else under the same version is refused.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  airssys publish target/airssys/echo.wasm\n  airssys publish examples/shop/guests/pricing --sign airssys.key"
)]
pub(crate) struct Args {
    /// A component with its .toml beside it, or the folder of a Component.toml.
    #[arg(value_name = "FILE|FOLDER")]
    path: PathBuf,
    /// Sign it with this secret key, which `airssys keygen` made.
    #[arg(long, value_name = "KEYFILE")]
    sign: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
    /// Print what was published as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    outcome: Published,
    #[serde(flatten)]
    release: ReleaseLine,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), Problem> {
    let key = args.sign.as_deref().map(SecretKey::read).transpose()?;
    let mut draft = Draft::read(&args.path)?;
    if let Some(key) = &key {
        draft.sign(key);
    }
    let (record, outcome) = args.data.store()?.publish(&draft)?;
    let says = match outcome {
        Published::New => "is published",
        Published::Already => "was published already, the same to the last byte; nothing was done",
        Published::Signed => "was published already; the signature was added",
        Published::Mended => "was published already, and was damaged; it is whole again",
    };
    let release = ReleaseLine::new(&record);
    if args.json {
        return output::print_json(&Report { outcome, release });
    }
    let table = output::table(&[release.row()]);
    output::print(&format!("{record} {says}\n{}", table.trim_end()))
}
