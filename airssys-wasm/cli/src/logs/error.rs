//! Why a log is not shown.

use std::io;
use std::path::PathBuf;

use crate::explain::Explain;
use crate::output::Exit;

/// Why a log is not shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogsError {
    #[error("there is no log in the data folder `{}`", .data.display())]
    None { data: PathBuf },
    #[error("the log `{}` cannot be read", .file.display())]
    Read { file: PathBuf, source: io::Error },
    #[error("cannot write to stdout")]
    Output(#[source] io::Error),
}

impl Explain for LogsError {
    fn code(&self) -> &'static str {
        match self {
            Self::None { .. } => "AL201",
            Self::Read { .. } => "AL202",
            Self::Output(_) => "AL203",
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::None { .. } => {
                "`airssys run` keeps one while it serves; with --input only where --data names the folder. Name another with --data"
            }
            Self::Read { .. } => "look at the path and its permissions",
            Self::Output(_) => "is the disk full?",
        };
        Some(hint.to_owned())
    }

    fn exit(&self) -> Exit {
        match self {
            Self::None { .. } => Exit::BadInput,
            Self::Read { .. } | Self::Output(_) => Exit::Failed,
        }
    }
}
