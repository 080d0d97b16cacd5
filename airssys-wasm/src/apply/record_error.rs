//! Why it is not known, or not written down, what is to run.

use std::path::PathBuf;

use crate::config_file::ConfigError;
use crate::deploy::RecordError;
use crate::hint::{Act, Hint, Hinted};
use crate::registry::StoreError;
use crate::registry::log;
use crate::state::durable::StateError;
use crate::topology::NotText;

/// Why the record of what is in force in a data folder cannot be read, written, or used.
///
/// # Example
///
/// ```
/// use airssys_wasm::apply::{self, InForceError};
///
/// # let folder = tempfile::tempdir()?;
/// # let data = folder.path();
/// let error = apply::forget_record(data, "topology").unwrap_err();
/// assert!(matches!(error, InForceError::NoRecord { .. }), "{error}");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InForceError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] StoreError),
    /// The file is not what was written, or makes no sense.
    #[error("the topology in force cannot be known: {}: {detail}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which of its records, as it is named to forget it; none where the file says nothing else.
        record: Option<String>,
        /// What is wrong.
        detail: String,
    },
    /// What is in force is not what it was: a release or a folder that it names is gone.
    #[error("the topology in force cannot be used any more: {}", .0.what)]
    Unusable(#[source] ConfigError),
    /// It cannot be written as text.
    #[error(transparent)]
    NotText(#[from] NotText),
    /// The durable state cannot be read, which says how far an apply came that was cut off.
    #[error(transparent)]
    State(#[from] StateError),
    /// The records of deployments cannot be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The record of the services that are stopped cannot be read or written.
    #[error(transparent)]
    Stops(#[from] StopsError),
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

impl Hinted for InForceError {
    fn hint(&self) -> Option<Hint> {
        match self {
            Self::File(error) => error.hint(),
            Self::Damaged { record, .. } => {
                let loses = "the next start is then with the topology's file, and what was applied and is not in that file is lost; ";
                Some(log::remedy(record.as_deref(), loses).act(Act::ForgetDeployed))
            }
            Self::Unusable(_) => Some(without_it()),
            Self::NotText(error) => error.hint(),
            Self::State(error) => error.hint(),
            Self::Record(error) => error.hint(),
            Self::Stops(error) => error.hint(),
            Self::Twice { .. } => Some(
                "remove the folders deployments and topology to go on with what this version has written, or the folder desired to go on with what the earlier one has".into(),
            ),
            Self::NoRecord { known, .. } if known.is_empty() => Some("there are none".into()),
            Self::NoRecord { known, .. } => Some(format!("there are {}", known.join(", ")).into()),
        }
    }
}

/// What to do where the topology in force names what is gone.
pub(super) fn without_it() -> Hint {
    Hint::from("bring it back, ").act(Act::ApplyOther).words(", or ").act(Act::StartAsWritten)
}

/// Which services an operator stopped cannot be read or written.
///
/// # Example
///
/// ```
/// use airssys_wasm::{StopError, StopsError};
///
/// /// Whether a stop failed because what is written of stops cannot be read.
/// fn is_damaged(error: &StopError) -> bool {
///     matches!(error, StopError::NotKept(StopsError::Damaged { .. }))
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StopsError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] StoreError),
    /// The file is not what was written, or makes no sense.
    #[error("which services were stopped cannot be known: {}: {detail}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which of its records, as it is named to forget it; none where the file says nothing else.
        record: Option<String>,
        /// What is wrong.
        detail: String,
    },
}

impl Hinted for StopsError {
    fn hint(&self) -> Option<Hint> {
        match self {
            Self::File(error) => error.hint(),
            Self::Damaged { record, .. } => {
                let loses = "the next start then starts all services, and ";
                Some(log::remedy(record.as_deref(), loses).act(Act::StopAgain))
            }
        }
    }
}
