//! A verdict that a layer has to wait for.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::task::JoinSet;

use super::Verdict;
use crate::error::CallError;
use crate::waits::Node;

/// A verdict that is still to come, of a layer that asks somebody before it lets a message on.
///
/// Whoever sends or calls waits for it: a call until its deadline, and then it has timed out; a send for the
/// `reserve_timeout` of the topology, and then it is rejected in the layer's name. When the mesh is over, it is told
/// that the service is stopped. Whoever goes away is not waited for: the future is dropped, and the layers are told
/// that the message was discarded.
///
/// Nothing else can wait: a publication, a subscription, what is done to children, what the host brings to a mailbox,
/// and everything in the sync lane. There nobody looks at the future: the message does not go on, and is rejected in
/// the layer's name. [`Context::may_wait`](super::Context::may_wait) says before which it is, so that a layer can
/// decide by what it knows already.
///
/// A layer that asks a service of the same mesh must let its own question pass. Whom it asks may be waiting for it: a
/// call to whoever waits for its verdict fails with [`CallError::Deadlock`], of the layer as well as of the service
/// that it asks. That holds for what is called in the future itself, and of several calls at once the others know the
/// first; what it has another task call is waited for until the deadline.
///
/// # Example
///
/// A layer that asks a service of the mesh before it lets a call on. Without an answer, nothing goes on.
///
/// ```
/// use std::sync::{Arc, OnceLock, Weak};
/// use std::time::Duration;
///
/// use airssys_wasm::Runtime;
/// use airssys_wasm::middleware::Operation;
/// use airssys_wasm::error::SendError;
/// use airssys_wasm::middleware::{Context, Later, Layer, Verdict};
/// use bytes::Bytes;
///
/// /// Known when the mesh has started; nothing goes on before.
/// #[derive(Clone, Default)]
/// struct AskPolicy(Arc<OnceLock<Weak<Runtime>>>);
///
/// impl Layer for AskPolicy {
///     fn name(&self) -> &'static str {
///         "policy"
///     }
///
///     /// After the host's own: what is denied anyway needs no question.
///     fn priority(&self) -> i32 {
///         100
///     }
///
///     fn before(&self, context: &mut Context<'_>, _: &mut Bytes) -> Verdict {
///         if context.operation != Operation::Call || context.target == "policy" {
///             return Verdict::Continue;
///         }
///         let (mesh, target) = (self.0.get().cloned().unwrap_or_default(), context.target.to_owned());
///         Verdict::Later(Later::new(async move {
///             let no = |reason| Verdict::Reject(SendError::Rejected { layer: "policy".into(), reason }.into());
///             let Some(mesh) = mesh.upgrade() else { return no("the mesh is not up".to_owned()) };
///             match mesh.call("policy", target.clone(), Duration::from_secs(1)).await {
///                 Ok(Some(answer)) if answer.is_empty() => Verdict::Continue,
///                 Ok(_) => no(format!("nobody calls {target}")),
///                 Err(error) => no(error.to_string()),
///             }
///         }))
///     }
/// }
/// ```
pub struct Later(Pin<Box<dyn Future<Output = Verdict> + Send>>);

impl Later {
    /// What this future says.
    pub fn new(verdict: impl Future<Output = Verdict> + Send + 'static) -> Self {
        Self(Box::pin(verdict))
    }

    /// The same, which calls in the name of this layer.
    pub(super) fn within(self, layer: Node) -> Self {
        Self::new(layer.within(self))
    }

    /// The same in a task of its own, which ends when this is dropped: the stack of a turn is a guest's, and small.
    pub(super) fn apart(self) -> Self {
        let mut task = JoinSet::new();
        task.spawn(self);
        Self::new(async move {
            match task.join_next().await {
                Some(Ok(verdict)) => verdict,
                _ => Verdict::Reject(CallError::Dropped("it panicked over its verdict".to_owned())),
            }
        })
    }
}

impl Future for Later {
    type Output = Verdict;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Verdict> {
        self.0.as_mut().poll(context)
    }
}

impl fmt::Debug for Later {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Later").finish_non_exhaustive()
    }
}
