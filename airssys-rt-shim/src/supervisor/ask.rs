//! Speaking to a supervisor from outside, and looking at its tree.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use ractor::ActorRef;
use tokio::sync::oneshot;

use crate::child::{ChildId, ChildSpec};
use crate::link::Pid;
use crate::supervisor::info::{ChildInfo, Counts};
use crate::supervisor::{ChildError, Msg, SupervisorHandle, SupervisorMsg, SupervisorSpec};

impl SupervisorHandle {
    pub(crate) fn cast(&self, message: Msg) -> Result<(), ChildError> {
        let supervisor = ActorRef::from(self.actor().ok_or(ChildError::NotRunning)?);
        supervisor.cast(SupervisorMsg(message)).map_err(|_| ChildError::NotRunning)
    }

    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Msg) -> Result<T, ChildError> {
        self.ask_now(message).await
    }

    /// Asks at once; what is given only waits for the answer.
    fn ask_now<T, F: FnOnce(oneshot::Sender<T>) -> Msg>(
        &self,
        message: F,
    ) -> impl Future<Output = Result<T, ChildError>> + use<T, F> {
        let (sender, answer) = oneshot::channel();
        let asked = self.cast(message(sender));
        async move {
            asked?;
            answer.await.map_err(|_| ChildError::NotRunning)
        }
    }

    /// Adds a child behind all others, starts it, and answers when it is ready. It is asked for when this returns, in
    /// the order of the calls; the future waits for the answer.
    ///
    /// # Errors
    ///
    /// The name is taken, the spec does not fit this supervisor, the child did not start (it is forgotten then), or the
    /// supervisor ends.
    pub fn start_child(&self, spec: ChildSpec) -> impl Future<Output = Result<Pid, ChildError>> + Send + use<> {
        let asked = self.ask_now(|reply| Msg::StartChild { spec, reply });
        async move { asked.await? }
    }

    /// Stops a child as its spec says, and answers when it is gone. Its spec stays, unless it is temporary or the
    /// supervisor dynamic. It is asked for when this returns, in the order of the calls; the future waits for the
    /// answer.
    ///
    /// # Errors
    ///
    /// There is no such child, or the supervisor ends.
    pub fn terminate_child<C: Into<ChildId>>(
        &self,
        child: C,
    ) -> impl Future<Output = Result<(), ChildError>> + Send + use<C> {
        let child = child.into();
        let asked = self.ask_now(|reply| Msg::TerminateChild { child, reply });
        async move { asked.await? }
    }

    /// Starts a child that is down, and answers when it is ready.
    ///
    /// # Errors
    ///
    /// It is not there, not down, did not start (its spec stays), the supervisor is dynamic, or ends.
    pub async fn restart_child(&self, child: impl Into<ChildId>) -> Result<Pid, ChildError> {
        let child = child.into();
        self.ask(|reply| Msg::RestartChild { child, reply }).await?
    }

    /// Forgets a child that is down.
    ///
    /// # Errors
    ///
    /// It is not there, not down, the supervisor is dynamic, or ends.
    pub async fn delete_child(&self, child: impl Into<ChildId>) -> Result<(), ChildError> {
        let child = child.into();
        self.ask(|reply| Msg::DeleteChild { child, reply }).await?
    }

    /// Gives the incarnation that runs another spec: see
    /// [`SupervisorStart::change`](crate::supervisor::SupervisorStart::change).
    pub(crate) async fn change(&self, spec: SupervisorSpec) -> Result<(), ChildError> {
        self.ask(|reply| Msg::Change { spec: Box::new(spec), reply }).await?
    }

    /// Its children in start order, as they are now; also while it starts or stops.
    ///
    /// # Errors
    ///
    /// It does not run.
    pub async fn which_children(&self) -> Result<Vec<ChildInfo>, ChildError> {
        self.ask(Msg::WhichChildren).await
    }

    /// How many children it has.
    ///
    /// # Errors
    ///
    /// It does not run.
    pub async fn count_children(&self) -> Result<Counts, ChildError> {
        self.ask(Msg::CountChildren).await
    }

    /// Its children, and theirs. A nested supervisor that does not run at the moment has none.
    ///
    /// # Errors
    ///
    /// It does not run.
    pub fn tree(&self) -> Pin<Box<dyn Future<Output = Result<Vec<TreeNode>, ChildError>> + Send + '_>> {
        Box::pin(async move {
            let mut nodes = Vec::new();
            for child in self.which_children().await? {
                let children = match &child.supervisor {
                    Some(nested) => nested.tree().await.unwrap_or_default(),
                    None => Vec::new(),
                };
                nodes.push(TreeNode { child, children });
            }
            Ok(nodes)
        })
    }
}

/// A child and what is below it. Shows itself as an indented tree.
#[derive(Debug, Clone)]
pub struct TreeNode {
    /// The child.
    pub child: ChildInfo,
    /// Its own children.
    pub children: Vec<TreeNode>,
}

impl TreeNode {
    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let child = &self.child;
        let status = child.status.name();
        write!(f, "{:indent$}{}  {status}", "", child.id, indent = depth * 2)?;
        if child.restarts > 0 {
            write!(f, "  restarts {}", child.restarts)?;
        }
        if let Some(reason) = &child.last_exit {
            write!(f, "  last exit: {reason}")?;
        }
        writeln!(f)?;
        self.children.iter().try_for_each(|node| node.write(f, depth + 1))
    }
}

impl fmt::Display for TreeNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}
