//! What can go wrong with a supervisor's children.

use std::error::Error;
use std::fmt;

use crate::child::ChildId;
use crate::exit::ExitReason;
use crate::supervisor::spec::SpecError;

/// A child did not start. Where the child is a supervisor, the cause is a start error again.
#[derive(Debug, Clone)]
pub struct StartError {
    /// Which child.
    pub child: ChildId,
    /// Why it ended before it was ready.
    pub cause: ExitReason,
}

impl StartError {
    /// The names from this child down to the one that really failed.
    #[must_use]
    pub fn path(&self) -> Vec<ChildId> {
        let mut path = vec![self.child.clone()];
        let mut cause = &self.cause;
        while let Some(nested) = cause.downcast_ref::<Self>() {
            path.push(nested.child.clone());
            cause = &nested.cause;
        }
        path
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "child {} did not start: {}", self.child, self.cause)
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.cause {
            ExitReason::Failed(failure) => Some(failure.as_ref()),
            _ => None,
        }
    }
}

/// Why a supervisor did not do what was wanted with a child.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ChildError {
    /// It runs already.
    #[error("child {child} is already started")]
    AlreadyStarted {
        /// Its name.
        child: ChildId,
    },
    /// Its spec is there already, but it does not run.
    #[error("child {child} is already there, but down: it can be restarted, or deleted first")]
    AlreadyPresent {
        /// Its name.
        child: ChildId,
    },
    /// There is no such child.
    #[error("there is no child {child}")]
    NotFound {
        /// The name.
        child: ChildId,
    },
    /// It runs, and only one that is down can be restarted or deleted.
    #[error("child {child} is running: it has to be terminated first")]
    Running {
        /// Its name.
        child: ChildId,
    },
    /// It is about to be started again.
    #[error("child {child} is being restarted: it has to be terminated first")]
    Restarting {
        /// Its name.
        child: ChildId,
    },
    /// It is on its way down, or up for somebody who waits for it, and the supervisor cannot become what was wanted
    /// meanwhile.
    #[error("child {child} is about to stop, or to start for somebody who waits for that")]
    Unsettled {
        /// Its name.
        child: ChildId,
    },
    /// It was terminated before it was ready.
    #[error("child {child} was terminated before it was ready")]
    Terminated {
        /// Its name.
        child: ChildId,
    },
    /// A dynamic supervisor forgets children that are down.
    #[error("children of a dynamic supervisor are neither restarted nor deleted by hand")]
    Dynamic,
    /// It did not start.
    #[error(transparent)]
    StartFailed(#[from] StartError),
    /// It cannot be a child of this supervisor.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The supervisor is about to end.
    #[error("the supervisor is shutting down")]
    ShuttingDown,
    /// The supervisor does not run at the moment.
    #[error("the supervisor is not running")]
    NotRunning,
}
