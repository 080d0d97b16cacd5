//! `airssys dead-letters`: what could not be handled, to be looked at, sent again, or forgotten.

use clap::Subcommand;

use super::HostArgs;
use crate::control::ControlError;
use crate::control::protocol::{Body, Letter, LetterHead, Letters, MAX_LETTERS, Request};
use crate::output::{self, printable};

/// Lists and shows the dead letters of a running host, and sends them again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  airssys dead-letters list\n  airssys dead-letters replay 4711")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Lists those that are kept, oldest first, without their bodies.
    #[command(after_help = "Example:\n  airssys dead-letters list --limit 20")]
    List {
        /// The youngest so many.
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = limit)]
        limit: usize,
        #[command(flatten)]
        host: HostArgs,
    },
    /// Shows one with its body.
    #[command(after_help = "Example:\n  airssys dead-letters show 4711 --json")]
    Show(One),
    /// Sends the body of one to where it was going, and takes it out of the list.
    ///
    /// It goes as a new message in the host's name, and nobody waits for its answer, whatever it was before. Where it
    /// is refused, it stays in the list.
    #[command(after_help = "Example:\n  airssys dead-letters replay 4711")]
    Replay(One),
    /// Takes one out of the list, and shows it a last time.
    #[command(after_help = "Example:\n  airssys dead-letters drop 4711")]
    Drop(One),
}

#[derive(Debug, clap::Args)]
struct One {
    /// The id of the message, as the list has it.
    #[arg(value_name = "ID")]
    id: u64,
    #[command(flatten)]
    host: HostArgs,
}

fn limit(text: &str) -> Result<usize, String> {
    let limit = text.parse().map_err(|error| format!("{error}"))?;
    if limit > MAX_LETTERS { Err(format!("{MAX_LETTERS} is the most")) } else { Ok(limit) }
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), ControlError> {
    match &args.what {
        What::List { limit, host } => host.tell(&Request::DeadLetters { limit: *limit }, list),
        What::Show(One { id, host }) => host.tell(&Request::DeadLetter { id: *id }, show),
        What::Replay(One { id, host }) => {
            host.tell(&Request::ReplayDeadLetter { id: *id }, |(): &()| format!("{id} was sent again"))
        }
        What::Drop(One { id, host }) => host.tell(&Request::DropDeadLetter { id: *id }, show),
    }
}

fn list(letters: &Letters) -> String {
    let all = output::count(usize::try_from(letters.total).unwrap_or(usize::MAX), "dead letter");
    let mut text = format!("{all}, {} kept\n", letters.kept);
    if letters.letters.is_empty() {
        return text;
    }
    let head = ["at", "id", "from", "to", "delivery", "bytes", "reason"].map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(letters.letters.iter().map(row)).collect();
    text.push_str(&output::table(&rows));
    text
}

fn row(letter: &LetterHead) -> Vec<String> {
    vec![
        letter.at.clone(),
        letter.id.to_string(),
        from(letter),
        letter.target.clone(),
        letter.delivery.clone(),
        letter.body_bytes.to_string(),
        printable(&letter.reason),
    ]
}

fn from(letter: &LetterHead) -> String {
    letter.sender.clone().unwrap_or_else(|| "(host)".to_owned())
}

fn show(letter: &Letter) -> String {
    let head = &letter.head;
    let body = match &letter.body {
        _ if letter.call.is_some() => printable(letter.call.as_deref().unwrap_or_default()),
        Body::Text(text) => printable(text),
        Body::Hex(hex) => format!("hex {hex}"),
    };
    let key = head.key.as_ref().map_or_else(String::new, |key| format!(", key {}", printable(key)));
    format!(
        "{}: {} from {} to {}{key}\n  at {}, attempt {}, of message {}\n  reason: {}\n  body: {body}",
        head.id,
        head.delivery,
        printable(&from(head)),
        printable(&head.target),
        head.at,
        head.attempt,
        letter.trace,
        printable(&head.reason),
    )
}
