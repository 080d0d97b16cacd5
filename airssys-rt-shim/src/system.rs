//! The whole tree: started once, stopped within a deadline.
//!
//! Invariant: [`System::shutdown`] ends within its deadline, whatever the tree does, and says whom it did not wait for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ractor::{ActorRef, SpawnErr};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::child::{ChildId, StopReason};
use crate::exit::{ExitReason, ExitSlot};
use crate::monitor::{Down, ExitNotice, ExitWatch, Monitor};
use crate::supervisor::{
    ChildError, Listener, Msg, ShutdownRecord, SpecError, StartError, SupervisorHandle, SupervisorMsg, SupervisorSpec,
    Up, change, spawn,
};

/// The share of a shutdown's deadline that is kept for killing and for seeing that it worked, at most
/// [`KILL_RESERVE_MAX`].
const KILL_RESERVE_SHARE: u32 = 4;
const KILL_RESERVE_MAX: Duration = Duration::from_secs(2);

/// A running supervision tree. Dropping it leaves the tree running: shut it down.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use airssys_rt_shim::supervisor::{Strategy, SupervisorSpec};
/// use airssys_rt_shim::system::System;
///
/// let system = System::start("shop", SupervisorSpec::new(Strategy::OneForOne)).await?;
/// assert!(system.root().which_children().await?.is_empty());
/// let report = system.shutdown(Duration::from_secs(5)).await;
/// assert!(report.is_clean());
/// # Ok(()) }
/// ```
pub struct System {
    root: ActorRef<SupervisorMsg>,
    handle: SupervisorHandle,
    exit: ExitSlot,
    watch: ExitWatch,
    record: Arc<ShutdownRecord>,
    spec: Arc<ArcSwap<SupervisorSpec>>,
}

impl System {
    /// Starts the root supervisor with its children, and theirs, in order; answers when all are up.
    ///
    /// # Errors
    ///
    /// The spec is wrong, or something did not start; what had started is stopped again then.
    pub async fn start(name: impl Into<Arc<str>>, spec: SupervisorSpec) -> Result<Self, SystemError> {
        Self::start_told(name, spec, None).await
    }

    /// [`System::start`], with somebody who is told what becomes of each child of the tree.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::sync::mpsc;
    /// use std::time::Duration;
    /// use airssys_rt_shim::child::ChildSpec;
    /// use airssys_rt_shim::supervisor::{Listener, News, Strategy, SupervisorSpec, SupervisorStart};
    /// use airssys_rt_shim::system::System;
    ///
    /// let (told, news) = mpsc::channel();
    /// let listener = Listener::new(move |news| match news {
    ///     News::Up { child, .. } => told.send(format!("{} is up", child.path)).unwrap_or_default(),
    ///     News::Ended { child, reason, .. } => {
    ///         told.send(format!("{} ended: {reason}", child.path)).unwrap_or_default();
    ///     }
    ///     _ => {}
    /// });
    /// let workers = SupervisorStart::new(SupervisorSpec::new(Strategy::Dynamic))?;
    /// let root = SupervisorSpec::new(Strategy::OneForOne).child(ChildSpec::supervisor("workers", workers));
    /// let system = System::start_told("shop", root, Some(listener)).await?;
    /// system.shutdown(Duration::from_secs(5)).await;
    /// assert_eq!(news.try_iter().collect::<Vec<_>>(), ["shop/workers is up", "shop/workers ended: shutdown"]);
    /// # Ok(()) }
    /// ```
    pub async fn start_told(
        name: impl Into<Arc<str>>,
        spec: SupervisorSpec,
        listener: Option<Listener>,
    ) -> Result<Self, SystemError> {
        spec.validate()?;
        let spec = Arc::new(ArcSwap::from_pointee(spec));
        let record = Arc::new(ShutdownRecord::told_to(listener));
        let (sender, ready) = oneshot::channel();
        let up = Up::System { ready: Some(sender), name: name.into(), record: Arc::clone(&record) };
        let (root, exit, task) = spawn(Arc::clone(&spec), up, Arc::default(), None).await?;
        let watch = ExitWatch::default();
        let notice = ExitNotice::new(watch.clone());
        let last_words = exit.clone();
        tokio::spawn(async move {
            let _ended_either_way = task.await;
            notice.fire(&last_words.get().unwrap_or(ExitReason::Killed));
        });
        let handle = SupervisorHandle::default();
        handle.set(root.get_cell());
        let system = Self { root, handle, exit, watch, record, spec };
        if ready.await.is_ok() {
            return Ok(system);
        }
        let reason = system.ended().await;
        system.gone();
        Err(match reason.downcast_ref::<StartError>() {
            Some(error) => SystemError::Start(error.clone()),
            None => SystemError::Ended { reason },
        })
    }

    /// The root supervisor.
    #[must_use]
    pub fn root(&self) -> SupervisorHandle {
        self.handle.clone()
    }

    /// What the root supervisor is.
    #[must_use]
    pub fn spec(&self) -> Arc<SupervisorSpec> {
        self.spec.load_full()
    }

    /// Makes the root supervisor another one: see
    /// [`SupervisorStart::change`](crate::supervisor::SupervisorStart::change).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn change(&self, spec: SupervisorSpec) -> Result<(), ChildError> {
        change(&self.spec, &self.handle, spec).await
    }

    /// Learns of the end of the tree, such as when the root gives up.
    pub fn monitor(&self) -> Monitor {
        self.watch.monitor()
    }

    /// Waits until the tree has ended, and says why.
    pub async fn ended(&self) -> ExitReason {
        match self.monitor().await {
            Down::Ended(reason) => reason,
            Down::NoProcess => self.exit.get().unwrap_or(ExitReason::Killed),
        }
    }

    /// The child for which the root supervisor gave up, one restart too many, where it did.
    #[must_use]
    pub fn gave_up(&self) -> Option<ChildId> {
        self.record.whom()
    }

    /// Stops the tree in order. What has not stopped shortly before the deadline is killed.
    ///
    /// Of the deadline a quarter, at most two seconds, is kept for that. It may be called again, and from elsewhere.
    pub async fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        let begun = Instant::now();
        let reserve = (deadline / KILL_RESERVE_SHARE).min(KILL_RESERVE_MAX);
        self.record.open();
        let _it_is_gone = self.root.cast(SupervisorMsg(Msg::Shutdown(StopReason::Shutdown)));
        if timeout_at(begun + deadline - reserve, self.monitor()).await.is_err() {
            let _it_is_gone = self.root.cast(SupervisorMsg(Msg::Abort));
            if timeout_at(begun + deadline, self.monitor()).await.is_err() {
                self.root.kill();
            }
        }
        self.gone();
        let (killed, unresponsive) = self.record.read();
        ShutdownReport { killed, unresponsive, took: begun.elapsed() }
    }

    /// Nobody starts anything again.
    fn gone(&self) {
        self.handle.clear();
        self.spec.load().children.iter().for_each(|child| child.start.gone());
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System").field("root", &self.root.get_id()).field("watch", &self.watch).finish_non_exhaustive()
    }
}

/// How a shutdown went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShutdownReport {
    /// The paths of the workers that were killed because they did not stop in time: their own, or the whole system's.
    pub killed: Vec<String>,
    /// Those of them that were still there at the deadline: they do not yield, which is a bug of the host.
    pub unresponsive: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

impl ShutdownReport {
    /// Whether everybody stopped when asked.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.killed.is_empty()
    }
}

/// Why a system did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SystemError {
    /// The root's spec is wrong.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A child did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The root ended before it was up.
    #[error("the root supervisor ended before it was up: {reason}")]
    Ended {
        /// Why.
        reason: ExitReason,
    },
    /// ractor did not spawn the root.
    #[error("the root supervisor was not spawned")]
    Spawn(#[from] SpawnErr),
}
