//! What can go wrong between a host and those who control it.

use std::io;
use std::path::PathBuf;

use super::protocol::{MAX_BODY, Refusal};
use crate::explain::Explain;
use crate::output::{Exit, Problem};

/// Why a host cannot be controlled, or did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    #[error("no host runs on the data folder `{}`", .data.display())]
    NoHost { data: PathBuf },
    #[error("a host{} runs on the data folder `{}` already", Process(.process), .data.display())]
    Taken { data: PathBuf, process: Option<u32> },
    #[error("the folder for the control socket, `{}`, cannot be used", .folder.display())]
    Place { folder: PathBuf, source: io::Error },
    #[error("the path of the control socket, `{}`, is longer than a socket's may be", .socket.display())]
    TooLong { socket: PathBuf },
    #[error("the control socket `{}` cannot be used", .socket.display())]
    Connect { socket: PathBuf, source: io::Error },
    #[error("the host went away, or hung, before it answered")]
    NoAnswer { source: io::Error },
    #[error("the host's answer is not understood")]
    Garbled { source: serde_json::Error },
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the message cannot be read from stdin")]
    Stdin { source: io::Error },
    #[error("the message has more than {MAX_BODY} bytes, which is the most that the control socket takes")]
    BodyTooLarge,
    #[error(transparent)]
    Problem(#[from] Problem),
}

struct Process<'a>(&'a Option<u32>);

impl std::fmt::Display for Process<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |process| write!(f, " (process {process})"))
    }
}

impl Explain for ControlError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoHost { .. } => "AH101",
            Self::Taken { .. } => "AH102",
            Self::Place { .. } => "AH103",
            Self::TooLong { .. } => "AH104",
            Self::Connect { .. } => "AH105",
            Self::NoAnswer { .. } => "AH106",
            Self::Garbled { .. } => "AH107",
            Self::Refused(_) => "AH201",
            Self::Stdin { .. } => "AH202",
            Self::BodyTooLarge => "AH203",
            Self::Problem(problem) => problem.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoHost { data } => {
                let data = data.display();
                return Some(format!(
                    "start one with `airssys run TOPOLOGY --data {data}`, or name the --data of one that is up"
                ));
            }
            Self::Taken { .. } => "stop it with `airssys stop`, or give this one another folder with --data",
            Self::Place { .. } => "name a folder with --data that is yours and can be written",
            Self::TooLong { .. } => "name a folder with a shorter path with --data; one relative to here will do",
            Self::Connect { .. } => "only the user who runs a host may speak to it; else look at the path",
            Self::NoAnswer { .. } => "what was asked may have happened all the same; its stderr says how it ended",
            Self::Garbled { .. } => "use the airssys that runs the host",
            Self::Refused(refusal) => {
                return refusal.hint.clone().or_else(|| refused(refusal).map(str::to_owned));
            }
            Self::Stdin { .. } => "give the message as an argument, or pipe it in",
            Self::BodyTooLarge => "send a reference to it, such as a path or a key",
            Self::Problem(problem) => return problem.hint(),
        };
        Some(hint.to_owned())
    }

    fn exit(&self) -> Exit {
        match self {
            Self::NoHost { .. } => Exit::NoHost,
            Self::Taken { .. } | Self::Place { .. } => Exit::CannotStart,
            Self::TooLong { .. } | Self::Stdin { .. } | Self::BodyTooLarge => Exit::BadInput,
            Self::Connect { .. } | Self::NoAnswer { .. } | Self::Garbled { .. } | Self::Refused(_) => Exit::Failed,
            Self::Problem(problem) => problem.exit(),
        }
    }
}

/// What to do about the codes that are known here, where the host says nothing about it.
fn refused(refusal: &Refusal) -> Option<&'static str> {
    Some(match refusal.code.as_str() {
        "no-such-service" => "`airssys ps` lists the services",
        "undone" => "the host's log tells more; mend what did not come about, and apply it again",
        "refused" => "nothing has changed; `airssys check FILE` looks at the same things without a host",
        "not-recorded" | "not-durable" => "is the data folder's disk full, or not to be written?",
        "too-late" => "`airssys rollback` again brings the release before back",
        "rolled-back" => "the host's log tells more; mend the release, and deploy it again",
        "already-live" => "deploy another release, or none",
        "under-way" => "`airssys rollback` cancels it",
        "version" | "bad-request" => "use the airssys that runs the host",
        "busy" => "try again when others have their answers",
        _ => return None,
    })
}
