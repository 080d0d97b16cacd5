//! Why it is not known, or not written down, what is to run, what was deployed and what is stopped.

use std::path::PathBuf;

use crate::config_file::ConfigError;
use crate::hint::{Act, Coded, Hint};
use crate::registry::StoreError;
use crate::registry::log;
use crate::state::durable::StateError;

/// Why what a data folder says of a mesh cannot be read, written, or used.
///
/// # Example
///
/// ```
/// use airssys_wasm::command;
/// use airssys_wasm::command::RecordError;
///
/// # let folder = tempfile::tempdir()?;
/// # let data = folder.path();
/// let error = command::forget(data, Some("topology")).unwrap_err();
/// assert!(matches!(error, RecordError::NoRecord { .. }), "{error}");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] StoreError),
    /// A release in the data folder is damaged.
    #[error(transparent)]
    Release(StoreError),
    /// What was deployed is not what was written, or makes no sense.
    #[error("what was deployed cannot be known: {}: {detail}", .path.display())]
    Deployed {
        /// The file.
        path: PathBuf,
        /// Which of its records, as it is named to forget it; none where the file says nothing else.
        record: Option<String>,
        /// What is wrong.
        detail: String,
    },
    /// The topology in force is not what was written, or makes no sense.
    #[error("the topology in force cannot be known: {}: {detail}", .path.display())]
    Topology {
        /// The file.
        path: PathBuf,
        /// Which of its records, as it is named to forget it; none where the file says nothing else.
        record: Option<String>,
        /// What is wrong.
        detail: String,
    },
    /// Which services an operator stopped is not what was written, or makes no sense.
    #[error("which services were stopped cannot be known: {}: {detail}", .path.display())]
    Stopped {
        /// The file.
        path: PathBuf,
        /// Which of its records, as it is named to forget it; none where the file says nothing else.
        record: Option<String>,
        /// What is wrong.
        detail: String,
    },
    /// Ends of deployments are damaged, and not the last ones: a host goes on without them.
    #[error("{}: of the history of {service}, {ends} of the ends cannot be read", .path.display())]
    History {
        /// The file.
        path: PathBuf,
        /// The service.
        service: String,
        /// How many.
        ends: usize,
    },
    /// No more deployments of a service can be counted.
    #[error("{service}: {ended} deployments have ended, and no more are counted")]
    Full {
        /// The service.
        service: String,
        /// How many.
        ended: u64,
    },
    /// What is in force is not what it was: a release or a folder that it names is gone.
    #[error("the topology in force cannot be used any more: {}", .0.what)]
    Unusable(#[source] ConfigError),
    /// The topology cannot be written as text.
    #[error(transparent)]
    NotText(#[from] ConfigError),
    /// The durable state cannot be read, which says how far an apply came that was cut off.
    #[error(transparent)]
    State(#[from] StateError),
    /// An earlier version has written beside what this one has.
    #[error("an earlier airssys wrote {} after {} was made, and which of the two counts cannot be known", .earlier.display(), .path.display())]
    Twice {
        /// What was written by the earlier one.
        earlier: PathBuf,
        /// What there is of this version.
        path: PathBuf,
    },
    /// There is no such record.
    #[error("there is no record {record:?} in {}", .path.display())]
    NoRecord {
        /// What was asked for.
        record: String,
        /// The file.
        path: PathBuf,
        /// Those that there are.
        known: Vec<String>,
    },
}

impl Coded for RecordError {
    fn code(&self) -> &'static str {
        match self {
            Self::File(error) | Self::Release(error) => error.code(),
            Self::Deployed { .. } => "deployed",
            Self::Topology { .. } => "topology",
            Self::Stopped { .. } => "stopped",
            Self::History { .. } => "history",
            Self::Full { .. } => "full",
            Self::Unusable(_) => "unusable",
            Self::NotText(_) => "not-text",
            Self::State(error) => error.code(),
            Self::Twice { .. } => "twice",
            Self::NoRecord { .. } => "no-record",
        }
    }

    /// What to do about it, and what is lost by that.
    fn hint(&self) -> Option<Hint> {
        let hint = match self {
            Self::File(error) | Self::Release(error) => return error.hint(),
            Self::State(error) => return error.hint(),
            Self::NotText(error) => return error.hint(),
            Self::Deployed { path, record, .. } => {
                let is_intent = |name: &str| name.starts_with("intents/") || name.ends_with(".intent");
                let name = record.as_deref().or(path.to_str()).unwrap_or_default();
                if name == log::UNKNOWN {
                    let lost = "what it said is lost, and what was written down before of the same counts again";
                    return Some(log::remedy(Some(name), lost));
                }
                let lost = if is_intent(name) {
                    "a deployment that was cut off is then as if it had not begun"
                } else {
                    "the service then starts with the release that the topology names, and its history and its way back are lost"
                };
                log::remedy(record.as_deref(), lost).words("; ").act(Act::ForgetDeployed).words(" of all services")
            }
            Self::Topology { record, .. } => {
                let loses = "the next start is then with the topology's file, and what was applied and is not in that file is lost; ";
                log::remedy(record.as_deref(), loses).act(Act::ForgetDeployed)
            }
            Self::Stopped { record, .. } => {
                log::remedy(record.as_deref(), "the next start then starts all services, and ").act(Act::StopAgain)
            }
            Self::History { .. } => {
                "there is nothing to do: nothing else is lost, and it is told until the file is written anew".into()
            }
            Self::Full { .. } => Act::ForgetDeployed.into(),
            Self::Unusable(_) => without_it(),
            Self::Twice { .. } => "remove the folders deployments and topology to go on with what this version has written, or the folder desired to go on with what the earlier one has".into(),
            Self::NoRecord { known, .. } if known.is_empty() => "there are none".into(),
            Self::NoRecord { known, .. } => format!("there are {}", known.join(", ")).into(),
        };
        Some(hint)
    }
}

/// What to do where the topology in force names what is gone.
pub(crate) fn without_it() -> Hint {
    Hint::from("bring it back, ").act(Act::ApplyOther).words(", or ").act(Act::StartAsWritten)
}
