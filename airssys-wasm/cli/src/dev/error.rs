//! Why nothing is developed here.

use std::io;
use std::path::PathBuf;

use notify_debouncer_full::notify;

use crate::build::BuildError;
use crate::control::ControlError;
use crate::explain::Explain;
use crate::output::{Exit, LogError, Problem};
use crate::run::RunError;

/// Why `airssys dev` did not begin, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DevError {
    // Boxed, since it is large and rare.
    #[error(transparent)]
    Run(Box<RunError>),
    /// What is built cannot be found out.
    #[error(transparent)]
    Sources(#[from] BuildError),
    #[error("the build cannot be run")]
    Build(#[source] io::Error),
    #[error("the build answered something unexpected")]
    Answer(#[source] serde_json::Error),
    #[error("files cannot be watched")]
    Watcher(#[source] notify::Error),
    #[error("the folder `{}` cannot be watched", .folder.display())]
    Watch { folder: PathBuf, source: notify::Error },
}

impl From<RunError> for DevError {
    fn from(error: RunError) -> Self {
        Self::Run(Box::new(error))
    }
}

impl From<Problem> for DevError {
    fn from(problem: Problem) -> Self {
        RunError::from(problem).into()
    }
}

impl From<LogError> for DevError {
    fn from(error: LogError) -> Self {
        RunError::from(error).into()
    }
}

impl From<ControlError> for DevError {
    fn from(error: ControlError) -> Self {
        RunError::from(error).into()
    }
}

impl Explain for DevError {
    fn code(&self) -> &'static str {
        match self {
            Self::Run(error) => error.code(),
            Self::Sources(error) => error.code(),
            Self::Build(_) => "AV101",
            Self::Answer(_) => "AV102",
            Self::Watcher(_) => "AV103",
            Self::Watch { .. } => "AV104",
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Run(error) => return error.hint(),
            Self::Sources(error) => return error.hint(),
            Self::Build(_) => "is there room for another process, and in the folder for temporary files?",
            Self::Answer(_) => "run `airssys build` by itself, and see what it says",
            Self::Watcher(_) | Self::Watch { .. } => {
                "raise fs.inotify.max_user_instances and fs.inotify.max_user_watches (sysctl)"
            }
        };
        Some(hint.to_owned())
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Run(error) => error.exit(),
            Self::Sources(error) => error.exit(),
            Self::Build(_) | Self::Answer(_) | Self::Watcher(_) | Self::Watch { .. } => Exit::CannotStart,
        }
    }
}
