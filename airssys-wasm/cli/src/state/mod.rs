//! `airssys state`: what services have committed, to be looked at, copied and put back.
//!
//! Where a host runs it is asked, and answers for state in memory too. Where none runs, durable state is read from the
//! data folder. So it is where state is to be forgotten. It is only put back where none runs: a host has it in memory,
//! and would write its own over it.

mod error;
mod forget;
mod verify;

use std::fs;
use std::path::{Path, PathBuf};

use airssys_wasm::address::Address;
use airssys_wasm::command::{StateError, StateFile, Survey};
use airssys_wasm::{ServiceStatus, command};
use clap::Subcommand;

use self::error::StateCommandError;
use crate::control::protocol::{Body, Dump, Request};
use crate::control::{self, Claim, ControlError};
use crate::explain::note;
use crate::output::{self, DataArgs, Problem, printable};

/// Shows the committed state of a service, forgets it, and puts durable state back.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  airssys state dump carts --json > carts.json\n  airssys state get carts total --key alice"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Prints all state of a service.
    #[command(after_help = "Example:\n  airssys state dump carts --json > carts.json")]
    Dump {
        /// The service.
        #[arg(value_name = "SERVICE")]
        service: String,
        /// Print it as JSON, which `airssys state load` takes.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Prints one value, as it is.
    #[command(after_help = "Example:\n  airssys state get carts total --key alice")]
    Get {
        /// The service.
        #[arg(value_name = "SERVICE")]
        service: String,
        /// The key of the value.
        #[arg(value_name = "KEY")]
        value: String,
        /// Of which actor of a keyed service, or of which messages of a partitioned pool; none where the service has
        /// one state only.
        #[arg(long = "key", value_name = "ACTOR", default_value = "")]
        actor: String,
        /// Print it as JSON: {"text":...} or {"hex":...}.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Reads all durable state, what was deployed and applied, and all releases, and names what is damaged. It changes
    /// nothing; no host may run on the data folder meanwhile.
    ///
    /// Ends with 0 where all of it is as it was written, and with 1 where something is damaged.
    #[command(after_help = "Example:\n  airssys state verify --repair-to repaired.redb")]
    Verify {
        /// Copy what is well into this new file, which may take the place of DATA/state/state.redb.
        #[arg(long, value_name = "FILE")]
        repair_to: Option<PathBuf>,
        /// Print what was found as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Drops what a service remembers, or one key of it, where its state is what makes it crash. It asks before it
    /// does.
    ///
    /// A host that runs on the data folder does it: on disk and in memory, as one step, and the service or the key
    /// begins anew. One that crashed too often is let in again. What waits in its mailbox is handled on the empty
    /// state. A turn that runs is waited for. Without a host it is dropped from the folder.
    #[command(
        after_help = "Examples:\n  airssys state forget carts/alice\n  airssys state forget ledger --plan\n  airssys state forget carts/alice --yes"
    )]
    Forget(forget::Args),
    /// Forgets one record of what was deployed, applied or stopped, also one that is damaged, by the name that `airssys
    /// state verify` has for it.
    ///
    /// `deployments/SERVICE`: the service starts with the release that the topology names, and its history and its way
    /// back are lost. `intents/SERVICE`: a deployment that was cut off counts as not begun. `topology`: the next start
    /// is with the topology's file. `stopped`: the next start starts all services. `unknown`: damaged records of which
    /// nobody knows what they were of; what was written down before of the same counts again. No host may run on the
    /// data folder meanwhile.
    #[command(after_help = "Example:\n  airssys state forget-record deployments/pricing")]
    ForgetRecord {
        /// The record.
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Puts state in the place of all that a service has on disk. No host may run on the data folder meanwhile.
    ///
    /// It is there as a whole when this ends well, and not at all where it does not.
    #[command(after_help = "Example:\n  airssys stop && airssys state load carts carts.json")]
    Load {
        /// The service.
        #[arg(value_name = "SERVICE")]
        service: String,
        /// What `airssys state dump --json` has printed.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        data: DataArgs,
    },
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<(), StateCommandError> {
    match &args.what {
        What::Dump { service, json, data } => {
            let (dump, sound) = dump(service, data.folder())?;
            if *json {
                output::print_json(&dump)?
            } else {
                output::print(text(&dump).trim_end())?
            }
            sound?;
        }
        What::Get { service, value, actor, json, data } => {
            let body = get(service, value, actor, data.folder())?.ok_or_else(|| StateCommandError::NoValue {
                service: service.clone(),
                actor: actor.clone(),
                key: value.clone(),
            })?;
            if *json { output::print_json(&body)? } else { output::print(&shown(&body))? }
        }
        What::Verify { repair_to, json, data } => verify::run(data.folder(), repair_to.as_deref(), *json)?,
        What::Forget(args) => forget::run(args)?,
        What::ForgetRecord { name, data } => forget_record(name, data.folder())?,
        What::Load { service, file, data } => load(service, file, data.folder())?,
    }
    Ok(())
}

/// Asks the host; where there is none, reads the file. What is damaged there comes beside what is well.
fn dump(service: &str, data: &Path) -> Result<(Dump, Result<(), StateError>), StateCommandError> {
    match control::ask(data, &Request::State { service: service.to_owned() }) {
        Err(ControlError::NoHost { .. }) => {}
        answered => return Ok((answered?, sound_in_host(service, data)?)),
    }
    let survey = surveyed(data)?;
    let sound = survey.check(service, data);
    match (survey.states.get(service), sound) {
        (Some(states), sound) => Ok((Dump::new(service, states), sound)),
        (None, Err(damaged)) => Err(damaged.into()),
        (None, Ok(())) => Err(StateCommandError::NoState { service: service.to_owned(), data: data.to_owned() }),
    }
}

/// What of a service's state is damaged, as the host that runs says: it does without that, and nobody is to take what
/// it has for all.
fn sound_in_host(service: &str, data: &Path) -> Result<Result<(), StateError>, StateCommandError> {
    let services: Vec<ServiceStatus> = control::ask(data, &Request::Services {})?;
    let found = services.into_iter().find(|found| found.service == service);
    let damage = found.map(|found| found.damage).unwrap_or_default();
    if damage.is_empty() {
        return Ok(Ok(()));
    }
    Ok(Err(StateError::Damaged { path: StateFile::path(data), detail: damage.join("; ") }))
}

fn get(service: &str, key: &str, actor: &str, data: &Path) -> Result<Option<Body>, StateCommandError> {
    let (of, named) = (service.to_owned(), key.to_owned());
    match control::ask(data, &Request::StateValue { service: of, actor: actor.to_owned(), key: named }) {
        Err(ControlError::NoHost { .. }) => {}
        answered => {
            let value: Option<Body> = answered?;
            if value.is_none() {
                sound_in_host(service, data)??;
            }
            return Ok(value);
        }
    }
    let survey = surveyed(data)?;
    survey.check(service, data)?;
    let states = survey.states.get(service);
    Ok(states.and_then(|states| states.get(actor)?.values.get(key)).map(|value| Body::of(value)))
}

fn load(service: &str, file: &Path, data: &Path) -> Result<(), StateCommandError> {
    if Address::of_service(service).is_err() {
        return Err(StateCommandError::NoService { service: service.to_owned() });
    }
    let text = fs::read(file).map_err(|source| StateCommandError::Read { file: file.to_owned(), source })?;
    let dump: Dump = serde_json::from_slice(&text)
        .map_err(|source| StateCommandError::NoDump { file: file.to_owned(), why: source.to_string() })?;
    if dump.format != Dump::FORMAT {
        return Err(StateCommandError::Format { file: file.to_owned(), format: dump.format });
    }
    let states = dump.states().map_err(|why| StateCommandError::NoDump { file: file.to_owned(), why })?;
    // As long as it is held no host starts here.
    let _alone = Claim::take(data)?;
    let mut stored = StateFile::open_without_damage(data)?;
    stored.replace(service, &states)?;
    note(&format!("{service} has {} now", output::count(states.len(), "state")));
    if let Err(error) = stored.compact() {
        note(&format!("the file keeps the room of what was replaced: {error}"));
    }
    Ok(())
}

fn forget_record(name: &str, data: &Path) -> Result<(), StateCommandError> {
    // As long as it is held no host starts here.
    let _alone = Claim::take(data)?;
    command::forget(data, Some(name)).map_err(Problem::from)?;
    note(&format!("{name} is forgotten"));
    Ok(())
}

/// What the file of a folder has, where there is one: to look is neither to make nor to change it.
fn surveyed(data: &Path) -> Result<Survey, StateCommandError> {
    if !StateFile::path(data).is_file() {
        return Err(StateCommandError::Nothing { data: data.to_owned() });
    }
    // Whoever reads the topology in force knows what is secret; where it cannot be read, nobody does.
    let _known = command::in_force(data);
    Ok(StateFile::survey(data)?)
}

/// For people.
fn text(dump: &Dump) -> String {
    let mut text = String::new();
    for state in &dump.states {
        let name = if state.actor.is_empty() { String::new() } else { format!("/{}", printable(&state.actor)) };
        text.push_str(&format!(
            "{}{name}: {}, {}, schema {}\n",
            dump.service,
            output::count(state.values.len(), "value"),
            output::count(usize::try_from(state.commits).unwrap_or(usize::MAX), "commit"),
            state.schema
        ));
        let rows: Vec<Vec<String>> = state.values.iter().map(|(key, body)| vec![printable(key), shown(body)]).collect();
        text.push_str(&output::table(&rows));
    }
    text
}

fn shown(body: &Body) -> String {
    match body {
        Body::Text(text) => printable(text),
        Body::Hex(hex) => format!("hex {hex}"),
    }
}
