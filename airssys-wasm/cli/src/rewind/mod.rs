//! `airssys rewind`: a state as it was at some message, from what was recorded.

use std::collections::BTreeMap;
use std::path::Path;

use airssys_wasm::command::{Capsule, CapsuleError, KeptState, Recording};

use crate::capsules::CapsuleCommandError;
use crate::control;
use crate::control::dump::Dump;
use crate::control::protocol::Request;
use crate::output::{self, DataArgs};

/// Shows the state of a service as it was after a message, or before it.
///
/// It is what was committed then, wound back from what the recorder of the service has: the messages are those that
/// `airssys capsules show` lists of a recording or a capsule. Nothing is changed, and nothing runs again.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  airssys rewind till --to 4711\n  airssys rewind till.recording --to 4711 --before"
)]
pub(crate) struct Args {
    /// A service of a running host, or the file of a recording or a capsule.
    #[arg(value_name = "SERVICE|FILE")]
    of: String,
    /// The id of the message.
    #[arg(long, value_name = "MESSAGE")]
    to: u64,
    /// The state before it, and not after it.
    #[arg(long)]
    before: bool,
    #[command(flatten)]
    data: DataArgs,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), CapsuleCommandError> {
    let path = crate::capsules::find(Path::new(&args.of), &args.data);
    let dump = if path.is_file() {
        let (service, state) = wound_back(&path, args)?;
        let Some((actor, state)) = state else {
            return Err(CapsuleCommandError::NoMessage { of: path, message: args.to });
        };
        Dump::new(&service, &BTreeMap::from([(actor, state)]))
    } else {
        let request = Request::Rewind { service: args.of.clone(), message: args.to, before: args.before };
        control::ask(args.data.folder(), &request)?
    };
    Ok(output::print_json(&dump)?)
}

type At = Option<(Box<str>, KeptState)>;

fn wound_back(path: &Path, args: &Args) -> Result<(String, At), CapsuleCommandError> {
    match Recording::read(path) {
        Ok(recording) => Ok((recording.service.clone(), recording.state_at(args.to, args.before))),
        Err(CapsuleError::Other { .. }) => {
            let capsule = Capsule::read(path)?;
            Ok((capsule.service.clone(), capsule.state_at(args.to, args.before)))
        }
        Err(error) => Err(error.into()),
    }
}
