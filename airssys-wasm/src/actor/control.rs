//! What a component actor is asked to do between two turns.

use tokio::sync::oneshot;

use super::swap::Swap;
use crate::error::{Crash, Fault};
use crate::turn::Recording;

/// What a component actor is asked to do between two turns.
pub(crate) enum Control {
    /// Say how it is.
    Check(oneshot::Sender<Result<(), Fault>>),
    /// Say what the recorder has; nothing where there is none.
    Recording(oneshot::Sender<Option<Box<Recording>>>),
    /// Let another release take over.
    Swap(Box<Swap>),
    /// Take what is offered to the place.
    Offered,
    /// Count turns where the place says now, or nowhere any more.
    Watch,
    /// Go on under the rules that are live in this place now, with the same instance; then say so.
    Retune(oneshot::Sender<()>),
    /// Go on with another instance of the same release, since this one may hold what was taken away.
    Revoked,
    /// The program in this task, which runs by itself, has ended so.
    Ended(tokio::task::Id, Crash),
    /// Go to sleep, if there is nothing to do.
    Sleep,
}
