//! Why an audit is not shown, or is not as it was written.

use std::io;
use std::path::PathBuf;

use crate::explain::Explain;
use crate::output::{Exit, Problem};

/// Why an audit is not shown, or is not as it was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditCommandError {
    #[error("there is no audit in `{}`", .path.display())]
    None { path: PathBuf },
    #[error("the audit `{}` cannot be read", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the audit `{}` is not as it was written: line {number} is {what}", .path.display())]
    Fault { path: PathBuf, number: u64, what: String },
    #[error("cannot write to stdout")]
    Output(#[source] io::Error),
    #[error(transparent)]
    Problem(#[from] Problem),
}

impl Explain for AuditCommandError {
    fn code(&self) -> &'static str {
        match self {
            Self::None { .. } => "AU101",
            Self::Read { .. } => "AU102",
            Self::Fault { .. } => "AU103",
            Self::Output(_) => "AU104",
            Self::Problem(problem) => problem.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::None { .. } => {
                "a host keeps one in its data folder, or where `audit_folder` of its topology says: name the data folder with --data, or the folder of the audit"
            }
            Self::Read { .. } => "look at the path and its permissions",
            Self::Fault { .. } => "compare it with a copy; `airssys audit show` shows the lines around it",
            Self::Output(_) => "is the disk full?",
            Self::Problem(problem) => return problem.hint(),
        };
        Some(hint.to_owned())
    }

    fn exit(&self) -> Exit {
        match self {
            Self::None { .. } => Exit::BadInput,
            Self::Problem(problem) => problem.exit(),
            Self::Read { .. } | Self::Fault { .. } | Self::Output(_) => Exit::Failed,
        }
    }
}
