//! `airssys tree`: the supervision tree of a running host.

use super::HostArgs;
use crate::control::ControlError;
use crate::control::protocol::{Child, Request};
use crate::output::printable;

/// Shows the supervision tree of a running host.
///
/// A line for each child of the root, indented below its supervisor: what it is doing, how often it was started again,
/// and why it ended last.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  airssys tree")]
pub(crate) struct Args {
    #[command(flatten)]
    host: HostArgs,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), ControlError> {
    args.host.tell(&Request::Tree {}, |children: &Vec<Child>| text(children, 1))
}

fn text(children: &[Child], depth: usize) -> String {
    children.iter().map(|child| line(child, depth) + &text(&child.children, depth + 1)).collect()
}

fn line(child: &Child, depth: usize) -> String {
    let mut line = format!("{:indent$}{}  {}", "", printable(&child.name), child.status, indent = depth * 2);
    if child.restarts > 0 {
        line.push_str(&format!("  restarts {}", child.restarts));
    }
    if let Some(reason) = &child.last_exit {
        line.push_str(&format!("  last exit: {}", printable(reason)));
    }
    line.push('\n');
    line
}
