//! What a start tells of the data folder that it found.

use std::path::{Path, PathBuf};

use super::intent::Step;
use super::source::Source;
use crate::hint::{Act, Coded, Hint};

/// Something that a start found in the data folder and that is not as the topology says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recovery {
    /// A release that was deployed serves, and not the one of the topology.
    Deployed {
        /// The service.
        service: String,
        /// What serves.
        live: Source,
        /// What the topology says.
        written: PathBuf,
    },
    /// The release of the topology is not there any more, and what served from there last serves.
    Kept {
        /// The service.
        service: String,
        /// What serves.
        live: Source,
        /// Why it is not there.
        why: String,
    },
    /// The host was killed, and what served by the path of the topology serves, though another release is there now.
    Resumed {
        /// The service.
        service: String,
        /// What serves.
        live: Source,
        /// The path.
        written: PathBuf,
    },
    /// A deployment was cut off, and its release is live.
    Finished {
        /// The service.
        service: String,
        /// What serves.
        live: Source,
        /// Another service of its set, which keeps its new release; none where it is that the state on disk is in the
        /// schema of the release.
        with: Option<String>,
    },
    /// An operator stopped the service, and it stays stopped.
    Stopped {
        /// The service.
        service: String,
        /// Since when, in UTC, by RFC 3339.
        since: String,
        /// Whether the topology has no such service any more: it is forgotten then that it was stopped.
        is_gone: bool,
    },
    /// Some of how the deployments of a service ended is damaged, and not the last one: nothing else is lost.
    HistoryLost {
        /// The service.
        service: String,
        /// How many ends.
        ends: usize,
    },
    /// A deployment was cut off, and the release before is live.
    RolledBack {
        /// The service.
        service: String,
        /// What was to serve.
        next: Source,
        /// How far it came, where it went by steps.
        step: Option<Step>,
    },
}

impl Coded for Recovery {
    fn code(&self) -> &'static str {
        match self {
            Self::Deployed { .. } => "deployed",
            Self::Kept { .. } => "kept",
            Self::Resumed { .. } => "resumed",
            Self::Finished { .. } => "finished",
            Self::Stopped { .. } => "stopped",
            Self::HistoryLost { .. } => "history-lost",
            Self::RolledBack { .. } => "rolled-back",
        }
    }

    fn hint(&self) -> Option<Hint> {
        let brings_in = |service: &str, written: &Path| {
            Hint::from(Act::Deploy { service: service.to_owned(), release: written.display().to_string() })
        };
        Some(match self {
            Self::Deployed { service, live, written } if live.lies_at(written) => {
                brings_in(service, written).words(", ").act(Act::ForgetDeployed)
            }
            Self::Deployed { .. } => Act::ForgetDeployed.into(),
            Self::Kept { .. } => "bring it back, or name another release".into(),
            Self::Resumed { service, written, .. } => {
                brings_in(service, written).words(", and so does a start after an end in order")
            }
            Self::Stopped { service, is_gone: false, .. } => Act::Start { service: service.clone() }.into(),
            Self::Stopped { is_gone: true, .. }
            | Self::Finished { .. }
            | Self::HistoryLost { .. }
            | Self::RolledBack { .. } => return None,
        })
    }
}

impl std::fmt::Display for Recovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Deployed { service, live, written } if live.lies_at(written) => {
                write!(f, "{service}: served by {live}, which was deployed; another release lies there now")
            }
            Self::Kept { service, live, why } => {
                write!(f, "{service}: served by {live}, as before; what the topology names cannot be used: {why}")
            }
            Self::Resumed { service, live, .. } => {
                write!(f, "{service}: served by {live}, as when the host was killed; another release lies there now")
            }
            Self::Deployed { service, live, written } => {
                write!(f, "{service}: served by {live}, which was deployed; the topology says {}", written.display())
            }
            Self::HistoryLost { service, ends } => {
                write!(f, "{service}: of its history, {ends} of the ends cannot be read; nothing else is lost")
            }
            Self::Stopped { service, since, is_gone: false } => {
                write!(f, "{service}: stopped by an operator since {since}")
            }
            Self::Stopped { service, since, is_gone: true } => {
                write!(
                    f,
                    "{service}: was stopped by an operator since {since}, and is no service any more; that is forgotten"
                )
            }
            Self::Finished { service, live, with: None } => {
                write!(f, "{service}: a deployment was cut off; its state was brought over already, so {live} is live")
            }
            Self::Finished { service, live, with: Some(with) } => {
                write!(
                    f,
                    "{service}: a deployment was cut off; {with}, of the same set, keeps its new release, so {live} is live"
                )
            }
            Self::RolledBack { service, next, step: None } => {
                write!(f, "{service}: a deployment of {next} was cut off, and is rolled back")
            }
            Self::RolledBack { service, next, step: Some(step) } => {
                write!(f, "{service}: a deployment of {next} was cut off {step}, and is rolled back")
            }
        }
    }
}
