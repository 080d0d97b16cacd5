//! Why a run failed.

use super::gave_up::GaveUp;
use super::input::InputError;
use crate::control::ControlError;
use crate::explain::Explain;
use crate::output::{Exit, LogError, Problem};

/// Why a mesh did not run to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Problem(#[from] Problem),
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error("cannot listen to signals")]
    Signals(#[source] std::io::Error),
    #[error("the root supervisor gave up: {0}")]
    GaveUp(GaveUp),
    #[error("the tree ended before it was asked to, or before all lines were answered: {reason}")]
    EndedEarly { reason: String },
    #[error("it was stopped before it was up")]
    NotUp,
    #[error("it was stopped before all lines were answered")]
    Interrupted,
    #[error("--strict: {failed} lines without an answer, {killed} actors killed")]
    Strict { failed: u64, killed: usize },
}

impl Explain for RunError {
    fn code(&self) -> &'static str {
        match self {
            Self::Log(error) => error.code(),
            Self::Problem(error) => error.code(),
            Self::Input(error) => error.code(),
            Self::Control(error) => error.code(),
            Self::Signals(_) => "AR107",
            Self::GaveUp(_) => "AR301",
            Self::EndedEarly { .. } => "AR302",
            Self::Interrupted => "AR303",
            Self::Strict { .. } => "AR304",
            Self::NotUp => "AR305",
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Log(error) => return error.hint(),
            Self::Problem(error) => return error.hint(),
            Self::Input(error) => return error.hint(),
            Self::Control(error) => return error.hint(),
            Self::GaveUp(gave_up) => return Some(gave_up.hint()),
            Self::EndedEarly { .. } => {
                "a significant child ended; leave `auto_shutdown` out where the mesh shall outlive it"
            }
            Self::Strict { .. } => "the summary says which; each line's error stands beside its number",
            Self::Signals(_) | Self::Interrupted | Self::NotUp => return None,
        };
        Some(hint.to_owned())
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Log(error) => error.exit(),
            Self::Problem(error) => error.exit(),
            Self::Input(error) => error.exit(),
            Self::Control(error) => error.exit(),
            Self::Signals(_) => Exit::CannotStart,
            Self::GaveUp(_) | Self::EndedEarly { .. } => Exit::Failed,
            Self::Interrupted | Self::NotUp | Self::Strict { .. } => Exit::Failed,
        }
    }
}
