//! Why a capsule is not shown, or not replayed, or ends otherwise.

use airssys_wasm::command::{CapsuleError, ReplayError};
use airssys_wasm::hint::Coded;

use crate::commands::told;
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
            Self::Log(error) => error.hint(),
            Self::Problem(problem) => problem.hint(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Capsule(_) | Self::Replay(_) => Exit::BadInput,
            Self::Differs(_) => Exit::Failed,
            Self::Log(error) => error.exit(),
            Self::Problem(problem) => problem.exit(),
        }
    }
}
