//! Why the state of a service cannot be shown or put back.

use std::io;
use std::path::PathBuf;

use airssys_wasm::command::StateError;

use crate::control::ControlError;
use crate::explain::Explain;
use crate::output::{Exit, Problem};

/// Why not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateCommandError {
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error(transparent)]
    Problem(#[from] Problem),
    #[error("no host runs on the data folder `{}`, and there is no durable state in it", .data.display())]
    Nothing { data: PathBuf },
    #[error("{service:?} has no durable state in the data folder `{}`", .data.display())]
    NoState { service: String, data: PathBuf },
    #[error("{service:?} has no durable state{} in the data folder `{}`", Of(.actor), .data.display())]
    NoStateOf { service: String, actor: String, data: PathBuf },
    #[error("{service:?} has no value {key:?}{}", Of(.actor))]
    NoValue { service: String, actor: String, key: String },
    #[error("{service:?} is no name of a service")]
    NoService { service: String },
    #[error("the file `{}` cannot be read", .file.display())]
    Read { file: PathBuf, source: io::Error },
    #[error("the file `{}` is no state: {why}", .file.display())]
    NoDump { file: PathBuf, why: String },
    #[error("the durable state `{}` is damaged in {}", .file.display(), crate::output::count(*.count, "place"))]
    Damage { file: PathBuf, count: usize, copied: bool },
    #[error("the data folder `{}` is damaged in {}", .data.display(), crate::output::count(*.count, "file"))]
    OtherDamage { data: PathBuf, count: usize },
    #[error("{of:?} is no SERVICE, and no SERVICE/KEY")]
    NoAddress { of: String },
    #[error("nobody can be asked whether to forget {address}: stdin is no terminal")]
    NobodyToAsk { address: String },
    #[error("nothing was forgotten of {address}")]
    Declined { address: String },
    #[error("the file `{}` has format {format}, and this airssys knows 1", .file.display())]
    Format { file: PathBuf, format: u32 },
}

struct Of<'a>(&'a str);

impl std::fmt::Display for Of<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " under the actor's key {:?}", self.0) }
    }
}

impl From<StateError> for StateCommandError {
    fn from(error: StateError) -> Self {
        Self::Problem(error.into())
    }
}

impl Explain for StateCommandError {
    fn code(&self) -> &'static str {
        match self {
            Self::Control(error) => error.code(),
            Self::Problem(error) => error.code(),
            Self::Nothing { .. } => "AH101",
            Self::NoState { .. } | Self::NoStateOf { .. } => "AD201",
            Self::NoValue { .. } => "AD202",
            Self::NoService { .. } => "AD203",
            Self::Read { .. } => "AD204",
            Self::NoDump { .. } => "AD205",
            Self::Format { .. } => "AD206",
            Self::Damage { .. } | Self::OtherDamage { .. } => "AD207",
            Self::NoAddress { .. } => "AD208",
            Self::NobodyToAsk { .. } => "AD209",
            Self::Declined { .. } => "AD210",
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Control(ControlError::Taken { .. }) => {
                "a host has its state in memory: stop it with `airssys stop` first"
            }
            Self::Control(error) => return error.hint(),
            Self::Problem(error) => return error.hint(),
            Self::Nothing { .. } => "start a host with `airssys run`, or name the --data of one that is up or was",
            Self::NoState { .. } => {
                "is its name right, and the --data? Only services with `state = \"durable\"` have any without a host"
            }
            Self::NoStateOf { .. } => "`airssys state dump` of the service shows all that there are",
            Self::NoValue { .. } => {
                "`airssys state dump` shows all that there are; `--key` names an actor of a keyed service"
            }
            Self::NoService { .. } => "name it as the topology does",
            Self::Read { .. } => "look at the path and its permissions",
            Self::NoDump { .. } => "give what `airssys state dump SERVICE --json` has printed",
            Self::Damage { copied: false, .. } => {
                "`--repair-to FILE` copies out what is well; a copy of the file from before, or of the service with `airssys state load`, has the rest"
            }
            Self::Damage { copied: true, .. } => {
                "what is named is not in the copy, or only in parts; `airssys state load` puts a dump of a service back"
            }
            Self::OtherDamage { .. } => "what is told of each file above says what to do about it, and what that loses",
            Self::NoAddress { .. } => "name a service as the topology does, and after a slash the key of its actor",
            Self::NobodyToAsk { .. } => "`--yes` does it without asking, `--plan` shows what would be forgotten",
            Self::Declined { .. } => "answer `y` to forget it",
            Self::Format { .. } => "use the airssys that wrote it, or a newer one",
        };
        Some(hint.to_owned())
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Control(error) => error.exit(),
            Self::Problem(error) => error.exit(),
            Self::Nothing { .. } => Exit::NoHost,
            Self::NoState { .. }
            | Self::NoStateOf { .. }
            | Self::NoValue { .. }
            | Self::Damage { .. }
            | Self::OtherDamage { .. }
            | Self::Declined { .. } => Exit::Failed,
            Self::NoAddress { .. } | Self::NobodyToAsk { .. } => Exit::BadInput,
            Self::NoService { .. } | Self::Read { .. } | Self::NoDump { .. } | Self::Format { .. } => Exit::BadInput,
        }
    }
}
