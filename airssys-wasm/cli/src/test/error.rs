//! Why a mesh was not tried, or does not hold.

use std::io;
use std::path::PathBuf;

use airssys_wasm::hint::Coded;
use airssys_wasm::trial::TrialError;

use crate::commands::told;
use crate::explain::Explain;
use crate::output::{Exit, Problem};

/// Why a mesh was not tried, or does not hold.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TestError {
    #[error("with the seed {seed} it does not hold: {what}")]
    Broken { seed: u64, file: PathBuf, forced: bool, what: String },
    #[error("cannot write {}", .file.display())]
    Written { file: PathBuf, source: io::Error },
    #[error(transparent)]
    Trial(TrialError),
    #[error(transparent)]
    Problem(#[from] Problem),
}

impl From<TrialError> for TestError {
    fn from(error: TrialError) -> Self {
        match error {
            TrialError::Config(error) => Self::Problem(error.into()),
            TrialError::Runtime(error) => Self::Problem(error.into()),
            TrialError::Thread(error) => Self::Problem(Problem::Threads(error)),
            other => Self::Trial(other),
        }
    }
}

impl Explain for TestError {
    fn code(&self) -> &'static str {
        match self {
            Self::Broken { .. } => "AE101",
            Self::Trial(_) => "AE102",
            Self::Written { .. } => "AE103",
            Self::Problem(problem) => problem.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Broken { forced: true, .. } => {
                Some("a fault was forced: `airssys test FILE --steps --seed N` with the file that was printed tells each step".to_owned())
            }
            Self::Written { .. } => Some("is there such a folder, and may you write to it?".to_owned()),
            Self::Broken { seed, file, .. } => {
                Some(format!("`airssys test {} --seed {seed} --steps` tells each step of that run", file.display()))
            }
            Self::Trial(error) => error.hint().as_ref().map(told),
            Self::Problem(problem) => problem.hint(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Broken { .. } => Exit::Failed,
            Self::Trial(TrialError::NotSeeded { .. }) => Exit::BadInput,
            Self::Trial(_) | Self::Written { .. } => Exit::CannotStart,
            Self::Problem(problem) => problem.exit(),
        }
    }
}
