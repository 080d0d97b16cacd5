//! `airssys log`: how the logs of a running host are, and what is in them from now on.

use airssys_wasm::Applied;
use airssys_wasm::command::{LogLevel, LogStatus, LogTo};

use super::HostArgs;
use crate::completions;
use crate::control::ControlError;
use crate::control::protocol::Request;
use crate::output;

/// Shows the logs of a running host, and changes what is in them.
///
/// They are the `[[log]]` tables of the topology. What guests said and what the host did is shown by `airssys logs`.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  airssys log list\n  airssys log level all debug --service till"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    asked: Asked,
}

#[derive(Debug, clap::Subcommand)]
enum Asked {
    List(ListArgs),
    Level(LevelArgs),
}

/// Lists the logs: where each goes, what is in it, how many lines were written and lost, and what is wrong with it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  airssys log list\n  airssys log list --json")]
struct ListArgs {
    #[command(flatten)]
    host: HostArgs,
}

/// Logs only what matters as much as this, from now on.
///
/// It is `level` or `levels` of the log in the topology in force: no instance is replaced, and it outlives the host
/// where that has a data folder. The file does not change, so the next `airssys apply` brings back what that says.
/// Where no `[[log]]` goes to tracing, `tracing` is the log of what guests say that is shown on stderr and kept for
/// `airssys logs`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  airssys log level all warn\n  airssys log level all debug --service till\n  airssys log level tracing off --service cart"
)]
struct LevelArgs {
    /// The log.
    #[arg(value_name = "LOG")]
    log: String,
    /// How much a line must matter: off, error, warn, info, debug or trace.
    #[arg(value_name = "LEVEL", value_parser = level)]
    level: LogLevel,
    /// Of the lines of this service only.
    #[arg(long, value_name = "SERVICE", add = completions::services())]
    service: Option<String>,
    #[command(flatten)]
    host: HostArgs,
}

fn level(text: &str) -> Result<LogLevel, String> {
    text.parse()
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), ControlError> {
    match &args.asked {
        Asked::List(args) => args.host.tell(&Request::Logs {}, |all: &Vec<LogStatus>| table(all)),
        Asked::Level(args) => {
            let (log, service, level) = (args.log.clone(), args.service.clone(), args.level);
            let whose = service.as_ref().map(|service| format!(" of {service}")).unwrap_or_default();
            let told = format!("`{log}` has lines{whose} from {level} up");
            args.host.tell(&Request::Log { log, service, level }, |applied: &Option<Applied>| match applied {
                None => format!("{told} already"),
                Some(_) => told,
            })
        }
    }
}

fn table(all: &[LogStatus]) -> String {
    let row = |log: &LogStatus| {
        let to = match (log.to, &log.path) {
            (LogTo::Console, _) => "console".to_owned(),
            (LogTo::Tracing, _) => "tracing".to_owned(),
            (LogTo::File, path) => path.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
        };
        let levels = log.levels.iter().map(|(service, level)| format!(", {service} {level}")).collect::<String>();
        let (written, lost) = match log.to {
            LogTo::Tracing => (String::new(), String::new()),
            _ => (log.written.to_string(), log.lost.to_string()),
        };
        let how = log.broken.clone().unwrap_or_else(|| "well".to_owned());
        [log.name.clone(), to, format!("{}{levels}", log.level), written, lost, how]
            .map(|of| output::printable(&of))
            .to_vec()
    };
    let head = ["log", "to", "level", "written", "lost", ""].map(str::to_owned).to_vec();
    output::table(&std::iter::once(head).chain(all.iter().map(row)).collect::<Vec<_>>())
}
