//! Why a capsule is not shown, or not replayed, or ends otherwise.

use std::io;
use std::path::PathBuf;

use airssys_wasm::ConfigError;
use airssys_wasm::command::{CapsuleError, ReplayError};
use airssys_wasm::deploy::Divergence;
use airssys_wasm::hint::Coded;
use airssys_wasm::registry::StoreError;

use crate::commands::told;
use crate::control::ControlError;
use crate::explain::Explain;
use crate::output::{Exit, LogError, Problem};

/// Why a capsule is not shown, or not replayed, or ends otherwise.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CapsuleCommandError {
    #[error(transparent)]
    Capsule(#[from] CapsuleError),
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error("it does not end as it was recorded: {0}")]
    Differs(String),
    #[error("the release does not do what was recorded: {0}")]
    Diverges(Box<Divergence>),
    #[error("{} has no turn over a message {message}", .of.display())]
    NoMessage { of: PathBuf, message: u64 },
    #[error("there is no gdb: `--debug` opens it over the replay")]
    NoDebugger,
    #[error("gdb cannot be opened over the replay")]
    Debugger(#[source] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the release {} {}", .0.path.display(), .0.what)]
    NoRelease(#[from] ConfigError),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Problem(#[from] Problem),
}

impl Explain for CapsuleCommandError {
    fn code(&self) -> &'static str {
        match self {
            Self::Capsule(CapsuleError::Read { .. }) => "AW101",
            Self::Capsule(CapsuleError::Damaged { .. }) => "AW102",
            Self::Capsule(_) => "AW103",
            Self::Replay(ReplayError::NoRelease { .. }) => "AW104",
            Self::Replay(ReplayError::OtherRelease { .. }) => "AW105",
            Self::Replay(_) => "AW106",
            Self::Differs(_) => "AW107",
            Self::Diverges(_) => "AW108",
            Self::NoMessage { .. } => "AW109",
            Self::Store(_) | Self::NoRelease(_) => "AW110",
            Self::NoDebugger => "AW111",
            Self::Debugger(_) => "AW112",
            Self::Control(error) => error.code(),
            Self::Log(error) => error.code(),
            Self::Problem(problem) => problem.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Capsule(error) => error.hint().as_ref().map(told),
            Self::Replay(error) => error.hint().as_ref().map(told),
            Self::Differs(_) => Some(
                "what it has of files, sockets and HTTP is not recorded, nor what was lost before the oldest turn; `airssys capsules show` tells what there is".to_owned(),
            ),
            Self::Diverges(divergence) if divergence.kinds.is_empty() => Some("mend the release".to_owned()),
            Self::Diverges(divergence) => {
                let ways = divergence.kinds.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
                Some(format!("mend the release, or where that is meant say `--allow {ways}`"))
            }
            Self::NoDebugger => Some(
                "install it, such as with `apt-get install gdb`; without `--debug` the replay tells the functions that ran"
                    .to_owned(),
            ),
            Self::Debugger(_) => Some("is the folder for temporary files full, or not to be written?".to_owned()),
            Self::NoMessage { .. } => Some("`airssys capsules show` lists the messages that are in it".to_owned()),
            Self::Store(error) => error.hint().as_ref().map(told),
            Self::NoRelease(error) => error.hint().as_ref().map(told),
            Self::Control(error) => error.hint(),
            Self::Log(error) => error.hint(),
            Self::Problem(problem) => problem.hint(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Capsule(_) | Self::Replay(_) | Self::NoMessage { .. } | Self::Store(_) | Self::NoRelease(_) => {
                Exit::BadInput
            }
            Self::Differs(_) | Self::Diverges(_) | Self::NoDebugger | Self::Debugger(_) => Exit::Failed,
            Self::Control(error) => error.exit(),
            Self::Log(error) => error.exit(),
            Self::Problem(problem) => problem.exit(),
        }
    }
}
