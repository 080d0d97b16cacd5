//! A verdict that a layer has to wait for.

use std::pin::Pin;

use tokio::task::JoinSet;

use super::Verdict;
use crate::error::CallError;
use crate::waits::Node;

/// See [`Verdict::Later`].
pub(crate) type Later = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// The same, which calls in the name of this layer.
pub(super) fn within(later: Later, layer: Node) -> Later {
    Box::pin(layer.within(later))
}

/// The same in a task of its own, which ends when this is dropped: the stack of a turn is a guest's, and small.
pub(super) fn apart(later: Later) -> Later {
    let mut task = JoinSet::new();
    task.spawn(later);
    Box::pin(async move {
        match task.join_next().await {
            Some(Ok(verdict)) => verdict,
            _ => Verdict::Reject(CallError::Dropped("it panicked over its verdict".to_owned())),
        }
    })
}
