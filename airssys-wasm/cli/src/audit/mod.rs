//! `airssys audit`: what is on record of a host, and whether it is as it was written. No host need run.

mod error;
mod show;
mod verify;

use std::path::{Path, PathBuf};

use airssys_wasm::command::{AuditHead, AuditKind};
use airssys_wasm::registry::PublicKey;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

pub(crate) use self::error::AuditCommandError;
use crate::output::DataArgs;

/// Shows what is on record of a host, and verifies that it is as it was written.
///
/// A host keeps its audit in the folder `audit` of its data folder, or where the topology says: who was denied what,
/// who changed what, and which limits were reached, a line each. No host need run to read it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  airssys audit show --kind denied\n  airssys audit verify")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Show(ShowArgs),
    Verify(VerifyArgs),
}

/// Where the audit is.
#[derive(Debug, clap::Args)]
struct Source {
    /// A file of an audit, or a folder with one; by default the folder `audit` of the data folder.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
}

impl Source {
    fn path(&self) -> PathBuf {
        self.file.clone().unwrap_or_else(|| self.data.folder().join("audit"))
    }

    /// Its files.
    fn files(path: &Path) -> Result<Vec<PathBuf>, AuditCommandError> {
        match airssys_wasm::command::audit_files(path) {
            Ok(files) if !files.is_empty() => Ok(files),
            Ok(_) => Err(AuditCommandError::None { path: path.to_owned() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(AuditCommandError::None { path: path.to_owned() })
            }
            Err(source) => Err(AuditCommandError::Read { path: path.to_owned(), source }),
        }
    }
}

/// Shows what is on record, the oldest first.
///
/// A line is its number, a time, a kind, the service or who asked, and what it was. With --json it is the object that
/// it is in the file.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  airssys audit show\n  airssys audit show --service payments --kind denied --since 1h\n  airssys audit show --follow --json"
)]
struct ShowArgs {
    #[command(flatten)]
    from: Source,
    /// Only what is about this service.
    #[arg(long, value_name = "SERVICE", add = crate::completions::services())]
    service: Option<String>,
    /// Only lines of this kind; may be given several times.
    #[arg(long, value_name = "KIND", value_parser = kinds())]
    kind: Vec<AuditKind>,
    /// Only what is not older: a time such as 2026-01-31T12:00:00Z, or how long ago, such as 1h.
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<std::time::SystemTime>,
    /// Go on with what comes, until it is interrupted.
    #[arg(long, short)]
    follow: bool,
    /// Print each line as the JSON object that it is in the file.
    #[arg(long)]
    json: bool,
}

fn kinds() -> impl TypedValueParser<Value = AuditKind> {
    let possible = AuditKind::all().iter().map(|(_, name, about)| PossibleValue::new(*name).help(*about));
    PossibleValuesParser::new(possible).try_map(|name| name.parse::<AuditKind>())
}

fn since(text: &str) -> Result<std::time::SystemTime, String> {
    if let Ok(time) = humantime::parse_rfc3339_weak(text) {
        return Ok(time);
    }
    let ago = humantime::parse_duration(text).ok().and_then(|ago| std::time::SystemTime::now().checked_sub(ago));
    ago.ok_or_else(|| "write it like 2026-01-31T12:00:00Z, or like 1h".to_owned())
}

/// Verifies that each line is the one that was written: none altered, removed, repeated or moved.
///
/// The first line that is not is named, and the command ends with 1. What cannot be seen: lines that were removed from
/// the end, and lines behind the last signed head where all of them were made anew. For those, note the place that
/// `airssys status` shows elsewhere, and give it with --noted; and give the public key that signs with --key.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  airssys audit verify\n  airssys audit verify /backup/audit --key ed25519:6f2c...\n  airssys audit verify --json"
)]
struct VerifyArgs {
    #[command(flatten)]
    from: Source,
    /// The public key that signs; by default each counts that stands in the file.
    #[arg(long, value_name = "KEY", value_parser = |text: &str| text.parse::<PublicKey>().map_err(|error| error.to_string()))]
    key: Option<PublicKey>,
    /// A place that the chain goes through, as `airssys status` showed it.
    #[arg(long, value_name = "NUMBER:SHA256")]
    noted: Option<AuditHead>,
    /// Print what was found as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), AuditCommandError> {
    match &args.command {
        Command::Show(args) => show::run(args),
        Command::Verify(args) => verify::run(args),
    }
}
