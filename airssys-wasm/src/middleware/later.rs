//! A verdict that a layer has to wait for.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;

use futures_util::FutureExt as _;
use tokio::task::JoinSet;

use super::{ErrorVerdict, Verdict};
use crate::waits::Node;

/// See [`Verdict::Later`].
pub(crate) type Later = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// See [`ErrorVerdict::Later`].
pub(super) type ErrorLater = Pin<Box<dyn Future<Output = ErrorVerdict> + Send>>;

/// A verdict that is waited for; none where the layer panicked over it.
pub(super) type Said<V> = Pin<Box<dyn Future<Output = Option<V>> + Send>>;

/// The same, which calls in the name of this layer.
pub(super) fn within<V: 'static>(later: Pin<Box<dyn Future<Output = V> + Send>>, layer: Node) -> Said<V> {
    Box::pin(AssertUnwindSafe(layer.within(later)).catch_unwind().map(Result::ok))
}

/// The same in a task of its own, which ends when this is dropped: the stack of a turn is a guest's, and small.
pub(super) fn apart<V: Send + 'static>(later: Said<V>) -> Said<V> {
    let mut task = JoinSet::new();
    task.spawn(later);
    Box::pin(async move {
        match task.join_next().await {
            Some(Ok(verdict)) => verdict,
            _ => None,
        }
    })
}
