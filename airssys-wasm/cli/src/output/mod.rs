//! What the subcommands share: how they print, what they log, the problems they can have with a mesh, and the codes
//! they end with.

mod body;
mod cache;
mod damage;
mod data;
pub(crate) mod difference;
mod exit;
mod fields;
mod logging;
pub(crate) mod plan;
mod problem;
mod reader;
mod release;
pub(crate) mod stderr;
mod table;
mod topology;

use std::io::{self, ErrorKind, Write};

pub(crate) use body::{json_text, ok_json, printable};
pub(crate) use cache::CacheArgs;
pub(crate) use damage::damage;
pub(crate) use data::{DataArgs, USUAL as USUAL_DATA};
pub(crate) use exit::{Exit, HELP as EXIT_CODES};
pub(crate) use logging::{LogArgs, LogError};
pub(crate) use problem::Problem;
pub(crate) use reader::{nobody_reads_before, print_lines};
pub(crate) use release::ReleaseLine;
pub(crate) use table::table;
pub(crate) use topology::{TopologyArgs, USUAL as TOPOLOGY, actors, file as topology_file};

/// Writes a result for people to stdout, with an end of line: what a guest put into it no terminal obeys, and the ends
/// of lines in it are the caller's. That nobody reads it is no failure; a full disk is one.
pub(crate) fn print(text: &str) -> Result<(), Problem> {
    print_data(&crate::explain::shown_lines(text))
}

/// Writes data to stdout as it is, with an end of line; as [`print()`] otherwise.
pub(crate) fn print_data(text: &str) -> Result<(), Problem> {
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{}", airssys_wasm::command::hidden(text)).and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Problem::Output(error)),
        _ => Ok(()),
    }
}

/// [`print_data`] for one JSON document.
pub(crate) fn print_json(data: &impl serde::Serialize) -> Result<(), Problem> {
    print_data(&serde_json::to_string_pretty(data).map_err(Problem::Json)?)
}

/// `1 service`, `2 services`.
pub(crate) fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}
