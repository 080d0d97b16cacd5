//! `airssys keygen`: a key to sign releases with.

use std::path::PathBuf;

use airssys_wasm::registry::{PublicKey, SecretKey};
use serde::Serialize;

use crate::explain::note;
use crate::output::{self, Problem};

/// Makes a key to sign releases with. The secret key goes to a new file that only its owner may read; the public key is
/// printed.
///
/// The public key belongs into `trusted_keys` in the `settings` table of each topology that shall load only what this
/// key signed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  airssys keygen --out airssys.key")]
pub(crate) struct Args {
    /// The file of the secret key. One that is there is never overwritten.
    #[arg(long, value_name = "FILE", default_value = "airssys.key")]
    out: PathBuf,
    /// Print the public key and the file as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    public_key: PublicKey,
    file: &'a PathBuf,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), Problem> {
    let key = SecretKey::generate()?;
    key.write_new(&args.out)?;
    let public_key = key.public();
    if args.json {
        return output::print_json(&Report { public_key, file: &args.out });
    }
    note(&format!("the secret key is in {}: whoever has it can sign", args.out.display()));
    output::print(&public_key.to_string())
}
