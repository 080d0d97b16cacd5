//! Another release for a service that runs, and what became of those before.

use super::Runtime;
use crate::apply::Act;
use crate::deploy::{DeployError, DeployOptions, Deployment, RecordingError, Status};
use crate::registry::Release;
use crate::turn::Recording;

impl Runtime {
    /// Lets another release take a service over, in place: address, mailbox and state stay, and what the operator
    /// granted and configured. It answers when the release is compiled; the rest can be followed with the
    /// [`Deployment`]. Where nobody waits for that answer any more, it goes on all the same.
    ///
    /// # Example
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs"));
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (runtime, folder) = echo("").await?;
    /// use std::time::Duration;
    /// use airssys_wasm::deploy::{DeployOptions, Progress};
    /// use airssys_wasm::registry::Release;
    ///
    /// let mut next = Release::find(&folder.path().join("echo.wasm"))?;
    /// next.manifest.version = "1.1.0".parse()?;
    /// let mut options = DeployOptions::default();
    /// options.probation = Duration::ZERO;
    /// let deployment = runtime.deploy("echo", next, options.clone()).await?;
    /// assert_eq!(deployment.ended().await, Progress::Live);
    ///
    /// let back = runtime.rollback("echo", options)?;
    /// assert_eq!(back.ended().await, Progress::Live);
    /// # runtime.shutdown().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`DeployError`]; nothing has changed then.
    pub async fn deploy(
        &self,
        service: &str,
        release: Release,
        options: DeployOptions,
    ) -> Result<Deployment, DeployError> {
        let act = Act::on("deploy", service).to(name(&release));
        self.hosted.acting(act, self.hosted.deploy(service, release, options)).await
    }

    /// [`Runtime::deploy`] for several services at once. All releases are compiled and compared first; then the
    /// services are switched, those that are called before those who call them; then they are on probation together.
    /// Where one goes back, all do. It answers when all are switched, or go back. A set has neither a strategy nor a
    /// gate: other ones than the defaults are refused.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, folder| {
    /// use std::time::Duration;
    ///
    /// use airssys_wasm::deploy::{DeployOptions, Progress};
    /// use airssys_wasm::registry::Release;
    ///
    /// let mut next = Release::find(&folder.join("echo.wasm"))?;
    /// next.manifest.version = "1.1.0".parse()?;
    /// let mut options = DeployOptions::default();
    /// options.probation = Duration::ZERO;
    /// for (service, deployment) in runtime.deploy_set(vec![("echo".to_owned(), next)], options).await? {
    ///     assert_eq!(deployment.ended().await, Progress::Live, "{service}");
    /// }
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`DeployError`] of the first one that is refused; nothing has changed then.
    pub async fn deploy_set(
        &self,
        set: Vec<(String, Release)>,
        options: DeployOptions,
    ) -> Result<Vec<(String, Deployment)>, DeployError> {
        let each = set.iter().map(|(service, release)| format!("{service}={}", name(release)));
        let act = Act::new("deploy-set").to(each.collect::<Vec<_>>().join(", "));
        self.hosted.acting(act, self.hosted.deploy_set(set, options)).await
    }

    /// Brings back the release that served before the one that is live: at once and in place, since it is kept ready.
    /// Where a deployment is under way, that is cancelled.
    ///
    /// For one that cannot read what the live one stored there is [`DeployOptions::restore_state`]: the state is then
    /// what it was before the live one brought it over, and the turns that were committed since are discarded. That is
    /// also the way out of [`Progress::Suspended`](crate::deploy::Progress::Suspended).
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// use airssys_wasm::deploy::{DeployError, DeployOptions};
    ///
    /// let mut options = DeployOptions::default();
    /// let never_deployed = runtime.rollback("echo", options.clone());
    /// assert!(matches!(never_deployed, Err(DeployError::NoPrevious { .. })));
    /// options.restore_state = true;
    /// let never_brought_over = runtime.rollback("echo", options);
    /// assert!(matches!(never_brought_over, Err(DeployError::NoSavedState { .. })));
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`DeployError`]; nothing has changed then.
    pub fn rollback(&self, service: &str, options: DeployOptions) -> Result<Deployment, DeployError> {
        self.hosted.acting_now(Act::on("rollback", service), || self.hosted.rollback(service, options))
    }

    /// What the recorders of a service have: the turns of its actors that are awake, with what came of each.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("recorder = {}", async |runtime, _| {
    /// runtime.call("echo", "hello", std::time::Duration::from_secs(5)).await?;
    /// let recording = runtime.recording("echo").await?;
    /// assert_eq!(recording.turns(), 1);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`RecordingError`].
    pub async fn recording(&self, service: &str) -> Result<Recording, RecordingError> {
        self.hosted.recording(service).await
    }

    /// The last deployment of a service, where it had one.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, folder| {
    /// use airssys_wasm::deploy::{DeployOptions, Progress, Status};
    /// use airssys_wasm::registry::Release;
    ///
    /// assert!(runtime.deployment("echo").is_none());
    /// let mut next = Release::find(&folder.join("echo.wasm"))?;
    /// next.manifest.version = "1.1.0".parse()?;
    /// runtime.deploy("echo", next, DeployOptions::default()).await?.switched().await;
    ///
    /// let deployment = runtime.deployment("echo").ok_or("it has one")?;
    /// let status: Status = runtime.deployment_status(&deployment);
    /// assert_eq!((status.number, &status.progress), (1, &Progress::Probation));
    /// assert_eq!(runtime.deployments("echo").len(), 1);
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn deployment(&self, service: &str) -> Option<Deployment> {
        self.hosted.deployment(service)
    }

    /// A deployment, as it is told: where it is, and what is live.
    ///
    /// # Example
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/mesh.rs")); }
    /// # doc::mesh("", async |runtime, _| {
    /// for deployment in runtime.deployments("echo") {
    ///     println!("{}", serde_json::to_string(&runtime.deployment_status(&deployment))?);
    /// }
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn deployment_status(&self, deployment: &Deployment) -> Status {
        self.hosted.deployment_status(deployment)
    }
}

fn name(release: &Release) -> String {
    format!("{}@{}", release.manifest.name, release.manifest.version)
}
