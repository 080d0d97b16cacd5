//! `airssys state forget`: drops what a service, or one key of it, remembers.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use airssys_wasm::address::{Address, MAX_KEY};
use airssys_wasm::command::StateFile;
use airssys_wasm::shown;

use super::error::StateCommandError;
use super::surveyed;
use crate::ask::message::patience;
use crate::control::protocol::{Forgotten, Request};
use crate::control::{self, Claim, ControlError};
use crate::output::{self, DataArgs};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The service, and after a slash the key: of an actor of a keyed service, of the messages of a partitioned pool,
    /// or of a child that was spawned.
    #[arg(value_name = "SERVICE[/KEY]")]
    of: String,
    /// Do it without asking.
    #[arg(long)]
    yes: bool,
    /// Print what would be forgotten, and change nothing.
    #[arg(long, conflicts_with = "yes")]
    plan: bool,
    /// How long a turn that runs is waited for. Where it is not over by then, it is cut off, as a crash.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = patience)]
    timeout: Duration,
    /// Print what was forgotten as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataArgs,
}

/// Who does it.
enum By {
    Host,
    /// None runs: this does it in the file.
    Us,
}

/// Runs it.
pub(super) fn run(args: &Args) -> Result<(), StateCommandError> {
    let (service, actor) = part(&args.of)?;
    let (found, by) = find(service, actor, args.data.folder())?;
    if args.plan {
        return tell(args, &found, "would be forgotten");
    }
    if !args.yes {
        confirm(&found)?;
    }
    let forgotten = match by {
        By::Host => {
            let timeout_ms = u64::try_from(args.timeout.as_millis()).unwrap_or(u64::MAX);
            let (service, actor) = (service.to_owned(), actor.map(str::to_owned));
            control::ask(args.data.folder(), &Request::Forget { service, actor, timeout_ms })?
        }
        By::Us => forget(found, args.data.folder())?,
    };
    tell(args, &forgotten, "forgotten")
}

/// The service, and the key where there is one. The key of a pool's messages may be any text.
fn part(of: &str) -> Result<(&str, Option<&str>), StateCommandError> {
    let (service, key) = of.split_once('/').map_or((of, None), |(service, key)| (service, Some(key)));
    let is_key = key.is_none_or(|key| (1..=MAX_KEY).contains(&key.len()));
    match Address::of_service(service) {
        Ok(_) if is_key => Ok((service, key)),
        _ => Err(StateCommandError::NoAddress { of: of.to_owned() }),
    }
}

/// What there is, without a change to it.
fn find(service: &str, actor: Option<&str>, data: &Path) -> Result<(Forgotten, By), StateCommandError> {
    let request = Request::PlanForget { service: service.to_owned(), actor: actor.map(str::to_owned) };
    match control::ask(data, &request) {
        Err(ControlError::NoHost { .. }) => {}
        answered => return Ok((answered?, By::Host)),
    }
    let survey = surveyed(data)?;
    let actor = actor.unwrap_or_default();
    let kept = survey.states.get(service).and_then(|states| states.get(actor));
    if kept.is_none() && survey.check(service, data).is_ok() {
        let (service, actor) = (service.to_owned(), actor.to_owned());
        return Err(StateCommandError::NoStateOf { service, actor, data: data.to_owned() });
    }
    // Of one that is damaged, what is left.
    let (values, commits) = kept.map_or((0, 0), |kept| (kept.values.len(), kept.commits));
    Ok((Forgotten { service: service.to_owned(), actor: actor.to_owned(), values, commits, waiting: 0 }, By::Us))
}

/// Asks the person at the terminal.
fn confirm(found: &Forgotten) -> Result<(), StateCommandError> {
    let address = address(found);
    if !io::stdin().is_terminal() {
        return Err(StateCommandError::NobodyToAsk { address });
    }
    // That the question cannot be written leaves it without an answer.
    let asked = format!("forget {}? It cannot be taken back. [y/N] ", described(found));
    let _ = write!(io::stderr(), "{}", shown(&asked));
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    match answer.trim() {
        "y" | "Y" | "yes" if read.is_ok() => Ok(()),
        _ => Err(StateCommandError::Declined { address }),
    }
}

/// Drops it from the file. As long as the folder is held no host starts here.
fn forget(found: Forgotten, data: &Path) -> Result<Forgotten, StateCommandError> {
    let _alone = Claim::take(data)?;
    let stored = StateFile::open_without_damage(data)?;
    if stored.forget(&found.service, &found.actor)? {
        return Ok(found);
    }
    let Forgotten { service, actor, .. } = found;
    Err(StateCommandError::NoStateOf { service, actor, data: data.to_owned() })
}

fn tell(args: &Args, forgotten: &Forgotten, what: &str) -> Result<(), StateCommandError> {
    if args.json {
        return Ok(output::print_json(forgotten)?);
    }
    let mut text = format!("{what}: {}", described(forgotten));
    if forgotten.waiting > 0 {
        let waiting = output::count(forgotten.waiting, "message");
        text.push_str(&format!("\n  {waiting} in its mailbox: handled with the empty state"));
    }
    Ok(output::print(&text)?)
}

fn described(forgotten: &Forgotten) -> String {
    let commits = usize::try_from(forgotten.commits).unwrap_or(usize::MAX);
    let (values, commits) = (output::count(forgotten.values, "value"), output::count(commits, "commit"));
    format!("{}: {values}, {commits}", address(forgotten))
}

fn address(Forgotten { service, actor, .. }: &Forgotten) -> String {
    if actor.is_empty() { service.clone() } else { format!("{service}/{}", output::printable(actor)) }
}
