//! A deployment, as those see it who follow it or want something of it.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::met::Met;
use super::progress::Progress;
use super::setback::Setback;

/// A deployment that is under way, or over.
///
/// # Example
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
/// # doc::mesh("", async |runtime, folder| {
/// use airssys_wasm::deploy::{DeployOptions, Progress, Setback};
/// use airssys_wasm::hint::Coded;
/// use airssys_wasm::registry::Release;
///
/// let mut next = Release::find(&folder.join("echo.wasm"))?;
/// next.manifest.version = "1.1.0".parse()?;
/// let mut deployment = runtime.deploy("echo", next, DeployOptions::default()).await?;
/// assert_eq!(deployment.switched().await, Progress::Probation);
/// assert!(!deployment.progress().is_over());
/// let status = runtime.deployment_status(&deployment);
/// assert_eq!((status.number, status.waited, status.notes.len()), (1, 0, 0));
///
/// deployment.cancel();
/// assert_eq!(deployment.ended().await, Progress::RolledBack { reason: Setback::Cancelled });
/// while let Some(progress) = deployment.next().await {
///     println!("{}", progress.code());
/// }
/// # Ok(()) });
/// ```
#[derive(Debug, Clone)]
pub struct Deployment {
    pub(super) number: u64,
    pub(super) service: Arc<str>,
    /// The SHA-256 of the component that was live, and of the one that is to be.
    pub(super) digests: Arc<(String, String)>,
    pub(super) progress: watch::Receiver<Progress>,
    pub(super) wish: mpsc::UnboundedSender<Wish>,
    pub(super) met: Arc<Met>,
}

/// What is wanted of a deployment.
#[derive(Debug)]
pub(super) enum Wish {
    GoBack(Setback),
    /// Answer when all actors say that they are well.
    Check(oneshot::Sender<()>),
    /// End the probation, and wait for the others of the set.
    Join(Joined),
}

/// What one of several deployments and who sees to all of them say to each other at the end.
#[derive(Debug)]
pub(super) struct Joined {
    /// None of its actors goes back by itself any more.
    pub(super) settled: oneshot::Sender<()>,
    /// What becomes of all; where nobody says so, it goes back.
    pub(super) verdict: oneshot::Receiver<Result<(), Setback>>,
}

impl Deployment {
    /// What it went on without, so far, as sentences.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.met.lock_left_out().notes()
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// What it is a deployment of.
    pub(crate) fn service(&self) -> &str {
        &self.service
    }

    /// Where it is.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, folder| {
    /// # use airssys_wasm::deploy::{DeployOptions, Progress, Setback};
    /// # use airssys_wasm::registry::Release;
    /// # let mut next = Release::find(&folder.join("echo.wasm"))?;
    /// # next.manifest.version = "1.1.0".parse()?;
    /// # let mut options = DeployOptions::default();
    /// let deployment = runtime.deploy("echo", next, options).await?;
    /// let told = match deployment.progress() {
    ///     Progress::Switching { switched, actors } => format!("{switched} of {actors} actors have it"),
    ///     Progress::Probation => "all have it".to_owned(),
    ///     other => panic!("{other:?}"),
    /// };
    /// # deployment.cancel();
    /// # drop((told, deployment.ended().await == Progress::RolledBack { reason: Setback::Cancelled }));
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Where it is, when that is not what this told last; the first time at once. What it was in between is left out.
    /// None when its end was told, or the mesh ended in the middle of it. A clone tells from where this one is.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, folder| {
    /// # use airssys_wasm::deploy::{DeployOptions, Progress, Setback};
    /// # use airssys_wasm::registry::Release;
    /// # let mut next = Release::find(&folder.join("echo.wasm"))?;
    /// # next.manifest.version = "1.1.0".parse()?;
    /// # let mut options = DeployOptions::default();
    /// # options.probation = std::time::Duration::ZERO;
    /// use airssys_wasm::hint::Coded;
    ///
    /// let mut deployment = runtime.deploy("echo", next, options).await?;
    /// let mut told = Vec::new();
    /// while let Some(progress) = deployment.next().await {
    ///     told.push(progress.code());
    /// }
    /// assert_eq!(told.last(), Some(&"live"));
    /// # let _ = Setback::Cancelled;
    /// # Ok(()) });
    /// ```
    pub async fn next(&mut self) -> Option<Progress> {
        self.progress.changed().await.ok()?;
        Some(self.progress.borrow_and_update().clone())
    }

    /// Waits until all actors serve with the new release, or it is over.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, folder| {
    /// # use airssys_wasm::deploy::{DeployOptions, Progress, Setback};
    /// # use airssys_wasm::registry::Release;
    /// # let mut next = Release::find(&folder.join("echo.wasm"))?;
    /// # next.manifest.version = "1.1.0".parse()?;
    /// # let mut options = DeployOptions::default();
    /// let deployment = runtime.deploy("echo", next, options).await?;
    /// assert_eq!(deployment.switched().await, Progress::Probation);
    /// # deployment.cancel();
    /// # drop(deployment.ended().await == Progress::RolledBack { reason: Setback::Cancelled });
    /// # Ok(()) });
    /// ```
    pub async fn switched(&self) -> Progress {
        self.wait(|progress| {
            !matches!(progress, Progress::Switching { .. } | Progress::Rehearsing { .. } | Progress::Baking { .. })
        })
        .await
    }

    /// Waits until it is over.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, folder| {
    /// # use airssys_wasm::deploy::{DeployOptions, Progress, Setback};
    /// # use airssys_wasm::registry::Release;
    /// # let mut next = Release::find(&folder.join("echo.wasm"))?;
    /// # next.manifest.version = "1.1.0".parse()?;
    /// # let mut options = DeployOptions::default();
    /// options.probation = std::time::Duration::ZERO;
    /// match runtime.deploy("echo", next, options).await?.ended().await {
    ///     Progress::Live => println!("it is live"),
    ///     Progress::RolledBack { reason } => panic!("the one before is: {reason}"),
    ///     other => panic!("{other:?}"),
    /// }
    /// # let _ = Setback::Cancelled;
    /// # Ok(()) });
    /// ```
    pub async fn ended(&self) -> Progress {
        self.wait(Progress::is_over).await
    }

    /// Brings the old release back. Does nothing where it is over.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, folder| {
    /// # use airssys_wasm::deploy::{DeployOptions, Progress, Setback};
    /// # use airssys_wasm::registry::Release;
    /// # let mut next = Release::find(&folder.join("echo.wasm"))?;
    /// # next.manifest.version = "1.1.0".parse()?;
    /// # let mut options = DeployOptions::default();
    /// let deployment = runtime.deploy("echo", next, options).await?;
    /// deployment.cancel();
    /// assert_eq!(deployment.ended().await, Progress::RolledBack { reason: Setback::Cancelled });
    /// # Ok(()) });
    /// ```
    pub fn cancel(&self) {
        self.go_back(Setback::Cancelled);
    }

    pub(crate) fn go_back(&self, why: Setback) {
        let _it_is_over = self.wish.send(Wish::GoBack(why));
    }

    /// Whether all actors say that they are well; where not, it goes back.
    pub(super) async fn check(&self) -> bool {
        let (answer, answered) = oneshot::channel();
        self.wish.send(Wish::Check(answer)).is_ok() && answered.await.is_ok()
    }

    /// Ends the probation, where it is on it; where to say what becomes of it then. None where it went back.
    pub(super) async fn join(&self) -> Option<oneshot::Sender<Result<(), Setback>>> {
        let ((settled, is_settled), (tell, verdict)) = (oneshot::channel(), oneshot::channel());
        self.wish.send(Wish::Join(Joined { settled, verdict })).ok()?;
        is_settled.await.is_ok().then_some(tell)
    }

    async fn wait(&self, until: impl Fn(&Progress) -> bool) -> Progress {
        let mut progress = self.progress.clone();
        match progress.wait_for(|progress| until(progress)).await {
            Ok(reached) => reached.clone(),
            // The mesh ended in the middle of it.
            Err(_) => self.progress(),
        }
    }
}
